"""WeChat's mini-program server API: login codes and subscribe messages."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from app.ports import Clock, Message, Refused, Unavailable, WeChatIdentity
from app.providers.wechat_wire import (
    COMMON_OUTCOMES,
    Outcomes,
    WeChatConfig,
    WeChatWire,
    raise_for,
    read,
)

OUTCOMES: Outcomes = {
    **COMMON_OUTCOMES,
    40029: Refused,  # login code invalid or expired
    40163: Refused,  # login code used
    40226: Refused,  # high-risk person, login blocked
    41008: Refused,  # no code given
    43108: Unavailable,  # two messages to one person at once
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


class _Session(BaseModel):
    openid: Annotated[str, Field(min_length=1, max_length=128)]
    unionid: str | None = None


class WeChatApi:
    """ports.WeChatLogin and ports.Messages. Constructing it touches no network.

    `wire` is for the other adapters of the same mini-program: they share its token.
    """

    def __init__(self, config: WeChatConfig, clock: Clock) -> None:
        """ValueError for a missing id or secret, or an unknown miniprogram_state."""
        self.wire = WeChatWire(config, clock)
        self._config = config

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self.wire.close_connections()

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
        raw = self.wire.exchange("GET", f"/sns/jscode2session?{query}")
        raise_for(raw, "login", OUTCOMES)
        session = read(_Session, raw)
        return WeChatIdentity(session.openid, session.unionid or None)

    def send(self, message: Message) -> None:
        """Send one subscribe message."""
        body = {
            "touser": message.openid,
            "template_id": message.template_id,
            "page": message.page,
            "miniprogram_state": self._config.miniprogram_state,
            "lang": "zh_CN",
            "data": {name: {"value": fitted(name, value)} for name, value in message.data.items()},
        }
        self.wire.call("/cgi-bin/message/subscribe/send", body, "message", OUTCOMES)


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
