"""What a phone does with WeChat, and what a tester asks of the sandbox. No authentication: local only."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from app.providers.sandbox.faults import FAULTS, FaultyNotices
from app.providers.sandbox.mini_program import MiniProgram
from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.refunds import Refunds
from app.providers.sandbox.trades import CannotPay, Trades
from app.providers.sandbox.world import World

LONGEST_NAME = 64


class BadAsk(Exception):
    """The request to the sandbox itself is malformed."""


def _asked() -> dict[str, Any]:
    body = request.get_json(silent=True, force=True)
    if not isinstance(body, dict):
        raise BadAsk("a JSON object is needed")
    return body


def _person(body: dict[str, Any], required: bool = True) -> str | None:
    person = body.get("person")
    if person is None and not required:
        return None
    if not isinstance(person, str) or not 0 < len(person) <= LONGEST_NAME:
        raise BadAsk("person is a name of 1 to 64 characters")
    return person


def phone_routes(mini_program: MiniProgram, trades: Trades) -> Blueprint:
    """wx.login, wx.requestPayment and wx.requestSubscribeMessage, as POSTs."""
    routes = Blueprint("phone", __name__, url_prefix="/phone")

    @routes.post("/login")
    def login() -> dict[str, str]:
        """{"person"} -> {"code"}."""
        return {"code": mini_program.login_code(str(_person(_asked())))}

    @routes.post("/pay")
    def pay() -> dict[str, str]:
        """{"payment": {five fields}, "action": "pay"|"cancel", "person"?} -> {"errMsg"}."""
        body = _asked()
        payment, action = body.get("payment"), body.get("action", "pay")
        if not isinstance(payment, dict) or not all(isinstance(value, str) for value in payment.values()):
            raise BadAsk("payment holds the five texts of wx.requestPayment")
        if action not in ("pay", "cancel"):
            raise BadAsk("action is pay or cancel")
        try:
            trades.pay(payment, action, _person(body, required=False))
        except CannotPay as reason:
            return {"errMsg": f"requestPayment:fail {reason}"}
        return {"errMsg": "requestPayment:ok"}

    @routes.post("/subscribe")
    def subscribe() -> dict[str, str]:
        """{"person", "template_ids"} -> {template id: "accept"}."""
        body = _asked()
        template_ids = body.get("template_ids")
        if not isinstance(template_ids, list) or not all(isinstance(item, str) for item in template_ids):
            raise BadAsk("template_ids is a list of texts")
        return mini_program.accept(str(_person(body)), template_ids)

    return routes


# What a tester may look at, newest last; those with an order_id can be filtered by it.
LISTINGS = {
    "messages": "SELECT * FROM messages ORDER BY id",
    "trades": "SELECT order_id, amount_fen, openid, state, transaction_id, paid_at FROM trades"
    " WHERE order_id = COALESCE(:order_id, order_id) ORDER BY rowid",
    "refunds": "SELECT refund_id, order_id, state, refund_fen FROM refunds"
    " WHERE order_id = COALESCE(:order_id, order_id) ORDER BY rowid",
    "notices": "SELECT notice_id, order_id, event_type, state, state = 'taken' AS delivered, attempts,"
    " due_at, answered FROM notices WHERE order_id = COALESCE(:order_id, order_id) ORDER BY seq",
    "cards": "SELECT * FROM cards ORDER BY card_number",
    "credits": "SELECT * FROM card_credits WHERE order_id = COALESCE(:order_id, order_id) ORDER BY rowid",
}


class Tester:
    """Look inside, let held notices go, send faulty ones."""

    def __init__(self, world: World, notices: NoticeBook, refunds: Refunds, faulty: FaultyNotices) -> None:
        self._world = world
        self._notices = notices
        self._refunds = refunds
        self._faulty = faulty

    def listing(self, name: str) -> Response:
        """GET /sandbox/<name>?order_id= -> {name: [rows]}, for the names in LISTINGS."""
        if name not in LISTINGS:
            abort(404)
        self._refunds.finish_due()
        rows = self._world.store.rows(LISTINGS[name], {"order_id": request.args.get("order_id")})
        for row in rows:
            if "data" in row:
                row["data"] = json.loads(row["data"])
        return jsonify({name: rows})

    def release(self) -> dict[str, int]:
        """{"order_id"?} -> {"released"}: held notices (magic 06) go out."""
        body = request.get_json(silent=True, force=True)
        return {"released": self._notices.release(body.get("order_id") if isinstance(body, dict) else None)}

    def deliver(self) -> dict[str, Any]:
        """Deliver everything due now and say how it was answered."""
        self._refunds.finish_due()
        return {"deliveries": [asdict(attempt) for attempt in self._notices.deliver_due()]}

    def send(self) -> dict[str, Any]:
        """{"order_id", "fault"} -> {"status"}: one faulty notice, at once."""
        body = _asked()
        if body.get("fault") not in FAULTS:
            raise BadAsk(f"fault is one of {', '.join(FAULTS)}")
        try:
            return {"status": self._faulty.send(str(body.get("order_id")), body["fault"])}
        except LookupError as fault:
            raise BadAsk(str(fault)) from None

    def expire_tokens(self) -> dict[str, int]:
        """Forget every access token, as after a reset of the secret (40001 for who still uses one)."""
        with self._world.store.write() as tx:
            return {"forgotten": tx.execute("DELETE FROM access_tokens").rowcount}

    def routes(self) -> Blueprint:
        """Everything under /sandbox."""
        routes = Blueprint("tester", __name__, url_prefix="/sandbox")
        routes.get("/<name>")(self.listing)
        routes.post("/notices/release")(self.release)
        routes.post("/notices/deliver")(self.deliver)
        routes.post("/notices/send")(self.send)
        routes.post("/tokens/expire")(self.expire_tokens)
        return routes
