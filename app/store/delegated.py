"""What relatives paid, and may still pay, for an elder and onto a card: what caps are held against."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from app.domain.clock import day_start, month_start
from app.domain.family import Spent
from app.domain.identity import COOLING
from app.domain.orders import UNPAID, State
from app.store import models
from app.store.order_rows import COLUMNS, Order, from_row

_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]
_BY_OTHERS = _orders.c.user_id != _orders.c.beneficiary_id


def lock_card(tx: Connection, card_id: str) -> None:
    """What is counted onto this card stays so until the commit, whoever else has bound the same card.
    SQLite has one writer anyway."""
    if tx.dialect.name == "postgresql":
        number = select(_cards.c.card_number).where(_cards.c.id == card_id).scalar_subquery()
        same = select(_cards.c.id).where(_cards.c.card_number == number).order_by(_cards.c.id)
        tx.execute(same.with_for_update(key_share=True))


def card_bound_at(tx: Connection, card_id: str) -> datetime:
    """Since when its owner has had this card. LookupError for none."""
    found: datetime | None = tx.execute(select(_cards.c.created_at).where(_cards.c.id == card_id)).scalar()
    if found is None:
        raise LookupError(card_id)
    return found


def spent(
    tx: Connection, relative_id: str, elder_id: str, card_id: str, except_id: str | None, now: datetime
) -> tuple[Spent, Spent]:
    """(by this relative for this elder, by all relatives onto this card), without order `except_id`.

    A payment counts in the day and month it was made in, and what may still be paid counts in those of
    `now`: so no midnight lets more pass than a cap. Money that goes home counts no more. A card that two
    people have bound is one card.
    """
    number = select(_cards.c.card_number).where(_cards.c.id == card_id).scalar_subquery()
    same = tx.execute(select(_cards.c.id, _cards.c.user_id).where(_cards.c.card_number == number)).all()
    onto = {card.id for card in same}
    since = min(month_start(now), now - COOLING)
    statement = select(
        _orders.c.user_id,
        _orders.c.beneficiary_id,
        _orders.c.card_id,
        _orders.c.amount_fen,
        _orders.c.paid_at,
    ).where(
        _BY_OTHERS,
        _orders.c.beneficiary_id.in_({elder_id, *(card.user_id for card in same)}),
        _counts(since, now),
    )
    if except_id is not None:
        statement = statement.where(_orders.c.id != except_id)
    rows = tx.execute(statement).all()
    mine = [row for row in rows if (row.user_id, row.beneficiary_id) == (relative_id, elder_id)]
    theirs = [row for row in rows if row.card_id in onto]
    return _sums(((row.paid_at, row.amount_fen) for row in mine), now), _sums(
        ((row.paid_at, row.amount_fen) for row in theirs), now
    )


def _counts(since: datetime, now: datetime) -> ColumnElement[bool]:
    """Paid and not on the way home, or still payable. A check or a payment that was not ended yet may go on,
    whatever the time; a read-back that is over may not."""
    state = _orders.c.state
    return or_(
        and_(_orders.c.paid_at >= since, state.not_in((State.REFUNDING.value, State.REFUNDED.value))),
        state.in_((State.AWAITING_CHECK.value, State.AWAITING_PAYMENT.value)),
        and_(state == State.AWAITING_CONFIRMATION.value, _orders.c.expires_at > now),
    )


def _sums(payments: Iterable[tuple[datetime | None, int]], now: datetime) -> Spent:
    made = [(paid_at or now, amount_fen) for paid_at, amount_fen in payments]
    recent, today, month = now - COOLING, day_start(now), month_start(now)
    return Spent(
        recent_fen=sum(fen for at, fen in made if at > recent),
        day_fen=sum(fen for at, fen in made if at >= today),
        month_fen=sum(fen for at, fen in made if at >= month),
    )


def unpaid(tx: Connection, relative_id: str, elder_id: str) -> list[Order]:
    """What this relative has begun for this elder and not paid yet."""
    statement = select(*COLUMNS).where(
        _BY_OTHERS,
        _orders.c.beneficiary_id == elder_id,
        _orders.c.user_id == relative_id,
        _orders.c.state.in_([state.value for state in UNPAID]),
    )
    return [from_row(row) for row in tx.execute(statement.order_by(_orders.c.id))]
