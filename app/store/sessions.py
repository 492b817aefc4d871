"""A person's own logins: what is open, and ending it. Every statement is by (user, …)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, update

from app.store import models

_sessions = models.metadata.tables["sessions"]
_devices = models.metadata.tables["devices"]

MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Login:
    """One live session, without the secret that is in its token."""

    public_id: str
    channel: str
    created_at: datetime
    expires_at: datetime
    current: bool
    device_id: str | None
    device_first_seen_at: datetime | None


def _live(user_id: str, now: datetime) -> ColumnElement[bool]:
    return (_sessions.c.user_id == user_id) & _sessions.c.ended_at.is_(None) & (_sessions.c.expires_at > now)


def live(tx: Connection, user_id: str, session_id: str, now: datetime) -> list[Login]:
    """The person's open logins, this one first, then the newest; at most MOST_SHOWN."""
    current = _sessions.c.id == session_id
    statement = (
        select(
            _sessions.c.public_id,
            _sessions.c.channel,
            _sessions.c.created_at,
            _sessions.c.expires_at,
            current.label("current"),
            _sessions.c.device_id,
            _devices.c.first_seen_at.label("device_first_seen_at"),
        )
        .select_from(_sessions.outerjoin(_devices, _sessions.c.device_id == _devices.c.id))
        .where(_live(user_id, now))
        .order_by(current.desc(), _sessions.c.created_at.desc(), _sessions.c.public_id)
        .limit(MOST_SHOWN)
    )
    return [Login(**{**row._mapping, "current": bool(row.current)}) for row in tx.execute(statement)]


def end_one(tx: Connection, user_id: str, public_id: str, now: datetime) -> bool:
    """End one of the person's own logins. False for anybody else's, an ended one and one that never was."""
    mine = update(_sessions).where(_live(user_id, now), _sessions.c.public_id == public_id)
    return tx.execute(mine.values(ended_at=now)).rowcount == 1


def end_others(tx: Connection, user_id: str, session_id: str, now: datetime) -> int:
    """End all of the person's logins but this one; returns how many."""
    others = update(_sessions).where(_live(user_id, now), _sessions.c.id != session_id)
    return tx.execute(others.values(ended_at=now)).rowcount
