"""SOTER: WeChat verifies that a phone's secure hardware signed a challenge after a fingerprint.

wx.startSoterAuthentication gives resultJSON (which carries our challenge as `raw`) and its signature; both
are passed on unchanged. What is not plainly an answer to our challenge is never asked about.
"""

from __future__ import annotations

import hmac
import json

from pydantic import BaseModel, StrictBool

from app.ports import Refused
from app.providers.wechat_wire import COMMON_OUTCOMES, Outcomes, WeChatWire, read

TARGET = "/cgi-bin/soter/verify_signature"
LONGEST_RESULT = 8192
LONGEST_SIGNATURE = 4096
BAD_SIGNATURE = "87009"  # WeChat's other way to say is_ok: false

OUTCOMES: Outcomes = {
    **COMMON_OUTCOMES,
    40097: Refused,
    47001: Refused,
    int(BAD_SIGNATURE): Refused,
}


class _Verdict(BaseModel):
    is_ok: StrictBool


class WeChatSoter:
    """ports.Fingerprints over the wire that the mini-program's other adapters use."""

    def __init__(self, wire: WeChatWire) -> None:
        self._wire = wire

    def verify(self, openid: str, challenge: str, result_json: str, signature: str) -> bool:
        """False for another challenge, for what is no such result, and for what WeChat does not confirm."""
        if not _answers(challenge, result_json) or not 0 < len(signature) <= LONGEST_SIGNATURE:
            return False
        body = {"openid": openid, "json_string": result_json, "json_signature": signature}
        if not all(map(_can_be_sent, body.values())):
            return False
        try:
            raw = self._wire.call(TARGET, body, "fingerprint", OUTCOMES)
        except Refused as no:
            if no.code == BAD_SIGNATURE:
                return False
            raise
        return read(_Verdict, raw).is_ok


def _answers(challenge: str, result_json: str) -> bool:
    """Whether this is a result about exactly that challenge."""
    if not challenge or len(result_json) > LONGEST_RESULT:
        return False
    try:
        told = json.loads(result_json, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return False
    raw = told.get("raw") if isinstance(told, dict) else None
    if not isinstance(raw, str):
        return False
    ours, theirs = (text.encode("utf-8", "surrogatepass") for text in (challenge, raw))
    return hmac.compare_digest(ours, theirs)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """ValueError for a name that stands there twice: two readers could take two different challenges."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _can_be_sent(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()
