"""Two doors to the rows: `read()` and `write()`. A transaction is short and never spans an outside call.

SQLite runs in WAL with synchronous=FULL. Its busy handler starves writers under load (p99 about 3 s with
four writers), so a write first takes a file lock, which keeps the throughput and brings p99 under 0.2 s
(measured, notes/performance.md section 1).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from app.store.engines import Singles, postgres_engine, sqlite_engine
from app.store.replica import Replica


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

    def __init__(self, url: str, replica_url: str | None = None) -> None:
        """`url` is an SQLAlchemy address of SQLite or PostgreSQL, `replica_url` one of a streaming replica
        of that PostgreSQL; nothing is connected yet."""
        parsed = make_url(url)
        self._lock_file: Path | None = None
        self._singles: Singles | None = None
        if parsed.get_backend_name() == "sqlite":
            self.engine = sqlite_engine(parsed)
            if parsed.database and parsed.database != ":memory:":
                self._lock_file = Path(parsed.database + ".writelock")
        else:
            self.engine = postgres_engine(parsed)
            # A single statement needs no BEGIN and no COMMIT: round trips saved, with connections of
            # their own, because switching a connection back and forth costs as much.
            self._singles = Singles(
                postgres_engine(parsed, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
            )
        self.replica = Replica(make_url(replica_url), parsed) if replica_url else None

    def close(self) -> None:
        """Close all connections; the database may be used again."""
        if self.replica is not None:
            self.replica.close()
        if self._singles is not None:
            self._singles.close()
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """For reading; nothing may be written in it. From the replica only where the request allows it
        (`Replica.follow`), and then ReplicaFailed may be raised: read again, at the primary."""
        with self._replica_or_primary() as connection:
            yield connection

    def _replica_or_primary(self) -> Any:
        if self.replica is not None and self.replica.may_answer():
            return self.replica.reading()
        return self._singles.one() if self._singles is not None else self.engine.connect()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Commit at the end, or roll everything back on any exception."""
        if self.replica is not None:
            self.replica.primary_is_used()
        with (
            self._write_lock(),
            self.engine.connect().execution_options(anxin_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write_one(self) -> Iterator[Connection]:
        """For exactly one statement, which is its own transaction on PostgreSQL: no BEGIN, no COMMIT."""
        if self._singles is None:
            with self.write() as connection:
                yield connection
            return
        if self.replica is not None:
            self.replica.primary_is_used()
        with self._singles.one() as connection:
            yield connection

    def position(self) -> str | None:
        """How far the primary has come, for a request that used it: nothing it wrote or saw is newer.

        None without a replica, for a request that needed no primary, and when the primary does not say.
        """
        if self.replica is None or self._singles is None or not self.replica.primary_was_used():
            return None
        return self.replica.position(self._singles)

    @contextmanager
    def _write_lock(self) -> Iterator[None]:
        if self._lock_file is None:
            yield
            return
        with self._lock_file.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield  # closing the file releases the lock, also when the process is killed
