"""A relative tops up from afar: the elders they look after, their cards, and an order like every other."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.family import Caps, Role
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import card_numbers, delegated, views, wish
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.ports import CardMode, Refused, Unavailable, Unknown
from app.store import cards, orders, relatives
from app.store.cards import Card
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import replies
from app.voice.amounts import spoken_count

_CARDS_SEEN_BY = (Role.PAY, Role.BALANCE)


@dataclass(frozen=True, slots=True)
class Elder:
    """An elder as one relative sees them. Balances are None without that role, and where the card system is
    silent."""

    tie: Relative
    cards: tuple[tuple[Card, int | None], ...]
    caps: Caps
    screen: Screen


def list_elders(deps: Deps, actor: Actor) -> tuple[list[Relative], Screen]:
    """Whom this person looks after; also ties that are frozen or not agreed to any more, which say so."""
    with deps.database.read() as tx:
        ties = relatives.of_relative(tx, actor.user_id)
    return ties, replies.screen("elders" if ties else "elders_none", count=spoken_count(len(ties)))


def show_elder(deps: Deps, actor: Actor, elder_id: str) -> Elder:
    """One of them, with the cards. AppError elder_not_found for everybody else's, tie_over."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        tie = relatives.find(tx, elder_id, actor.user_id)
        if tie is None or tie.state != relatives.BOUND:
            raise AppError("elder_not_found")
        if not tie.live(now):
            raise AppError("tie_over")
        owned = cards.of_user(tx, elder_id) if tie.roles.intersection(_CARDS_SEEN_BY) else []
    seen = [(card, _balance(deps, card) if Role.BALANCE in tie.roles else None) for card in owned]
    name = tie.elder_name or replies.phrase("your_elder")
    screen = replies.screen("elder" if Role.PAY in tie.roles else "elder_seen", name=name)
    return Elder(tie, tuple(seen), tie.caps, screen)


def _balance(deps: Deps, card: Card) -> int | None:
    number = card_numbers.number_of(deps, card)
    try:
        return deps.card_system.find(number).balance_fen
    except (Refused, Unavailable, Unknown):
        return None


def open_order(
    deps: Deps,
    actor: Actor,
    elder_id: str,
    card_id: str,
    amount_fen: int,
    method_name: str,
    client_key: str,
    bank: str | None = None,
) -> OrderView:
    """Write an order that this relative will pay for a card of the elder's, and read it back to them.

    The same client key with the same wish is the same order. AppError: elder_not_found, tie_over,
    role_missing, over_cap, cap_used_up, and those of `checkout.open_order`.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:  # before anything is said about the elder's cards
        delegated.tie_for(tx, elder_id, actor.user_id, Role.PAY, now)
    values = wish.columns(deps, actor, elder_id, card_id, amount_fen, method_name, client_key, bank, now)
    with deps.database.write() as tx:
        relatives.lock(tx, elder_id)
        order, card = orders.open_order(tx, values, CardMode.ACCOUNT, now)
        new = order.id == values["id"]
        no = delegated.objection(deps, tx, order, now) if new else None
        if no is not None:
            raise no  # and nothing was written
    return OrderView(order, card, views.order_screen(deps.city, order, card, now, days=deps.calendar))
