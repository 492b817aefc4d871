"""A bell that rings when something happened in a help session: a hint, and the row is the truth.

On PostgreSQL it is NOTIFY, sent by the very transaction that wrote the row: never before it can be read, and
never without it. An SQLite database is one file on one machine, and tells by a counter that somebody wrote
(docs/adr/015). Nobody hears the bell who cannot read the rows.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Protocol

import psycopg
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import URL

from app.store import models
from app.store.database import Database

CHANNEL = "anxin_help"
GLANCE_SECONDS = 0.02  # between two looks at the counter of an SQLite file: microseconds each
PATIENCE_SECONDS = 1.0  # after a failure, before the next try
_sessions = models.metadata.tables["help_sessions"]
_LAST_ROW = "SELECT coalesce(max(rowid), 0) FROM help_events"
_ROWS_AFTER = "SELECT rowid, session_id FROM help_events WHERE rowid > ?"
_NOTIFY = text("SELECT pg_notify(:channel, :session_id)")


def ring(tx: Connection, session_id: str) -> None:
    """Something was written about this session; heard when `tx` commits."""
    if tx.dialect.name == "postgresql":
        tx.execute(_NOTIFY, {"channel": CHANNEL, "session_id": session_id})


def ring_for_tie(tx: Connection, elder_id: str, relative_id: str) -> None:
    """The tie between the two changed: whoever follows a session of theirs looks whether it may go on."""
    mine = (_sessions.c.elder_id == elder_id) & (_sessions.c.relative_id == relative_id)
    if tx.dialect.name == "postgresql":
        for session_id in tx.execute(
            select(_sessions.c.id).where(mine, _sessions.c.state == "open")
        ).scalars():
            ring(tx, session_id)


class Ear(Protocol):
    """Hears the bell. For one thread."""

    problem: str | None  # why it hears nothing at the moment, in English

    def wait(self, seconds: float) -> frozenset[str] | None:
        """The sessions it rang for, none after `seconds`; or None: something was written, look at all."""
        ...

    def close(self) -> None: ...


def ear_of(database: Database) -> Ear:
    """The ear for this database; it connects when it is first waited with."""
    url = database.engine.url
    return PostgresEar(url) if url.get_backend_name() == "postgresql" else SqliteEar(url)


class PostgresEar:
    """LISTEN on a connection of its own."""

    def __init__(self, url: URL) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection[object] | None = None
        self.problem: str | None = "not listening yet"

    def wait(self, seconds: float) -> frozenset[str] | None:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._conninfo, autocommit=True, connect_timeout=2)
                self._connection.execute(f"LISTEN {CHANNEL}")
                self.problem = None
                return None  # what rang while nobody listened
            return frozenset(
                each.payload for each in self._connection.notifies(timeout=seconds, stop_after=1)
            )
        except psycopg.Error as fault:
            self.close()
            self.problem = f"not listening: {type(fault).__name__}"
            time.sleep(PATIENCE_SECONDS)
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteEar:
    """The file's data_version changes whenever another connection has committed to it; then the events that
    were added are looked for, by the number SQLite gives each row. One that takes the number of an erased row
    may be overlooked: a hint, which may be lost."""

    def __init__(self, url: URL) -> None:
        self._path = url.database or ":memory:"
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._last_row = 0
        self.problem: str | None = "not listening yet"

    def wait(self, seconds: float) -> frozenset[str] | None:
        deadline = time.monotonic() + seconds
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=1)
                self._version = self._number("PRAGMA data_version")
                self._last_row = self._number(_LAST_ROW)
                self.problem = None
                return None  # what rang while nobody listened
            while time.monotonic() < deadline:
                version = self._number("PRAGMA data_version")
                if version != self._version:
                    self._version = version
                    rung = self._added()
                    if rung:
                        return rung
                time.sleep(GLANCE_SECONDS)
        except sqlite3.Error as fault:
            self.close()
            self.problem = f"not listening: {type(fault).__name__}"
            time.sleep(PATIENCE_SECONDS)
            return None
        return frozenset()

    def _added(self) -> frozenset[str]:
        """The sessions of the rows after the last one that was seen."""
        assert self._connection is not None
        before = min(self._last_row, self._number(_LAST_ROW))
        rows = self._connection.execute(_ROWS_AFTER, (before,)).fetchall()
        self._last_row = max((number for number, _session_id in rows), default=before)
        return frozenset(session_id for _number, session_id in rows)

    def _number(self, statement: str) -> int:
        assert self._connection is not None
        (found,) = self._connection.execute(statement).fetchone()
        return int(found)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
