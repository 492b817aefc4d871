"""Refunds of the sandbox's WeChat Pay: same number idempotent, never more than was paid."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from app.providers.sandbox.merchants import MERCHANT_NAMES, Merchant
from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.pay_edge import Answer, PayError
from app.providers.sandbox.shapes import RefundAsked, check_notify_url, checked
from app.providers.sandbox.store import canonical
from app.providers.sandbox.trades import PAID, china_time
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

    def ask(self, merchant: Merchant, body: dict[str, Any]) -> Answer:
        """POST /v3/refund/domestic/refunds."""
        asked = checked(RefundAsked, body)
        if (asked.transaction_id is None) == (asked.out_trade_no is None):
            raise PayError(400, "PARAM_ERROR", "transaction_id or out_trade_no")
        if asked.notify_url is not None:
            check_notify_url(asked.notify_url)
        trade = self._trade(merchant, asked)
        fault = magic(trade["amount_fen"])
        once = f"refund:{merchant.name}:{asked.out_refund_no}"
        if fault is Magic.REFUND_NOT_ENOUGH_ONCE and self._world.store.first_time(once):
            raise PayError(403, "NOT_ENOUGH")
        refund = self._enter(merchant, asked, canonical(body), trade["seq"])
        self._notices.wake()
        if fault is Magic.REFUND_ANSWER_LOST_ONCE and self._world.store.first_time(once):
            raise AnswerLost
        return Answer(200, self._shown(refund))

    def _trade(self, merchant: Merchant, asked: RefundAsked) -> dict[str, Any]:
        """The one payment meant: by transaction id, or the order's own."""
        trade = self._world.store.row(
            "SELECT * FROM trades WHERE merchant_id = ? AND ((order_id = ? AND again = 0)"
            " OR transaction_id = ?)",
            merchant.id,
            asked.out_trade_no,
            asked.transaction_id,
        )
        if trade is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS")
        if trade["amount_fen"] != asked.amount.total:
            raise PayError(400, "INVALID_REQUEST", "amount.total")
        return trade

    def _enter(self, merchant: Merchant, asked: RefundAsked, request: str, trade_seq: int) -> dict[str, Any]:
        now = self._world.now()
        with self._world.store.write() as tx:
            found = _find(tx, merchant.id, asked.out_refund_no)
            if found is not None:
                if found["request"] != request:
                    raise PayError(400, "INVALID_REQUEST")
                return dict(found)
            trade = tx.execute("SELECT * FROM trades WHERE seq = ?", (trade_seq,)).fetchone()
            _check_total(tx, trade, asked)
            end = _end(tx, trade)
            made = tx.execute(
                "INSERT INTO refunds (merchant_id, refund_id, request, trade_seq, order_id, wechat_refund_id,"
                " state, refund_fen, notify_url, created_at, due_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'PROCESSING', ?, ?, ?, ?)",
                (
                    merchant.id,
                    asked.out_refund_no,
                    request,
                    trade_seq,
                    trade["order_id"],
                    f"50{secrets.randbelow(10**26):026d}",
                    asked.amount.refund,
                    asked.notify_url,
                    now,
                    now + self._world.settings.refund_seconds,
                ),
            )
            assert made.lastrowid is not None
            if end != "PROCESSING":
                self._finish(tx, made.lastrowid, end)
            return dict(_find(tx, merchant.id, asked.out_refund_no) or {})

    def _finish(self, tx: sqlite3.Connection, seq: int, state: str) -> None:
        """A refund ends, or turns ABNORMAL: write it, tell the merchant, and mark the trade."""
        tx.execute(
            "UPDATE refunds SET state = ?, done_at = ?, due_at = NULL WHERE seq = ?",
            (state, self._world.now() if state == "SUCCESS" else None, seq),
        )
        refund = tx.execute(
            "SELECT r.*, t.amount_fen, t.transaction_id FROM refunds r JOIN trades t ON t.seq = r.trade_seq"
            " WHERE r.seq = ?",
            (seq,),
        ).fetchone()
        if state == "SUCCESS":
            tx.execute("UPDATE trades SET state = 'REFUND' WHERE seq = ?", (refund["trade_seq"],))
        if refund["notify_url"] is not None:
            self._notices.refund(tx, refund["notify_url"], self._noticed(refund))

    def settle(self, refund_id: str, merchant: str | None) -> None:
        """What a person does on the merchant's page for an ABNORMAL refund: the money goes home after all.

        LookupError when there is no such refund, or it cannot succeed any more.
        """
        names = (merchant,) if merchant else MERCHANT_NAMES
        with self._world.store.write() as tx:
            for name in names:
                found = _find(tx, self._world.merchants.named(name).id, refund_id)
                if found is not None and found["state"] in ("ABNORMAL", "PROCESSING"):
                    self._finish(tx, found["seq"], "SUCCESS")
                    break
            else:
                raise LookupError("no such refund that could still be settled")
        self._notices.wake()

    def finish_due(self) -> None:
        """Let PROCESSING refunds whose time has come succeed. Called before anybody looks."""
        now = self._world.now()
        if self._world.store.row("SELECT 1 FROM refunds WHERE due_at <= ?", now) is None:
            return  # the usual case takes no write lock
        with self._world.store.write() as tx:
            for row in tx.execute("SELECT seq FROM refunds WHERE due_at <= ?", (now,)).fetchall():
                self._finish(tx, row["seq"], "SUCCESS")

    def query(self, merchant: Merchant, refund_id: str) -> Answer:
        """GET /v3/refund/domestic/refunds/{out_refund_no}."""
        self.finish_due()
        refund = self._world.store.row(
            "SELECT * FROM refunds WHERE merchant_id = ? AND refund_id = ?", merchant.id, refund_id
        )
        if refund is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS")
        return Answer(200, self._shown(refund))

    def _shown(self, refund: dict[str, Any]) -> dict[str, Any]:
        trade = self._world.store.row("SELECT * FROM trades WHERE seq = ?", refund["trade_seq"])
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
            "mchid": refund["merchant_id"],
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


def _find(tx: sqlite3.Connection, merchant_id: str, refund_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM refunds WHERE merchant_id = ? AND refund_id = ?", (merchant_id, refund_id)
    ).fetchone()
    return row


def _check_total(tx: sqlite3.Connection, trade: sqlite3.Row, asked: RefundAsked) -> None:
    if trade["state"] not in PAID:
        raise PayError(400, "INVALID_REQUEST", "the order is not paid")
    sent = tx.execute(
        "SELECT COALESCE(SUM(refund_fen), 0) FROM refunds WHERE trade_seq = ? AND state != 'CLOSED'",
        (trade["seq"],),
    ).fetchone()[0]
    if sent + asked.amount.refund > trade["amount_fen"]:
        raise PayError(400, "INVALID_REQUEST", "more than was paid")


def _end(tx: sqlite3.Connection, trade: sqlite3.Row) -> str:
    """How a new refund of this trade ends. Of the amount for CLOSED only the first number is closed."""
    end = _ENDS.get(magic(trade["amount_fen"]), "SUCCESS")
    closed = "SELECT 1 FROM refunds WHERE trade_seq = ? AND state = 'CLOSED'"
    if end == "CLOSED" and tx.execute(closed, (trade["seq"],)).fetchone() is not None:
        return "SUCCESS"
    return end
