"""WeChat's side of a mini-program: login codes, access tokens, subscribe messages.

Answers are HTTP 200 with an errcode, as text/plain, and a successful login carries no errcode at all:
exactly the habits that break naive clients.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from app.providers.sandbox.outages import MESSAGES, Outage, outage_of
from app.providers.sandbox.world import AnswerLost, World, seeds, words

TOKEN_SECONDS = 7200
RENEW_BEFORE_SECONDS = 300

# Person names whose login code fails at the exchange, with the errcode it fails with.
LOGIN_FAULTS = {"busy": -1, "blocked": 40226, "frequent": 45011}


def field_fits(name: str, value: str) -> bool:
    """Whether `value` may stand in field `name` ("thing1", "amount2", ...)."""
    pattern = words()["field"].get(name.rstrip("0123456789"))
    return pattern is not None and re.fullmatch(pattern, value) is not None


def answer(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), content_type="text/plain; charset=utf-8")


def error(code: int, message: str) -> Response:
    return answer({"errcode": code, "errmsg": message})


class MiniProgram:
    """The three services; `routes` puts them on their real paths."""

    def __init__(self, world: World) -> None:
        self._world = world

    def login_code(self, person: str) -> str:
        """What wx.login gives: one use, five minutes."""
        code = "0" + secrets.token_urlsafe(23)
        now = self._world.now()
        with self._world.store.write() as tx:
            self._world.register(tx, person)
            tx.execute("INSERT INTO login_codes VALUES (?, ?, ?, 0)", (code, person, now + 300))
        return code

    def code_to_session(self) -> Response:
        """GET /sns/jscode2session."""
        keys, values = self._world.keys, request.args
        if values.get("appid") != keys.app_id:
            return error(40013, "invalid appid")
        if values.get("secret") != keys.app_secret:
            return error(40125, "invalid appsecret")
        if not values.get("js_code"):
            return error(41008, "missing code")
        with self._world.store.write() as tx:
            found = tx.execute("SELECT * FROM login_codes WHERE code = ?", (values["js_code"],)).fetchone()
            if found is None or found["expires_at"] <= self._world.now():
                return error(40029, "invalid code")
            if found["used"]:
                return error(40163, "code been used")
            fault = LOGIN_FAULTS.get(found["person"])
            if fault is not None:
                return error(fault, "the person's name asked for this")
            tx.execute("UPDATE login_codes SET used = 1 WHERE code = ?", (found["code"],))
        return answer(
            {"session_key": secrets.token_urlsafe(16), "openid": self._world.openid(found["person"])}
        )

    def stable_token(self) -> Response:
        """POST /cgi-bin/stable_token: the same token until five minutes before it ends."""
        asked = request.get_json(silent=True, force=True)
        keys, now = self._world.keys, self._world.now()
        if not isinstance(asked, dict) or asked.get("grant_type") != "client_credential":
            return error(40002, "invalid grant_type")
        if asked.get("appid") != keys.app_id:
            return error(40013, "invalid appid")
        if asked.get("secret") != keys.app_secret:
            return error(40125, "invalid appsecret")
        with self._world.store.write() as tx:
            tx.execute("DELETE FROM access_tokens WHERE expires_at <= ?", (now,))
            found = tx.execute("SELECT * FROM access_tokens WHERE renew_at > ?", (now,)).fetchone()
            if found is None:
                token, ends = "75_" + secrets.token_urlsafe(96), now + TOKEN_SECONDS
                tx.execute(
                    "INSERT INTO access_tokens VALUES (?, ?, ?)", (token, ends - RENEW_BEFORE_SECONDS, ends)
                )
            else:
                token, ends = found["token"], found["expires_at"]
        return answer({"access_token": token, "expires_in": int(ends - now)})

    def _token_fault(self, tx: sqlite3.Connection) -> Response | None:
        found = tx.execute(
            "SELECT * FROM access_tokens WHERE token = ?", (request.args.get("access_token", ""),)
        ).fetchone()
        if found is None:
            return error(40001, "invalid credential, access_token is invalid or not latest")
        if found["expires_at"] <= self._world.now():
            return error(42001, "access_token expired")
        return None

    def admit(self, who: str, work: Callable[[sqlite3.Connection, dict[str, Any]], Response]) -> Response:
        """Check the access token and that JSON came, do `work(tx, body)`; `who`'s outages happen here."""
        asked = request.get_json(silent=True, force=True)
        with self._world.store.write() as tx:
            outage = outage_of(tx, who)
            if outage is Outage.REFUSES:
                return error(-1, "system busy")
            fault = self._token_fault(tx)
            if fault is not None:
                told = fault
            elif not isinstance(asked, dict):
                told = error(47001, "data format error")
            else:
                told = work(tx, asked)
        if outage is Outage.LOST:
            raise AnswerLost
        return told

    def send_message(self) -> Response:
        """POST /cgi-bin/message/subscribe/send: one accepted request is one message."""
        return self.admit(MESSAGES, self._send)

    def _send(self, tx: sqlite3.Connection, asked: dict[str, Any]) -> Response:
        openid, template_id = str(asked.get("touser")), str(asked.get("template_id"))
        template = next((t for t in seeds()["templates"] if t["id"] == template_id), None)
        if tx.execute("SELECT 1 FROM people WHERE openid = ?", (openid,)).fetchone() is None:
            return error(40003, "invalid openid")
        if template is None:
            return error(40037, "invalid template_id")
        if asked.get("miniprogram_state", "formal") not in ("developer", "trial", "formal"):
            return error(47003, "argument invalid! miniprogram_state")
        wrong = _wrong_field(template["fields"], asked.get("data"))
        if wrong is not None:
            return error(47003, f"argument invalid! data.{wrong}.value is invalid")
        used = tx.execute(
            "UPDATE subscriptions SET credits = credits - 1"
            " WHERE openid = ? AND template_id = ? AND credits > 0",
            (openid, template_id),
        )
        if used.rowcount == 0:
            return error(43101, "user refuse to accept the msg")
        sent = tx.execute(
            "INSERT INTO messages (openid, template_id, page, miniprogram_state, data, sent_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                openid,
                template_id,
                str(asked.get("page", "")),
                asked.get("miniprogram_state", "formal"),
                json.dumps({name: field["value"] for name, field in asked["data"].items()}),
                self._world.now(),
            ),
        )
        return answer({"errcode": 0, "errmsg": "ok", "msgid": sent.lastrowid})

    def accept(self, person: str, template_ids: list[str]) -> dict[str, str]:
        """What wx.requestSubscribeMessage answers when the person allows everything."""
        known = {template["id"] for template in seeds()["templates"]}
        answers = {}
        with self._world.store.write() as tx:
            openid = self._world.register(tx, person)
            for template_id in template_ids:
                answers[template_id] = "accept" if template_id in known else "filter"
                if template_id in known:
                    tx.execute(
                        "INSERT INTO subscriptions VALUES (?, ?, 1)"
                        " ON CONFLICT DO UPDATE SET credits = credits + 1",
                        (openid, template_id),
                    )
        return answers

    def routes(self) -> Blueprint:
        """The services on their real paths."""
        routes = Blueprint("mini_program", __name__)
        routes.get("/sns/jscode2session")(self.code_to_session)
        routes.post("/cgi-bin/stable_token")(self.stable_token)
        routes.post("/cgi-bin/message/subscribe/send")(self.send_message)
        return routes


def _wrong_field(fields: list[str], data: object) -> str | None:
    """The first field that is missing, unknown, or does not fit its type; None when all are right."""
    if not isinstance(data, dict):
        return "data"
    for name in [*fields, *data]:
        value = data.get(name)
        text = value.get("value") if isinstance(value, dict) else None
        if name not in fields or not isinstance(text, str) or not field_fits(name, text):
            return str(name)
    return None
