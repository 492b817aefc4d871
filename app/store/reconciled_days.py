"""Reconciled days as rows. The run counter is also a fence: only the newest run of a day may write."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from app.store import models
from app.store.upsert import dialect_insert

_days = models.metadata.tables["reconciled_days"]

OPEN, CLOSED = "open", "closed"


class Superseded(Exception):
    """A newer run of the same day has begun: this one writes nothing more."""


@dataclass(frozen=True, slots=True)
class Day:
    """One row of `reconciled_days`."""

    day: date
    state: str
    runs: int
    first_run_at: datetime
    last_run_at: datetime
    closed_at: datetime | None
    summary: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether all books of the day were read and compared."""
        return bool(self.summary.get("complete"))


_columns = [_days.c[field.name] for field in fields(Day)]


def _day(row: Row[Any]) -> Day:
    return Day(**row._mapping)


def find(tx: Connection, day: date) -> Day | None:
    row = tx.execute(select(*_columns).where(_days.c.day == day)).first()
    return None if row is None else _day(row)


def begin(tx: Connection, day: date, now: datetime) -> Day:
    """Count a run of the day, and be the one that may write."""
    first = {"day": day, "state": OPEN, "runs": 1, "first_run_at": now, "last_run_at": now, "summary": {}}
    again = {"runs": _days.c.runs + 1, "last_run_at": now}
    statement = dialect_insert(tx, _days).values(first)
    statement = statement.on_conflict_do_update(index_elements=["day"], set_=again).returning(*_columns)
    return _day(tx.execute(statement).one())


def hold(tx: Connection, run: Day) -> None:
    """Keep other runs of the day out until this transaction ends. Superseded when one has begun."""
    held = tx.execute(select(_days.c.runs).where(_days.c.day == run.day).with_for_update()).scalar_one()
    if held != run.runs:
        raise Superseded(f"{run.day}: run {run.runs}, but run {held} has begun")


def write(tx: Connection, run: Day, summary: dict[str, Any]) -> None:
    """Write down what this run found. Superseded when a newer one has begun."""
    hold(tx, run)
    tx.execute(update(_days).where(_days.c.day == run.day).values(summary=summary))


def close(tx: Connection, day: date, now: datetime) -> bool:
    """Close an open day. False when it is closed already."""
    mine = (_days.c.day == day) & (_days.c.state == OPEN)
    return tx.execute(update(_days).where(mine).values(state=CLOSED, closed_at=now)).rowcount == 1


def open_days(tx: Connection) -> list[Day]:
    """Days that were begun and are not closed, oldest first."""
    statement = select(*_columns).where(_days.c.state == OPEN).order_by(_days.c.day)
    return [_day(row) for row in tx.execute(statement)]


def newest(tx: Connection) -> date | None:
    """The latest day that was ever begun."""
    found: date | None = tx.execute(select(func.max(_days.c.day))).scalar_one()
    return found
