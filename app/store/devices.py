"""The devices a person logged in from."""

from __future__ import annotations

from collections.abc import Sequence
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


def seen(tx: Connection, user_id: str, device_keys: Sequence[str], now: datetime) -> Seen:
    """The person's device behind these keys, made at first sight. They are one keyed hash under each lookup
    key, the newest first: a device that is kept under an older one moves to the newest, since nothing but the
    device itself knows what is hashed."""
    mine = _devices.c.user_id == user_id
    known = tx.execute(
        select(_devices.c.id, _devices.c.device_key).where(mine, _devices.c.device_key.in_(device_keys))
    )
    found = {row.device_key: str(row.id) for row in known}
    if found:
        device_id = next(found[key] for key in device_keys if key in found)
        key = device_keys[0]
        tx.execute(
            update(_devices).where(_devices.c.id == device_id).values(last_seen_at=now, device_key=key)
        )
        return Seen(device_id, False)
    values = {
        "id": new_id(Kind.DEVICE),
        "user_id": user_id,
        "device_key": device_keys[0],
        "first_seen_at": now,
        "last_seen_at": now,
    }
    if insert_once(tx, _devices, ("user_id", "device_key"), values):
        others = select(_devices.c.id).where(mine, _devices.c.id != values["id"])
        return Seen(str(values["id"]), tx.execute(others.limit(1)).first() is not None)
    return seen(tx, user_id, device_keys, now)  # another login of the same device was first


def owner(tx: Connection, device_id: str) -> tuple[str, datetime] | None:
    """(user id, first seen) of a device; None when it was forgotten meanwhile."""
    row = tx.execute(
        select(_devices.c.user_id, _devices.c.first_seen_at).where(_devices.c.id == device_id)
    ).first()
    return None if row is None else (row.user_id, row.first_seen_at)


def told(tx: Connection, device_id: str, now: datetime) -> None:
    """The person was told of this device."""
    tx.execute(update(_devices).where(_devices.c.id == device_id).values(told_at=now))
