"""每月一号给妈充一百, 余额低于二十就充五十: what repeats, as proposals a relative confirms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.domain import limits
from app.domain.family import RELATIVE_CAPS, Role
from app.domain.ids import Kind as IdKind
from app.domain.ids import new_id
from app.domain.money import yuan_short
from app.domain.orders import Topic
from app.domain.screens import Choice, Screen
from app.domain.standing import Kind, monthly_due, next_morning
from app.errors import AppError
from app.flows import proposals, request_screens
from app.flows.deps import Deps
from app.store import cards, deeds, outbox, relatives, standing_orders
from app.store.cards import Card
from app.store.people import Actor
from app.store.relatives import Relative
from app.store.standing_orders import ACTIVE, StandingOrder
from app.voice import replies
from app.voice.amounts import spoken_amount, spoken_count


@dataclass(frozen=True, slots=True)
class Wish:
    """What a relative wants to repeat. `day_of_month` for a monthly one, `threshold_fen` for the other."""

    elder_id: str
    card_id: str
    kind: Kind
    amount_fen: int
    month_ceiling_fen: int
    day_of_month: int | None = None
    threshold_fen: int | None = None


@dataclass(frozen=True, slots=True)
class StandingView:
    """A standing order with its screen."""

    standing: StandingOrder
    card: Card
    screen: Screen


def make(deps: Deps, actor: Actor, wish: Wish) -> StandingView:
    """Write a standing order down; nothing is paid by it. The same wish again is the same one.

    AppError: relative_not_found (no such elder, or a role is missing), card_not_found, standing_malformed,
    standing_exists (another of this kind for this card), amount_too_small, amount_too_large.
    """
    now = deps.clock.now()
    limits.check_amount(deps.city.methods[0], wish.amount_fen)
    _check(wish)
    with deps.database.write() as tx:
        relatives.lock(tx, wish.elder_id)
        tie = relatives.find(tx, wish.elder_id, actor.user_id)
        if tie is None or not tie.live(now) or not may_stand(tie, wish.kind):
            raise AppError("relative_not_found")
        card = cards.get_for(tx, wish.elder_id, wish.card_id)
        made = _made(tx, actor, wish, now)
    deps.nudge()
    return StandingView(made, card, _screen(deps, "standing_made", made, card, actor))


def _check(wish: Wish) -> None:
    """Each kind has its own fact and no other; the ceiling lets it happen at least once."""
    monthly = wish.kind is Kind.MONTHLY
    if (wish.day_of_month is None) == monthly or (wish.threshold_fen is None) != monthly:
        raise AppError("standing_malformed")
    if not wish.amount_fen <= wish.month_ceiling_fen <= RELATIVE_CAPS.month_fen:
        raise AppError("standing_malformed")


def may_stand(tie: Relative, kind: Kind) -> bool:
    """The roles a standing order needs: a low balance is looked at for who may see it."""
    needed = {Role.PAY, Role.BALANCE} if kind is Kind.LOW_BALANCE else {Role.PAY}
    return tie.state == relatives.BOUND and needed <= tie.roles


def _made(tx: Connection, actor: Actor, wish: Wish, now: datetime) -> StandingOrder:
    made = StandingOrder(
        id=new_id(IdKind.STANDING_ORDER),
        relative_id=actor.user_id,
        elder_id=wish.elder_id,
        card_id=wish.card_id,
        kind=wish.kind,
        amount_fen=wish.amount_fen,
        day_of_month=wish.day_of_month,
        threshold_fen=wish.threshold_fen,
        month_ceiling_fen=wish.month_ceiling_fen,
        state=ACTIVE,
        created_at=now,
        ended_at=None,
    )
    for other in standing_orders.active_on(tx, wish.card_id):
        if (other.relative_id, other.kind) == (actor.user_id, wish.kind):
            if other.wish == made.wish:
                return other
            raise AppError("standing_exists")
    standing_orders.add(tx, made)
    facts: dict[str, Any] = {"card_id": made.card_id, "yuan_fen": made.amount_fen}
    if made.kind is Kind.MONTHLY:
        kind, facts["day"] = "standing_order_monthly", made.day_of_month
    else:
        kind, facts["threshold_fen"] = "standing_order_low", made.threshold_fen
    deeds.write(tx, made.elder_id, actor.user_id, kind, made.id, now, facts)
    outbox.reopen(tx, Topic.STANDING, made.card_id, next_morning(now))
    due = monthly_due(now, made.day_of_month, now) if made.day_of_month else None
    if due is not None:
        proposals.propose(tx, made, f"{due:%Y-%m}", now)
    return made


def all_of(deps: Deps, actor: Actor) -> list[StandingView]:
    """What this person set up, and what others set up for them. One whose tie is over is not shown any more:
    the worker ends it the next morning."""
    with deps.database.read() as tx:
        found = [
            (each, cards.get(tx, each.card_id))
            for each in standing_orders.of_person(tx, actor.user_id)
            if (tie := relatives.find(tx, each.elder_id, each.relative_id)) and may_stand(tie, each.kind)
        ]
    return [StandingView(each, card, _screen(deps, "standing", each, card, actor)) for each, card in found]


def end(deps: Deps, actor: Actor, standing_id: str) -> Screen:
    """Either side ends it, at once. AppError standing_not_found for anybody else's, the same as for none."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        standing = standing_orders.hold(tx, standing_id)
        if standing is None or actor.user_id not in (standing.relative_id, standing.elder_id):
            raise AppError("standing_not_found")
        if standing.active:
            ended(tx, standing, actor.user_id, now)
    deps.nudge()
    return replies.screen("standing_ended")


def ended(tx: Connection, standing: StandingOrder, by: str | None, now: datetime) -> None:
    """End a held one in the name of this person, or of the house; who did not do it is told."""
    standing_orders.end(tx, standing.id, now)
    facts = {"card_id": standing.card_id, "amount_fen": standing.amount_fen}
    deeds.write(tx, standing.elder_id, by, "standing_order_ended", standing.id, now, facts)
    # The side by its first letter: a subject is an id and two characters.
    for side, user_id in (("e", standing.elder_id), ("r", standing.relative_id)):
        if user_id != by:
            outbox.add(tx, Topic.STANDING_ENDED, f"{standing.id}:{side}", now)


def _screen(deps: Deps, template: str, standing: StandingOrder, card: Card, actor: Actor) -> Screen:
    facts = request_screens.facts_of(deps, card, standing.amount_fen)
    when = "when_monthly" if standing.kind is Kind.MONTHLY else "when_low"
    count = spoken_count(standing.day_of_month or 0)
    low = spoken_amount(standing.threshold_fen or 0)
    mine = "your_word" if standing.relative_id == actor.user_id else "their_word"
    return replies.screen(
        template,
        choices=[
            Choice(f"standing:end:{standing.id}", replies.phrase("standing_end")),
            Choice("home", replies.phrase("go_home")),
        ],
        when=replies.phrase(when, count=count, low=low),
        ceiling=yuan_short(standing.month_ceiling_fen),
        ceiling_words=spoken_amount(standing.month_ceiling_fen),
        whose=replies.phrase(mine),
        **facts,
    )
