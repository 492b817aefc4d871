"""End-of-day files and the orders in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from app.domain.ids import Kind, new_id
from app.domain.orders import State
from app.store import models, orders
from app.store.orders import Order
from app.store.upsert import insert_once

_batches = models.metadata.tables["batches"]
_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]

OPEN, DONE = "open", "done"


@dataclass(frozen=True, slots=True)
class Line:
    """One order of a file, as it is asked for."""

    order_id: str
    card_number: str
    amount_fen: int


_amount = func.coalesce(_orders.c.credit_fen, _orders.c.amount_fen)


def collect(tx: Connection, cut_off: datetime, now: datetime) -> str | None:
    """Make the file of a cut-off from the paid orders that are in none. None when it was made before, or
    nothing waits; a payment WeChat told us of after the cut-off goes into the next file."""
    waiting = (
        (_orders.c.state == State.PAID.value) & _orders.c.batch_id.is_(None) & (_orders.c.paid_at < cut_off)
    )
    found = tx.execute(select(func.count(), func.sum(_amount)).where(waiting)).one()
    if not found[0]:
        return None
    batch_id = new_id(Kind.BATCH)
    values = {
        "id": batch_id,
        "cutoff_at": cut_off,
        "state": OPEN,
        "lines": int(found[0]),
        "total_fen": int(found[1]),
        "opened_at": now,
        "done_at": None,
    }
    if not insert_once(tx, _batches, ("cutoff_at",), values):
        return None
    tx.execute(update(_orders).where(waiting).values(batch_id=batch_id))
    return batch_id


def lines_of(tx: Connection, batch_id: str) -> list[Line]:
    """The file's lines in the order of their ids: the same every time it is asked for."""
    statement = (
        select(_orders.c.id, _cards.c.card_number, _amount.label("fen"))
        .join(_cards, _cards.c.id == _orders.c.card_id)
        .where(_orders.c.batch_id == batch_id)
        .order_by(_orders.c.id)
    )
    return [Line(row.id, row.card_number, int(row.fen)) for row in tx.execute(statement)]


def orders_of(tx: Connection, batch_id: str) -> list[Order]:
    ids = select(_orders.c.id).where(_orders.c.batch_id == batch_id).order_by(_orders.c.id)
    return [orders.get(tx, row.id) for row in tx.execute(ids)]


def leave(tx: Connection, order_id: str) -> None:
    """The order waits for the next file."""
    tx.execute(update(_orders).where(_orders.c.id == order_id).values(batch_id=None))


def finish(tx: Connection, batch_id: str, now: datetime) -> None:
    tx.execute(update(_batches).where(_batches.c.id == batch_id).values(state=DONE, done_at=now))
