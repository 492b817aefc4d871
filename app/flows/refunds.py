"""The way home: refunds of orders, of rests, and of money that fits no order.

A refund has one number and is asked under it again and again; only one that WeChat has CLOSED gets a
successor, because a new number is a second refund. ABNORMAL needs a person: the payer's account is gone.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.orders import GOING_HOME, Event, InvalidTransition, Topic
from app.flows import order_deeds, trouble
from app.flows.deps import Deps
from app.flows.trouble import quarantine
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Refund, RefundRequest, RefundState, Refused, Unavailable, Unknown
from app.store import cases, differences, orders, outbox, refunds
from app.store.refunds import Attempt
from app.voice import replies

MOST_ATTEMPTS = 3
# After PROCESSING: each minute to five, then more rarely (notes/wechat.md 4.9).
_PROCESSING = timedelta(minutes=1)
_NEEDS_A_PERSON = timedelta(minutes=30)
_ENDED_BY_SUCCESS = ("refund_abnormal", "refund_closed", "refund_refused", "promise_broken")  # cases


def order(deps: Deps, order_id: str) -> Verdict:
    """Send an order's money home: all of it, or the rest that did not fit on the card.

    The payment is named by its own number: of two for one order WeChat would send back the first, and we may
    have heard of the second one first.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = orders.get(tx, order_id)
        if found.state not in GOING_HOME:
            return Done(found.state.value)
        attempt = refunds.current(
            tx,
            subject=found.id,
            order_id=found.id,
            transaction_id=found.transaction_id,
            pay_channel=found.pay_channel or "primary",
            refund_fen=found.to_return_fen,
            total_fen=found.total_fen,
            now=now,
        )
    return _send(deps, attempt, now)


def stray(deps: Deps, difference_id: str) -> Verdict:
    """Send home a payment that fits no order, by its own transaction number."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = differences.get(tx, difference_id)
        if found.state != differences.OPEN:
            return Done(found.resolution or found.state)
        assert found.pay_channel is not None and found.order_id is not None
        attempt = refunds.current(
            tx,
            subject=found.id,
            order_id=found.order_id,
            transaction_id=found.transaction_id,
            pay_channel=found.pay_channel,
            refund_fen=found.amount_fen,
            total_fen=found.total_fen,
            now=now,
        )
    return _send(deps, attempt, now)


def _send(deps: Deps, attempt: Attempt, now: datetime) -> Verdict:
    request = RefundRequest(
        attempt.id,
        attempt.order_id,
        attempt.refund_fen,
        attempt.total_fen,
        replies.phrase("refund_reason"),
        attempt.transaction_id,
    )
    pay = deps.pays[attempt.pay_channel]
    try:
        answer = pay.query_refund(attempt.id)
        if answer is None and attempt.state == refunds.ABNORMAL:
            return Later("abnormal, and unknown to WeChat", _NEEDS_A_PERSON)
        answer = answer or pay.refund(request)
    except Refused as no:
        with deps.database.write() as tx:
            cases.asked(tx, attempt.order_id, "refund", f"Refused:{no.code}", now)
            if refunds.get(tx, attempt.id).ended_at is not None:  # its notice came first
                return Later("ended meanwhile", timedelta(seconds=1), expected=True)
            return _refused(tx, attempt, no, now)
    except (Unavailable, Unknown) as silence:
        with deps.database.write() as tx:
            cases.asked(tx, attempt.order_id, "refund", f"{type(silence).__name__}:{silence.code}", now)
        return Later(silence.code)
    with deps.database.write() as tx:
        cases.asked(tx, attempt.order_id, "refund", answer.state.value, now)
        verdict = _book(tx, refunds.get(tx, attempt.id), answer, now)
    if verdict in ("accepted", "repeat"):
        deps.nudge()
        return Done("refunded")
    if verdict == "again":
        return Later("closed: a new number", timedelta(seconds=1))
    if verdict == "processing":
        return Later(verdict, _PROCESSING, expected=True)
    return Later(verdict, _NEEDS_A_PERSON, expected=True)  # the case is open; it may still arrive


def _refused(tx: Connection, attempt: Attempt, no: Refused, now: datetime) -> Verdict:
    """A stray payment WeChat knows nothing of never was one; everything else needs a person."""
    if attempt.subject != attempt.order_id and no.code == "RESOURCE_NOT_EXISTS":
        differences.resolve(tx, differences.get(tx, attempt.subject), "never_paid", now)
        refunds.end(tx, attempt.id, refunds.REFUSED, now)
        return Done("never_paid")
    quarantine(tx, "refund_refused", attempt.order_id, no.code, now)
    trouble.stuck(tx, "refund_refused", attempt.order_id, now, attempt.subject, code=no.code)
    return Later(no.code, _NEEDS_A_PERSON, expected=True)


def told(tx: Connection, refund: Refund, now: datetime) -> str:
    """A verified notice about a refund. Returns what was made of it."""
    attempt = refunds.find(tx, refund.refund_id)
    if attempt is None or attempt.order_id != refund.order_id:
        return quarantine(tx, "unknown_refund", refund.refund_id, refund.order_id, now)
    return _book(tx, attempt, refund, now)


def _book(tx: Connection, attempt: Attempt, refund: Refund, now: datetime) -> str:
    if refund.state is RefundState.PROCESSING:
        return "processing"
    if refund.state is not RefundState.SUCCESS:
        return _did_not_arrive(tx, attempt, refund.state, now)
    if refund.refund_fen != attempt.refund_fen:
        detail = f"asked {attempt.refund_fen} fen, refunded {refund.refund_fen} fen"
        return quarantine(tx, "wrong_refund_amount", attempt.order_id, detail, now)
    if not refunds.end(tx, attempt.id, refunds.SUCCESS, refund.refunded_at or now):
        return "repeat"
    for kind in _ENDED_BY_SUCCESS:
        cases.resolve_about(tx, kind, attempt.subject, "the money went home", now)
    if attempt.subject != attempt.order_id:
        differences.resolve(tx, differences.get(tx, attempt.subject), "returned", now)
        outbox.add(tx, Topic.STRAY_RETURNED, attempt.subject, now)
        return "accepted"
    try:
        order, moved = orders.advance(tx, orders.get(tx, attempt.order_id), Event.REFUNDED, now)
        if moved:
            order_deeds.went_home(tx, order, attempt.refund_fen, now)
    except InvalidTransition as fault:
        return quarantine(tx, "unexpected_refund", attempt.order_id, str(fault), now)
    return "accepted" if moved else "repeat"


def _did_not_arrive(tx: Connection, attempt: Attempt, state: RefundState, now: datetime) -> str:
    kind = f"refund_{state.value.lower()}"
    if state is RefundState.CLOSED:
        refunds.end(tx, attempt.id, refunds.CLOSED, now)
        if attempt.attempt < MOST_ATTEMPTS:
            return "again"
    else:
        refunds.end(tx, attempt.id, refunds.ABNORMAL, now)
    quarantine(tx, kind, attempt.order_id, "needs a person", now)
    trouble.stuck(tx, kind, attempt.order_id, now, attempt.subject, refund=attempt.id)
    return kind
