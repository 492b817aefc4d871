"""After money: what WeChat's notice or answer means for the order, and the card's credit or the way home.

The same `payment_received` serves the notice, the query and the sweep. Nothing slow happens inside a
notice: the card system is reached from the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.arrival import promise
from app.domain.orders import UNPAID, Event, InvalidTransition, State
from app.errors import AppError
from app.flows.deps import Deps
from app.ports import (
    Notice,
    NoticeRejected,
    Payment,
    Refund,
    RefundRequest,
    RefundState,
    Refused,
    TradeState,
    Unavailable,
    Unknown,
)
from app.store import notices, orders
from app.store.orders import Order
from app.voice import replies

log = logging.getLogger(__name__)

PAID_STATES = (TradeState.SUCCESS, TradeState.REFUND)


@dataclass(frozen=True, slots=True)
class Done:
    """An outbox row needs no more work."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Later:
    """Try the row again, after the ladder's time or `after`."""

    error: str
    after: timedelta | None = None


Verdict = Done | Later


# --- notices --------------------------------------------------------------------------------------


def notice(deps: Deps, headers: Mapping[str, str], body: bytes) -> str:
    """Take one WeChat Pay notice in; returns the verdict.

    AppError notice_rejected when it is not provably WeChat's (answer 4xx). A verified notice that does
    not fit our books is quarantined with an alarm and still accepted: sending it again would not help.
    """
    now = deps.clock.now()
    try:
        told = deps.pay.read_notice(headers, body, now)
    except NoticeRejected as fault:
        log.warning("notice rejected", extra={"reason": fault.reason})
        raise AppError("notice_rejected") from fault
    with deps.database.write() as tx:
        order_id = told.payment.order_id if told.payment else told.refund.order_id if told.refund else ""
        verdict = _judge(deps, tx, told, now)
        facts = {"transaction_id": told.payment.transaction_id} if told.payment else {}
        if not notices.keep(tx, told.id, told.event_type, order_id, verdict, facts, now):
            verdict = "repeat"
    deps.nudge()
    return verdict


def _judge(deps: Deps, tx: Connection, told: Notice, now: datetime) -> str:
    wechat = deps.settings.wechat
    if told.merchant_id != wechat.merchant_id or told.app_id not in (None, wechat.app_id):
        return _quarantine(tx, "wrong_merchant", told.id, "a notice for another merchant or app", now)
    if told.currency != "CNY":
        return _quarantine(tx, "wrong_currency", told.id, told.currency, now)
    if told.payment is not None:
        return payment_received(deps, tx, told.payment, now)
    if told.refund is not None:
        return _refund_told(tx, told.refund, now)
    return _quarantine(tx, "unknown_notice", told.id, told.event_type, now)


def _quarantine(tx: Connection, kind: str, subject: str, detail: str, now: datetime) -> str:
    if notices.alarm(tx, kind, subject, detail, now):
        log.error("alarm", extra={"kind": kind, "subject": subject})
    return kind


def payment_received(deps: Deps, tx: Connection, payment: Payment, now: datetime) -> str:
    """Book a payment WeChat vouches for: at most once an order, checked against what was asked.

    Returns "accepted", "repeat", "late" (closed order: the money goes home) or the kind of its alarm.
    """
    order = orders.find(tx, payment.order_id)
    if order is None:
        return _quarantine(tx, "unknown_order", payment.order_id, "paid, but no such order", now)
    if payment.amount_fen != order.total_fen:
        detail = f"asked {order.total_fen} fen, paid {payment.amount_fen} fen"
        return _quarantine(tx, "wrong_amount", order.id, detail, now)
    if order.transaction_id is not None and order.transaction_id != payment.transaction_id:
        return _quarantine(tx, "second_payment", order.id, str(payment.transaction_id), now)
    if payment.transaction_id and orders.transaction_used(tx, payment.transaction_id, order.id):
        return _quarantine(tx, "transaction_reused", order.id, payment.transaction_id, now)
    paid_at = payment.paid_at or now
    changes = {
        "transaction_id": payment.transaction_id,
        "paid_at": paid_at,
        "promised_at": promise(deps.city, paid_at).by,
    }
    try:
        after, moved = orders.advance(tx, order, Event.PAYMENT_RECEIVED, now, changes)
    except InvalidTransition as fault:
        return _quarantine(tx, "unexpected_payment", order.id, str(fault), now)
    if not moved:
        return "repeat"
    return "late" if after.state is State.REFUNDING else "accepted"


def _refund_told(tx: Connection, refund: Refund, now: datetime) -> str:
    order = orders.find(tx, refund.order_id)
    if order is None or refund.refund_id != refund_id(order):
        return _quarantine(tx, "unknown_refund", refund.refund_id, refund.order_id, now)
    return _book_refund(tx, order, refund, now)


def _book_refund(tx: Connection, order: Order, refund: Refund, now: datetime) -> str:
    if refund.state is not RefundState.SUCCESS:
        if refund.state in (RefundState.CLOSED, RefundState.ABNORMAL):
            return _quarantine(tx, f"refund_{refund.state.value.lower()}", order.id, "needs a person", now)
        return "processing"
    if refund.refund_fen != order.total_fen:
        detail = f"asked {order.total_fen} fen, refunded {refund.refund_fen} fen"
        return _quarantine(tx, "wrong_refund_amount", order.id, detail, now)
    try:
        _order, moved = orders.advance(tx, order, Event.REFUNDED, now)
    except InvalidTransition as fault:
        return _quarantine(tx, "unexpected_refund", order.id, str(fault), now)
    return "accepted" if moved else "repeat"


