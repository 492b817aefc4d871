"""End-of-day files and the orders in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from app.domain.ids import Kind, new_id
from app.domain.orders import State
from app.store import holds, models, orders
from app.store.orders import Order

_batches = models.metadata.tables["batches"]
_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]

OPEN, DONE = "open", "done"
MOST_LINES = 5_000  # of one file (docs/CARD_SYSTEM.md)


@dataclass(frozen=True, slots=True)
class Line:
    """One order of a file, as it is asked for; the number is sealed."""

    order_id: str
    card_id: str
    card_number: str | None
    amount_fen: int


_amount = func.coalesce(_orders.c.credit_fen, _orders.c.amount_fen)


def collect(tx: Connection, cut_off: datetime, now: datetime) -> str | None:
    """Put the orders paid before the cut-off that are in no file yet, at most MOST_LINES, into a new one.

    None when nothing waits. Taken by one statement, so that two workers never take the same order. What a
    relative holds stays out; what was held while this waited for its row leaves again before anybody sees it.
    """
    waiting = (
        (_orders.c.state == State.PAID.value) & _orders.c.batch_id.is_(None) & (_orders.c.paid_at < cut_off)
    )
    batch_id = new_id(Kind.BATCH)
    chosen = select(_orders.c.id).where(waiting, ~holds.holding(now)).order_by(_orders.c.id).limit(MOST_LINES)
    taken = update(_orders).where(_orders.c.id.in_(chosen), _orders.c.batch_id.is_(None))
    tx.execute(taken.values(batch_id=batch_id))
    inside = _orders.c.batch_id == batch_id
    tx.execute(update(_orders).where(inside, holds.holding(now)).values(batch_id=None))
    amounts = tx.execute(select(_amount.label("fen")).where(inside)).all()
    if not amounts:
        return None
    values = {
        "id": batch_id,
        "cutoff_at": cut_off,
        "state": OPEN,
        "lines": len(amounts),
        "total_fen": sum(int(row.fen) for row in amounts),
        "opened_at": now,
        "done_at": None,
    }
    tx.execute(insert(_batches), values)
    return batch_id


def lines_of(tx: Connection, batch_id: str) -> list[Line]:
    """The file's lines in the order of their ids: the same every time it is asked for."""
    statement = (
        select(_orders.c.id, _orders.c.card_id, _cards.c.card_number, _amount.label("fen"))
        .join(_cards, _cards.c.id == _orders.c.card_id)
        .where(_orders.c.batch_id == batch_id)
        .order_by(_orders.c.id)
    )
    return [Line(row.id, row.card_id, row.card_number, int(row.fen)) for row in tx.execute(statement)]


def orders_of(tx: Connection, batch_id: str) -> list[Order]:
    ids = select(_orders.c.id).where(_orders.c.batch_id == batch_id).order_by(_orders.c.id)
    return [orders.get(tx, row.id) for row in tx.execute(ids)]


def finish(tx: Connection, batch_id: str, now: datetime) -> None:
    tx.execute(update(_batches).where(_batches.c.id == batch_id).values(state=DONE, done_at=now))
