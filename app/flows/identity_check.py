"""The check before a payment: which way the person takes, and what is enough.

Every factor ends in `prove`: one short transaction that writes it down for this one order and, when a way is
complete, lets the order go on to its payment. Nothing proven for one order counts for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.identity import Factor, binding
from app.domain.orders import PAYMENT_WINDOW, Event, InvalidTransition, State
from app.errors import AppError
from app.flows import check_screens, checkout, settle
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store import cards, checks, orders
from app.store.cards import Card
from app.store.checks import Check
from app.store.orders import Order
from app.store.people import Actor
from app.voice import replies


@dataclass(frozen=True, slots=True)
class Pending:
    """An order that waits for its check, as its payer finds it."""

    order: Order
    card: Card
    check: Check

    def bound_to(self, device_id: str | None = None) -> str:
        """What a code or a challenge for this order is bound to."""
        order = self.order
        return binding(order.user_id, order.id, order.amount_fen, order.card_id, device_id)


def pending(deps: Deps, actor: Actor, order_id: str) -> Pending:
    """The payer's own order in its check. AppError order_not_found for anybody else's, order_over, and
    check_not_open for one that needs none (any more)."""
    with deps.database.read() as tx:
        order = orders.get_for(tx, actor.user_id, order_id)
        if order.user_id != actor.user_id:
            raise AppError("order_not_found")
        card, check = cards.get(tx, order.card_id), checks.find(tx, order.id)
    if order.state is not State.AWAITING_CHECK or check is None:
        raise AppError("check_not_open" if order.state is State.AWAITING_PAYMENT else "order_over")
    if order.expires_at <= deps.clock.now():
        settle.expire(deps, order, deps.clock.now())
        raise AppError("order_over")
    return Pending(order, card, check)


def wanted(found: Pending, factor: Factor) -> Pending:
    """The same, when this factor would help. AppError check_not_needed otherwise."""
    if factor not in found.check.needed:
        raise AppError("check_not_needed")
    return found


def show(deps: Deps, found: Pending, name: str, **facts: Any) -> OrderView:
    """One screen of the check, by its template."""
    told = {**check_screens.facts_of(deps.city, found.order, found.card), **facts}
    return OrderView(found.order, found.card, replies.screen(name, **told))


def standing(deps: Deps, found: Pending, name: str = "check") -> OrderView:
    """Where the check stands, with its ways."""
    screen = check_screens.screen(deps.city, found.order, found.card, found.check, name)
    return OrderView(found.order, found.card, screen)


def prove(deps: Deps, order_id: str, factor: Factor, proven_by: str, now: datetime) -> Order:
    """Write a factor down and, when that is enough, let the order go on. Repeating it changes nothing.

    AppError order_over when the order ended meanwhile: then nothing counts.
    """
    with deps.database.write() as tx:
        order = orders.get(tx, order_id)
        if order.state is not State.AWAITING_CHECK or order.expires_at <= now:
            if order.state in (State.AWAITING_PAYMENT, State.PAID, State.COMPLETED):
                return order
            raise AppError("order_over")
        checks.prove(tx, order_id, factor, proven_by, now)
        check = checks.find(tx, order_id)
        if check is None or not check.satisfied:
            return order
        checks.passed(tx, order_id, now)
        try:
            changes = {"expires_at": now + PAYMENT_WINDOW}
            order, _moved = orders.advance(tx, order, Event.CHECK_PASSED, now, changes)
        except InvalidTransition:
            raise AppError("order_over") from None
    deps.nudge()
    return order


def go_on(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """After the payer's own factor: the payment when all is proven, else the check as it stands."""
    view = checkout.find(deps, actor, order_id)
    if view.order.state is State.AWAITING_PAYMENT:
        return checkout.pay(deps, actor, order_id)
    return view
