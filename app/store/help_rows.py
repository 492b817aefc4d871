"""Help sessions, their numbered events, and the tickets of their streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.help import TICKET_LIFE, EventKind, Side, State
from app.domain.ids import Kind, new_id
from app.store import bell, models

_sessions = models.metadata.tables["help_sessions"]
_events = models.metadata.tables["help_events"]
_tickets = models.metadata.tables["help_tickets"]


@dataclass(frozen=True, slots=True)
class HelpSession:
    """One session as it is written. Whether it may go on also depends on the time and on the tie."""

    id: str
    elder_id: str
    relative_id: str
    state: str
    asked_at: datetime
    spoken_at: datetime | None
    opened_at: datetime | None
    expires_at: datetime
    ended_by: str | None

    def side_of(self, user_id: str) -> Side | None:
        """Which side this person is on; None for anybody else."""
        return {self.elder_id: Side.ELDER, self.relative_id: Side.RELATIVE}.get(user_id)


@dataclass(frozen=True, slots=True)
class HelpEvent:
    number: int
    side: str
    kind: str
    body: Mapping[str, Any]
    at: datetime


_columns = [_sessions.c[field.name] for field in fields(HelpSession)]
_event_columns = [_events.c[field.name] for field in fields(HelpEvent)]


def ask(tx: Connection, elder_id: str, relative_id: str, now: datetime, until: datetime) -> HelpSession:
    """A new session that waits for the elder's spoken yes and their touch."""
    values = {"id": new_id(Kind.HELP), "elder_id": elder_id, "relative_id": relative_id}
    values |= {"state": State.ASKED.value}
    moments = {"asked_at": now, "expires_at": until}
    row = tx.execute(insert(_sessions).values(**values, **moments).returning(*_columns)).one()
    return HelpSession(**row._mapping)


def find(tx: Connection, session_id: str, lock: bool = False) -> HelpSession | None:
    """One session. With `lock`, nobody else changes it or adds to it until the commit."""
    statement = select(*_columns).where(_sessions.c.id == session_id)
    row = tx.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else HelpSession(**row._mapping)


def running(tx: Connection, user_id: str) -> list[HelpSession]:
    """Sessions of this person, on either side, that are not written down as ended; the oldest first."""
    mine = (_sessions.c.elder_id == user_id) | (_sessions.c.relative_id == user_id)
    statement = select(*_columns).where(mine, _sessions.c.state != State.ENDED.value)
    return [HelpSession(**row._mapping) for row in tx.execute(statement.order_by(_sessions.c.id))]


def asked_since(tx: Connection, elder_id: str, since: datetime) -> int:
    """How many sessions an elder asked for from `since` on."""
    mine = (_sessions.c.elder_id == elder_id) & (_sessions.c.asked_at >= since)
    return int(tx.execute(select(func.count()).where(mine)).scalar_one())


def change(tx: Connection, session_id: str, state: State, values: Mapping[str, Any]) -> HelpSession | None:
    """Compare-and-set: None when the session is not in `state` any more."""
    mine = update(_sessions).where(_sessions.c.id == session_id, _sessions.c.state == state.value)
    row = tx.execute(mine.values(**values).returning(*_columns)).first()
    return None if row is None else HelpSession(**row._mapping)


def append(
    tx: Connection, session_id: str, side: Side, kind: EventKind, body: Mapping[str, Any], now: datetime
) -> int:
    """The next event: its number follows the last one, because the caller holds the session's lock."""
    last = select(func.coalesce(func.max(_events.c.number), 0)).where(_events.c.session_id == session_id)
    number = int(tx.execute(last).scalar_one()) + 1
    values = {"session_id": session_id, "number": number, "side": side.value, "kind": kind.value}
    tx.execute(insert(_events).values(**values, body=dict(body), at=now))
    bell.ring(tx, session_id)
    return number


def after(tx: Connection, session_id: str, number: int) -> list[HelpEvent]:
    """What happened after the event of that number, in order."""
    mine = (_events.c.session_id == session_id) & (_events.c.number > number)
    rows = tx.execute(select(*_event_columns).where(mine).order_by(_events.c.number))
    return [HelpEvent(**row._mapping) for row in rows]


def newest(tx: Connection, session_id: str, kind: EventKind) -> HelpEvent | None:
    """The newest event of this kind."""
    mine = (_events.c.session_id == session_id) & (_events.c.kind == kind.value)
    row = tx.execute(select(*_event_columns).where(mine).order_by(_events.c.number.desc()).limit(1)).first()
    return None if row is None else HelpEvent(**row._mapping)


def count_since(tx: Connection, session_id: str, side: Side, since: datetime) -> int:
    """How many events one side made after `since`."""
    mine = (_events.c.session_id == session_id) & (_events.c.side == side.value) & (_events.c.at > since)
    return int(tx.execute(select(func.count()).where(mine)).scalar_one())


def add_ticket(tx: Connection, ticket: str, session_id: str, side: Side, now: datetime) -> None:
    """`ticket` is a keyed hash."""
    values = {"ticket": ticket, "session_id": session_id, "side": side.value}
    tx.execute(insert(_tickets).values(**values, expires_at=now + TICKET_LIFE))


def tickets_since(tx: Connection, session_id: str, since: datetime) -> int:
    """How many tickets of a session were given after `since`."""
    given = (_tickets.c.session_id == session_id) & (_tickets.c.expires_at > since + TICKET_LIFE)
    return int(tx.execute(select(func.count()).where(given)).scalar_one())


def use_ticket(tx: Connection, tickets: Sequence[str], session_id: str, now: datetime) -> Side | None:
    """Whose ticket it was, by its hash under any of our keys; None for one that is unknown, used, too old, or
    of another session."""
    live = (_tickets.c.used_at.is_(None)) & (_tickets.c.expires_at > now)
    mine = update(_tickets).where(_tickets.c.ticket.in_(tickets), _tickets.c.session_id == session_id, live)
    side = tx.execute(mine.values(used_at=now).returning(_tickets.c.side)).scalar()
    return None if side is None else Side(side)


def open_sessions(tx: Connection) -> list[tuple[HelpSession, int]]:
    """Every open session with the number of its last event, for who may have missed the bell."""
    last = select(func.max(_events.c.number)).where(_events.c.session_id == _sessions.c.id).scalar_subquery()
    rows = tx.execute(select(*_columns, last.label("last")).where(_sessions.c.state == State.OPEN.value))
    return [(HelpSession(*row[:-1]), row[-1] or 0) for row in rows]
