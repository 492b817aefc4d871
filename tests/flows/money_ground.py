"""The ground schedules of the money machine are played on: made once for a city and a database."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psycopg

from app.config import Settings
from app.domain.clock import FakeClock
from app.flows import bind_card
from app.flows.deps import Deps, nobody_waits
from app.ports import WeChatIdentity
from app.providers.sandbox.application import create_sandbox
from app.providers.sandbox.world import SandboxSettings
from app.store import people
from app.store.database import Database
from app.store.people import Actor
from app.wiring import build_deps
from tests.conftest import MORNING
from tests.flows.money_world import Elder, MoneyWorld, Stepping, SteppingDatabase, Steps
from tests.in_process import connect
from tests.sandbox_server import sandbox_keys
from tests.schema import migrate

SANDBOX_URL = "http://sandbox"
# The cards of each elder. Two people share one, so that one fills it while the other pays.
CARDS = {
    "guangzhou": (
        ("3104870300000000001", "3104870300000000011"),
        ("3104870300000000001", "3104870300000000010"),
        ("3104870300000000007", "3105140000000000001"),
    ),
    "lanzhou": (("3104900000000000001",), ("3104900000000000001",), ("3104900000000000001",)),
}


class Ground:
    """Made once for a city and a database: the sandbox, people with cards, and clean copies of both."""

    def __init__(
        self,
        folder: Path,
        city: str,
        start: datetime,
        card_numbers: tuple[tuple[str, ...], ...],
        database_url: str,
    ) -> None:
        self._folder = folder
        self._start = start
        self._clock = FakeClock(start)
        self._database_url = database_url
        self._world: MoneyWorld | None = None
        self._number = 0
        settings = SandboxSettings(data_dir=folder / "sandbox", delivery="manual")
        self._sandbox = create_sandbox(settings, self._clock, sandbox_keys(), self._post)
        self._settings = Settings.from_env(
            {
                "ANXIN_DATA_DIR": str(folder),
                "ANXIN_DATABASE_URL": database_url,
                "ANXIN_PUBLIC_URL": "https://anxin.example",
                "ANXIN_SANDBOX_URL": SANDBOX_URL,
                "ANXIN_VOICE_MODELS": str(folder / "no-models"),
                "ANXIN_CITY": city,
            }
        )
        deps = self._wired(Database(database_url))
        self._elders = tuple(
            self._elder(deps, f"elder-{number}", numbers) for number, numbers in enumerate(card_numbers)
        )
        deps.database.close()
        self._clean_sandbox = self._kept(folder / "sandbox" / "sandbox.sqlite3")
        self._clean = None if self._on_postgres else self._kept(Path(database_url.removeprefix("sqlite:///")))

    @property
    def _on_postgres(self) -> bool:
        return self._database_url.startswith("postgresql")

    def close(self) -> None:
        self._sandbox.close()

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        return None if self._world is None else self._world.post(url, headers, body)

    def _wired(self, database: Database) -> Deps:
        deps = replace(build_deps(self._settings, self._clock), database=database, nudge=nobody_waits)
        connect(deps, SANDBOX_URL, self._sandbox.app)
        return deps

    def _elder(self, deps: Deps, name: str, numbers: tuple[str, ...]) -> Elder:
        with self._sandbox.world.store.write() as tx:
            openid = self._sandbox.world.register(tx, name)
        with deps.database.write() as tx:
            app_id = deps.settings.wechat.app_id
            user_id = people.user_for(tx, app_id, WeChatIdentity(openid), self._clock.now())
        actor = Actor(user_id, openid, "no-session", "h5")
        bound = [bind_card.by_number(deps, actor, number, None) for number in numbers]
        return Elder(name, actor, tuple(each.card.id for each in bound), numbers)

    @staticmethod
    def _kept(path: Path) -> Path:
        """A copy of a database that nobody has open, with all that was written in it."""
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        copy = path.with_suffix(".clean")
        shutil.copyfile(path, copy)
        return copy

    @contextmanager
    def world(self) -> Iterator[MoneyWorld]:
        """A clean world at the ground's first moment; gone with the block."""
        self._clock.tick(seconds=(self._start - self._clock.now()).total_seconds())
        self._number += 1
        path = self._folder / "sandbox" / "sandbox.sqlite3"
        _forget(path)
        shutil.copyfile(self._clean_sandbox, path)
        steps = Steps()
        url = self._fresh_database()
        database = SteppingDatabase(url, steps)
        deps = self._wired(database)
        deps = replace(
            deps,
            settings=replace(deps.settings, database_url=url),
            pays={name: Stepping(pay, steps) for name, pay in deps.pays.items()},
            card_system=Stepping(deps.card_system, steps),
            messages=Stepping(deps.messages, steps),
        )
        world = self._world = MoneyWorld(self._clock, deps, self._sandbox, self._elders, steps)
        world.restart_web()
        logging.getLogger("app").addHandler(world.faults)
        try:
            yield world
        finally:
            logging.getLogger("app").removeHandler(world.faults)
            self._world = None
            world.close()
            if self._clean is not None:
                _forget(self._working_copy)

    @property
    def _working_copy(self) -> Path:
        return self._folder / f"schedule-{self._number}.db"

    def _fresh_database(self) -> str:
        if self._clean is not None:
            shutil.copyfile(self._clean, self._working_copy)
            return f"sqlite:///{self._working_copy}"
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            connection.execute(_EMPTY)
        return self._database_url


# Everything a schedule writes, and what points to it; people and their cards stay.
_EMPTY = """
TRUNCATE orders, order_events, ledger_entries, outbox, notices, subscriptions, alarms, refunds, differences,
  cases, outside_queries, batches, reconciled_days, conversations, turns, challenges, identity_checks,
  check_factors, questions, holds, deeds, relatives, one_time_codes, rate_counters CASCADE
"""


def _forget(path: Path) -> None:
    for end in ("", "-wal", "-shm", ".writelock"):
        Path(f"{path}{end}").unlink(missing_ok=True)


@contextmanager
def ground_in(city: str, postgres_url: Callable[[], str] | None = None) -> Iterator[Ground]:
    """A ground of this city: on SQLite, or on the empty, migrated database at `postgres_url()`.

    In memory where there is such a place: thousands of small databases need no disk.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        if postgres_url is None:
            url = f"sqlite:///{folder / 'anxin.db'}"
            migrate(url)
        else:
            url = postgres_url()
        made = Ground(folder, city, MORNING, CARDS[city], url)
        try:
            yield made
        finally:
            made.close()
