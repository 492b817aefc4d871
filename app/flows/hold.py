"""A relative holds an unusual payment for a while, and somebody else may release it.

A hold takes nothing and redirects nothing. While it lasts a payment is not offered and a paid order is not
delivered; at its end the order goes on by itself. Its holder may be the abuser (notes/domain.md 4.1), so it
is short where nobody else could release it, rare, and ended by any other relative who is told of payments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.domain.arrival import promise
from app.domain.clock import day_start
from app.domain.family import Role
from app.domain.orders import UNPAID, State, Topic
from app.domain.protection import FALSE_ALARM, HOLDS_A_DAY, HoldReason, hold_for
from app.domain.regions import issuer_of
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import protection_screens
from app.flows.deps import Deps
from app.flows.guardians import guardians
from app.store import cards, deeds, holds, orders, outbox, questions, relatives
from app.store.cards import Card
from app.store.holds import Hold
from app.store.orders import Order
from app.store.people import Actor
from app.store.questions import Question
from app.voice import replies
from app.voice.amounts import spoken_count


@dataclass(frozen=True, slots=True)
class Alert:
    """What a relative sees of an elder's unusual payment: a sum, four digits and why; and its hold."""

    order: Order
    card: Card
    reason: str
    hold: Hold | None


def alerts(deps: Deps, actor: Actor) -> tuple[list[Alert], Screen]:
    """Unusual payments that are not on the card yet, of all the elders who let this person know of them."""
    now = deps.clock.now()
    found: list[Alert] = []
    with deps.database.read() as tx:
        for tie in relatives.of_relative(tx, actor.user_id):
            if tie.may(Role.ALERTS, now):
                found += [
                    Alert(
                        order, cards.get(tx, order.card_id), _reason(question), holds.of_order(tx, order.id)
                    )
                    for order, question in questions.marked_of(tx, tie.elder_id)
                    if order.state is State.PAID or order.expires_at > now
                ]
    if not found:
        return found, replies.screen("alerts_none")
    return found, replies.screen("alerts", count=spoken_count(len(found)))


def _reason(question: Question) -> str:
    return protection_screens.reasons_words(question)


def place(deps: Deps, actor: Actor, order_id: str, reason: HoldReason) -> tuple[Hold, Screen]:
    """Hold one marked order. Repeating it is the same hold.

    AppError: alert_not_found (no such alert for this person, whatever there is), hold_over (it was held
    before), hold_too_late (its money is on its way), too_many_holds.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        order = _marked(tx, actor, order_id, now)
        relatives.lock(tx, order.user_id)
        order = orders.locked(tx, order.id)
        before = holds.of_order(tx, order.id)
        if before is not None:
            if before.placed_by != actor.user_id or not before.active(now):
                raise AppError("hold_over")
            return before, _placed(before, now)
        if not _may_wait(tx, order, now):
            raise AppError("hold_too_late")
        if holds.placed_since(tx, actor.user_id, order.user_id, day_start(now)) >= HOLDS_A_DAY:
            raise AppError("too_many_holds")
        until = now + hold_for(len(guardians(tx, order.user_id, now)))
        hold = Hold(order.id, order.user_id, actor.user_id, reason.value, now, until, None, None)
        holds.place(tx, hold)
        _promise_again(deps, tx, order, until)
        outbox.add(tx, Topic.HELD, order.id, now)
        facts = {"amount_fen": order.amount_fen, "reason": replies.phrase(f"hold_{reason.value}")}
        deeds.write(tx, order.user_id, actor.user_id, "order_held", order.id, now, facts)
    deps.nudge()
    return hold, _placed(hold, now)


def _placed(hold: Hold, now: datetime) -> Screen:
    return replies.screen("hold_placed", until=protection_screens.moment_words(hold.until, now))


def _marked(tx: Connection, actor: Actor, order_id: str, now: datetime) -> Order:
    order = orders.find(tx, order_id)
    if order is None or not relatives.may(tx, order.user_id, actor.user_id, Role.ALERTS, now):
        raise AppError("alert_not_found")
    if not any(question.marked for question in questions.of_order(tx, order.id).values()):
        raise AppError("alert_not_found")
    return order


def _may_wait(tx: Connection, order: Order, now: datetime) -> bool:
    """Whether nothing was sent to the card yet. Under the order's lock, as delivery decides it."""
    if order.state in UNPAID:
        return order.expires_at > now
    sent = order.batch_id is not None or outbox.begun(tx, Topic.DELIVER, order.id)
    return order.state is State.PAID and not sent


def _promise_again(deps: Deps, tx: Connection, order: Order, starts_at: datetime) -> None:
    """What is paid is promised from the moment on at which nothing holds it any more."""
    if order.state is State.PAID:
        issuer = issuer_of(cards.get(tx, order.card_id).prefix)
        orders.set_promise(tx, order.id, promise(deps.city, starts_at, deps.calendar, issuer).by)


def release(deps: Deps, actor: Actor, order_id: str) -> Screen:
    """The other relative who is told of payments ends a hold, or its holder takes it back, with that role or
    without. AppError hold_not_found for everybody else, and where nothing is held."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        hold = holds.active(tx, order_id, now)
        if hold is None:
            raise AppError("hold_not_found")
        told = relatives.may(tx, hold.elder_id, actor.user_id, Role.ALERTS, now)
        if hold.placed_by != actor.user_id and not told:
            raise AppError("hold_not_found")
        if not _release(deps, tx, order_id, actor.user_id, actor.user_id, now):
            raise AppError("hold_not_found")
    deps.nudge()
    return replies.screen("hold_released")


def release_at_the_desk(deps: Deps, order_id: str, operator: str, reason: str) -> None:
    """An operator heard both sides. LookupError when this order is not held."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        if not _release(deps, tx, order_id, f"desk:{operator}"[:64], None, now, reason):
            raise LookupError(order_id)
    deps.nudge()


def _release(
    deps: Deps, tx: Connection, order_id: str, by: str, actor_id: str | None, now: datetime, why: str = ""
) -> bool:
    if orders.find(tx, order_id) is None:
        return False
    order = orders.locked(tx, order_id)
    if not holds.end(tx, order.id, by, now):
        return False
    _promise_again(deps, tx, order, now)
    questions.judge(tx, order.id, FALSE_ALARM)
    for topic in (Topic.DELIVER, Topic.WATCH_PROMISE):
        outbox.wake(tx, topic, order.id, now)
    facts = {"amount_fen": order.amount_fen} | ({"why": why} if why else {})
    deeds.write(tx, order.beneficiary_id, actor_id, "hold_released", order.id, now, facts)
    return True
