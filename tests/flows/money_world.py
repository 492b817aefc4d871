"""The world of one schedule of the money machine: real database, real adapters and flows, real sandbox.

Time, the network that carries WeChat's notices, and the power are in the schedule's hands: between any two
steps (a transaction, an outside call) of a request or a worker, the power can go, or something else happen.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import Connection

from app.domain.clock import FakeClock
from app.errors import AppError
from app.flows import channels, settle, trouble
from app.flows.deps import Deps
from app.providers.sandbox.application import Sandbox
from app.store.database import Database
from app.store.people import Actor

SANDBOX_URL = "http://sandbox"
STANDBY_PATH = "/standby"


class PowerCut(BaseException):
    """The process that was at work is gone. No `except Exception` of ours may survive it."""


class Steps:
    """Counts the steps of requests and workers, and lets something happen in between.

    A step is a transaction or an outside call; there is a moment before and a moment after each.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.at = ""  # at which moment who was interrupted stands, whatever others do meanwhile
        self._meanwhile = False
        self._left: int | str = 0
        self._then: Callable[[], None] | None = None
        self._wanted = False

    @contextmanager
    def interrupted(self, after: int | str, then: Callable[[], None] | None) -> Iterator[None]:
        """Within the block, do `then` (once) when `after` moments have passed, or at the moment called so."""
        self._left, self._then, self._wanted = after, then, then is not None
        try:
            yield
        finally:
            self._then = None

    @property
    def armed(self) -> bool:
        return self._then is not None

    @property
    def used(self) -> bool:
        """Whether something happened in between within this block."""
        return self._wanted and self._then is None

    def __call__(self, moment: str) -> None:
        self.passed += 1
        if not self._meanwhile:
            self.at = moment
        if isinstance(self._left, int):
            self._left -= 1
        if self._then is not None and (self._left == moment or self._left == -1):
            then, self._then = self._then, None
            self._meanwhile = True
            try:
                then()
            finally:
                self._meanwhile = False


class SteppingDatabase(Database):
    """The real database, with a moment before and after each transaction."""

    def __init__(self, url: str, steps: Steps) -> None:
        super().__init__(url)
        self._steps = steps

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with super().read() as tx:
            yield tx
        self._steps("after read")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._steps("before write")
        with super().write() as tx:
            yield tx
        self._steps("after write")


class Stepping:
    """A real adapter, with a moment before and after each outside call. Pure methods are no steps."""

    _PURE = frozenset({"pay_parameters", "read_notice"})

    def __init__(self, real: Any, steps: Steps) -> None:
        self._real = real
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found) or name in self._PURE:
            return found

        def called(*values: Any) -> Any:
            self._steps(f"before {name}")
            try:
                return found(*values)
            finally:
                self._steps(f"after {name}")

        return called


class Window:
    """A look into a database beside everything else: its rows, and whether anything was written."""

    def __init__(self, url: str) -> None:
        self._connection: Any
        if url.startswith("sqlite"):
            path = url.removeprefix("sqlite:///")
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        else:
            self._connection = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def version(self) -> int | None:
        """Another number after every write of somebody else; None where the database has no such number."""
        if not isinstance(self._connection, sqlite3.Connection):
            return None
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._connection.close()


class Faults(logging.Handler):
    """What our code logs as an unexpected fault: the worker catches those, and they must not hide here."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None:
            self.found.append(f"{record.getMessage()}: {self.format(record)}")


@dataclass(frozen=True)
class Elder:
    """One person and the cards they bound: ids and numbers side by side."""

    name: str
    actor: Actor
    card_ids: tuple[str, ...]
    card_numbers: tuple[str, ...]


@dataclass(frozen=True)
class Letter:
    """One notice on its way, as WeChat sealed it."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def channel(self) -> str:
        return "standby" if urlsplit(self.url).path.endswith(STANDBY_PATH) else "primary"


@dataclass
class MoneyWorld:
    """What one schedule plays with."""

    clock: FakeClock
    deps: Deps
    sandbox: Sandbox
    elders: tuple[Elder, ...]
    steps: Steps
    faults: Faults = field(default_factory=Faults)
    letters: list[Letter] = field(default_factory=list)
    prompt: bool = False  # the network hands notices over at once

    def __post_init__(self) -> None:
        """Two windows that nothing is written through: into the sandbox's store, and into our database."""
        self.theirs = Window(f"sqlite:///{self.sandbox.world.settings.data_dir / 'sandbox.sqlite3'}")
        self.ours = Window(self.deps.settings.database_url)

    def close(self) -> None:
        """Nobody looks any more."""
        self.theirs.close()
        self.ours.close()
        self.deps.database.close()

    def restart_web(self) -> None:
        """A new process knows nothing of outages: its breakers are closed."""
        world = self

        def outage(channel: str, over: bool) -> None:
            trouble.outage(world.deps, channel, over)

        fresh = channels.breakers(self.deps.pays, self.deps.settings.breaker_reset_seconds, outage)
        self.deps = replace(self.deps, breakers=fresh)

    def post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        """The network between WeChat and us: quick, or a letter that may come later, twice, or never."""
        letter = Letter(url, headers, body)
        if self.prompt and not self.steps.armed:
            return self.take_in(letter)
        self.letters.append(letter)
        return None

    def take_in(self, letter: Letter) -> int | None:
        """Our side takes one notice; its HTTP status, or None when the power went."""
        try:
            settle.notice(self.deps, letter.headers, letter.body, letter.channel)
        except AppError as fault:
            return fault.status
        except PowerCut:
            self.restart_web()
            return None
        return 204
