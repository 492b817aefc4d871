"""After money: what WeChat's notice or answer means for the order, and the card's credit or the way home.

The same `payment_received` serves the notice, the query and the sweep. Nothing slow happens inside a
notice: the card system is reached from the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from app.domain.arrival import promise
from app.domain.clock import business_day
from app.domain.orders import PAY_ACCOUNTS, PRIMARY, UNPAID, Event, InvalidTransition, State, Topic
from app.domain.regions import issuer_of
from app.errors import AppError
from app.flows import refunds
from app.flows.channels import pay_of
from app.flows.deps import Deps
from app.flows.trouble import quarantine
from app.ports import Notice, NoticeRejected, Payment, Refused, TradeState, Unavailable, Unknown
from app.store import cards, cases, differences, holds, notices, orders, outbox
from app.store.orders import Order

log = logging.getLogger(__name__)

PAID_STATES = (TradeState.SUCCESS, TradeState.REFUND)


# --- notices --------------------------------------------------------------------------------------


def notice(deps: Deps, headers: Mapping[str, str], body: bytes, channel: str = PRIMARY) -> str:
    """Take one WeChat Pay notice for the merchant of `channel` in; returns the verdict.

    AppError notice_rejected when it is not provably WeChat's (answer 4xx). A verified notice that does
    not fit our books is quarantined with an alarm and still accepted: sending it again would not help.
    """
    now = deps.clock.now()
    pay = deps.pays.get(channel)
    if pay is None:
        raise AppError("notice_rejected")
    try:
        told = pay.read_notice(headers, body, now)
    except NoticeRejected as fault:
        log.warning("notice rejected", extra={"reason": fault.reason})
        raise AppError("notice_rejected") from fault
    with deps.database.write() as tx:
        order_id = told.payment.order_id if told.payment else told.refund.order_id if told.refund else ""
        verdict = _judge(deps, tx, told, channel, now)
        facts = {"transaction_id": told.payment.transaction_id} if told.payment else {}
        if not notices.keep(tx, told.id, told.event_type, order_id, verdict, facts, now):
            verdict = "repeat"
    deps.nudge()
    return verdict


def _judge(deps: Deps, tx: Connection, told: Notice, channel: str, now: datetime) -> str:
    app_id = deps.settings.wechat.app_id
    if told.merchant_id != deps.pays[channel].merchant_id or told.app_id not in (None, app_id):
        return quarantine(tx, "wrong_merchant", told.id, "a notice for another merchant or app", now)
    if told.currency != "CNY":
        return quarantine(tx, "wrong_currency", told.id, told.currency, now)
    if told.payment is not None:
        return payment_received(deps, tx, told.payment, now, channel)
    if told.refund is not None:
        return refunds.told(tx, told.refund, now)
    return quarantine(tx, "unknown_notice", told.id, told.event_type, now)


def payment_received(
    deps: Deps, tx: Connection, payment: Payment, now: datetime, channel: str = PRIMARY
) -> str:
    """Book a payment WeChat vouches for: at most once an order, checked against what was asked.

    Returns "accepted", "repeat", "late" (closed order: the money goes home), "second_payment" or
    "unknown_order" (money that fits no order: it goes home too), or the kind of its alarm. Serves the
    notice, the query and the bill alike.
    """
    order = orders.find(tx, payment.order_id)
    if order is None:
        return _stray(deps, tx, "unknown_order", payment, channel, now)
    if order.pay_channel != channel or (
        order.transaction_id is not None and order.transaction_id != payment.transaction_id
    ):
        return _stray(deps, tx, "second_payment", payment, channel, now)
    if payment.amount_fen != order.total_fen:
        detail = f"asked {order.total_fen} fen, paid {payment.amount_fen} fen"
        return quarantine(tx, "wrong_amount", order.id, detail, now)
    if payment.transaction_id and orders.transaction_used(tx, payment.transaction_id, order.id):
        return quarantine(tx, "transaction_reused", order.id, payment.transaction_id, now)
    paid_at = payment.paid_at or now
    issuer = issuer_of(cards.get(tx, order.card_id).prefix)
    hold = holds.active(tx, order.id, now)  # what a relative holds is promised from the hold's end on
    starts_at = paid_at if hold is None else max(paid_at, hold.until)
    changes = {
        "transaction_id": payment.transaction_id,
        "paid_at": paid_at,
        "promised_at": promise(deps.city, starts_at, deps.calendar, issuer).by,
    }
    try:
        after, moved = orders.advance(tx, order, Event.PAYMENT_RECEIVED, now, changes)
    except InvalidTransition as fault:
        return quarantine(tx, "unexpected_payment", order.id, str(fault), now)
    if not moved:  # somebody booked a payment since the order was read: this one, or another
        if after.transaction_id != payment.transaction_id:
            return _stray(deps, tx, "second_payment", payment, channel, now)
        return "repeat"
    cases.resolve_about(tx, "payment_uncertain", order.id, "it was paid", now)
    return "late" if after.state is State.REFUNDING else "accepted"


def _stray(deps: Deps, tx: Connection, kind: str, payment: Payment, channel: str, now: datetime) -> str:
    """Money that fits no order sits in suspense, and goes home by itself (PRODUCT.md: within 30 minutes)."""
    if payment.transaction_id is None or payment.amount_fen is None:
        return quarantine(tx, kind, payment.order_id, "paid, but nothing to send it back by", now)
    quarantine(tx, kind, payment.transaction_id, f"{payment.order_id}: {payment.amount_fen} fen", now)
    found = differences.open_once(
        tx,
        kind=kind,
        reference=f"{channel}:{payment.transaction_id}",
        source="notice",
        day=business_day(payment.paid_at or now),
        account=PAY_ACCOUNTS[channel],
        amount_fen=payment.amount_fen,
        detail="a payment that fits no order",
        due_on=business_day(now),
        now=now,
        order_id=payment.order_id,
        transaction_id=payment.transaction_id,
        pay_channel=channel,
    )
    if found is not None:
        outbox.add(tx, Topic.RETURN_STRAY, found.id, now)
    return kind


# --- asking instead of waiting --------------------------------------------------------------------


def ask_wechat(deps: Deps, order: Order, now: datetime, certain: bool = False) -> Order:
    """Query the payment of an order and book what WeChat says.

    An unanswered query leaves the order as it is; with `certain`, AppError payment_unavailable is raised
    instead, because the caller is about to say that no money moved.
    """
    if order.pay_channel is None:
        return order  # no merchant was ever asked
    try:
        payment = pay_of(deps, order).query(order.id)
    except (Refused, Unavailable, Unknown) as silence:
        with deps.database.write() as tx:
            cases.asked(tx, order.id, "payment", f"{type(silence).__name__}:{silence.code}", now)
        if certain:
            raise AppError("payment_unavailable") from silence
        return order
    with deps.database.write() as tx:
        cases.asked(tx, order.id, "payment", payment.state.value, now)
        if payment.state in PAID_STATES:
            payment_received(deps, tx, payment, now, order.pay_channel)
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
        pay_of(deps, order).close(order.id)
    except Refused as no:
        if no.code == "ORDER_PAID":
            return ask_wechat(deps, order, now, certain=True)
        log.warning("close refused", extra={"order_id": order.id, "vendor_code": no.code})
    except (Unavailable, Unknown) as silence:
        raise AppError("payment_unavailable") from silence
    return order


def expire(deps: Deps, order: Order, now: datetime) -> Order:
    """Close an order whose time is over, unless its money came. Unanswered, it stays as it is."""
    if order.state is State.AWAITING_PAYMENT and order.pay_channel is not None:
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
            cases.resolve_about(tx, "payment_uncertain", order.id, "it was not paid", now)
        except InvalidTransition:  # its money came, or somebody else closed it, a moment ago
            order = orders.get(tx, order.id)
    deps.nudge()
    return order
