"""The stream of a help session, over a real socket: in order, without gaps, once, and by ticket only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.clock import FakeClock
from app.domain.family import Role
from app.live.hub import Stream
from app.store.help_rows import HelpEvent
from tests.conftest import DATABASES, database_url
from tests.helping import Following, Help, helped, live_server, with_role
from tests.live import free_port
from tests.world import World, running_world


@pytest.fixture(params=DATABASES)
def live(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    """A small world with the server of the streams beside it."""
    port, url = free_port(), database_url(request, request.param, tmp_path)
    address = f"http://127.0.0.1:{port}"
    with running_world(tmp_path, url, clock, LIVE_URL=address) as world, live_server(world.deps, port):
        yield world


def both(help: Help) -> tuple[Following, Following]:
    return Following(help.address(help.elder)), Following(help.address(help.relative))


def refused(address: str) -> tuple[int, str]:
    answer = requests.get(address, timeout=10)
    return answer.status_code, answer.json()["code"]


def test_each_side_sees_what_the_other_does(live: World) -> None:
    help = helped(live)
    elder, daughter = both(help)
    elder.wait_for("joined")  # the elder hears that the daughter is there
    shown = help.elder_is_shown("home")
    seen = daughter.wait_for("screen")
    assert seen["choices"] == [choice["label"] for choice in shown["choices"]] and seen["side"] == "elder"
    help.relative.ok("POST", help.path("/point"), {"screen": daughter.numbers()[-1], "choice": 1})
    assert elder.wait_for("point")["choice"] == 1
    help.relative.ok("POST", help.path("/messages"), {"text": "点充值"})
    assert elder.wait_for("message")["text"] == "点充值"
    help.elder.ok("POST", help.path("/end"))
    assert elder.wait_for("ended")["by"] == daughter.wait_for("ended")["by"] == "elder"
    assert elder.ended.wait(10) and daughter.ended.wait(10)
    assert elder.numbers() == daughter.numbers() == list(range(1, 7))


def test_a_stream_that_has_just_opened_waits_for_what_came_first(clock: FakeClock) -> None:
    """The bell rang for the second event while the first was still being read."""
    first, second = (HelpEvent(n, "house", "joined", {}, clock.now()) for n in (1, 2))
    stream = Stream("hlp", 0)
    stream.give([second])
    assert stream.take() == []
    stream.give([first, second])
    assert stream.take() == [first, second]


def test_a_ticket_opens_one_stream_of_its_own_session_within_a_minute(live: World) -> None:
    help, other = helped(live), helped(live, "li", "3104870300000000002")
    used = help.address(help.relative)
    stream = Following(used)
    assert stream.status == 200
    not_there = (404, "help_not_found")
    assert refused(used) == not_there
    foreign = other.address(other.relative)
    assert refused(foreign.replace(other.id, help.id)) == not_there
    assert refused(help.address(help.relative).split("?")[0]) == not_there
    assert refused(help.address(help.relative)[:-1] + "~") == not_there
    late = help.address(help.relative)
    live.clock.tick(seconds=60)
    assert refused(late) == not_there
    stream.hang_up()


def test_a_dropped_socket_takes_up_where_it_was_without_loss_or_doubling(live: World) -> None:
    help = helped(live)
    first = Following(help.address(help.elder))
    help.relative.ok("POST", help.path("/messages"), {"text": "一"})
    first.wait_for("message")
    first.hang_up()
    for word in ("二", "三"):
        help.relative.ok("POST", help.path("/messages"), {"text": word})
    again = Following(help.address(help.elder), last=first.numbers()[-1])
    help.relative.ok("POST", help.path("/messages"), {"text": "四"})
    help.relative.ok("POST", help.path("/end"))
    assert again.ended.wait(10)
    said = [body["text"] for _n, kind, body in first.events + again.events if kind == "message"]
    assert said == ["一", "二", "三", "四"]
    assert first.numbers() + again.numbers() == list(range(1, 7))


def test_a_page_resumes_by_its_address_where_it_cannot_send_a_header(live: World) -> None:
    help = helped(live)
    help.relative.ok("POST", help.path("/messages"), {"text": "一"})
    stream = Following(help.address(help.elder) + "&after=1")
    assert stream.wait_for("message")["text"] == "一" and stream.numbers() == [2]
    assert refused(help.address(help.elder) + "&after=x") == (422, "request_invalid")
    stream.hang_up()


def take_the_role(world: World, help: Help) -> None:
    with_role(world.deps.database, help.elder, help.relative, Role.PAY)


def end_the_tie(world: World, help: Help) -> None:
    help.relative.ok("DELETE", f"/api/v1/elders/{elder_id_of(help)}")


def let_the_time_pass(world: World, help: Help) -> None:
    world.clock.tick(minutes=10)


def elder_id_of(help: Help) -> str:
    found: str = help.relative.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"]
    return found


@pytest.mark.parametrize(
    ("change", "by"), [(end_the_tie, "tie"), (take_the_role, "tie"), (let_the_time_pass, "time")]
)
def test_both_streams_end_when_the_session_may_not_go_on(live: World, change: Any, by: str) -> None:
    help = helped(live)
    streams = both(help)
    change(live, help)
    for stream in streams:
        assert stream.wait_for("ended")["by"] == by and stream.ended.wait(10)
    assert help.elder.post(help.path("/ticket"))[0] == 404


def test_only_the_page_itself_may_read_a_stream_in_a_browser(live: World) -> None:
    help = helped(live)
    stream = Following(help.address(help.elder))
    assert stream.answer.headers["Access-Control-Allow-Origin"] == live.deps.settings.public_url
    assert stream.answer.headers["Content-Type"] == "text/event-stream"
    stream.hang_up()


def test_anything_else_is_not_there(live: World) -> None:
    base = live.deps.settings.live_url
    assert refused(f"{base}/live/help/{'x' * 300}?ticket=y") == (404, "help_not_found")
    assert refused(f"{base}/") == (404, "not_found")
    assert requests.post(f"{base}/live/help/x", timeout=10).json()["code"] == "method_not_allowed"


def ready(world: World) -> dict[str, Any]:
    """What /readyz says of the streams; people are served whatever it is."""
    answer = requests.get(f"{world.base_url}/readyz", timeout=10)
    assert answer.status_code == 200
    found: dict[str, Any] = next(part for part in answer.json()["parts"] if part["name"] == "streams")
    return found


def test_operators_hear_how_many_streams_are_open_and_whether_anybody_listens(live: World) -> None:
    help = helped(live)
    stream = Following(help.address(help.elder))
    health = requests.get(f"{live.deps.settings.live_url}/live/healthz", timeout=10).json()
    assert health == {"status": "ok", "streams": 1, "problem": None}
    assert ready(live)["ok"]
    stream.hang_up()
    eventually(lambda: open_streams(live) == 0)


def open_streams(world: World) -> int:
    answer = requests.get(f"{world.deps.settings.live_url}/live/healthz", timeout=10)
    return int(answer.json()["streams"])


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_side_that_joins_again_and_again_keeps_only_its_newest_streams(live: World) -> None:
    help = helped(live)
    streams = [Following(help.address(help.relative)) for _again in range(6)]
    assert streams[0].ended.wait(10) and streams[1].ended.wait(10)
    help.relative.ok("POST", help.path("/messages"), {"text": "好"})
    assert streams[-1].wait_for("message")["text"] == "好"
    assert open_streams(live) == 4
    for stream in streams[2:]:
        stream.hang_up()


def test_streams_of_a_person_who_is_erased_end(live: World) -> None:
    help = helped(live)
    streams = both(help)
    token = help.elder.ok("POST", "/api/v1/me/erase", {})["token"]
    help.elder.ok("POST", "/api/v1/me/erase", {"token": token})
    assert all(stream.ended.wait(10) for stream in streams)


def test_without_the_streams_help_is_granted_all_the_same_and_operators_are_told(world: World) -> None:
    help = helped(world)
    help.relative.ok("POST", help.path("/messages"), {"text": "好"})
    assert ready(world) == {"name": "streams", "ok": False, "detail": "no live help: not_connected"}
