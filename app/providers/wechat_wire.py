"""How WeChat's server API is reached: one mini-program's configuration, its access token, its error codes.

Plain JSON over HTTPS; faults come as HTTP 200 with an `errcode`, and success as `errcode` 0 or none at all.
Secrets and tokens travel in query strings here, so no address is ever put into a message or a log.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from app.ports import Clock, OutsideError, Refused, Unavailable, Unknown
from app.providers.http import HttpClient, Timeouts

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(seconds=300)  # the old token lives on for five minutes after the new one is made
STALE_TOKEN = frozenset({40001, 40014, 42001})

Outcomes = Mapping[int, type[OutsideError]]

# errcode -> how any call ended. Configuration faults are Unavailable: an operator repairs them, and nobody
# may be told that their login or their message is refused for good. Unlisted codes are Unknown.
COMMON_OUTCOMES: Outcomes = {
    -1: Unavailable,  # system busy
    45011: Unavailable,  # too often
    45009: Unavailable,  # quota of the day
    40013: Unavailable,  # app id wrong
    40125: Unavailable,  # secret wrong
    40164: Unavailable,  # our address is not on the list
    40243: Unavailable,  # secret frozen
    41002: Unavailable,
    41004: Unavailable,
    48001: Unavailable,  # this app may not use this service
    40001: Unavailable,  # token stale, even after one renewal
    40014: Unavailable,
    42001: Unavailable,
    40003: Refused,  # openid of another app
}

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class WeChatConfig:
    """One mini-program. miniprogram_state: which version a message opens (developer, trial, formal)."""

    base_url: str
    app_id: str
    app_secret: str = field(repr=False)
    miniprogram_state: str = "formal"
    timeouts: Timeouts = Timeouts(connect_seconds=3.0, read_seconds=5.0)


class _Status(BaseModel):
    errcode: int = 0
    errmsg: str = ""


class _Token(BaseModel):
    access_token: Annotated[str, Field(min_length=1, max_length=1024)]
    expires_in: Annotated[int, Field(gt=0)]


class WeChatWire:
    """Shared by everything we ask of one mini-program's API. Constructing it touches no network."""

    def __init__(self, config: WeChatConfig, clock: Clock) -> None:
        """ValueError for a missing id or secret, or an unknown miniprogram_state."""
        if not config.app_id or not config.app_secret:
            raise ValueError("the mini-program's app id or secret is missing")
        if config.miniprogram_state not in ("developer", "trial", "formal"):
            raise ValueError(f"miniprogram_state {config.miniprogram_state!r}")
        self.config = config
        self._clock = clock
        self._http = HttpClient(config.base_url, config.timeouts)
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at: datetime | None = None

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._http.close()

    def call(self, path: str, body: dict[str, Any], what: str, outcomes: Outcomes) -> bytes:
        """POST with the access token; the raw answer of a success. `what` names the call in the log.

        A stale token is renewed once, never in a loop.
        """
        token = self._token_for_call()
        raw = self._post(path, token, body)
        if errcode(raw) in STALE_TOKEN:
            raw = self._post(path, self._token_for_call(not_this=token), body)
        raise_for(raw, what, outcomes)
        return raw

    def _token_for_call(self, not_this: str = "") -> str:
        """A failed token fetch, however it failed, means that the request itself was certainly not sent."""
        try:
            return self._access_token(not_this)
        except OutsideError as fault:
            raise Unavailable(f"token_{fault.code}") from None

    def _post(self, path: str, token: str, body: dict[str, Any]) -> bytes:
        return self.exchange("POST", f"{path}?{urlencode({'access_token': token})}", body)

    def _access_token(self, not_this: str = "") -> str:
        """The cached token, or a fresh one when it is near its end or WeChat has just refused `not_this`.

        stable_token gives every process the same token, so processes do not invalidate each other's.
        """
        with self._lock:  # one fetch at a time; the others wait for its answer
            now = self._clock.now()
            fresh = self._renew_at is not None and now < self._renew_at
            if not fresh or self._token == not_this:
                raw = self.exchange(
                    "POST",
                    "/cgi-bin/stable_token",
                    {
                        "grant_type": "client_credential",
                        "appid": self.config.app_id,
                        "secret": self.config.app_secret,
                        "force_refresh": False,
                    },
                )
                raise_for(raw, "token", COMMON_OUTCOMES)
                told = read(_Token, raw)
                self._token = told.access_token
                self._renew_at = now + timedelta(seconds=told.expires_in) - RENEW_BEFORE
            return self._token

    def exchange(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        """Without a token. `target` is path and query, percent-encoded."""
        raw = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if raw is not None else {}
        answer = self._http.send(method, target, headers, raw)
        if answer.status != 200:  # the API itself always says 200; this is a gateway in between
            raise Unknown(f"http_{answer.status}")
        return answer.body


def errcode(raw: bytes) -> int:
    """0 also when there is none: a successful login carries no errcode."""
    return read(_Status, raw).errcode


def raise_for(raw: bytes, what: str, outcomes: Outcomes) -> None:
    """What its errcode means, when it has one other than 0."""
    code = errcode(raw)
    if code != 0:
        log.warning("wechat refused or failed", extra={"call": what, "vendor_code": code})
        raise outcomes.get(code, Unknown)(str(code))


def read(shape: type[Shape], raw: bytes) -> Shape:
    """The answer as `shape` whatever its content type says; Unknown when it is not."""
    try:
        return shape.model_validate_json(raw)
    except ValidationError:
        raise Unknown("answer_shape") from None
