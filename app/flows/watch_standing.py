"""The worker's part of standing orders: each morning it looks at a card, proposes what is due, and tells."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.clock import business_day
from app.domain.standing import Kind, monthly_due, next_morning
from app.flows import card_numbers, family_messages, proposals, standing_orders
from app.flows.deps import Deps
from app.flows.family_messages import News
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Refused, Unavailable, Unknown
from app.store import cards, relatives
from app.store import standing_orders as rows
from app.store.outbox import Work
from app.store.standing_orders import StandingOrder

ASK_AGAIN = timedelta(hours=1)  # after a card system that certainly did not answer


def look(deps: Deps, work: Work) -> Verdict:
    """The subject is a card. Ends what may no longer be, proposes what is due today, and asks the card
    system for the balance once, if anybody's standing order needs it. Comes again the next morning."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found = rows.active_on(tx, work.subject)
    if not found:
        return Done("none_left")
    kept = [each for each in found if _still_may(deps, each, now)]
    with deps.database.read() as tx:
        live = [each for each in kept if _live(tx, each, now)]
    for each in live:
        due = monthly_due(now, each.day_of_month, each.created_at) if each.day_of_month else None
        if due is not None:
            _propose(deps, each, f"{due:%Y-%m}", now)
    low = [each for each in live if each.kind is Kind.LOW_BALANCE]
    try:
        if low:
            _propose_where_low(deps, low, now)
    except Unavailable as silent:
        return Later(silent.code, ASK_AGAIN, expected=True)
    deps.nudge()
    return Later("tomorrow", next_morning(now) - now, expected=True)


def _still_may(deps: Deps, standing: StandingOrder, now: datetime) -> bool:
    """A tie that ended, a role taken, a person erased or a card unbound ends the standing order. A tie that
    is frozen, or whose agreement is over, only makes it wait."""
    with deps.database.write() as tx:
        held = rows.hold(tx, standing.id)
        if held is None or not held.active:
            return False
        tie = relatives.find(tx, held.elder_id, held.relative_id)
        owned = any(card.id == held.card_id for card in cards.of_user(tx, held.elder_id))
        if tie is not None and owned and standing_orders.may_stand(tie, held.kind):
            return True
        standing_orders.ended(tx, held, None, now)
    return False


def _live(tx: Connection, standing: StandingOrder, now: datetime) -> bool:
    tie = relatives.find(tx, standing.elder_id, standing.relative_id)
    return tie is not None and tie.live(now)


def _propose(deps: Deps, standing: StandingOrder, period: str, now: datetime) -> None:
    with deps.database.write() as tx:
        held = rows.hold(tx, standing.id)
        if held is not None and held.active:
            proposals.propose(tx, held, period, now)


def _propose_where_low(deps: Deps, low: list[StandingOrder], now: datetime) -> None:
    """The balance is used here and not kept. Without an answer that counts, tomorrow is another day."""
    with deps.database.read() as tx:
        card = cards.get(tx, low[0].card_id)
    try:
        balance_fen = deps.card_system.find(card_numbers.number_of(deps, card)).balance_fen
    except (Refused, Unknown):
        return
    for each in low:
        if each.threshold_fen is not None and balance_fen < each.threshold_fen:
            _propose(deps, each, business_day(now).isoformat(), now)


def tell_proposal(deps: Deps, work: Work) -> Verdict:
    """The relative's message, while the proposal stands."""
    with deps.database.read() as tx:
        made = rows.proposal(tx, work.subject)
        standing = rows.find(tx, made.standing_order_id) if made else None
        card = cards.get(tx, standing.card_id) if standing else None
    if made is None or standing is None or card is None:
        return Done("gone")
    if made.answered_at is not None:
        return Done(made.state.value)
    news = News("news_proposal", "proposal", card, made.amount_fen, f"proposal&id={made.id}")
    return family_messages.tell(deps, work.id, standing.relative_id, news)


def expire(deps: Deps, work: Work) -> Verdict:
    """The time of a proposal is over."""
    with deps.database.write() as tx:
        return Done(proposals.expire(tx, work.subject, deps.clock.now()))


def tell_ended(deps: Deps, work: Work) -> Verdict:
    """A standing order was ended: the side that did not do it hears it."""
    standing_id, _, side = work.subject.partition(":")
    with deps.database.read() as tx:
        standing = rows.find(tx, standing_id)
        card = cards.get(tx, standing.card_id) if standing else None
    if standing is None or card is None:
        return Done("gone")
    user_id = standing.elder_id if side == "e" else standing.relative_id
    news = News("news_standing_ended", "standing_ended", card, standing.amount_fen, "standing_orders")
    return family_messages.tell(deps, work.id, user_id, news)