def refund_id(order: Order) -> str:
    """One refund number an order, for ever: asking again can never pay twice."""
    return "rfd_" + order.id.partition("_")[2]


# --- asking instead of waiting --------------------------------------------------------------------


def ask_wechat(deps: Deps, order: Order, now: datetime, certain: bool = False) -> Order:
    """Query the payment of an order and book what WeChat says.

    An unanswered query leaves the order as it is; with `certain`, AppError payment_unavailable is raised
    instead, because the caller is about to say that no money moved.
    """
    try:
        payment = deps.pay.query(order.id)
    except (Refused, Unavailable, Unknown) as silence:
        if certain:
            raise AppError("payment_unavailable") from silence
        return order
    if payment.state in PAID_STATES:
        with deps.database.write() as tx:
            payment_received(deps, tx, payment, now)
            order = orders.get(tx, order.id)
        deps.nudge()
    return order


def close_at_wechat(deps: Deps, order: Order, now: datetime) -> Order:
    """Make sure that an unpaid order can no longer be paid; book the money if it came first.

    AppError payment_unavailable when WeChat does not answer: then nothing may be said about the money.
    """
    order = ask_wechat(deps, order, now, certain=True)
    if order.state is not State.AWAITING_PAYMENT:
        return order
    try:
        deps.pay.close(order.id)
    except Refused as no:
        if no.code == "ORDER_PAID":
            return ask_wechat(deps, order, now, certain=True)
        log.warning("close refused", extra={"order_id": order.id, "vendor_code": no.code})
    except (Unavailable, Unknown) as silence:
        raise AppError("payment_unavailable") from silence
    return order


def expire(deps: Deps, order: Order, now: datetime) -> Order:
    """Close an order whose time is over, unless its money came. Unanswered, it stays as it is."""
    if order.state is State.AWAITING_PAYMENT and order.prepay_id is not None:
        try:
            order = close_at_wechat(deps, order, now)
        except AppError:
            return order
    return end_unpaid(deps, order, Event.EXPIRED, now)


def end_unpaid(
    deps: Deps, order: Order, event: Event, now: datetime, facts: dict[str, str] | None = None
) -> Order:
    """Close an unpaid order, and return it as it stands: it may have ended otherwise since it was read."""
    if order.state not in UNPAID:
        return order
    with deps.database.write() as tx:
        try:
            order, _moved = orders.advance(tx, order, event, now, facts=facts)
        except InvalidTransition:  # its money came, or somebody else closed it, a moment ago
            order = orders.get(tx, order.id)
    deps.nudge()
    return order


# --- the outbox's handlers ------------------------------------------------------------------------


def _load(deps: Deps, order_id: str) -> Order:
    with deps.database.read() as tx:
        return orders.get(tx, order_id)


def watch_payment(deps: Deps, order_id: str) -> Verdict:
    """Ask WeChat about a payment nobody told us of, until the order is decided."""
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.state is State.AWAITING_PAYMENT:
        order = ask_wechat(deps, order, now)
    if order.state is State.AWAITING_PAYMENT and order.expires_at <= now:
        order = expire(deps, order, now)
    if order.state is not State.AWAITING_PAYMENT:
        return Done(order.state.value)
    return Later("not paid yet", timedelta(seconds=10 if order.payer_said == "ok" else 60))


def close_payment(deps: Deps, order_id: str) -> Verdict:
    """See to it that a cancelled or expired order cannot be paid; late money starts its way home."""
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.state not in (State.CANCELLED, State.EXPIRED):
        return Done(order.state.value)
    try:
        deps.pay.close(order.id)
    except Refused as no:
        if no.code == "ORDER_PAID":
            after = ask_wechat(deps, order, now)
            return Later("paid, not booked") if after.state is order.state else Done("late_money")
        return Done(f"refused:{no.code}")
    except (Unavailable, Unknown) as silence:
        return Later(silence.code)
    return Done("closed")


def refund(deps: Deps, order_id: str) -> Verdict:
    """Send the money home, always with the same refund number."""
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.state is not State.REFUNDING:
        return Done(order.state.value)
    number = refund_id(order)
    request = RefundRequest(
        number, order.id, order.total_fen, order.total_fen, replies.phrase("refund_reason")
    )
    try:
        told = deps.pay.query_refund(number) or deps.pay.refund(request)
    except Refused as no:
        with deps.database.write() as tx:
            _quarantine(tx, "refund_refused", order.id, no.code, now)
        return Later(no.code, timedelta(minutes=30))
    except (Unavailable, Unknown) as silence:
        return Later(silence.code)
    with deps.database.write() as tx:
        verdict = _book_refund(tx, orders.get(tx, order.id), told, now)
    if verdict in ("accepted", "repeat"):
        deps.nudge()
        return Done("refunded")
    return Later(verdict, timedelta(minutes=1))
