"""Reads at a replica that never show less than the person has seen.

A position is a place in the primary's log. An answer that came from the primary tells the position it was
read at or after its writes; the person's next request says it; and a replica may answer that request only
when it has come at least that far, is still a replica and is hardly behind. Everything else, and everyone
who says nothing, reads at the primary. Nothing that decides about money says a position.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import psycopg
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.store.engines import POOL_SIZE, Singles
from app.store.replica_watch import Finding, Watch

OPTIONS = "-c statement_timeout=1000 -c default_transaction_read_only=on"
CONNECT_SECONDS = 2
_POSITION = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})")  # as PostgreSQL spells it
_FAILURES = (psycopg.OperationalError, OperationalError, PoolTimeoutError)


class ReplicaFailed(Exception):
    """The replica broke off in the middle of a read. Nothing was written: read again at the primary."""


@dataclass(slots=True)
class _Following:
    """One request: the position it must not read behind, and whether it used the primary."""

    position: int | None
    primary_used: bool = False


_following: ContextVar[_Following | None] = ContextVar("anxin_following", default=None)


def parsed_position(text: str | None) -> int | None:
    """A position as a number; None for anything that is none."""
    found = _POSITION.fullmatch(text or "")
    return (int(found[1], 16) << 32 | int(found[2], 16)) or None if found else None


class Replica:
    """One streaming replica, seen from one process."""

    def __init__(self, url: URL, primary: URL) -> None:
        self._watch = Watch(primary, url, self._hang_up)
        self._singles = Singles(
            create_engine(
                url.set(drivername="postgresql+psycopg"),
                isolation_level="AUTOCOMMIT",
                pool_reset_on_return=None,
                pool_size=POOL_SIZE,
                max_overflow=0,
                pool_timeout=0.5,
                connect_args={"options": OPTIONS, "connect_timeout": CONNECT_SECONDS},
            )
        )
        self._in_use: set[int] = set()  # duplicates of sockets, ours alone: nobody else can close them
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections and stop watching; the replica may be used again."""
        self._watch.close()
        self._singles.close()

    def finding(self) -> Finding:
        """Whether it may be read, for operators."""
        return self._watch.finding()

    # --- one request ---

    def follow(self, told: str | None) -> None:
        """This request has seen the position `told`. None and nonsense: only the primary will do."""
        _following.set(_Following(parsed_position(told)))

    def leave(self) -> None:
        """From here on nothing is known of any request: reads go to the primary, and no position is told."""
        _following.set(None)

    def may_answer(self) -> bool:
        """Whether this read may go to the replica. Notes it down when it has to go to the primary."""
        following = _following.get()
        if following is None:
            return False
        if following.position is not None and not following.primary_used:
            found = self._watch.finding()
            if not found.trouble and found.fresh and found.position >= following.position:
                return True
        following.primary_used = True
        return False

    def primary_is_used(self) -> None:
        """A write: what this request reads from now on, it reads where it wrote."""
        following = _following.get()
        if following is not None:
            following.primary_used = True

    def primary_was_used(self) -> bool:
        following = _following.get()
        return following is not None and following.primary_used

    def position(self, primary: Singles) -> str | None:
        """The primary's position now; None when it does not say."""
        try:
            with primary.one() as connection:
                return str(connection.exec_driver_sql("SELECT pg_current_wal_flush_lsn()").scalar_one())
        except SQLAlchemyError:
            return None

    # --- the connections ---

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to the replica. Raise ReplicaFailed."""
        try:
            with self._singles.one() as connection, self._held(connection):
                yield connection
        except _FAILURES as fault:
            raise ReplicaFailed(type(fault).__name__) from fault

    @contextmanager
    def _held(self, connection: Connection) -> Iterator[None]:
        """Let the watch hang up on this connection while it is in use."""
        driver: psycopg.Connection[object] = connection.connection.driver_connection  # type: ignore[assignment]
        line = os.dup(driver.fileno())
        with self._lock:
            self._in_use.add(line)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.discard(line)
                os.close(line)

    def _hang_up(self) -> None:
        """Free everybody who waits for a replica that will not answer, and forget its connections."""
        with self._lock:
            for line in self._in_use:
                with socket.socket(fileno=os.dup(line)) as held:
                    try:
                        held.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass  # already gone
        self._singles.close()
