"""Refunds of the sandbox's WeChat Pay: same number idempotent, never more than was paid."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.pay_edge import Answer, PayError
from app.providers.sandbox.shapes import RefundAsked, check_notify_url, checked
from app.providers.sandbox.store import canonical
from app.providers.sandbox.trades import china_time
from app.providers.sandbox.world import AnswerLost, Magic, World, magic, words

_ENDS = {
    Magic.REFUND_PROCESSING: "PROCESSING",
    Magic.REFUND_ABNORMAL: "ABNORMAL",
    Magic.REFUND_CLOSED: "CLOSED",
}


class Refunds:
    """One refund an out_refund_no. The *trade's* amount carries the magic."""

    def __init__(self, world: World, notices: NoticeBook) -> None:
        self._world = world
        self._notices = notices

    def ask(self, body: dict[str, Any]) -> Answer:
        """POST /v3/refund/domestic/refunds."""
        asked = checked(RefundAsked, body)
        if (asked.transaction_id is None) == (asked.out_trade_no is None):
            raise PayError(400, "PARAM_ERROR", "transaction_id or out_trade_no")
        if asked.notify_url is not None:
            check_notify_url(asked.notify_url)
        trade = self._trade(asked)
        fault = magic(trade["amount_fen"])
        if fault is Magic.REFUND_NOT_ENOUGH_ONCE and self._first(asked):
            raise PayError(403, "NOT_ENOUGH")
        refund = self._enter(asked, canonical(body), trade["order_id"], fault)
        self._notices.wake()
        if fault is Magic.REFUND_ANSWER_LOST_ONCE and self._first(asked):
            raise AnswerLost
        return Answer(200, self._shown(refund))

    def _first(self, asked: RefundAsked) -> bool:
        return self._world.store.first_time(f"refund:{asked.out_refund_no}")

    def _trade(self, asked: RefundAsked) -> dict[str, Any]:
        trade = self._world.store.row(
            "SELECT * FROM trades WHERE order_id = ? OR transaction_id = ?",
            asked.out_trade_no,
            asked.transaction_id,
        )
        if trade is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS")
        if trade["amount_fen"] != asked.amount.total:
            raise PayError(400, "INVALID_REQUEST", "amount.total")
        return trade

    def _enter(self, asked: RefundAsked, request: str, order_id: str, fault: Magic) -> dict[str, Any]:
        now = self._world.now()
        end = _ENDS.get(fault, "SUCCESS")
        with self._world.store.write() as tx:
            found = tx.execute("SELECT * FROM refunds WHERE refund_id = ?", (asked.out_refund_no,)).fetchone()
            if found is not None:
                if found["request"] != request:
                    raise PayError(400, "INVALID_REQUEST")
                return dict(found)
            self._check_total(tx, order_id, asked)
            tx.execute(
                "INSERT INTO refunds VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                (
                    asked.out_refund_no,
                    request,
                    order_id,
                    f"50{secrets.randbelow(10**26):026d}",
                    "PROCESSING",
                    asked.amount.refund,
                    asked.notify_url,
                    now,
                    now + self._world.settings.refund_seconds,
                ),
            )
            if end != "PROCESSING":
                self._finish(tx, asked.out_refund_no, end)
            return dict(
                tx.execute("SELECT * FROM refunds WHERE refund_id = ?", (asked.out_refund_no,)).fetchone()
            )

    @staticmethod
    def _check_total(tx: sqlite3.Connection, order_id: str, asked: RefundAsked) -> None:
        trade = tx.execute("SELECT * FROM trades WHERE order_id = ?", (order_id,)).fetchone()
        if trade["state"] not in ("SUCCESS", "REFUND"):
            raise PayError(400, "INVALID_REQUEST", "the order is not paid")
        sent = tx.execute(
            "SELECT COALESCE(SUM(refund_fen), 0) FROM refunds WHERE order_id = ? AND state != 'CLOSED'",
            (order_id,),
        ).fetchone()[0]
        if sent + asked.amount.refund > trade["amount_fen"]:
            raise PayError(400, "INVALID_REQUEST", "more than was paid")

    def _finish(self, tx: sqlite3.Connection, refund_id: str, state: str) -> None:
        """A refund ends, or turns ABNORMAL: write it, tell the merchant, and mark the trade."""
        tx.execute(
            "UPDATE refunds SET state = ?, done_at = ?, due_at = NULL WHERE refund_id = ?",
            (state, self._world.now() if state == "SUCCESS" else None, refund_id),
        )
        refund = tx.execute(
            "SELECT r.*, t.amount_fen, t.transaction_id FROM refunds r JOIN trades t USING (order_id)"
            " WHERE refund_id = ?",
            (refund_id,),
        ).fetchone()
        if state == "SUCCESS":
            tx.execute("UPDATE trades SET state = 'REFUND' WHERE order_id = ?", (refund["order_id"],))
        if refund["notify_url"] is not None:
            self._notices.refund(tx, refund["notify_url"], self._noticed(refund))

    def finish_due(self) -> None:
        """Let PROCESSING refunds whose time has come succeed. Called before anybody looks."""
        now = self._world.now()
        if self._world.store.row("SELECT 1 FROM refunds WHERE due_at <= ?", now) is None:
            return  # the usual case takes no write lock
        with self._world.store.write() as tx:
            for row in tx.execute("SELECT refund_id FROM refunds WHERE due_at <= ?", (now,)).fetchall():
                self._finish(tx, row["refund_id"], "SUCCESS")

    def query(self, refund_id: str) -> Answer:
        """GET /v3/refund/domestic/refunds/{out_refund_no}."""
        self.finish_due()
        refund = self._world.store.row("SELECT * FROM refunds WHERE refund_id = ?", refund_id)
        if refund is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS")
        return Answer(200, self._shown(refund))

    def _shown(self, refund: dict[str, Any]) -> dict[str, Any]:
        trade = self._world.store.row("SELECT * FROM trades WHERE order_id = ?", refund["order_id"])
        assert trade is not None
        shown = {
            "refund_id": refund["wechat_refund_id"],
            "out_refund_no": refund["refund_id"],
            "transaction_id": trade["transaction_id"],
            "out_trade_no": refund["order_id"],
            "channel": "ORIGINAL",
            "user_received_account": words()["refund"]["user_received_account"],
            "create_time": china_time(refund["created_at"]),
            "status": refund["state"],
            "amount": {
                "total": trade["amount_fen"],
                "refund": refund["refund_fen"],
                "payer_total": trade["amount_fen"],
                "payer_refund": refund["refund_fen"],
                "settlement_refund": refund["refund_fen"],
                "settlement_total": trade["amount_fen"],
                "discount_refund": 0,
                "currency": "CNY",
            },
        }
        if refund["done_at"] is not None:
            shown["success_time"] = china_time(refund["done_at"])
        return shown

    def _noticed(self, refund: sqlite3.Row) -> dict[str, Any]:
        """What a refund notice carries: no appid, no currency."""
        told = {
            "mchid": self._world.keys.merchant_id,
            "transaction_id": refund["transaction_id"],
            "out_trade_no": refund["order_id"],
            "refund_id": refund["wechat_refund_id"],
            "out_refund_no": refund["refund_id"],
            "refund_status": refund["state"],
            "user_received_account": words()["refund"]["user_received_account"],
            "amount": {
                "total": refund["amount_fen"],
                "refund": refund["refund_fen"],
                "payer_total": refund["amount_fen"],
                "payer_refund": refund["refund_fen"],
            },
        }
        if refund["done_at"] is not None:
            told["success_time"] = china_time(refund["done_at"])
        return told
