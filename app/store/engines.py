"""How connections are made and kept: SQLite and PostgreSQL engines, and connections for single statements."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError

BUSY_TIMEOUT_MS = 10_000
RESTED_SECONDS = 1.0
KEPT_SINCE = "anxin_kept_since"  # of a connection that was kept at hand: when it was used last
POOL_SIZE = 16
POSTGRES_OPTIONS = "-c statement_timeout=5000 -c lock_timeout=4000"
# What was acknowledged must survive a crash. A server set to something stronger keeps its setting.
DURABLE = """SELECT set_config('synchronous_commit', 'on', false)
 WHERE current_setting('synchronous_commit') = 'off'"""


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


def sqlite_engine(url: URL) -> Engine:
    """An engine for one file, whose folder is made."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=32, max_overflow=0)
    configure_sqlite(engine)
    return engine


def postgres_engine(url: URL, **more: Any) -> Engine:
    """An engine for a server that is written to."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"options": POSTGRES_OPTIONS},
        **more,
    )
    _insist_on_durable_commits(engine)
    _ping_rested_connections(engine)
    return engine


def _insist_on_durable_commits(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        connection.execute(DURABLE)
        if not connection.autocommit:
            connection.commit()


def _ping_rested_connections(engine: Engine) -> None:
    """Replace connections a restarted server left dead. Busy ones are not asked: that is a round trip."""

    @event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: Any) -> None:
        record.info["rested_at"] = record.info.pop(KEPT_SINCE, None) or time.monotonic()

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


class Singles:
    """Connections for statements that are their own transactions, kept at hand between two of them:
    fetching one from the pool costs as much as the statement."""

    def __init__(self, engine: Engine) -> None:
        """`engine` is in AUTOCOMMIT."""
        self._engine = engine
        self._kept: list[tuple[Connection, float]] = []  # the one used last is at the end, and used first
        self._waiting = 0  # for the pool, which learns of a connection only when it is closed
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection for the statements of one block. It is kept only when the block ends well."""
        connection = self._take()
        try:
            yield connection
            if connection.in_transaction():
                connection.rollback()  # ends what SQLAlchemy believes is one; nothing is sent
        except BaseException:
            connection.close()
            raise
        self._give(connection)

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            kept, self._kept = self._kept, []
        for connection, _used_at in kept:
            connection.close()
        self._engine.dispose()

    def _take(self) -> Connection:
        rested: Connection | None = None
        with self._lock:
            if self._kept:
                connection, used_at = self._kept.pop()
                if time.monotonic() - used_at < RESTED_SECONDS and not connection.invalidated:
                    return connection
                rested = connection
                if not rested.invalidated:
                    rested.info[KEPT_SINCE] = used_at  # it rested here: giving it back is no use of it
            self._waiting += 1
        try:
            if rested is not None:
                rested.close()
            return self._engine.connect()  # pings what has rested
        finally:
            with self._lock:
                self._waiting -= 1

    def _give(self, connection: Connection) -> None:
        with self._lock:
            if not self._waiting and not connection.invalidated:
                self._kept.append((connection, time.monotonic()))
                return
        connection.close()
