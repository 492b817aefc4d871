"""What the phone's and the tester's side ask of the sandbox, as JSON bodies."""

from __future__ import annotations

from typing import Any

from flask import request

from app.providers.sandbox.merchants import MERCHANT_NAMES


class BadAsk(Exception):
    """The request to the sandbox itself is malformed."""


def asked() -> dict[str, Any]:
    """The JSON object of this request."""
    body = request.get_json(silent=True, force=True)
    if not isinstance(body, dict):
        raise BadAsk("a JSON object is needed")
    return body


def text(body: dict[str, Any], name: str) -> str:
    """A member that must be a text and not empty."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadAsk(f"{name} is a text")
    return value


def one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """A member that is one of `allowed`; `default` when it is absent."""
    value = body.get(name, default)
    if value not in allowed:
        raise BadAsk(f"{name} is one of {', '.join(allowed)}")
    return str(value)


def merchant_name(body: dict[str, Any]) -> str | None:
    """{"merchant"?}: primary, standby, or None for whichever fits."""
    return None if body.get("merchant") is None else one_of(body, "merchant", MERCHANT_NAMES)
