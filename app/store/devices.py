"""The devices a person logged in from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from app.domain.ids import Kind, new_id
from app.store import models
from app.store.upsert import insert_once

_devices = models.metadata.tables["devices"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A device at a login. `unexpected`: new, while the person already used another one."""

    id: str
    unexpected: bool


def seen(tx: Connection, user_id: str, device_key: str, now: datetime) -> Seen:
    """The person's device behind this key, made at first sight. `device_key` is a keyed hash."""
    here = (_devices.c.user_id == user_id) & (_devices.c.device_key == device_key)
    others = select(_devices.c.id).where(_devices.c.user_id == user_id, _devices.c.device_key != device_key)
    values = {
        "id": new_id(Kind.DEVICE),
        "user_id": user_id,
        "device_key": device_key,
        "first_seen_at": now,
        "last_seen_at": now,
    }
    if insert_once(tx, _devices, ("user_id", "device_key"), values):
        return Seen(str(values["id"]), tx.execute(others.limit(1)).first() is not None)
    tx.execute(update(_devices).where(here).values(last_seen_at=now))
    return Seen(str(tx.execute(select(_devices.c.id).where(here)).scalar_one()), False)


def owner(tx: Connection, device_id: str) -> tuple[str, datetime] | None:
    """(user id, first seen) of a device; None when it was forgotten meanwhile."""
    row = tx.execute(
        select(_devices.c.user_id, _devices.c.first_seen_at).where(_devices.c.id == device_id)
    ).first()
    return None if row is None else (row.user_id, row.first_seen_at)


def told(tx: Connection, device_id: str, now: datetime) -> None:
    """The person was told of this device."""
    tx.execute(update(_devices).where(_devices.c.id == device_id).values(told_at=now))
