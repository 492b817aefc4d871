"""Who did what in an elder's affairs: written once, in the transaction that did it, and told as history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.domain.ids import Kind, new_id
from app.store import models
from app.store.upsert import insert_once

_deeds = models.metadata.tables["deeds"]


@dataclass(frozen=True, slots=True)
class Deed:
    """One sentence of the history: phrase `deed_<kind>` of the replies, with `facts` in its places.

    `actor_id` None is the house. `facts` hold sums in fen and names, never a full number.
    """

    id: str
    elder_id: str
    actor_id: str | None
    kind: str
    subject: str
    facts: Mapping[str, Any]
    at: datetime


_columns = [_deeds.c[field.name] for field in fields(Deed)]


def write(
    tx: Connection,
    elder_id: str,
    actor_id: str | None,
    kind: str,
    subject: str,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> bool:
    """Write it down; the same kind about the same subject is one deed. False when it stood there already."""
    row: dict[str, Any] = {"id": new_id(Kind.DEED), "elder_id": elder_id, "actor_id": actor_id}
    row |= {"kind": kind, "subject": subject, "facts": dict(facts or {}), "at": now}
    return insert_once(tx, _deeds, ("elder_id", "kind", "subject"), row)


def of_elder(tx: Connection, elder_id: str, limit: int, before: str | None = None) -> list[Deed]:
    """The newest first; `before` is the id of the last one already seen."""
    statement = select(*_columns).where(_deeds.c.elder_id == elder_id)
    if before is not None:
        statement = statement.where(_deeds.c.id < before)
    return [Deed(**row._mapping) for row in tx.execute(statement.order_by(_deeds.c.id.desc()).limit(limit))]
