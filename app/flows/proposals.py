"""One time of a standing order: put before the relative when it is due, answered with one tap, or let be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.domain import orders as order_rules
from app.domain.clock import month_start
from app.domain.family import Role
from app.domain.orders import Event, Topic
from app.domain.screens import Choice, Screen
from app.domain.standing import ANSWER_WITHIN, Answer
from app.errors import AppError
from app.flows import names, relative_topup, request_screens, settle
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store import cards, deeds, orders, outbox, relatives, standing_orders
from app.store.cards import Card
from app.store.people import Actor
from app.store.standing_orders import Proposal, StandingOrder
from app.voice import replies


@dataclass(frozen=True, slots=True)
class ProposalView:
    """A proposal with its screen."""

    proposal: Proposal
    standing: StandingOrder
    card: Card
    screen: Screen


def propose(tx: Connection, standing: StandingOrder, period: str, now: datetime) -> Proposal | None:
    """Put a held standing order before its relative, unless its last proposal still stands, or was refused a
    moment ago, or the month's ceiling would be passed. Once for each period."""
    last = next(iter(standing_orders.proposals(tx, standing.id, 1)), None)
    if last is not None and _still_stands(tx, last, now):
        return None
    spent_fen = standing_orders.proposed_since(tx, standing.id, month_start(now))
    if spent_fen + standing.amount_fen > standing.month_ceiling_fen:
        return None
    made = standing_orders.propose(tx, standing, period, now)
    if made is not None:
        outbox.add(tx, Topic.PROPOSAL, made.id, now)
        outbox.add(tx, Topic.PROPOSAL_OVER, made.id, made.expires_at)
        _write(tx, standing, made, "proposal_made", None, now)
    return made


def _still_stands(tx: Connection, last: Proposal, now: datetime) -> bool:
    if last.state is Answer.OPEN:
        return now < last.expires_at
    if last.state is Answer.DECLINED:  # a no is not asked again the next morning
        return last.answered_at is not None and now - last.answered_at < ANSWER_WITHIN
    order = orders.find(tx, last.order_id) if last.order_id else None
    return order is not None and order.state in order_rules.UNPAID


def _write(
    tx: Connection, standing: StandingOrder, made: Proposal, kind: str, actor_id: str | None, now: datetime
) -> None:
    facts = {"card_id": standing.card_id, "amount_fen": made.amount_fen, "relative_id": standing.relative_id}
    deeds.write(tx, standing.elder_id, actor_id, kind, made.id, now, facts)


def waiting(deps: Deps, actor: Actor) -> list[ProposalView]:
    """What waits for this relative's tap."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found = [
            (made, standing, cards.get(tx, standing.card_id), names.of_elder(tx, *_two(standing)))
            for made, standing in standing_orders.open_proposals(tx, actor.user_id, now)
            if _may(tx, standing, now)
        ]
    return [
        ProposalView(made, standing, card, _screen(deps, made, card, name))
        for made, standing, card, name in found
    ]


def _two(standing: StandingOrder) -> tuple[str, str]:
    return standing.elder_id, standing.relative_id


def _screen(deps: Deps, made: Proposal, card: Card, name: str) -> Screen:
    facts = request_screens.facts_of(deps, card, made.amount_fen)
    choices = [
        Choice(f"proposal:yes:{made.id}", replies.phrase("family_yes", yuan=facts["yuan"])),
        Choice(f"proposal:no:{made.id}", replies.phrase("proposal_no")),
    ]
    return replies.screen("proposal", choices=choices, name=name, **facts)


def _may(tx: Connection, standing: StandingOrder, now: datetime) -> bool:
    return standing.active and relatives.may(tx, *_two(standing), Role.PAY, now)


def _held(tx: Connection, actor: Actor, proposal_id: str, now: datetime) -> tuple[Proposal, StandingOrder]:
    """AppError proposal_not_found for anybody else's, the same as for none."""
    made = standing_orders.proposal(tx, proposal_id)
    standing = standing_orders.hold(tx, made.standing_order_id) if made else None
    made = standing_orders.proposal(tx, proposal_id)
    if made is None or standing is None or standing.relative_id != actor.user_id:
        raise AppError("proposal_not_found")
    if not _may(tx, standing, now):
        raise AppError("proposal_not_found")
    return made, standing


def accept(
    deps: Deps, actor: Actor, proposal_id: str, method_name: str | None = None, bank: str | None = None
) -> OrderView:
    """One tap: the relative's order, read back. Tapping again shows the same order.

    AppError: proposal_not_found, proposal_over, and those of `relative_topup.open_order`, after which the
    proposal waits as before.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        made, standing = _held(tx, actor, proposal_id, now)
        again = made.state is Answer.ACCEPTED
        if not again:
            if made.state is not Answer.OPEN or now >= made.expires_at:
                raise AppError("proposal_over")
            standing_orders.change(tx, proposal_id, state=Answer.ACCEPTED.value, answered_at=now)
    try:
        view = relative_topup.open_order(
            deps,
            actor,
            standing.elder_id,
            standing.card_id,
            made.amount_fen,
            method_name or deps.city.methods[0].name,
            f"proposal:{proposal_id}",
            bank,
        )
    except AppError:
        if not again:
            with deps.database.write() as tx:
                standing_orders.hold(tx, standing.id)
                now_is = standing_orders.proposal(tx, proposal_id)
                if now_is is not None and now_is.state is Answer.ACCEPTED and now_is.order_id is None:
                    standing_orders.change(tx, proposal_id, state=Answer.OPEN.value, answered_at=None)
        raise
    with deps.database.write() as tx:
        held = standing_orders.hold(tx, standing.id)
        gone = held is None or not held.active
        if not gone:
            standing_orders.change(tx, proposal_id, order_id=view.order.id)
            _write(tx, standing, made, "proposal_accepted", actor.user_id, now)
    if gone:  # ended between the tap and its order
        settle.end_unpaid(deps, view.order, Event.CANCELLED, now, {"by": "ended"})
        raise AppError("proposal_over")
    return view


def decline(deps: Deps, actor: Actor, proposal_id: str) -> Screen:
    """Not this time. AppError proposal_not_found, proposal_over. The same no again changes nothing."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        made, standing = _held(tx, actor, proposal_id, now)
        if made.state is not Answer.DECLINED:
            if made.state is not Answer.OPEN or now >= made.expires_at:
                raise AppError("proposal_over")
            standing_orders.change(tx, proposal_id, state=Answer.DECLINED.value, answered_at=now)
            _write(tx, standing, made, "proposal_declined", actor.user_id, now)
    return replies.screen("proposal_declined")


def expire(tx: Connection, proposal_id: str, now: datetime) -> str:
    """Its time is over; how it stands."""
    made = standing_orders.proposal(tx, proposal_id)
    standing = standing_orders.hold(tx, made.standing_order_id) if made else None
    made = standing_orders.proposal(tx, proposal_id)
    if made is None or standing is None:
        return "gone"
    if made.state is Answer.OPEN and now >= made.expires_at:
        standing_orders.change(tx, proposal_id, state=Answer.EXPIRED.value, answered_at=now)
        _write(tx, standing, made, "proposal_expired", None, now)
        return Answer.EXPIRED.value
    return made.state.value
