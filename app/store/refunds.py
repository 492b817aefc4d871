"""Refund numbers: which one an order's or a difference's money is travelling under."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from app.store import models
from app.store.upsert import insert_once

_refunds = models.metadata.tables["refunds"]

ASKED, SUCCESS, CLOSED, ABNORMAL, REFUSED = "asked", "success", "closed", "abnormal", "refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of `refunds`."""

    id: str
    subject: str
    attempt: int
    order_id: str
    transaction_id: str | None
    pay_channel: str
    refund_fen: int
    total_fen: int
    state: str
    opened_at: datetime
    ended_at: datetime | None


_columns = [_refunds.c[field.name] for field in fields(Attempt)]


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._mapping)


def current(tx: Connection, *, subject: str, now: datetime, **values: Any) -> Attempt:
    """The number to ask under: the last one, or a successor where WeChat closed that one.

    Numbers are made from the subject's id, so two workers make the same one.
    """
    last = select(*_columns).where(_refunds.c.subject == subject).order_by(_refunds.c.attempt.desc())
    row = tx.execute(last.limit(1)).first()
    if row is not None and row.state != CLOSED:
        return _attempt(row)
    number = 1 if row is None else row.attempt + 1
    unique = subject.partition("_")[2]
    made = {
        "id": f"rfd_{unique}" if number == 1 else f"rfd_{unique}_{number}",
        "subject": subject,
        "attempt": number,
        **values,
        "state": ASKED,
        "opened_at": now,
        "ended_at": None,
    }
    insert_once(tx, _refunds, ("id",), made)
    return get(tx, str(made["id"]))


def find(tx: Connection, refund_id: str) -> Attempt | None:
    row = tx.execute(select(*_columns).where(_refunds.c.id == refund_id)).first()
    return None if row is None else _attempt(row)


def get(tx: Connection, refund_id: str) -> Attempt:
    """LookupError when there is none."""
    found = find(tx, refund_id)
    if found is None:
        raise LookupError(refund_id)
    return found


def end(tx: Connection, refund_id: str, state: str, at: datetime) -> bool:
    """Write how it ended. False when it had succeeded, or ended in this very way, before."""
    mine = (_refunds.c.id == refund_id) & _refunds.c.state.not_in((SUCCESS, state))
    return tx.execute(update(_refunds).where(mine).values(state=state, ended_at=at)).rowcount == 1
