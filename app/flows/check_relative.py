"""A relative's co-confirmation: the elder asks, a bound relative says yes or no to exactly this order."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.identity import COOLING, Factor
from app.domain.money import yuan_short
from app.domain.orders import Event, State, Topic
from app.domain.screens import Choice, Screen
from app.errors import AppError
from app.flows import check_screens, identity_check, settle
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.texts import Text, to_each
from app.flows.verdicts import Done, Verdict
from app.store import cards, checks, orders, outbox, relatives
from app.store.cards import Card
from app.store.orders import Order
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import replies


@dataclass(frozen=True, slots=True)
class Request:
    """What a relative is asked to confirm: a sum and the last four digits of a card, nothing more."""

    order: Order
    card: Card
    screen: Screen


def ask(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """Ask all relatives who are bound long enough. AppError relative_missing when there is none."""
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.RELATIVE)
    now = deps.clock.now()
    with deps.database.write() as tx:
        if not any(_trusted(deps, tie) for tie in relatives.of_elder(tx, actor.user_id)):
            raise AppError("relative_missing")
        if checks.ask_relatives(tx, order_id, now):
            outbox.add(tx, Topic.ASK_RELATIVES, order_id, now)
    deps.nudge()
    return identity_check.show(deps, found, "check_relative")


def _trusted(deps: Deps, tie: Relative) -> bool:
    """Bound, and not only since today: who took over an account binds an accomplice first."""
    now = deps.clock.now()
    return tie.live(now) and tie.bound_at is not None and now - tie.bound_at >= COOLING


def tell_relatives(deps: Deps, order_id: str) -> Verdict:
    """Text every trusted relative who told us a phone number. One text each, whatever is repeated."""
    with deps.database.read() as tx:
        order = orders.get(tx, order_id)
        ties = [tie for tie in relatives.of_elder(tx, order.user_id) if _trusted(deps, tie)]
        card = cards.get(tx, order.card_id)
    if order.state is not State.AWAITING_CHECK:
        return Done(order.state.value)
    facts = {"card": card.last_four, "amount": yuan_short(order.amount_fen)}
    return to_each(
        deps,
        [
            Text(
                tie.relative_id,
                f"{order.id}-{number}",
                "relative_asked",
                facts | {"elder": tie.elder_name or replies.phrase("your_relative")},
            )
            for number, tie in enumerate(ties)
        ],
    )


def requests(deps: Deps, actor: Actor) -> list[Request]:
    """What this person is asked to confirm now, for the elders they look after."""
    now = deps.clock.now()
    found: list[Request] = []
    with deps.database.read() as tx:
        for tie in relatives.of_relative(tx, actor.user_id):
            if not _trusted(deps, tie):
                continue
            for order in checks.asked_of_relatives(tx, tie.elder_id, now):
                card = cards.get(tx, order.card_id)
                found.append(Request(order, card, _screen(deps, tie, order, card)))
    return found


def _screen(deps: Deps, tie: Relative, order: Order, card: Card) -> Screen:
    facts = check_screens.facts_of(deps.city, order, card)
    choices = [
        Choice(f"co_confirm:yes:{order.id}", replies.phrase("co_confirm_yes")),
        Choice(f"co_confirm:no:{order.id}", replies.phrase("co_confirm_no")),
    ]
    return replies.screen(
        "co_confirm", choices=choices, name=tie.elder_name or replies.phrase("your_relative"), **facts
    )


def answer(deps: Deps, actor: Actor, order_id: str, yes: bool) -> Screen:
    """A relative answers. AppError request_not_found for anybody who is not a trusted relative of that
    elder, the same as for no such request; a no ends the order, and the elder hears it."""
    now = deps.clock.now()
    mine = next((each for each in requests(deps, actor) if each.order.id == order_id), None)
    if mine is None:
        raise AppError("request_not_found")
    if yes:
        identity_check.prove(deps, order_id, Factor.RELATIVE, actor.user_id, now)
        return replies.screen("co_confirmed")
    settle.end_unpaid(deps, mine.order, Event.CHECK_REFUSED, now, {"by": actor.user_id})
    return replies.screen("co_refused")
