"""Live help in real processes: two of the web, two of the streams, PostgreSQL; and what dies on the way."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest
import requests
from sqlalchemy import text

from app.cli.house import House
from app.store.database import Database
from app.store.engines import RESTED_SECONDS
from tests import cluster
from tests.cluster import Cluster
from tests.flows.test_identity_check import bound
from tests.helping import Following, Help, granted
from tests.live import free_port
from tests.world import Phone

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30.0
_people = itertools.count(1)


@dataclass
class Town:
    """The house, and the PostgreSQL it stands on."""

    house: House
    postgres: Cluster
    database: Database

    def phone(self, person: str) -> Phone:
        return Phone(self.house.base_url, person).log_in()

    def helped(self) -> Help:
        """An elder and a daughter nobody else has, and their session."""
        number = next(_people)
        elder = self.phone(f"elder-{number}")
        return granted(self.database, elder, bound(self, elder, f"daughter-{number}"))

    def listeners(self) -> int:
        with self.database.read() as tx:
            return int(tx.execute(text(_LISTENERS)).scalar_one())

    def problem(self) -> object:
        return requests.get(f"{self.house.live_url}/live/healthz", timeout=5).json()["problem"]


_LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN anxin_help'"
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN anxin_help'"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("help")
    with cluster.running(recovery_init_sync_method="syncfs") as postgres:
        postgres.run("CREATE DATABASE anxin")
        database = Database(postgres.url("anxin"))
        settings = {
            "ANXIN_DATABASE_URL": postgres.url("anxin"),
            "ANXIN_LOG_LEVEL": "ERROR",
            "ANXIN_VOICE_MODELS": str(folder / "no-models"),
        }
        house = House(folder / "house", free_port(), free_port(), settings, web_workers=2, live_workers=2)
        try:
            house.start_all()
            yield Town(house, postgres, database)
        finally:
            everybody = [child for process in house.processes.values() for child in _family(process.pid)]
            house.stop()
            database.close()
        assert not [child for child in everybody if child.is_running()], "something was left behind"


def _family(pid: int) -> list[psutil.Process]:
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def say(help: Help, words: str) -> None:
    help.relative.ok("POST", help.path("/messages"), {"text": words})


def said(*streams: Following) -> list[str]:
    return [body["text"] for each in streams for _n, kind, body in each.events if kind == "message"]


def test_what_one_process_writes_another_streams(town: Town) -> None:
    """Eight sessions, so that each of the two processes of the web and of the streams has some."""
    eventually(lambda: town.listeners() == 2)
    sessions = [town.helped() for _each in range(8)]
    elders = [Following(help.address(help.elder)) for help in sessions]
    daughters = [Following(help.address(help.relative)) for help in sessions]
    for help, daughter in zip(sessions, daughters, strict=True):
        help.elder_is_shown("help")
        assert daughter.wait_for("screen", 5)["title"] == "怎么用"
        say(help, "点充值")
    for help, elder in zip(sessions, elders, strict=True):
        assert elder.wait_for("message", 5)["text"] == "点充值"
        help.elder.ok("POST", help.path("/end"))
    for stream in elders + daughters:
        assert stream.ended.wait(5) and stream.numbers() == list(range(1, 6))


def test_a_broker_that_is_cut_off_makes_events_late_and_loses_none(town: Town) -> None:
    help = town.helped()
    elder = Following(help.address(help.elder))
    for round_ in range(5):
        with town.database.write() as tx:
            tx.execute(text(_CUT))
        say(help, str(round_))  # nobody listens now, and nobody who acts notices
    eventually(lambda: said(elder) == ["0", "1", "2", "3", "4"])
    eventually(lambda: town.listeners() == 2 and town.problem() is None)
    assert elder.numbers() == list(range(1, elder.numbers()[-1] + 1)), "none lost, none doubled"
    elder.hang_up()


def test_streams_outlive_a_database_that_is_killed_and_comes_back(town: Town) -> None:
    help = town.helped()
    elder = Following(help.address(help.elder))
    say(help, "前")
    eventually(lambda: said(elder) == ["前"])
    town.postgres.kill()
    time.sleep(1.5)
    assert not elder.ended.is_set()
    town.postgres.start()
    town.database.close()

    def spoken() -> bool:
        status, _body = help.relative.post(help.path("/messages"), {"text": "后"})
        return status == 200

    eventually(spoken)
    eventually(lambda: said(elder)[-1] == "后")
    assert elder.numbers() == list(range(1, elder.numbers()[-1] + 1))
    eventually(lambda: town.problem() is None)
    elder.hang_up()
    time.sleep(2 * RESTED_SECONDS)  # what the web still has of the killed server's connections is asked now


def test_when_the_streams_die_the_api_goes_on_and_a_phone_resumes_without_loss(town: Town) -> None:
    help = town.helped()
    first = Following(help.address(help.elder))
    say(help, "一")
    eventually(lambda: said(first) == ["一"])
    town.house.kill("live")
    assert first.ended.wait(5)
    say(help, "二")
    assert requests.get(f"{town.house.base_url}/readyz", timeout=10).json()["ready"]
    town.house.start("live")
    town.house.wait_for("live", f"{town.house.live_url}/live/healthz")
    again = Following(help.address(help.elder), last=first.numbers()[-1])
    say(help, "三")
    eventually(lambda: said(first, again) == ["一", "二", "三"])
    assert first.numbers() + again.numbers() == [1, 2, 3, 4]
    again.hang_up()
