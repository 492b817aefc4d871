"""Holds: a relative stops one order for a while. One an order, ever; it ends by itself."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from app.store import models
from app.store.upsert import insert_once

_holds = models.metadata.tables["holds"]
_orders = models.metadata.tables["orders"]


@dataclass(frozen=True, slots=True)
class Hold:
    """One row of `holds`."""

    order_id: str
    elder_id: str
    placed_by: str
    reason: str
    placed_at: datetime
    until: datetime
    released_at: datetime | None
    released_by: str | None

    def active(self, now: datetime) -> bool:
        """Whether the order still waits; in the very moment of its end it does not."""
        return self.released_at is None and now < self.until


_columns = [_holds.c[field.name] for field in fields(Hold)]


def place(tx: Connection, hold: Hold) -> bool:
    """Write it. False when this order was held before, whatever became of that."""
    values: dict[str, Any] = {field.name: getattr(hold, field.name) for field in fields(Hold)}
    return insert_once(tx, _holds, ("order_id",), values)


def of_order(tx: Connection, order_id: str) -> Hold | None:
    """The hold of this order, over or not."""
    row = tx.execute(select(*_columns).where(_holds.c.order_id == order_id)).first()
    return None if row is None else Hold(**row._mapping)


def active(tx: Connection, order_id: str, now: datetime) -> Hold | None:
    """The hold that this order waits for at this moment."""
    found = of_order(tx, order_id)
    return found if found is not None and found.active(now) else None


def holding(now: datetime) -> ColumnElement[bool]:
    """A condition on `orders`: those that wait for a hold."""
    return exists().where(
        _holds.c.order_id == _orders.c.id, _holds.c.released_at.is_(None), _holds.c.until > now
    )


def placed_since(tx: Connection, placed_by: str, elder_id: str, moment: datetime) -> int:
    """How often this relative has held something of this elder's since then."""
    mine = (_holds.c.placed_by == placed_by) & (_holds.c.elder_id == elder_id)
    counted = select(func.count()).where(mine, _holds.c.placed_at >= moment)
    return int(tx.execute(counted).scalar_one())


def end(tx: Connection, order_id: str, by: str, now: datetime) -> bool:
    """It is over before its time. False when it was over already."""
    still = (_holds.c.order_id == order_id) & _holds.c.released_at.is_(None) & (_holds.c.until > now)
    return tx.execute(update(_holds).where(still).values(released_at=now, released_by=by)).rowcount == 1


def since(tx: Connection, moment: datetime) -> list[Hold]:
    """Every hold placed since then, oldest first."""
    statement = select(*_columns).where(_holds.c.placed_at >= moment).order_by(_holds.c.placed_at)
    return [Hold(**row._mapping) for row in tx.execute(statement)]
