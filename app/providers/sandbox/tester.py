"""What a tester looks at and asks for. No authentication: the sandbox listens on this machine only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from app.providers.sandbox.asks import BadAsk, asked, merchant_name, one_of
from app.providers.sandbox.faults import FAULTS, FaultyNotices
from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.world import World

# What a tester may look at, newest last; those with an order_id can be filtered by it.
LISTINGS = {
    "messages": "SELECT * FROM messages ORDER BY id",
    "trades": "SELECT merchant_id, order_id, amount_fen, openid, state, transaction_id, paid_at, again"
    " FROM trades WHERE order_id = COALESCE(:order_id, order_id) ORDER BY seq",
    "refunds": "SELECT r.merchant_id, r.refund_id, r.order_id, t.transaction_id, r.state, r.refund_fen"
    " FROM refunds r JOIN trades t ON t.seq = r.trade_seq"
    " WHERE r.order_id = COALESCE(:order_id, r.order_id) ORDER BY r.seq",
    "notices": "SELECT merchant_id, notice_id, order_id, event_type, state, state = 'taken' AS delivered,"
    " attempts, due_at, answered FROM notices WHERE order_id = COALESCE(:order_id, order_id) ORDER BY seq",
    "cards": "SELECT * FROM cards ORDER BY card_number",
    "credits": "SELECT * FROM card_credits WHERE order_id = COALESCE(:order_id, order_id) ORDER BY rowid",
    "batches": "SELECT batch_id, json_array_length(lines) AS lines, received_at, due_at, done_at"
    " FROM card_batches ORDER BY rowid",
    "faces": "SELECT verify_id, sequence, openid, expires_at, verify_ret FROM face_checks ORDER BY rowid",
    "outages": "SELECT who, mode FROM outages WHERE mode != 'none' ORDER BY who",
}


class Tester:
    """Look inside, let held notices go, send faulty ones."""

    def __init__(
        self, world: World, notices: NoticeBook, faulty: FaultyNotices, finish_due: Callable[[], None]
    ) -> None:
        """`finish_due` brings everything up to this moment before anybody looks."""
        self._world = world
        self._notices = notices
        self._finish_due = finish_due
        self._faulty = faulty

    def listing(self, name: str) -> Response:
        """GET /sandbox/<name>?order_id= -> {name: [rows]}, for the names in LISTINGS."""
        if name not in LISTINGS:
            abort(404)
        self._finish_due()
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
        self._finish_due()
        return {"deliveries": [asdict(attempt) for attempt in self._notices.deliver_due()]}

    def send(self) -> dict[str, Any]:
        """{"order_id", "fault", "merchant"?} -> {"status"}: one faulty notice, at once."""
        body = asked()
        fault = one_of(body, "fault", FAULTS)
        try:
            return {"status": self._faulty.send(str(body.get("order_id")), fault, merchant_name(body))}
        except LookupError as missing:
            raise BadAsk(str(missing)) from None

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
