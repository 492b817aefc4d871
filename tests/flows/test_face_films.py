"""A film that was shown before proves nothing, however it was encoded: over HTTP, with a photo bent into
movements. What is kept to know it by goes with the consent."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from app.domain import replay
from app.domain.clock import FakeClock
from app.ports import Action, FaceTemplate, FaceVerdict
from app.providers.face_pool import FacePool
from app.store import models
from tests.conftest import database_url
from tests.flows.test_face_check import agree, answered, begun, film, send
from tests.flows.test_identity_check import checked, path
from tests.providers.moving_faces import Head, encoded, hopper, the_models
from tests.providers.test_face_engine import three
from tests.world import Phone, World, running_world

TRACES = models.metadata.tables["motion_traces"]
MIDDLE = "再加一个办法核对"


class Interrupted(FacePool):
    """Our own engine, in whose middle something else happens."""

    happening: Callable[[], object] | None = None

    def verify(
        self, template: FaceTemplate, frames: Sequence[bytes], actions: Sequence[Action]
    ) -> FaceVerdict:
        verdict = super().verify(template, frames, actions)
        if self.happening is not None:
            self.happening()
        return verdict


@pytest.fixture(scope="module")
def faces() -> Iterator[Interrupted]:
    pool = Interrupted(1, 8, 20)
    yield pool
    pool.close()


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, faces: Interrupted
) -> Iterator[World]:
    faces.happening = None
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock, faces=faces) as found:
        yield found


@pytest.fixture
def elder(world: World) -> Phone:
    """Enrolled."""
    found = world.elder("wang")
    agree(found)
    assert send(found, "/api/v1/me/face", "photos", three())[0] == 200
    return found


def copied(change: Callable[[Image.Image], Image.Image], quality: int = 85) -> list[bytes]:
    """The film of before, frame by frame another file and another picture."""
    decoded = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in film()]
    return [encoded(change(frame), quality) for frame in decoded]


@cache
def another_film() -> tuple[bytes, ...]:
    """The same movements on another day: the head held a little lower, turned and opened otherwise."""
    head = Head(the_models(), hopper(), 350)
    head.nod(0.08)
    return tuple(head.frames((0.01, 0.0, "mouth", 0.01, 0.0, 0.35, 0.58, 0.4, 0.0, -0.02)))


def kept(world: World) -> list[Any]:
    with world.deps.database.read() as tx:
        return list(tx.execute(select(TRACES)).all())


def tried(elder: Phone, page: dict[str, Any], frames: Sequence[bytes]) -> tuple[int, Any]:
    found: tuple[int, Any] = answered(elder, page, begun(elder, page), frames)
    return found


def proven(elder: Phone, page: dict[str, Any]) -> list[str]:
    return list(elder.ok("GET", path(page))["check"]["proven"])


def test_a_film_that_was_encoded_anew_asks_for_another_way_and_takes_a_try(
    world: World, elder: Phone
) -> None:
    first, second = checked(elder), checked(elder, 130_000)
    assert tried(elder, first, film())[0] == 200 and proven(elder, first) == ["face"]
    copies = [
        copied(lambda frame: frame.crop((20, 30, 700, 1240)), 60),
        copied(lambda frame: frame.resize((540, 960))),
        copied(lambda frame: frame.rotate(-2, Image.Resampling.BICUBIC), 70),
    ]
    for copy in copies:
        status, told = tried(elder, second, copy)
        assert status == 200, told
        assert told["screen"]["title"] == MIDDLE and proven(elder, second) == []
        assert any(choice["id"].startswith("check:desk:") for choice in told["screen"]["choices"])
        assert "replay" not in str(told), "no oracle for an attacker"
    assert elder.post(path(second, "/face"))[1]["code"] == "face_used_up"


def test_the_same_person_on_another_day_is_no_recording(world: World, elder: Phone) -> None:
    first, second = checked(elder), checked(elder, 130_000)
    assert tried(elder, first, film())[0] == 200
    assert tried(elder, second, another_film())[0] == 200
    assert proven(elder, first) == proven(elder, second) == ["face"]


def test_a_film_that_went_wrong_before_is_known_as_well(world: World, elder: Phone) -> None:
    page = checked(elder)
    challenge = elder.ok("POST", path(page, "/face"))
    while tuple(challenge["actions"]) == ("mouth", "left"):
        challenge = elder.ok("POST", path(page, "/face"))
    assert answered(elder, page, challenge, film())[1]["code"] == "face_action_missed"
    again = copied(lambda frame: frame.resize((630, 1120)))
    assert tried(elder, page, again)[1]["screen"]["title"] == MIDDLE


def test_what_is_kept_of_a_film_is_sealed_and_is_no_picture(world: World, elder: Phone) -> None:
    tried(elder, checked(elder), film())
    (row,) = kept(world)
    place = f"motion_traces.trace:{row.user_id}:{row.challenge_id}"
    opened = world.deps.vault.open(row.trace, place)
    assert len(replay.unpack(opened)) == len(film()) and len(opened) <= 1 + 16 * len(film())
    exported = elder.ok("GET", "/api/v1/me/export")
    assert row.trace not in str(exported)


def test_traces_go_when_the_consent_is_taken_back(world: World, elder: Phone) -> None:
    tried(elder, checked(elder), film())
    assert len(kept(world)) == 1
    elder.ok("DELETE", "/api/v1/me/consents/face")
    assert kept(world) == []


def test_a_consent_taken_back_while_the_frames_are_looked_at_leaves_nothing(
    world: World, elder: Phone, faces: Interrupted
) -> None:
    page = checked(elder)
    challenge = begun(elder, page)
    faces.happening = lambda: elder.ok("DELETE", "/api/v1/me/consents/face")
    status, body = answered(elder, page, challenge, film())
    assert (status, body["code"]) == (403, "consent_missing") and "请" in body["say"]
    assert kept(world) == [] and proven(elder, page) == []
