"""Signed JSON over HTTPS, as our gateway protocols have it: the card system, text messages, bank checks.

Requests and answers are signed with HMAC-SHA256 over a shared secret (docs/CARD_SYSTEM.md). An answer that
does not verify is Unknown, also a refusal: a stranger must not be able to decide anything for an elder.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.ports import Clock, OutsideError, Refused, Unavailable, Unknown
from app.providers.http import FILE_TIMEOUTS, Answer, HttpClient, Limits, Timeouts

log = logging.getLogger(__name__)

SHORTEST_SECRET = 32
ACCEPTED = "application/json, text/csv"

Outcomes = Mapping[str, type[OutsideError]]

# What an error code of any gateway means. Faults of our own clock or secret are Unavailable: an operator
# repairs them, and what was asked waits. Unlisted codes are Unknown.
COMMON_OUTCOMES: Outcomes = {
    "unavailable": Unavailable,
    "busy": Unavailable,
    "key_unknown": Unavailable,
    "stale": Unavailable,
    "signature": Unavailable,
    "nonce_used": Unavailable,
    "nonce_malformed": Unavailable,
    "internal": Unknown,
}

# The same for a gateway of single requests about a phone number (docs/IDENTITY_GATEWAYS.md).
REQUEST_OUTCOMES: Outcomes = {
    **COMMON_OUTCOMES,
    "phone_malformed": Refused,
    "request_id_malformed": Refused,
    "conflict": Refused,  # this request id asked for something else before
    "too_often": Unavailable,
}

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where a gateway is, and the secret we share with it."""

    base_url: str
    key_id: str
    secret: str = field(repr=False)
    clock_window_seconds: int = 300
    timeouts: Timeouts = Timeouts(connect_seconds=3.0, read_seconds=8.0)
    file_timeouts: Timeouts = FILE_TIMEOUTS


@dataclass(frozen=True, slots=True)
class Party:
    """Who is at the other end: a name for logs and faults, its headers' prefix, what its codes mean."""

    name: str
    header: str  # "X-Card": X-Card-Key, X-Card-Timestamp, X-Card-Nonce, X-Card-Signature
    outcomes: Outcomes


class _Problem(BaseModel):
    code: str


class SignedGateway:
    """One gateway, shared by all threads. Constructing it touches no network."""

    def __init__(self, party: Party, config: GatewayConfig, clock: Clock) -> None:
        """ValueError when the key id is missing or the secret is weak."""
        if not config.key_id or len(config.secret) < SHORTEST_SECRET:
            raise ValueError(f"the {party.name}'s key id is missing, or its secret is shorter than 32")
        self._party = party
        self._config = config
        self._clock = clock
        self._http = HttpClient(config.base_url, config.timeouts)
        self._limits = Limits(config.timeouts)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._http.close()

    def call(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        """One exchange of JSON; the body of a verified 200, or what its code means."""
        raw = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return self.send(method, target, raw, self._limits).body

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None,
        limits: Limits,
        content_type: str = "application/json",
    ) -> Answer:
        """One signed exchange; a verified 200, or what its code means."""
        header, raw = self._party.header, body or b""
        timestamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        headers = {
            "Accept": ACCEPTED,
            "Content-Type": content_type,
            f"{header}-Key": self._config.key_id,
            f"{header}-Timestamp": timestamp,
            f"{header}-Nonce": nonce,
            f"{header}-Signature": mac(self._config.secret, method, target, timestamp, nonce, raw),
        }
        answer = self._http.send(method, target, headers, body, limits)
        self._verify(answer, nonce)
        if answer.status == 200:
            return answer
        code = read_answer(_Problem, answer.body).code
        told = {"party": self._party.name, "status": answer.status, "vendor_code": code}
        log.warning("a gateway refused or failed", extra=told)
        raise self._party.outcomes.get(code, Unknown)(code)

    def _verify(self, answer: Answer, nonce: str) -> None:
        """The answer is the other side's, to this very request, and fresh."""
        header, status = self._party.header, str(answer.status)
        timestamp = answer.headers.get(f"{header}-Timestamp", "")
        expected = mac(self._config.secret, "ANSWER", status, timestamp, nonce, answer.body)
        given = answer.headers.get(f"{header}-Signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise Unknown(f"unverified_{answer.status}")
        now, window = int(self._clock.now().timestamp()), self._config.clock_window_seconds
        if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp[:12])) > window:
            raise Unknown("answer_stale")


def mac(secret: str, first: str, second: str, timestamp: str, nonce: str, body: bytes) -> str:
    """The signature of a request (method, target) or of an answer ("ANSWER", status): lower-case hex."""
    lines = [first, second, timestamp, nonce, hashlib.sha256(body).hexdigest()]
    return hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def read_answer(shape: type[Shape], raw: bytes) -> Shape:
    """A verified answer as `shape`; Unknown when it is not."""
    try:
        return shape.model_validate_json(raw, strict=True)
    except ValidationError:
        raise Unknown("answer_shape", shape.__name__) from None
