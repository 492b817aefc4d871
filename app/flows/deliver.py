"""Delivery: paid money onto the card, exactly once; what does not fit, or is refused, goes home."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.domain.arrival import batch_cutoff
from app.domain.limits import room_fen
from app.domain.orders import CARD_SYSTEM, INTER_CITY, Event, InvalidTransition, State, rest_after_part
from app.domain.regions import issuer_of
from app.flows import card_numbers, order_deeds, trouble
from app.flows.deps import Deps
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Credit, CreditState, Refused, Unavailable, Unknown
from app.store import cards, cases, holds, orders, outbox
from app.store.cards import Card
from app.store.orders import Order
from app.store.outbox import Work

log = logging.getLogger(__name__)

FULL = "ceiling_exceeded"
_BATCH_PATIENCE = timedelta(minutes=10)
_HOLD_LOOKS = timedelta(minutes=5)  # should the hint of a release be lost


def deliver(deps: Deps, work: Work) -> Verdict:
    """Credit a paid order at the card system. The order id is the request id, so a repeat credits nothing.

    Refused sends the money home, or the part of it that has no room; Unknown is asked about and then
    repeated, never given up. In a batch city the order waits for its end-of-day file; what a relative holds
    waits for the hold's end.
    """
    now = deps.clock.now()
    found = _begin(deps, work, now)
    if isinstance(found, Done | Later):
        return found
    order, card, first = found
    amount_fen = order.amount_fen if order.credit_fen is None else order.credit_fen
    number = card_numbers.number_of(deps, card)
    if not work.may_send(deps.clock.now()):  # read once more: this worker may have stood still since `now`
        return Later("stood still for too long")
    try:
        credit = deps.card_system.credit(order.id, number, amount_fen)
    except Refused as no:
        return not_credited(deps, work, order, card, no.code, now)
    except (Unavailable, Unknown) as silence:  # the same id again: either it was done, or it is done then
        with deps.database.write() as tx:
            cases.asked(tx, order.id, "credit", f"{type(silence).__name__}:{silence.code}", now)
            if first and isinstance(silence, Unavailable) and outbox.holds(tx, work):
                outbox.start_over(tx, work.id)  # certainly nothing was credited: it may be held or undone
        return Later(silence.code)
    return book(deps, order, card, credit, now)


def _begin(deps: Deps, work: Work, now: datetime) -> tuple[Order, Card, bool] | Verdict:
    """The order, its card and whether this is the first try; or why nothing is sent now.

    From here on, on this row, nobody may hold or undo the order: what was sent cannot be called back. Decided
    under the order's lock, because a relative or the payer may be about to.
    """
    with deps.database.write() as tx:
        if not outbox.holds(tx, work):
            return Later("another worker took it over")
        order = orders.locked(tx, work.subject)
        card = cards.get(tx, order.card_id)
        if order.state is not State.PAID:
            return Done(order.state.value)
        hold = holds.active(tx, order.id, now)
        if hold is not None:
            return Later("a relative holds it", min(hold.until - now, _HOLD_LOOKS), expected=True)
        if deps.city.batch is not None:
            return _wait_for_batch(deps, order, now)
        return order, card, outbox.start_once(tx, work.id)


def _wait_for_batch(deps: Deps, order: Order, now: datetime) -> Verdict:
    assert order.paid_at is not None
    cut_off = batch_cutoff(deps.city, order.paid_at)
    waits = _BATCH_PATIENCE if cut_off is None or cut_off <= now else cut_off - now
    return Later("waits for its batch", waits, expected=True)


def card_account(deps: Deps, card: Card) -> str:
    """Whom we owe the credit: our own card system, or another city's through inter-city clearing."""
    issuer = issuer_of(card.prefix)
    return CARD_SYSTEM if issuer is None or issuer.name == deps.city.name else INTER_CITY


def book(deps: Deps, order: Order, card: Card, credit: Credit, now: datetime) -> Verdict:
    """Write down what the card system did."""
    with deps.database.write() as tx:
        cases.asked(tx, order.id, "credit", credit.state.value, now)
        try:
            order = _book(tx, order, credit, card_account(deps, card), now)
        except InvalidTransition as fault:  # it was sent home meanwhile: the money is out twice
            trouble.stuck(tx, "credited_and_returned", order.id, now, reference=credit.reference)
            return Done(fault.state.value)
    deps.nudge()
    return Done(order.state.value)


def _book(tx: Connection, order: Order, credit: Credit, account: str, now: datetime) -> Order:
    """What was credited decides, not what was asked: another worker may have asked for another sum."""
    changes: dict[str, Any] = {
        "card_reference": credit.reference,
        "balance_after_fen": credit.balance_fen,
    }
    event = Event.WRITE_ISSUED
    if credit.state is CreditState.CREDITED:
        event = Event.CREDITED
        changes |= {"credited_at": now, "credit_fen": None, "rest_fen": None}
        if credit.amount_fen != order.amount_fen:
            event = Event.CREDITED_IN_PART
            rest_fen = rest_after_part(order.amount_fen, order.fee_fen, credit.amount_fen)
            changes |= {"credit_fen": credit.amount_fen, "rest_fen": rest_fen}
    order, moved = orders.advance(tx, order, event, now, changes, card_account=account)
    if moved:
        order_deeds.credited(tx, order, now)
    cases.resolve_about(tx, "promise_broken", order.id, "credited", now)
    return order


def not_credited(deps: Deps, work: Work, order: Order, card: Card, code: str, now: datetime) -> Verdict:
    """A refusal is final only when the card system never saw a credit for this order, and nobody else is
    asking for one. A full card takes what it has room for; the rest, or everything, goes home."""
    try:
        credit = deps.card_system.query(order.id)
        part_fen = _fits(deps, order, card) if credit is None and code == FULL else 0
    except (Refused, Unavailable, Unknown) as silence:
        return Later(silence.code)
    if credit is not None:
        return book(deps, order, card, credit, now)
    with deps.database.write() as tx:
        cases.asked(tx, order.id, "credit", f"Refused:{code}", now)
        if not outbox.holds(tx, work):
            return Later("another worker took it over")
        if part_fen > 0:
            rest_fen = rest_after_part(order.amount_fen, order.fee_fen, part_fen)
            orders.set_part(tx, order, part_fen, rest_fen)
            return Later("only a part fits", timedelta(seconds=1), expected=True)
        whole = {"credit_fen": None, "rest_fen": None}
        orders.advance(tx, order, Event.DELIVERY_REFUSED, now, whole, facts={"refused": code})
    deps.nudge()
    return Done("delivery_refused")


def _fits(deps: Deps, order: Order, card: Card) -> int:
    """What the card has room for now, less than what was asked for; chips are written whole or not at all."""
    facts = deps.card_system.find(card_numbers.number_of(deps, card))
    asked_fen = order.amount_fen if order.credit_fen is None else order.credit_fen
    room = room_fen(facts.balance_fen, facts.registered)
    return room if 0 < room < asked_fen and facts.mode == card.mode.value == "account" else 0
