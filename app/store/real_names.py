"""Who a person is, sealed. Plain text never enters this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.store import models
from app.store.upsert import dialect_insert

_names = models.metadata.tables["real_names"]


@dataclass(frozen=True, slots=True)
class RealName:
    """A row as stored: sealed texts, and the moments each was proven."""

    name: str | None = None
    id_number: str | None = None
    phone: str | None = None
    bank_card: str | None = None
    named_at: datetime | None = None
    phone_at: datetime | None = None
    bank_card_at: datetime | None = None


def of_user(tx: Connection, user_id: str) -> RealName:
    """What is known; an empty one when nothing is."""
    row = tx.execute(select(_names).where(_names.c.user_id == user_id)).first()
    if row is None:
        return RealName()
    return RealName(
        row.name, row.id_number, row.phone, row.bank_card, row.named_at, row.phone_at, row.bank_card_at
    )


def put(tx: Connection, user_id: str, values: dict[str, Any]) -> None:
    """Write some columns of the person's row, made at first sight."""
    statement = dialect_insert(tx, _names).values(user_id=user_id, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))
