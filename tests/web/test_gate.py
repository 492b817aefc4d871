"""The gate: too many at once are told so at once and in words, and who has begun goes first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from app.domain.clock import FakeClock
from app.web.gate import COME_AGAIN_SECONDS, Gate
from tests.conftest import MORNING
from tests.web.asking import fault_of, send
from tests.world import World, running_world

BEGIN = "/api/v1/orders"
GO_ON = "/api/v1/callbacks/wechat-pay"  # as this one does: it is in the same lane as who begins
CONFIRM = "/api/v1/orders/ord_1/confirm"
TURN = "/api/v1/conversation/turns"
PATIENCE_SECONDS = 20.0


class Desk:
    """A small application that serves nobody until it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.served: list[str] = []
        self.came = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/readyz":
            start_response("200 OK", [])
            return [b"ready"]
        self.came.release()
        assert self.open.wait(PATIENCE_SECONDS)
        self.served.append(path)
        if path == "/broken":
            raise ValueError("broken")
        start_response("200 OK", [])
        return [b"done"]


class Crowd:
    """People at a gate, each with a thread; `answers` are theirs in the order of coming."""

    def __init__(self, gate: Gate) -> None:
        self._client = Client(gate)
        self._people: list[threading.Thread] = []
        self.answers: list[TestResponse | None] = []

    def comes(self, path: str, **options: Any) -> None:
        number = len(self.answers)
        self.answers.append(None)

        def ask() -> None:
            self.answers[number] = self._client.post(path, **options)

        person = threading.Thread(target=ask)
        self._people.append(person)
        person.start()

    def waits_for_everybody(self) -> list[int]:
        for person in self._people:
            person.join()
        return [0 if answer is None else answer.status_code for answer in self.answers]


def eventually(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _turn in range(int(PATIENCE_SECONDS * 100)):
        if holds():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came to hold")


def filled(gate: Gate, desk: Desk, crowd: Crowd, at_once: int, waiting: int) -> None:
    """Everybody who is worked on has come in, and everybody else waits."""
    for _person in range(at_once):
        crowd.comes(BEGIN)
        assert desk.came.acquire(timeout=PATIENCE_SECONDS)
    for number in range(waiting):
        crowd.comes(GO_ON)
        eventually(lambda number=number: gate.ours.waiting == number + 1)  # type: ignore[misc]


def test_who_finds_every_place_taken_is_refused_at_once_and_in_words() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=2, waiting=2, patience_seconds=PATIENCE_SECONDS)
    crowd = Crowd(gate)
    filled(gate, desk, crowd, at_once=2, waiting=2)
    refused = Client(gate).post(GO_ON, headers={"X-Request-Id": "asked-by-phone-1"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == str(COME_AGAIN_SECONDS)
    assert refused.headers["X-Request-Id"] == "asked-by-phone-1"
    told = json.loads(refused.data)
    assert told["code"] == "too_busy" and told["request_id"] == "asked-by-phone-1"
    assert told["say"].endswith("。") and told["next"] == "wait"
    desk.open.set()
    assert crowd.waits_for_everybody() == [200] * 4
    assert Client(gate).post(BEGIN).status_code == 200  # every place is free again


def test_who_begins_is_sent_away_where_who_goes_on_may_still_wait() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, waiting=4, patience_seconds=PATIENCE_SECONDS)
    crowd = Crowd(gate)
    filled(gate, desk, crowd, at_once=1, waiting=2)
    assert Client(gate).post(BEGIN).status_code == 503
    for place in (3, 4):
        crowd.comes(GO_ON)
        eventually(lambda place=place: gate.ours.waiting == place)  # type: ignore[misc]
    assert Client(gate).post(GO_ON).status_code == 503
    desk.open.set()
    assert crowd.waits_for_everybody() == [200] * 5


def test_everybody_is_served_in_the_order_of_coming() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, waiting=8, patience_seconds=PATIENCE_SECONDS)
    crowd = Crowd(gate)
    paths = [BEGIN, *(f"/api/v1/callbacks/{n}" for n in range(8))]
    for number, path in enumerate(paths):
        crowd.comes(path)
        eventually(lambda number=number: gate.ours.waiting == number)  # type: ignore[misc]
    desk.open.set()
    crowd.waits_for_everybody()
    assert desk.served == paths


