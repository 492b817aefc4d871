"""Asking instead of waiting: payments nobody told us of, payments to be closed, promises to be kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.orders import A_MOMENT, CERTAINTY, PAYMENT_WINDOW, State, Topic
from app.flows import delegated, settle, trouble
from app.flows.channels import pay_of
from app.flows.deps import Deps
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Refused, Unavailable, Unknown
from app.store import orders, outbox
from app.store.orders import Order

SOON, USUAL = timedelta(seconds=10), timedelta(minutes=1)


def _load(deps: Deps, order_id: str) -> Order:
    with deps.database.read() as tx:
        return orders.get(tx, order_id)


def payment(deps: Deps, order_id: str) -> Verdict:
    """Ask WeChat about a payment nobody told us of, until the order is decided.

    A minute apart, ten seconds when the phone said it paid. Half an hour without certainty is a case.
    """
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.state is State.AWAITING_PAYMENT:
        order = delegated.stop_if_over(deps, settle.ask_wechat(deps, order, now), now)
    if order.state is State.AWAITING_PAYMENT and order.expires_at <= now:
        order = settle.expire(deps, order, now)
    if order.state is not State.AWAITING_PAYMENT:
        return Done(order.state.value)
    if now >= _asked_at(order) + CERTAINTY:
        with deps.database.write() as tx:
            order = orders.locked(tx, order_id)  # it may have been decided since it was read
            if order.state is not State.AWAITING_PAYMENT:
                return Done(order.state.value)
            trouble.stuck(tx, "payment_uncertain", order.id, now)
    return Later("not paid yet", SOON if order.payer_said == "ok" else USUAL, expected=True)


def _asked_at(order: Order) -> datetime:
    return order.expires_at - PAYMENT_WINDOW


def close_payment(deps: Deps, order_id: str) -> Verdict:
    """See to it that a cancelled or expired order cannot be paid; late money starts its way home."""
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.state not in (State.CANCELLED, State.EXPIRED):
        return Done(order.state.value)
    if order.pay_channel is None:
        return Done("never_asked")
    try:
        pay_of(deps, order).close(order.id)
    except Refused as no:
        if no.code == "ORDER_PAID":
            after = settle.ask_wechat(deps, order, now)
            return Later("paid, not booked") if after.state is order.state else Done("late_money")
        return Done(f"refused:{no.code}")
    except (Unavailable, Unknown) as silence:
        return Later(silence.code)
    return Done("closed")


def promise(deps: Deps, order_id: str) -> Verdict:
    """After the promised moment: is the money where we said it would be? If not, an operator is called and
    the person is told, once. If it came late, the operator hears of that too."""
    now = deps.clock.now()
    order = _load(deps, order_id)
    if order.promised_at is None:
        return Done(order.state.value)
    if now <= order.promised_at:
        return Later("not due yet", order.promised_at - now + A_MOMENT, expected=True)
    with deps.database.write() as tx:
        order = orders.locked(tx, order_id)  # it may have been delivered since it was read
        assert order.promised_at is not None, "a promise that was made stays"
        if order.state is State.PAID and trouble.stuck(tx, "promise_broken", order.id, now):
            outbox.add(tx, Topic.LATE, order.id, now)
        elif order.credited_at is not None and order.credited_at > order.promised_at:
            trouble.quarantine(tx, "promise_broken", order.id, "credited too late", now)
        else:
            return Done(order.state.value)
    deps.nudge()
    return Done("broken")
