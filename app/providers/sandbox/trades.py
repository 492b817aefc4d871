"""Trades of the sandbox's WeChat Pay: prepay, query, close, and the moment of payment."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from app.providers.sandbox.merchants import Merchant
from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.pay_edge import Answer, PayError
from app.providers.sandbox.shapes import Close, Prepay, check_notify_url, checked
from app.providers.sandbox.store import canonical
from app.providers.sandbox.world import AnswerLost, Magic, World, magic, words
from app.providers.wechat_pay_signing import is_signed_by, payment_message

PAID = ("SUCCESS", "REFUND")
PREPAY_SECONDS = 7200
SHORTEST_EXPIRY = timedelta(minutes=1)
LONGEST_EXPIRY = timedelta(days=90)
_CHINA = timezone(timedelta(hours=8))


class CannotPay(Exception):
    """The phone's payment sheet fails with this text."""


def china_time(seconds: float) -> str:
    """RFC 3339 as WeChat writes it."""
    return datetime.fromtimestamp(seconds, _CHINA).isoformat(timespec="seconds")


class Trades:
    """One trade an order id at each merchant. NOTPAY -> SUCCESS -> REFUND, or NOTPAY -> CLOSED.

    A row with `again` set is a second payment that was taken for an order id (trouble made on purpose): it
    has a transaction id of its own, and only that finds it.
    """

    def __init__(self, world: World, notices: NoticeBook) -> None:
        self._world = world
        self._notices = notices

    # --- the merchant's side ---

    def prepay(self, merchant: Merchant, body: dict[str, Any]) -> Answer:
        """POST /v3/pay/transactions/jsapi, with the re-entry rule and this amount's magic."""
        asked = checked(Prepay, body)
        self._check_prepay(merchant, asked)
        fault = magic(asked.amount.total)
        store, once = self._world.store, f"prepay:{merchant.name}:{asked.out_trade_no}"
        if fault is Magic.PREPAY_REFUSED:
            raise PayError(403, "RULE_LIMIT")
        if fault is Magic.PREPAY_ERROR_ONCE and store.first_time(once):
            raise PayError(500, "SYSTEM_ERROR")
        if fault is Magic.PREPAY_BUSY_ONCE and store.first_time(once):
            raise PayError(429, "FREQUENCY_LIMITED")
        prepay_id = self._enter(merchant, asked, body)
        if fault is Magic.PREPAY_ANSWER_LOST_ONCE and store.first_time(once):
            raise AnswerLost
        if fault is Magic.NOTICE_BEFORE_PREPAY_ANSWER and store.first_time(once):
            with store.write() as tx:
                trade = _find(tx, merchant.id, asked.out_trade_no)
                assert trade is not None
                self.mark_paid(tx, trade["seq"])
            self._notices.deliver_due()
        bad = fault is Magic.PREPAY_BADLY_SIGNED_ONCE and store.first_time(once)
        return Answer(200, {"prepay_id": prepay_id}, badly_signed=bad)

    def _check_prepay(self, merchant: Merchant, asked: Prepay) -> None:
        now = self._world.clock.now()
        if asked.appid != self._world.keys.app_id or asked.mchid != merchant.id:
            raise PayError(400, "PARAM_ERROR", "appid or mchid")
        check_notify_url(asked.notify_url)
        if self._world.store.row("SELECT 1 FROM people WHERE openid = ?", asked.payer.openid) is None:
            raise PayError(400, "PARAM_ERROR", "payer.openid")
        if asked.time_expire is not None and asked.time_expire > now + LONGEST_EXPIRY:
            raise PayError(400, "PARAM_ERROR", "time_expire")

    def _enter(self, merchant: Merchant, asked: Prepay, body: dict[str, Any]) -> str:
        """Open the trade, or re-enter it with identical parameters; returns a fresh prepay_id."""
        now = self._world.clock.now()
        request = canonical(body)
        expires_at = asked.time_expire.timestamp() if asked.time_expire else None
        with self._world.store.write() as tx:
            trade = _find(tx, merchant.id, asked.out_trade_no)
            if trade is None:
                if asked.time_expire is not None and asked.time_expire < now + SHORTEST_EXPIRY:
                    raise PayError(400, "PARAM_ERROR", "time_expire")
                tx.execute(
                    "INSERT INTO trades (merchant_id, order_id, request, amount_fen, openid, notify_url,"
                    " expires_at, state, attach) VALUES (?, ?, ?, ?, ?, ?, ?, 'NOTPAY', ?)",
                    (
                        merchant.id,
                        asked.out_trade_no,
                        request,
                        asked.amount.total,
                        asked.payer.openid,
                        asked.notify_url,
                        expires_at,
                        asked.attach,
                    ),
                )
            elif trade["request"] != request:
                raise PayError(400, "INVALID_REQUEST")
            elif trade["state"] in PAID:
                raise PayError(400, "ORDER_PAID")
            elif trade["state"] == "CLOSED" or _is_over(trade, now.timestamp()):
                raise PayError(400, "ORDER_CLOSED")
            prepay_id = f"wx{now.astimezone(_CHINA):%d%H%M%S}{secrets.token_hex(13)}"
            tx.execute(
                "INSERT INTO prepays VALUES (?, ?, ?, ?)",
                (prepay_id, merchant.id, asked.out_trade_no, now.timestamp() + PREPAY_SECONDS),
            )
        return prepay_id

    def query(
        self, merchant: Merchant, mchid: str | None, order_id: str = "", transaction_id: str = ""
    ) -> Answer:
        """GET by out_trade_no, or by transaction id."""
        _check_mchid(merchant, mchid)
        if order_id:
            by, value = "order_id = ? AND again = 0", order_id
        else:
            by, value = "transaction_id = ?", transaction_id
        found = f"SELECT * FROM trades WHERE merchant_id = ? AND {by}"  # noqa: S608 - ours
        trade = self._world.store.row(found, merchant.id, value)
        if trade is None:
            raise PayError(404, "ORDER_NOT_EXIST")
        if magic(trade["amount_fen"]) is Magic.QUERY_ERROR_ONCE and self._world.store.first_time(
            f"query:{merchant.name}:{trade['order_id']}"
        ):
            raise PayError(500, "SYSTEM_ERROR")
        return Answer(200, self.transaction(trade))

    def close(self, merchant: Merchant, order_id: str, body: dict[str, Any]) -> Answer:
        """POST .../close. Re-entrant; a paid trade cannot be closed."""
        _check_mchid(merchant, checked(Close, body).mchid)
        with self._world.store.write() as tx:
            trade = _find(tx, merchant.id, order_id)
            if trade is None:
                raise PayError(404, "ORDER_NOT_EXIST")
            paid = trade["state"] in PAID
            if trade["state"] == "NOTPAY" and magic(trade["amount_fen"]) is Magic.PAID_WHILE_CLOSING:
                self.mark_paid(tx, trade["seq"])
                paid = True
            elif not paid:
                tx.execute("UPDATE trades SET state = 'CLOSED' WHERE seq = ?", (trade["seq"],))
        if paid:
            self._notices.wake()
            raise PayError(400, "ORDER_PAID")
        return Answer(204)

    # --- the phone's side ---

    def pay(self, payment: dict[str, str], action: str, person: str | None) -> None:
        """The person confirms, or cancels, in the payment sheet. Raise CannotPay with the sheet's words.

        `payment` is what wx.requestPayment gets; paySign is verified as WeChat does, and the merchant
        whose key it is must be the one that made the prepay.
        """
        merchant = self._signer(payment)
        if merchant is None:
            raise CannotPay("sign error")
        with self._world.store.write() as tx:
            prepay_id = payment["package"].removeprefix("prepay_id=")
            trade = self._payable(tx, merchant, prepay_id, person)
            if action != "pay":
                raise CannotPay("cancel")
            if magic(trade["amount_fen"]) is Magic.PAYMENT_REFUSED:
                raise CannotPay("payment refused")
            self.mark_paid(tx, trade["seq"])
        self._notices.wake()

    def _signer(self, payment: dict[str, str]) -> Merchant | None:
        if payment.get("signType") != "RSA":
            return None
        message = payment_message(
            self._world.keys.app_id,
            payment.get("timeStamp", ""),
            payment.get("nonceStr", ""),
            payment.get("package", ""),
        )
        signature = payment.get("paySign", "")
        return next(
            (one for one in self._world.merchants if is_signed_by(one.own_key, message, signature)), None
        )

    def _payable(
        self, tx: sqlite3.Connection, merchant: Merchant, prepay_id: str, person: str | None
    ) -> sqlite3.Row:
        now = self._world.now()
        prepay = tx.execute("SELECT * FROM prepays WHERE prepay_id = ?", (prepay_id,)).fetchone()
        if prepay is not None and prepay["merchant_id"] != merchant.id:
            raise CannotPay("sign error")
        trade = _find(tx, merchant.id, prepay["order_id"]) if prepay is not None else None
        if trade is None or prepay["expires_at"] <= now:
            raise CannotPay("prepay_id is not valid")
        if person is not None and self._world.openid(person) != trade["openid"]:
            raise CannotPay("another person's order")
        if trade["state"] in PAID:
            raise CannotPay("already paid")
        if trade["state"] == "CLOSED" or _is_over(trade, now):
            raise CannotPay("the order is closed")
        return trade

    def mark_paid(self, tx: sqlite3.Connection, seq: int) -> str:
        """The money is there: write it, and the notices this amount calls for, in one transaction.
        Returns the transaction id."""
        now = self._world.now()
        transaction_id = f"42{datetime.fromtimestamp(now, UTC):%Y%m%d}{secrets.randbelow(10**18):018d}"
        tx.execute(
            "UPDATE trades SET state = 'SUCCESS', transaction_id = ?, paid_at = ? WHERE seq = ?",
            (transaction_id, now, seq),
        )
        trade = tx.execute("SELECT * FROM trades WHERE seq = ?", (seq,)).fetchone()
        self._notices.payment(tx, trade["notify_url"], self.transaction(trade), magic(trade["amount_fen"]))
        return transaction_id

    # --- what others look up ---

    def found(self, order_id: str, merchant: str | None = None) -> dict[str, Any]:
        """The trade of this order id, at the merchant called so or at any. LookupError without one."""
        merchant_id = self._world.merchants.named(merchant).id if merchant else None
        trade = self._world.store.row(
            "SELECT * FROM trades WHERE order_id = :order_id AND again = 0"
            " AND merchant_id = COALESCE(:merchant_id, merchant_id) ORDER BY seq",
            {"order_id": order_id, "merchant_id": merchant_id},
        )
        if trade is None:
            raise LookupError("no such trade")
        return trade

    def transaction(self, trade: Any) -> dict[str, Any]:
        """A trade as queries and notices show it. Money fields stay out until somebody paid."""
        state = trade["state"]
        shown: dict[str, Any] = {
            "appid": self._world.keys.app_id,
            "mchid": trade["merchant_id"],
            "out_trade_no": trade["order_id"],
            "trade_state": state,
            "trade_state_desc": words()["trade_state"][state],
            "attach": trade["attach"],
            "payer": {"openid": trade["openid"]},
            "amount": {"total": trade["amount_fen"], "currency": "CNY"},
        }
        if trade["transaction_id"] is not None:
            shown |= {
                "transaction_id": trade["transaction_id"],
                "trade_type": "JSAPI",
                "bank_type": "OTHERS",
                "success_time": china_time(trade["paid_at"]),
            }
            shown["amount"] |= {"payer_total": trade["amount_fen"], "payer_currency": "CNY"}
        return shown


def _find(tx: sqlite3.Connection, merchant_id: str, order_id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM trades WHERE merchant_id = ? AND order_id = ? AND again = 0", (merchant_id, order_id)
    ).fetchone()
    return row


def _check_mchid(merchant: Merchant, mchid: str | None) -> None:
    if mchid != merchant.id:
        raise PayError(400, "PARAM_ERROR", "mchid")


def _is_over(trade: sqlite3.Row, now: float) -> bool:
    return trade["expires_at"] is not None and trade["expires_at"] <= now