def test_a_wechat_that_hangs_keeps_only_those_waiting_who_ask_it() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, waiting=4, patience_seconds=PATIENCE_SECONDS)
    crowd = Crowd(gate)
    crowd.comes(CONFIRM)
    assert desk.came.acquire(timeout=PATIENCE_SECONDS)
    for place in (1, 2):
        crowd.comes(CONFIRM)
        eventually(lambda place=place: gate.asking.waiting == place)  # type: ignore[misc]
    assert Client(gate).post(TURN).status_code == 503  # begins something, and would have to ask too
    crowd.comes(BEGIN)  # all ours
    crowd.comes(TURN, content_type="multipart/form-data; boundary=x")  # waits for the recogniser
    for _person in range(2):
        assert desk.came.acquire(timeout=PATIENCE_SECONDS)
    desk.open.set()
    assert crowd.waits_for_everybody() == [200] * 5


def test_who_waited_too_long_is_told_so_and_leaves_no_gap_in_the_queue() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, waiting=2, patience_seconds=0.05)
    crowd = Crowd(gate)
    filled(gate, desk, crowd, at_once=1, waiting=0)
    assert Client(gate).post(GO_ON).status_code == 503
    assert gate.ours.waiting == 0
    desk.open.set()
    assert crowd.waits_for_everybody() == [200]
    assert Client(gate).post(GO_ON).status_code == 200


def test_a_request_that_breaks_gives_its_place_back() -> None:
    desk = Desk()
    desk.open.set()
    gate = Gate(desk, at_once=1, waiting=2)
    for _turn in range(3):
        with pytest.raises(ValueError, match="broken"):
            Client(gate).post("/broken")
    assert Client(gate).post(BEGIN).status_code == 200


def test_operators_look_in_however_crowded_it_is() -> None:
    desk = Desk()
    gate = Gate(desk, at_once=1, waiting=2, patience_seconds=PATIENCE_SECONDS)
    crowd = Crowd(gate)
    filled(gate, desk, crowd, at_once=1, waiting=2)
    assert Client(gate).get("/readyz").data == b"ready"
    desk.open.set()
    crowd.waits_for_everybody()


@pytest.fixture
def crowded(tmp_path: Path, sqlite_template: Path) -> Iterator[World]:
    database = tmp_path / "anxin.db"
    database.write_bytes(sqlite_template.read_bytes())
    few = {"REQUESTS_AT_ONCE": "1", "REQUESTS_WAITING": "2"}
    with running_world(tmp_path, f"sqlite:///{database}", FakeClock(MORNING), **few) as world:  # type: ignore[arg-type]
        yield world


@contextmanager
def nobody_can_write(world: World) -> Iterator[None]:
    with world.deps.database.write():
        yield


def test_the_whole_service_refuses_in_words_and_nothing_is_written_for_who_was_refused(
    crowded: World,
) -> None:
    phone = crowded.elder()
    wishes = [
        {
            "card_id": phone.cards[0],
            "amount_fen": 5000,
            "method": "wechat_balance",
            "client_key": f"gate-{n:04d}",
        }
        for n in range(8)
    ]
    answers: list[requests.Response] = []

    def open_order(wish: dict[str, object]) -> None:
        answers.append(send(phone, "POST", "/api/v1/orders", json=wish))

    with nobody_can_write(crowded):
        people = [threading.Thread(target=open_order, args=(wish,)) for wish in wishes]
        for person in people:
            person.start()
        eventually(lambda: len(answers) >= 6)  # one is worked on, one waits, and soon has waited too long
    for person in people:
        person.join()
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) >= 6 and {fault_of(answer) for answer in refused} == {"too_busy"}
    served = [answer for answer in answers if answer.status_code == 200]
    assert len(served) + len(refused) == 8
    written = phone.ok("GET", "/api/v1/orders")["orders"]
    assert len(written) == len(served)
    again = send(phone, "POST", "/api/v1/orders", json=wishes[0])  # the same key, when it is calm
    assert again.status_code == 200
