"""What every way to check a face promises, whoever compares: our own engine, or WeChat (its sandbox)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from app.domain.clock import FakeClock
from app.providers.face_pool import FacePool
from tests.conftest import database_url
from tests.flows.test_face_check import ID_NUMBER, agree, answered, begun, film, send
from tests.flows.test_identity_check import checked, path
from tests.providers.test_face_engine import three
from tests.world import Phone, World, running_world


class Camera(Protocol):
    """One provider, as a person with a phone meets it."""

    name: str
    seconds: int  # how long a challenge lives

    def prepare(self, elder: Phone) -> None: ...

    def begin(self, elder: Phone, page: dict[str, Any], who: str) -> dict[str, Any]: ...

    def answer(
        self, elder: Phone, page: dict[str, Any], challenge: dict[str, Any], who: str
    ) -> tuple[int, dict[str, Any]]: ...


class Local:
    name, seconds = "local", 90

    def __init__(self, world: World) -> None: ...

    def prepare(self, elder: Phone) -> None:
        agree(elder)
        assert send(elder, "/api/v1/me/face", "photos", three())[0] == 200

    def begin(self, elder: Phone, page: dict[str, Any], who: str) -> dict[str, Any]:
        return begun(elder, page, who)

    def answer(
        self, elder: Phone, page: dict[str, Any], challenge: dict[str, Any], who: str
    ) -> tuple[int, dict[str, Any]]:
        status, body = answered(elder, page, challenge, film(who))
        return status, body


class WeChat:
    name, seconds = "wechat", 3600

    def __init__(self, world: World) -> None:
        self._sandbox = world.sandbox

    def prepare(self, elder: Phone) -> None:
        elder.ok("PUT", "/api/v1/me/real-name", {"name": "王秀英", "id_number": ID_NUMBER})

    def begin(self, elder: Phone, page: dict[str, Any], who: str) -> dict[str, Any]:
        return elder.ok("POST", path(page, "/face"))

    def answer(
        self, elder: Phone, page: dict[str, Any], challenge: dict[str, Any], who: str
    ) -> tuple[int, dict[str, Any]]:
        self._sandbox.facial_verify(challenge["verify_id"], "pass" if who == "self" else "fail", "wang")
        told = {"challenge_id": challenge["challenge_id"]}
        return elder.post(path(page, "/face/result"), told)


@pytest.fixture(scope="module")
def faces() -> Iterator[FacePool]:
    pool = FacePool(1, 8, 20)
    yield pool
    pool.close()


@pytest.fixture(params=[Local, WeChat], ids=lambda camera: camera.name)
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, faces: FacePool
) -> Iterator[tuple[World, Camera, Phone]]:
    with a_scene(database_url(request, "sqlite", tmp_path), tmp_path, clock, request.param, faces) as found:
        yield found


@contextmanager
def a_scene(
    url: str, folder: Path, clock: FakeClock, provider: type[Camera], faces: FacePool | None
) -> Iterator[tuple[World, Camera, Phone]]:
    """A world with this provider, and an elder whose face it can check."""
    with running_world(folder, url, clock, faces=faces, FACE=provider.name) as world:
        camera = provider(world)  # type: ignore[call-arg]
        elder = world.elder("wang")
        camera.prepare(elder)
        yield world, camera, elder


def proven(elder: Phone, page: dict[str, Any]) -> list[str]:
    """The factors of an order, however far it is."""
    status, body = elder.get(path(page))
    return list(body["check"]["proven"]) if status == 200 else [body["code"]]


def test_the_right_face_counts_for_its_order_and_no_other(scene: tuple[World, Camera, Phone]) -> None:
    _world, camera, elder = scene
    first, second = checked(elder), checked(elder, 130_000)
    challenge = camera.begin(elder, first, "self")
    assert camera.answer(elder, second, challenge, "self")[1]["code"] == "challenge_over"
    assert camera.answer(elder, first, challenge, "self")[0] == 200
    assert proven(elder, first) in (["face"], ["check_not_open"]), "WeChat's is enough alone"
    assert proven(elder, second) == []


def test_another_face_proves_nothing_and_the_other_ways_stay(scene: tuple[World, Camera, Phone]) -> None:
    _world, camera, elder = scene
    page = checked(elder)
    status, told = camera.answer(elder, page, camera.begin(elder, page, "other"), "other")
    assert status == 200 and told["screen"]["title"] == "这次没有认出来"
    assert proven(elder, page) == []
    assert any(choice["id"].startswith("check:desk:") for choice in told["screen"]["choices"])


def test_a_challenge_is_answered_once(scene: tuple[World, Camera, Phone]) -> None:
    _world, camera, elder = scene
    page = checked(elder)
    challenge = camera.begin(elder, page, "other")
    camera.answer(elder, page, challenge, "other")
    status, body = camera.answer(elder, page, challenge, "self")
    assert (status, body["code"]) == (409, "challenge_over") and proven(elder, page) == []


def test_a_challenge_has_its_time(scene: tuple[World, Camera, Phone]) -> None:
    world, camera, elder = scene
    page = checked(elder)
    challenge = camera.begin(elder, page, "self")
    world.clock.tick(seconds=camera.seconds + 1)
    status, body = camera.answer(elder, page, challenge, "self")
    assert (status, body["code"]) in ((409, "challenge_over"), (409, "order_over"))


def test_a_face_is_looked_at_only_for_an_order_that_waits_for_it(scene: tuple[World, Camera, Phone]) -> None:
    _world, _camera, elder = scene
    order = elder.open_order(5_000)
    assert elder.post(path({"order": order}, "/face"))[1]["code"] == "order_over"
    elder.confirm(order)
    assert elder.post(path({"order": order}, "/face"))[1]["code"] == "check_not_open"


@pytest.mark.parametrize("provider", [Local, WeChat], ids=lambda camera: camera.name)
def test_when_nobody_can_compare_the_person_hears_of_the_other_ways(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, provider: type[Camera]
) -> None:
    url = database_url(request, "sqlite", tmp_path)
    with a_scene(url, tmp_path, clock, provider, None) as (world, camera, elder):  # a pool of its own
        page = checked(elder)
        challenge = camera.begin(elder, page, "self")
        if provider is WeChat:
            world.sandbox.outage("faces", "refuses")
        else:
            world.deps.faces.close()
        status, body = camera.answer(elder, page, challenge, "self")
        assert status == 503 and "换一" in body["say"] and proven(elder, page) == []
