"""What else people, and attackers, may send instead of their face: a kind sentence each, over HTTP, no try
gone, and not a word about how near it came."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from sqlalchemy import update

from app.domain.clock import FakeClock
from app.providers.face_pool import FacePool
from app.store import models
from tests.conftest import database_url
from tests.flows.test_face_check import agree, answered, begun, film, send
from tests.flows.test_identity_check import checked, path
from tests.providers.moving_faces import encoded, hopper
from tests.providers.test_face_engine import three, two_of
from tests.providers.test_face_images import JPEG, MOVING, MOVING_PNG, jpeg_of, png_of, zipped
from tests.world import Phone, World, running_world

TEMPLATES = models.metadata.tables["face_templates"]
UNREADABLE = {"face_image_unreadable", "face_image_pixels"}


@pytest.fixture(scope="module")
def faces() -> Iterator[FacePool]:
    pool = FacePool(1, 8, 20)
    yield pool
    pool.close()


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, faces: FacePool
) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock, faces=faces) as found:
        yield found


@pytest.fixture
def elder(world: World) -> Phone:
    """Enrolled."""
    found = world.elder("wang")
    agree(found)
    assert send(found, "/api/v1/me/face", "photos", three())[0] == 200
    return found


def numbered(picture: Image.Image) -> list[bytes]:
    """Eight frames of one scene in which only a light wanders."""
    found = []
    for number in range(8):
        frame = picture.copy()
        ImageDraw.Draw(frame).rectangle((40 * number, 0, 40 * number + 40, 60), fill="white")
        found.append(encoded(frame))
    return found


@cache
def kinds() -> dict[str, tuple[bytes, set[str]]]:
    """One bad picture of each kind, and how it may be refused."""
    return {
        "no picture at all": (b"<html></html>", {"face_image_format"}),
        "nothing": (b"", {"face_image_empty"}),
        "no pixels": (png_of(0, 0), UNREADABLE),
        "no pixels, as a JPEG": (jpeg_of(0, 0), UNREADABLE),
        "far too many pixels": (png_of(30_000, 30_000), {"face_image_pixels"}),
        "far too many, as a JPEG": (jpeg_of(30_000, 30_000), {"face_image_pixels"}),
        "a moving WebP": (MOVING, {"face_image_moving"}),
        "a moving PNG": (MOVING_PNG, {"face_image_moving"}),
        "a picture that is an archive too": (JPEG + zipped(), {"face_image_unreadable"}),
        "a picture that is a page too": (JPEG + b"<script>alert(1)</script>", {"face_image_unreadable"}),
    }


def is_kind(status: int, body: dict[str, Any], codes: set[str]) -> None:
    assert 400 <= status < 500 and body["code"] in codes, body
    assert "请" in body["say"] and body["say"].endswith("。")
    assert not {"distance", "score", "threshold", "reasons"} & set(body), "no oracle"


def test_bad_pictures_are_refused_kindly_and_cost_no_try(world: World, elder: Phone) -> None:
    page = checked(elder)
    for number, (name, (picture, codes)) in enumerate(kinds().items()):
        if number % 5 == 0:
            page = checked(elder, 120_000 + 1000 * number)
        frames = [*film(take=number)[:7], picture]
        challenge = elder.ok("POST", path(page, "/face"))  # whatever is asked: nobody gets that far
        status, body = answered(elder, page, challenge, frames)
        is_kind(status, body, codes)
        status, body = send(elder, "/api/v1/me/face", "photos", [*three()[:2], picture])
        is_kind(status, body, codes)
        assert elder.ok("GET", path(page))["check"]["proven"] == [], name
    begun(elder, page)
    assert elder.ok("GET", "/api/v1/me/face")["enrolled_at"], "the old template stays"


@pytest.mark.parametrize(
    ("picture", "code"),
    [(two_of(hopper()), "face_several"), (Image.new("RGB", (600, 800), (90, 110, 130)), "face_no_face")],
    ids=["two faces", "no face"],
)
def test_two_faces_and_none_are_told_apart_for_the_person(
    world: World, elder: Phone, picture: Image.Image, code: str
) -> None:
    page = checked(elder)
    is_kind(*answered(elder, page, begun(elder, page), numbered(picture)), {code})
    is_kind(*send(elder, "/api/v1/me/face", "photos", numbered(picture)[:3]), {code})
    begun(elder, page)


def test_a_template_of_another_model_proves_nothing_and_names_another_way(world: World, elder: Phone) -> None:
    with world.deps.database.write() as tx:
        tx.execute(update(TEMPLATES).values(model_id="dlib-resnet-68pt-v1"))
    page = checked(elder)
    status, body = answered(elder, page, begun(elder, page), film())
    is_kind(status, body, {"face_template_model"})
    assert body["next"] == "choose" and elder.ok("GET", path(page))["check"]["proven"] == []


def test_too_few_and_too_many_frames_are_refused_before_anybody_looks(world: World, elder: Phone) -> None:
    page = checked(elder)
    many = [encoded(Image.open(io.BytesIO(JPEG)).rotate(number)) for number in range(16)]
    for frames in (film()[:7], many):
        is_kind(*answered(elder, page, begun(elder, page), frames), {"face_frames"})
