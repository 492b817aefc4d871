"""WeChat's mini-program server API: login codes, the access token, subscribe messages.

Plain JSON over HTTPS; faults come as HTTP 200 with an `errcode`, and success as `errcode` 0 or none at all.
Secrets and tokens travel in query strings here, so no address is ever put into a message or a log.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from app.ports import Clock, Message, OutsideError, Refused, Unavailable, Unknown, WeChatIdentity
from app.providers.http import HttpClient, Timeouts

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(seconds=300)  # the old token lives on for five minutes after the new one is made
STALE_TOKEN = frozenset({40001, 40014, 42001})

# errcode -> how the call ended. Configuration faults are Unavailable: an operator repairs them, and nobody
# may be told that their login or their message is refused for good. Unlisted codes are Unknown.
OUTCOMES: dict[int, type[OutsideError]] = {
    -1: Unavailable,  # system busy
    40029: Refused,  # login code invalid or expired
    40163: Refused,  # login code used
    40226: Refused,  # high-risk person, login blocked
    45011: Unavailable,  # too often
    45009: Unavailable,  # quota of the day
    40013: Unavailable,  # app id wrong
    40125: Unavailable,  # secret wrong
    40164: Unavailable,  # our address is not on the list
    40243: Unavailable,  # secret frozen
    41002: Unavailable,
    41004: Unavailable,
    41008: Refused,  # no code given
    40001: Unavailable,  # token stale, even after one renewal
    40014: Unavailable,
    42001: Unavailable,
    43108: Unavailable,  # two messages to one person at once
    40003: Refused,  # openid of another app
    40037: Refused,  # template unknown
    41030: Refused,  # page not in the released version
    40165: Refused,
    43101: Refused,  # not accepted, or the accepted ones are used up
    47003: Refused,  # a field does not fit
}

# What a template field may hold at most (notes of the official page); longer text is cut, never refused.
_LONGEST = {
    "thing": 20,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "phone_number": 17,
    "car_number": 8,
    "phrase": 5,
}


_Shape = TypeVar("_Shape", bound=BaseModel)


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


class _Session(BaseModel):
    openid: Annotated[str, Field(min_length=1, max_length=128)]
    unionid: str | None = None


class _Token(BaseModel):
    access_token: Annotated[str, Field(min_length=1, max_length=1024)]
    expires_in: Annotated[int, Field(gt=0)]


class WeChatApi:
    """ports.WeChatLogin and ports.Messages. Constructing it touches no network."""

    def __init__(self, config: WeChatConfig, clock: Clock) -> None:
        """ValueError for a missing id or secret, or an unknown miniprogram_state."""
        if not config.app_id or not config.app_secret:
            raise ValueError("the mini-program's app id or secret is missing")
        if config.miniprogram_state not in ("developer", "trial", "formal"):
            raise ValueError(f"miniprogram_state {config.miniprogram_state!r}")
        self._config = config
        self._clock = clock
        self._http = HttpClient(config.base_url, config.timeouts)
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at: datetime | None = None

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._http.close()

    # --- login ---

    def exchange(self, code: str) -> WeChatIdentity:
        """A one-time login code for the person's openid. The session_key that comes with it is dropped."""
        query = urlencode(
            {
                "appid": self._config.app_id,
                "secret": self._config.app_secret,
                "js_code": code,
                "grant_type": "authorization_code",
            },
            errors="replace",  # a code of broken characters is WeChat's to refuse, not ours to choke on
        )
        raw = self._exchange("GET", f"/sns/jscode2session?{query}")
        _raise_for(raw, "login")
        session = _read(_Session, raw)
        return WeChatIdentity(session.openid, session.unionid or None)

    # --- the access token ---

    def _access_token(self, not_this: str = "") -> str:
        """The cached token, or a fresh one when it is near its end or WeChat has just refused `not_this`.

        stable_token gives every process the same token, so processes do not invalidate each other's.
        """
        with self._lock:  # one fetch at a time; the others wait for its answer
            now = self._clock.now()
            fresh = self._renew_at is not None and now < self._renew_at
            if not fresh or self._token == not_this:
                raw = self._exchange(
                    "POST",
                    "/cgi-bin/stable_token",
                    {
                        "grant_type": "client_credential",
                        "appid": self._config.app_id,
                        "secret": self._config.app_secret,
                        "force_refresh": False,
                    },
                )
                _raise_for(raw, "token")
                told = _read(_Token, raw)
                self._token = told.access_token
                self._renew_at = now + timedelta(seconds=told.expires_in) - RENEW_BEFORE
            return self._token

    # --- messages ---

    def send(self, message: Message) -> None:
        """Send one subscribe message. A stale token is renewed once, never in a loop."""
        body = {
            "touser": message.openid,
            "template_id": message.template_id,
            "page": message.page,
            "miniprogram_state": self._config.miniprogram_state,
            "lang": "zh_CN",
            "data": {name: {"value": fitted(name, value)} for name, value in message.data.items()},
        }
        token = self._token_for_message()
        raw = self._post_message(token, body)
        if _errcode(raw) in STALE_TOKEN:
            raw = self._post_message(self._token_for_message(not_this=token), body)
        _raise_for(raw, "message")

    def _token_for_message(self, not_this: str = "") -> str:
        """A failed token fetch, however it failed, means that the message was certainly not sent."""
        try:
            return self._access_token(not_this)
        except OutsideError as fault:
            raise Unavailable(f"token_{fault.code}") from None

    def _post_message(self, token: str, body: dict[str, Any]) -> bytes:
        query = urlencode({"access_token": token})
        return self._exchange("POST", f"/cgi-bin/message/subscribe/send?{query}", body)

    # --- the wire ---

    def _exchange(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        raw = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if raw is not None else {}
        answer = self._http.send(method, target, headers, raw)
        if answer.status != 200:  # the API itself always says 200; this is a gateway in between
            raise Unknown(f"http_{answer.status}")
        return answer.body


def fitted(name: str, value: str) -> str:
    """`value` cut to what template field `name` ("thing1", "phrase5", ...) may hold, on one line.

    Refused when nothing is left: WeChat takes no empty field, and asking again would not help.
    """
    kind = name.rstrip("0123456789")
    text = "".join(c if c.isprintable() else " " for c in value).strip()
    if kind in ("character_string", "number", "letter", "symbol", "phone_number"):
        text = "".join(c for c in text if c.isascii())
    if kind == "name":
        longest = 20 if text.isascii() else 10
    else:
        longest = _LONGEST.get(kind, len(text))
    if not text[:longest].strip():
        raise Refused("field_empty", name)
    return text[:longest].strip()


def _errcode(raw: bytes) -> int:
    """0 also when there is none: a successful login carries no errcode."""
    return _read(_Status, raw).errcode


def _raise_for(raw: bytes, what: str) -> None:
    code = _errcode(raw)
    if code != 0:
        log.warning("wechat refused or failed", extra={"call": what, "vendor_code": code})
        raise OUTCOMES.get(code, Unknown)(str(code))


def _read(shape: type[_Shape], raw: bytes) -> _Shape:
    """The answer as `shape` whatever its content type says; Unknown when it is not."""
    try:
        return shape.model_validate_json(raw)
    except ValidationError:
        raise Unknown("answer_shape") from None
