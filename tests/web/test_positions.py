"""Over HTTP: answers tell how far the database had come, and whoever says it is never shown less.

A real streaming replica for every test (tests/store/test_replica.py has the rules one by one).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from app.domain.clock import SystemClock
from app.web.edge import POSITION
from tests import cluster
from tests.cluster import Cluster, eventually
from tests.schema import migrate
from tests.web.asking import send
from tests.world import Phone, World, running_world


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    with cluster.running(wal_level="replica", fsync="off") as server:
        server.run("CREATE DATABASE served")
        migrate(server.url("served"))
        yield server


@pytest.fixture
def replica(primary: Cluster) -> Iterator[Cluster]:
    with cluster.streaming(primary) as found:
        yield found


@pytest.fixture
def world(primary: Cluster, replica: Cluster, tmp_path: Path) -> Iterator[World]:
    settings = {"DATABASE_REPLICA_URL": replica.url("served")}
    with running_world(tmp_path, primary.url("served"), SystemClock(), **settings) as found:  # type: ignore[arg-type]
        yield found


def position_of(answer: requests.Response) -> str:
    assert answer.status_code < 300, answer.text
    return answer.headers[POSITION]


def look(phone: Phone, order_id: str, position: str | None = None) -> requests.Response:
    headers = {} if position is None else {POSITION: position}
    return send(phone, "GET", f"/api/v1/orders/{order_id}", headers=headers)


def at_the_replica(answer: requests.Response) -> bool:
    """Such an answer tells no position: its client keeps the one it has."""
    return answer.status_code == 200 and POSITION not in answer.headers


def wish(phone: Phone, key: str) -> dict[str, object]:
    return {
        "card_id": phone.cards[0],
        "amount_fen": 5000,
        "method": "wechat_balance",
        "client_key": key,
    }


def test_answers_tell_positions_and_requests_that_say_them_see_what_they_wrote(
    world: World, replica: Cluster
) -> None:
    phone = world.elder("reader")
    opened = send(phone, "POST", "/api/v1/orders", json=wish(phone, "replica-0001"))
    order_id, position = opened.json()["order"]["id"], position_of(opened)
    assert POSITION in look(phone, order_id).headers  # it said nothing: the primary answered
    eventually(lambda: at_the_replica(look(phone, order_id, position)))
    replica.run("SELECT pg_wal_replay_pause()")
    later = send(phone, "POST", "/api/v1/orders", json=wish(phone, "replica-0002"))
    newest = look(phone, later.json()["order"]["id"], position_of(later))
    assert newest.status_code == 200 and POSITION in newest.headers
    cancelled = send(phone, "POST", f"/api/v1/orders/{order_id}/cancel")
    shown = look(phone, order_id, position_of(cancelled)).json()
    assert shown["order"]["state"] == "cancelled"


def test_an_ended_session_is_ended_at_once_however_far_behind_the_replica_is(
    world: World, replica: Cluster
) -> None:
    phone = world.elder("leaver")
    opened = send(phone, "POST", "/api/v1/orders", json=wish(phone, "replica-0003"))
    order_id, position = opened.json()["order"]["id"], position_of(opened)
    eventually(lambda: at_the_replica(look(phone, order_id, position)))
    replica.run("SELECT pg_wal_replay_pause()")
    assert send(phone, "DELETE", "/api/v1/sessions/current").status_code == 204
    assert look(phone, order_id, position).status_code == 401


def test_no_request_fails_while_the_replica_is_killed_and_brought_back(
    world: World, replica: Cluster
) -> None:
    phone = world.elder("patient")
    opened = send(phone, "POST", "/api/v1/orders", json=wish(phone, "replica-0004"))
    order_id, position = opened.json()["order"]["id"], position_of(opened)
    eventually(lambda: at_the_replica(look(phone, order_id, position)))
    over = threading.Event()
    statuses: list[int] = []

    def keep_looking() -> None:
        while not over.is_set():
            statuses.append(look(phone, order_id, position).status_code)

    lookers = [threading.Thread(target=keep_looking) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _turn in range(2):
            replica.kill()
            time.sleep(0.5)
            replica.start()
            eventually(lambda: at_the_replica(look(phone, order_id, position)))
    finally:
        over.set()
        for looker in lookers:
            looker.join()
    assert set(statuses) == {200} and len(statuses) > 20


def test_operators_are_told_what_keeps_the_replica_from_being_read(world: World, replica: Cluster) -> None:
    def told() -> dict[str, object]:
        answer = requests.get(f"{world.base_url}/readyz", timeout=30).json()
        found: dict[str, object] = next(part for part in answer["parts"] if part["name"] == "replica")
        return found

    eventually(lambda: told() == {"name": "replica", "ok": True, "detail": "streaming"})
    replica.kill()
    eventually(lambda: told()["ok"] is False)
    assert requests.get(f"{world.base_url}/readyz", timeout=30).status_code == 200  # the primary reads too
    replica.start()
    eventually(lambda: told()["ok"] is True)
