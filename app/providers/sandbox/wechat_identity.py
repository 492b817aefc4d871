"""WeChat's face check (version 2) and SOTER: the server's services, and what the phone does for them.

Strict: unknown members are refused, a sequence is used once for ever, a check is looked into once, and its
result is told only to who names the same sequence, openid and certificate. Where the official pages name no
errcode, 84001 is answered, which people met for every id that is not right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from typing import Any

from flask import Blueprint, Response

from app.providers.sandbox.asks import asked, one_of, text
from app.providers.sandbox.mini_program import MiniProgram, answer, error
from app.providers.sandbox.outages import FACES, FINGERPRINTS
from app.providers.sandbox.people import by_id_number
from app.providers.sandbox.world import World
from app.providers.wechat_face import cert_hash

EXPIRES_SECONDS = 3600
UNFINISHED = 0  # assumed: no page says what a check nobody looked into answers
PASSED, ID_MISMATCH, NO_PICTURE = 10000, 10003, 10009
_SEQUENCE = re.compile(r"[A-Za-z0-9_\-]{5,32}")
_ID_NUMBER = re.compile(r"[0-9]{17}[0-9X]")

# What a person does in front of the camera, and the verify_ret it ends with.
FACE_ACTIONS = {
    "pass": PASSED,
    "fail": 10004,
    "dark": 10002,
    "cancel": 90002,
    "no_camera": 90008,
    "timeout": 90107,
    "unsupported": 90001,
    "network": 90007,
    "fault": 90199,
}
_COMPLETED = 20000  # below it WeChat compared: for the phone that is success, whatever came out

# What a finger does, and the errCode of wx.startSoterAuthentication. A `stranger` is another phone's key.
FINGER_ACTIONS = {"match": 0, "stranger": 0, "cancel": 90008, "mismatch": 90009, "not_enrolled": 90011}


class WeChatIdentities:
    """`routes` puts the services on their real paths and the phone's side under /phone."""

    def __init__(self, world: World, mini_program: MiniProgram) -> None:
        self._world = world
        self._mini_program = mini_program

    # --- the face check ---

    def get_verify_id(self) -> Response:
        """POST /cityservice/face/identify/getverifyid."""
        return self._mini_program.admit(FACES, self._begin)

    def _begin(self, tx: sqlite3.Connection, body: dict[str, Any]) -> Response:
        sequence, openid, cert = body.get("out_seq_no"), body.get("openid"), body.get("cert_info")
        wrong = _wrong_begin(body)
        if wrong is not None:
            return error(40097, f"invalid args: {wrong}")
        assert isinstance(cert, dict)
        if not cert["cert_name"] or not cert["cert_no"]:
            return error(84006, "name or id_card_number empty")
        if not _ID_NUMBER.fullmatch(cert["cert_no"]):
            return error(40097, "invalid args: cert_no")
        if not _is_known(tx, openid):
            return error(40003, "invalid openid")
        verify_id = secrets.token_urlsafe(48)
        digest = cert_hash(cert["cert_name"], cert["cert_no"])
        now = self._world.now()
        row = (verify_id, sequence, openid, digest, now + EXPIRES_SECONDS, _success(cert))
        taken = tx.execute("INSERT OR IGNORE INTO face_checks VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        if taken.rowcount == 0:
            return error(40097, "invalid args: out_seq_no is used")
        return answer({"errcode": 0, "errmsg": "ok", "verify_id": verify_id, "expires_in": EXPIRES_SECONDS})

    def query_verify_info(self) -> Response:
        """POST /cityservice/face/identify/queryverifyinfo."""
        return self._mini_program.admit(FACES, self._query)

    def _query(self, tx: sqlite3.Connection, body: dict[str, Any]) -> Response:
        names = ("verify_id", "out_seq_no", "cert_hash", "openid")
        if set(body) != set(names) or not all(isinstance(body[name], str) for name in names):
            return error(40097, "invalid args")
        found = tx.execute(
            "SELECT verify_ret FROM face_checks WHERE verify_id = ? AND sequence = ? AND cert_hash = ?"
            " AND openid = ?",
            tuple(body[name] for name in names),
        ).fetchone()
        if found is None:
            return error(84001, "invalid identify id")
        told = UNFINISHED if found["verify_ret"] is None else found["verify_ret"]
        return answer({"errcode": 0, "errmsg": "ok", "verify_ret": told})

    def facial_verify(self) -> dict[str, Any]:
        """{"verify_id", "action", "person"?} -> {"errMsg", "errCode"} as from wx.requestFacialVerify.

        A picture that was compared is "ok" whatever came out: only queryverifyinfo says what.
        """
        body = asked()
        verify_id, action = text(body, "verify_id"), one_of(body, "action", tuple(FACE_ACTIONS), "pass")
        person = text(body, "person") if "person" in body else None
        with self._world.store.write() as tx:
            check = tx.execute("SELECT * FROM face_checks WHERE verify_id = ?", (verify_id,)).fetchone()
            if check is None or check["expires_at"] <= self._world.now():
                return _phone("requestFacialVerify", 10017)
            if person is not None and self._world.openid(person) != check["openid"]:
                return _phone("requestFacialVerify", 10018)
            if check["verify_ret"] is not None:
                return _phone("requestFacialVerify", 10022)
            told = check["success"] if action == "pass" else FACE_ACTIONS[action]
            tx.execute("UPDATE face_checks SET verify_ret = ? WHERE verify_id = ?", (told, verify_id))
        return _phone("requestFacialVerify", 0 if told < _COMPLETED else told)

    # --- SOTER ---

    def verify_signature(self) -> Response:
        """POST /cgi-bin/soter/verify_signature."""
        return self._mini_program.admit(FINGERPRINTS, self._verify)

    def _verify(self, tx: sqlite3.Connection, body: dict[str, Any]) -> Response:
        names = ("openid", "json_string", "json_signature")
        if set(body) != set(names) or not all(isinstance(body[name], str) for name in names):
            return error(40097, "invalid args")
        if not _is_known(tx, body["openid"]):
            return error(40003, "invalid openid")
        expected = self._signature(body["openid"], body["json_string"])
        same = hmac.compare_digest(expected.encode(), body["json_signature"].encode("utf-8", "replace"))
        return answer({"errcode": 0, "errmsg": "ok", "is_ok": same})

    def fingerprint(self) -> dict[str, Any]:
        """{"person", "challenge", "action"?} -> what wx.startSoterAuthentication gives."""
        body = asked()
        person, challenge = text(body, "person"), text(body, "challenge")
        action = one_of(body, "action", tuple(FINGER_ACTIONS), "match")
        code = FINGER_ACTIONS[action]
        if code != 0:
            return _phone("startSoterAuthentication", code)
        signer = person if action == "match" else f"not {person}"
        told = {
            "raw": challenge,
            "fid": "2",
            "counter": secrets.randbelow(10**9),
            "tee_n": "sandbox",
            "tee_v": "1",
            "fp_n": "sandbox",
            "fp_v": "1",
            "cpu_id": hashlib.sha256(signer.encode()).hexdigest()[:16],
            "uid": "21",
        }
        result = json.dumps(told, ensure_ascii=False)
        return {
            **_phone("startSoterAuthentication", 0),
            "authMode": "fingerPrint",
            "resultJSON": result,
            "resultJSONSignature": self._signature(self._world.openid(signer), result),
        }

    def _signature(self, openid: str, result: str) -> str:
        """The real one is RSA-PSS by the phone's secure hardware; here one secret stands for all phones."""
        key = self._world.keys.gateway_secret("soter").encode()
        return base64.b64encode(hmac.digest(key, f"{openid}\n{result}".encode(), "sha256")).decode()

    def routes(self) -> Blueprint:
        """The services on their real paths, and the phone's side."""
        routes = Blueprint("wechat_identity", __name__)
        routes.post("/cityservice/face/identify/getverifyid")(self.get_verify_id)
        routes.post("/cityservice/face/identify/queryverifyinfo")(self.query_verify_info)
        routes.post("/cgi-bin/soter/verify_signature")(self.verify_signature)
        routes.post("/phone/facial-verify")(self.facial_verify)
        routes.post("/phone/fingerprint")(self.fingerprint)
        return routes


def _phone(api: str, code: int) -> dict[str, Any]:
    return {"errMsg": f"{api}:{'ok' if code == 0 else f'fail {code}'}", "errCode": code}


def _is_known(tx: sqlite3.Connection, openid: object) -> bool:
    return tx.execute("SELECT 1 FROM people WHERE openid = ?", (openid,)).fetchone() is not None


def _wrong_begin(body: dict[str, Any]) -> str | None:
    """The first member that does not fit the documented shape."""
    if set(body) != {"out_seq_no", "cert_info", "openid"}:
        return "members"
    if not isinstance(body["out_seq_no"], str) or not _SEQUENCE.fullmatch(body["out_seq_no"]):
        return "out_seq_no"
    cert = body["cert_info"]
    if not isinstance(cert, dict) or set(cert) != {"cert_type", "cert_name", "cert_no"}:
        return "cert_info"
    if cert["cert_type"] != "IDENTITY_CARD" or not all(isinstance(value, str) for value in cert.values()):
        return "cert_type"
    return None if isinstance(body["openid"], str) else "openid"


def _success(cert: dict[str, str]) -> int:
    """The verify_ret of the right face. An ID number nobody seeded belongs to whoever says so."""
    citizen = by_id_number(cert["cert_no"])
    if citizen is None:
        return PASSED
    if citizen.name != cert["cert_name"]:
        return ID_MISMATCH
    return PASSED if citizen.picture else NO_PICTURE
