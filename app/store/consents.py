"""The ledger of consents: append-only, one act a row, the last act of a purpose counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from app.domain.consents import Act, Purpose
from app.domain.ids import Kind, new_id
from app.store import models
from app.store.upsert import insert_once

_consents = models.metadata.tables["consents"]
_columns = (_consents.c.purpose, _consents.c.number, _consents.c.version, _consents.c.act, _consents.c.at)


@dataclass(frozen=True, slots=True)
class Given:
    """The last act of a person about a purpose."""

    purpose: Purpose
    number: int
    version: int
    act: Act
    at: datetime


def last(tx: Connection, user_id: str, purpose: Purpose) -> Given | None:
    """What this person did last about `purpose`; None when they were never asked."""
    mine = select(*_columns).where(_consents.c.user_id == user_id, _consents.c.purpose == purpose.value)
    row = tx.execute(mine.order_by(_consents.c.number.desc()).limit(1)).first()
    return None if row is None else Given(purpose, row.number, row.version, Act(row.act), row.at)


def append(
    tx: Connection, user_id: str, purpose: Purpose, version: int, act: Act, channel: str, now: datetime
) -> None:
    """Write an act down. Doing what was done last for the same version again writes nothing, and of two
    at the same moment the later one is written last."""
    while True:
        before = last(tx, user_id, purpose)
        if before is not None and (before.act, before.version) == (act, version):
            return
        values = {
            "id": new_id(Kind.CONSENT),
            "user_id": user_id,
            "purpose": purpose.value,
            "number": 1 if before is None else before.number + 1,
            "version": version,
            "act": act.value,
            "at": now,
            "channel": channel,
        }
        if insert_once(tx, _consents, ("user_id", "purpose", "number"), values):
            return
