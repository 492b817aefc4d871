"""Two doors to the rows: `read()` and `write()`. A transaction is short and never spans an outside call.

SQLite runs in WAL with synchronous=FULL. Its busy handler starves writers under load (p99 about 3 s with
four writers), so a write first takes a file lock, which keeps the throughput and brings p99 under 0.2 s
(measured, notes/performance.md section 1).
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError

BUSY_TIMEOUT_MS = 10_000
RESTED_SECONDS = 1.0
POOL_SIZE = 16
POSTGRES_OPTIONS = "-c statement_timeout=5000 -c lock_timeout=4000"


def configure_sqlite(engine: Engine) -> None:
    """Make an SQLite engine durable and explicit about its transactions. Idempotent per engine."""

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("anxin_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sqlite_engine(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=32, max_overflow=0)
    configure_sqlite(engine)
    return engine


def _postgres_engine(url: URL, **more: Any) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"options": POSTGRES_OPTIONS},
        **more,
    )
    _ping_rested_connections(engine)
    return engine


def _ping_rested_connections(engine: Engine) -> None:
    """Replace connections a restarted server left dead. Busy ones are not asked: that is a round trip."""

    @event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: Any) -> None:
        record.info["rested_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("rested_at", time.monotonic()) < RESTED_SECONDS:
            return
        try:
            connection.execute("SELECT 1")
            if not connection.autocommit:
                connection.rollback()
        except psycopg.OperationalError as dead:
            raise DisconnectionError from dead  # the pool tries a fresh one


def straight(tx: Connection, sql: str, values: Mapping[str, Any]) -> Any | None:
    """The first row, as a named tuple, of one statement that the order path cannot do without.

    PostgreSQL only, and straight through the driver: 60 µs of CPU against 145 through SQLAlchemy
    (measured). Raise psycopg.Error; a dead connection does not return to the pool.
    """
    connection: psycopg.Connection[Any] = tx.connection.driver_connection  # type: ignore[assignment]
    try:
        with connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(sql, values, prepare=True).fetchone()
    except psycopg.OperationalError as dead:
        tx.invalidate(dead)
        raise


class Database:
    """One database with a reading and a writing door. `close()` gives every connection back."""

    def __init__(self, url: str) -> None:
        """`url` is an SQLAlchemy address of SQLite or PostgreSQL; nothing is connected yet."""
        parsed = make_url(url)
        self._lock_file: Path | None = None
        if parsed.get_backend_name() == "sqlite":
            self.engine = self._single = _sqlite_engine(parsed)
            if parsed.database and parsed.database != ":memory:":
                self._lock_file = Path(parsed.database + ".writelock")
        else:
            self.engine = _postgres_engine(parsed)
            # A single statement needs no BEGIN and no COMMIT: round trips saved, with connections of
            # their own, because switching a connection back and forth costs as much, and one kept for
            # each thread, because fetching it from the pool costs as much as the statement.
            self._single = _postgres_engine(parsed, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
        self._kept = threading.local()

    def close(self) -> None:
        """Close all connections; the database may be used again."""
        self._kept = threading.local()
        self._single.dispose()
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """For reading; nothing may be written in it."""
        with self._one() if self._single is not self.engine else self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Commit at the end, or roll everything back on any exception."""
        with (
            self._write_lock(),
            self.engine.connect().execution_options(anxin_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write_one(self) -> Iterator[Connection]:
        """For exactly one statement, which is its own transaction on PostgreSQL: no BEGIN, no COMMIT."""
        with self._one() if self._single is not self.engine else self.write() as connection:
            yield connection

    @contextmanager
    def _one(self) -> Iterator[Connection]:
        """This thread's connection for single statements; another one while it is in use further up."""
        kept: Connection | None = getattr(self._kept, "connection", None)
        rested = time.monotonic() - getattr(self._kept, "used_at", 0.0)
        if kept is None or kept.invalidated or rested > RESTED_SECONDS:
            if kept is not None:
                kept.close()
            kept = self._single.connect()  # pings what has rested
        self._kept.connection = None
        try:
            yield kept
            if kept.in_transaction():
                kept.rollback()  # ends what SQLAlchemy believes is one; nothing is sent
        except BaseException:
            kept.close()
            raise
        if self._kept.connection is not None:  # one was kept further down
            kept.close()
            return
        self._kept.connection, self._kept.used_at = kept, time.monotonic()

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        if self._lock_file is None:
            yield
            return
        with self._lock_file.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file releases the lock, also when the process is killed
