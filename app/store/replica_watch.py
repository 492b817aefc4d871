"""Watching a replica from beside the requests: how far has it come, and is it still one?

A thread of its own asks both servers a few times a second, over lines that never wait longer than they are
told. A request only looks at the last finding, so neither a dead nor a slow replica costs it anything.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg import OperationalError, pq
from psycopg.conninfo import make_conninfo
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import URL

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
PATIENCE_SECONDS = 0.5  # for one answer
FRESH_SECONDS = 1.0  # an older finding is none
FARTHEST_BEHIND_SECONDS = 2.0
_PRIMARY_AT = b"SELECT pg_is_in_recovery(), pg_current_wal_flush_lsn() - '0/0'"
_REPLICA_AT = b"SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn() - '0/0', 0)"
_CLUSTER = b"SELECT system_identifier FROM pg_control_system()"
_WAITS: dict[int, int] = {
    pq.PollingStatus.READING: select.POLLIN,
    pq.PollingStatus.WRITING: select.POLLOUT,
}


class Silence(Exception):
    """No connection, no answer, or not in time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the last look found. `position` is what the replica has replayed; `trouble` says why it must
    not be read, "" when it may."""

    position: int
    trouble: str
    at: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.at < FRESH_SECONDS


def connection_string(url: URL, **more: str | int) -> str:
    """libpq's own form of an SQLAlchemy address."""
    _none, named = psycopg.dialect().create_connect_args(url)  # type: ignore[no-untyped-call]
    return make_conninfo(**{**named, **more})


class Line:
    """One connection to a server that is asked questions without waiting longer than PATIENCE_SECONDS."""

    def __init__(self, url: URL) -> None:
        """Raise Silence."""
        self._line = pq.PGconn.connect_start(connection_string(url, application_name="anxin-watch").encode())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (status := self._line.connect_poll()) != pq.PollingStatus.OK:
            if status not in _WAITS:
                raise Silence(self._said())
            self._wait(_WAITS[status], deadline)
        self._line.nonblocking = 1

    def ask(self, question: bytes) -> list[str]:
        """The one row of the answer, as texts. Raise Silence, after which the line is of no use."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        row: list[str] = []
        try:
            self._line.send_query(question)
            while self._line.flush():
                self._wait(select.POLLOUT, deadline)
            while True:
                while self._line.is_busy():
                    self._wait(select.POLLIN, deadline)
                    self._line.consume_input()
                answer = self._line.get_result()
                if answer is None:
                    return row
                if answer.status != pq.ExecStatus.TUPLES_OK or answer.ntuples != 1:
                    raise Silence(answer.error_message.decode(errors="replace").strip())
                row = [(answer.get_value(0, n) or b"").decode() for n in range(answer.nfields)]
        except OperationalError as broken:
            raise Silence(str(broken)) from None

    def close(self) -> None:
        self._line.finish()

    def _wait(self, what: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._line.socket, what)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise Silence("no answer in time")

    def _said(self) -> str:
        return self._line.error_message.decode(errors="replace").strip()


class Watch:
    """Looks from the first question on, until `close()`; asked again, it looks again."""

    def __init__(self, primary: URL, replica: URL, on_trouble: Callable[[], None]) -> None:
        """`on_trouble` is called by the watching thread after every look that found trouble."""
        self._urls = {"primary": primary, "replica": replica}
        self._on_trouble = on_trouble
        self._lines: dict[str, Line] = {}
        self._finding = Finding(0, "not looked at yet", time.monotonic())
        self._goal = (0, time.monotonic())  # where the primary was, and when: to be reached in time
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def finding(self) -> Finding:
        """The last finding; the first question starts the looking."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._over.clear()
                    self._thread = threading.Thread(target=self._look_on, name="replica-watch", daemon=True)
                    self._thread.start()
        return self._finding

    def close(self) -> None:
        """Stop looking. Idempotent."""
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()
            self._finding = Finding(0, "not looked at", time.monotonic())

    def _look_on(self) -> None:
        while not self._over.is_set():
            found = self._look()
            if found.trouble != self._finding.trouble:
                log.warning("replica", extra={"usable": not found.trouble, "trouble": found.trouble})
            self._finding = found
            if found.trouble:
                self._on_trouble()
            self._over.wait(TICK_SECONDS)
        for name in list(self._lines):
            self._hang_up(name)

    def _look(self) -> Finding:
        begun = time.monotonic()
        asked = "primary"
        try:
            in_recovery, primary_at = self._line("primary").ask(_PRIMARY_AT)
            asked = "replica"
            is_replica, replica_at = self._line("replica").ask(_REPLICA_AT)
        except (Silence, OperationalError) as silence:
            self._hang_up(asked)
            return Finding(0, f"{asked}: {silence}"[:200], begun)
        if in_recovery == "t":
            return Finding(0, "the primary is in recovery", begun)
        if is_replica != "t":
            return Finding(0, "promoted: it is no replica any more", begun)
        if int(replica_at) >= self._goal[0]:
            self._goal = (int(primary_at), begun)
        elif begun - self._goal[1] > FARTHEST_BEHIND_SECONDS:
            return Finding(0, f"more than {FARTHEST_BEHIND_SECONDS:g} s behind", begun)
        return Finding(int(replica_at), "", begun)

    def _line(self, name: str) -> Line:
        """The line to a server, connected again where it broke. The two must be of one cluster: positions
        of another mean nothing here."""
        if name not in self._lines:
            self._lines[name] = line = Line(self._urls[name])
            if name == "replica":
                ours, theirs = self._line("primary").ask(_CLUSTER), line.ask(_CLUSTER)
                if ours != theirs:
                    self._hang_up(name)
                    raise Silence("a replica of another server")
        return self._lines[name]

    def _hang_up(self, name: str) -> None:
        line = self._lines.pop(name, None)
        if line is not None:
            line.close()
