"""Counters by fixed window, in the database, so that every process of every host counts together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.store import models
from app.store.upsert import dialect_insert

_counters = models.metadata.tables["rate_counters"]


def count(tx: Connection, bucket: str, limit: int, window_start: datetime, ends_at: datetime) -> bool:
    """Count one try, in one statement. False, and nothing is counted, when `limit` (at least 1) were made."""
    statement = dialect_insert(tx, _counters).values(
        bucket=bucket, window_start=window_start, count=1, ends_at=ends_at
    )
    more = statement.on_conflict_do_update(
        index_elements=["bucket", "window_start"],
        set_={"count": _counters.c.count + 1},
        where=_counters.c.count < limit,
    )
    return tx.execute(more.returning(_counters.c.count)).first() is not None
