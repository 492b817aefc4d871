"""WeChat's own face check, version 2: getverifyid, the phone's wx.requestFacialVerify, queryverifyinfo.

Passed is errcode 0 *and* verify_ret 10000, told by WeChat's server; the phone's success callback proves
nothing. WeChat compares openid and certificate with those of the beginning and answers another errcode when
they differ. Names and ID numbers go into the body only: never into a log, a message or an address.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

from app.ports import Refused, RemoteCheck, RemoteResult
from app.providers.wechat_face_codes import PASSED, reason_of
from app.providers.wechat_wire import COMMON_OUTCOMES, Outcomes, WeChatWire, read

CERT_TYPE = "IDENTITY_CARD"
BASE = "/cityservice/face/identify"
_SEQUENCE = re.compile(r"[A-Za-z0-9_\-]{5,32}")

OUTCOMES: Outcomes = {
    **COMMON_OUTCOMES,
    40097: Refused,  # a member does not fit
    47001: Refused,  # not the JSON it wants
    84001: Refused,  # no such check, or not this person's
    84006: Refused,  # name or ID number empty
}


class _Begun(BaseModel):
    errcode: StrictInt
    verify_id: Annotated[str, Field(min_length=1, max_length=256)]
    expires_in: Annotated[int, Field(strict=True, gt=0)]


class _Result(BaseModel):
    errcode: StrictInt
    verify_ret: StrictInt


def cert_hash(name: str, id_number: str) -> str:
    """The digest of a certificate that queryverifyinfo wants, lower-case hex."""
    parts = {"cert_type": CERT_TYPE, "cert_name": name, "cert_no": id_number}
    joined = "&".join(f"{key}={base64.b64encode(text.encode()).decode()}" for key, text in parts.items())
    return hashlib.sha256(joined.encode()).hexdigest()


class WeChatFace:
    """ports.RemoteFace over the wire that the mini-program's other adapters use."""

    def __init__(self, wire: WeChatWire) -> None:
        self._wire = wire

    def begin(self, sequence: str, name: str, id_number: str, openid: str) -> RemoteCheck:
        """getverifyid. Refused for a name or number WeChat does not take; ValueError for a bad sequence."""
        body = {
            "out_seq_no": _checked(sequence),
            "cert_info": {
                "cert_type": CERT_TYPE,
                "cert_name": _encodable(name),
                "cert_no": _encodable(id_number),
            },
            "openid": _encodable(openid),
        }
        raw = self._wire.call(f"{BASE}/getverifyid", body, "face_begin", OUTCOMES)
        begun = read(_Begun, raw)
        return RemoteCheck(begun.verify_id, begun.expires_in)

    def result(self, check_id: str, sequence: str, name: str, id_number: str, openid: str) -> RemoteResult:
        """queryverifyinfo. Refused when these are not the values the check was begun with."""
        body = {
            "verify_id": _encodable(check_id),
            "out_seq_no": _checked(sequence),
            "cert_hash": cert_hash(_encodable(name), _encodable(id_number)),
            "openid": _encodable(openid),
        }
        raw = self._wire.call(f"{BASE}/queryverifyinfo", body, "face_result", OUTCOMES)
        told = read(_Result, raw)
        passed = told.errcode == 0 and told.verify_ret == PASSED
        return RemoteResult(passed, told.verify_ret, reason_of(told.verify_ret))


def _checked(sequence: str) -> str:
    if not _SEQUENCE.fullmatch(sequence):
        raise ValueError("a sequence is 5 to 32 of A-Z a-z 0-9 _ -")
    return sequence


def _encodable(text: str) -> str:
    """Broken characters are refused here, because they cannot even be sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("not_text") from None
    return text
