"""Bind a card by its number or by a photo of its barcode. A card number alone authorises nothing."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.cards import clean_card_number, clean_nickname
from app.domain.money import yuan_text
from app.domain.regions import allowed_route
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import card_numbers, views
from app.flows.deps import Deps
from app.ports import CardFacts, Refused, Unavailable, Unknown
from app.store import cards
from app.store.cards import Card
from app.store.people import Actor
from app.voice import replies
from app.voice.amounts import spoken_amount


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound card with what the card system says is on it."""

    card: Card
    balance_fen: int
    screen: Screen


def by_number(deps: Deps, actor: Actor, text: str, nickname: str | None) -> Bound:
    """Bind a typed or scanned number. AppError card_number_malformed, card_other_city, card_other_city_chip,
    card_issuer_unknown, card_unknown, card_blocked, card_system_unavailable, too_many_cards."""
    number = clean_card_number(text)
    if number is None:
        raise AppError("card_number_malformed")
    allowed_route(number, deps.city)
    facts = _facts(deps, number)
    sealed, called = card_numbers.seal(deps.vault, facts.card_number), clean_nickname(nickname)
    with deps.database.write() as tx:
        card = cards.bind(tx, actor.user_id, facts, sealed, called, deps.clock.now())
    screen = replies.screen(
        "card_bound",
        card=views.card_label(deps.city, card),
        spoken_card=views.spoken_card(deps.city, card),
        balance=yuan_text(facts.balance_fen),
        balance_words=spoken_amount(facts.balance_fen),
    )
    return Bound(card, facts.balance_fen, screen)


def by_photo(deps: Deps, actor: Actor, image: bytes, nickname: str | None) -> Bound:
    """Bind the card whose barcode is on the photo. AppError photo_*, and those of `by_number`."""
    return by_number(deps, actor, deps.barcodes.read(image), nickname)


def _facts(deps: Deps, number: str) -> CardFacts:
    try:
        return deps.card_system.find(number)
    except Refused as no:
        raise AppError("card_blocked" if no.code == "card_blocked" else "card_unknown") from no
    except (Unavailable, Unknown) as silence:
        raise AppError("card_system_unavailable") from silence


def bound_cards(deps: Deps, actor: Actor) -> list[tuple[Card, int | None]]:
    """The person's cards with their balances; None where the card system does not answer now."""
    with deps.database.read() as tx:
        owned = cards.of_user(tx, actor.user_id)
    found: list[tuple[Card, int | None]] = []
    for card in owned:
        number = card_numbers.number_of(deps, card)
        try:
            found.append((card, deps.card_system.find(number).balance_fen))
        except (Refused, Unavailable, Unknown):
            found.append((card, None))
    return found
