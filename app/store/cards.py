"""The cards a person bound. Every read is by (user, …): nobody else's card can be named.

Numbers enter this room sealed, except for the moment in which a card is bound.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from app.domain.cards import last_four, prefix
from app.errors import AppError
from app.ports import CardFacts, CardMode
from app.store import models

_cards = models.metadata.tables["cards"]
_users = models.metadata.tables["users"]

MOST_CARDS = 5  # one screen of big buttons


@dataclass(frozen=True, slots=True)
class Card:
    """One bound card. `card_number` is sealed, and None once an erased person's books need it no more;
    `prefix` are its first eight digits."""

    id: str
    user_id: str
    card_number: str | None
    prefix: str
    last_four: str
    city: str
    mode: CardMode
    registered: bool
    nickname: str | None
    position: int


@dataclass(frozen=True, slots=True)
class SealedNumber:
    """A number for the card `card_id`: `sealed` for it alone, and what it is found by, the newest first."""

    card_id: str
    sealed: str
    lookups: tuple[str, ...]


COLUMN_NAMES = tuple(field.name for field in fields(Card))
_columns = [_cards.c[name] for name in COLUMN_NAMES]
_of_user = select(*_columns).where(_cards.c.user_id == bindparam("user_id")).order_by(_cards.c.position)
_one = select(*_columns).where(_cards.c.id == bindparam("card_id"), _cards.c.user_id == bindparam("user_id"))


def from_row(row: Any) -> Card:
    """A card from any row that has its columns."""
    return Card(
        id=row.id,
        user_id=row.user_id,
        card_number=row.card_number,
        prefix=row.prefix,
        last_four=row.last_four,
        city=row.city,
        mode=CardMode(row.mode),
        registered=row.registered,
        nickname=row.nickname,
        position=row.position,
    )


def of_user(tx: Connection, user_id: str) -> list[Card]:
    """The person's cards in the order they were bound."""
    return [from_row(row) for row in tx.execute(_of_user, {"user_id": user_id})]


def get_for(tx: Connection, user_id: str, card_id: str) -> Card:
    """AppError card_not_found for anybody else's card, the same as for none."""
    row = tx.execute(_one, {"card_id": card_id, "user_id": user_id}).first()
    if row is None:
        raise AppError("card_not_found")
    return from_row(row)


def get(tx: Connection, card_id: str) -> Card:
    """For our own ids; LookupError when there is none."""
    row = tx.execute(select(*_columns).where(_cards.c.id == card_id)).first()
    if row is None:
        raise LookupError(card_id)
    return from_row(row)


def bind(
    tx: Connection, user_id: str, facts: CardFacts, number: SealedNumber, nickname: str | None, now: datetime
) -> Card:
    """Bind a card the card system knows; binding it again is the same card. AppError too_many_cards.

    Two processes may write under two lookup keys while one is being replaced, so no unique lookup keeps it
    one card: the lock does, and the unique position behind it.
    """
    if tx.dialect.name == "postgresql":  # SQLite has one writer; here two binds must not race for a place
        tx.execute(select(_users.c.id).where(_users.c.id == user_id).with_for_update())
    same = select(*_columns).where(
        _cards.c.user_id == user_id, _cards.c.card_number_lookup.in_(number.lookups)
    )
    known = tx.execute(same.order_by(_cards.c.position)).first()
    if known is not None:
        return from_row(known)
    bound = of_user(tx, user_id)
    if len(bound) >= MOST_CARDS:
        raise AppError("too_many_cards", most=MOST_CARDS)
    highest = select(func.coalesce(func.max(_cards.c.position), 0)).where(_cards.c.user_id == user_id)
    card = Card(
        id=number.card_id,
        user_id=user_id,
        card_number=number.sealed,
        prefix=prefix(facts.card_number),
        last_four=last_four(facts.card_number),
        city=facts.city,
        mode=facts.mode,
        registered=facts.registered,
        nickname=nickname,
        position=int(tx.execute(highest).scalar_one()) + 1,
    )
    values = {field.name: getattr(card, field.name) for field in fields(Card)}
    values |= {"mode": card.mode.value, "card_number_lookup": number.lookups[0], "created_at": now}
    tx.execute(insert(_cards), values)
    return card
