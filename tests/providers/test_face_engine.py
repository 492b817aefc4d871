"""Whose face is it, and is anybody there: one photo from a package, bent into frames, and real pairs."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from app.errors import AppError, catalogue
from app.ports import Action, FaceDecision, FaceTemplate
from app.providers.face_engine import ERROR_OF, FaceEngine, distance, vector_of
from app.providers.face_images import PHOTO, pixels
from app.providers.face_models import MODEL_ID, Vector
from app.providers.face_quality import REASONS
from tests.providers.moving_faces import (
    DATA,
    LEFT_THEN_MOUTH,
    Head,
    a_relative,
    encoded,
    hopper,
    somebody_else,
    the_models,
)

ASKED = (Action.LEFT, Action.MOUTH)


@cache
def engine() -> FaceEngine:
    return FaceEngine(the_models())


@cache
def frames_of(who: str = "hopper") -> tuple[bytes, ...]:
    """Twelve frames of 720p: left and back, then the mouth."""
    people = {"hopper": hopper, "relative": a_relative, "else": somebody_else}
    return tuple(Head(the_models(), people[who]()).frames(LEFT_THEN_MOUTH))


def three() -> list[bytes]:
    """Three photos of one person, none a copy of another."""
    photo = hopper()
    darker = ImageEnhance.Brightness(photo.rotate(4, Image.Resampling.BICUBIC)).enhance(0.85)
    return [encoded(photo), encoded(darker), encoded(photo.crop((20, 10, 500, 590)))]


@cache
def template() -> FaceTemplate:
    return engine().enrol(three())


def code_of_enrolling(images: Sequence[bytes]) -> str:
    with pytest.raises(AppError) as refused:
        engine().enrol(images)
    return refused.value.code


def code_of_frames(frames: Sequence[bytes]) -> str:
    with pytest.raises(AppError) as refused:
        engine().verify(template(), frames, ASKED)
    return refused.value.code


def with_mask(photo: Image.Image) -> Image.Image:
    marks = the_models().marks(np.asarray(photo), the_models().find(np.asarray(photo), 800)[0])
    corners = [tuple(point) for point in marks[3:14]] + [tuple(marks[33])]
    ImageDraw.Draw(photo).polygon(corners, fill=(120, 170, 215))
    return photo


def with_dark_glasses(photo: Image.Image) -> Image.Image:
    marks = the_models().marks(np.asarray(photo), the_models().find(np.asarray(photo), 800)[0])
    for eye in (marks[36:42], marks[42:48]):
        (x, y), reach = eye.mean(axis=0), np.ptp(eye[:, 0])
        ImageDraw.Draw(photo).ellipse(
            (x - reach, y - reach * 0.7, x + reach, y + reach * 0.8), fill=(20, 20, 20)
        )
    return photo


def two_of(photo: Image.Image) -> Image.Image:
    both = Image.new("RGB", (2 * photo.width, photo.height))
    both.paste(photo, (0, 0))
    both.paste(ImageOps.mirror(photo), (photo.width, 0))
    return both


def far_away(photo: Image.Image) -> Image.Image:
    scene = Image.new("RGB", (1100, 1400), (140, 150, 160))
    scene.paste(photo.resize((256, 300)), (300, 500))
    return scene


# --- quality ---


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (hopper(), None),
        (ImageOps.mirror(hopper()), None),
        (Image.new("RGB", (600, 800), "white"), "no_face"),
        (hopper().rotate(90, expand=True), "no_face"),
        (two_of(hopper()), "several"),
        (far_away(hopper()), "too_small"),
        (hopper().crop((150, 110, 360, 340)).resize((800, 876)), "too_big"),
        (ImageEnhance.Brightness(hopper()).enhance(0.25), "too_dark"),
        (hopper().point(lambda value: 205 + value // 5), "too_bright"),
        (hopper().filter(ImageFilter.GaussianBlur(4)), "blur"),
        (with_mask(hopper()), "occluded"),
        (with_dark_glasses(hopper()), "occluded"),
    ],
)
def test_a_photo_that_will_not_do_has_its_reason(picture: Image.Image, reason: str | None) -> None:
    found = engine().quality(encoded(picture))
    assert (found.reason, found.ok) == (reason, reason is None)


def test_a_head_that_is_turned_is_asked_to_face_the_camera() -> None:
    turned = Head(the_models(), hopper()).turned(0.5)
    assert engine().quality(encoded(turned)).reason == "pose"


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence(reason: str) -> None:
    assert ERROR_OF[reason] in catalogue()


def test_a_photo_that_lies_on_its_side_is_enough_when_it_says_so() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    hopper().rotate(90, expand=True).save(file, "JPEG", exif=exif)
    assert engine().quality(file.getvalue()).ok


# --- enrolment ---


def test_three_photos_become_one_template_of_512_bytes() -> None:
    assert template().model_id == MODEL_ID and len(template().vector) == 512
    apart = [engine().compare_still(template(), photo)[0].distance for photo in three()]
    assert max(apart) < 0.2


def test_a_photo_of_poor_quality_is_named_by_its_reason() -> None:
    photos = three()
    blurred = encoded(hopper().filter(ImageFilter.GaussianBlur(4)))
    assert code_of_enrolling([photos[0], blurred, photos[2]]) == "face_blur"
    assert code_of_enrolling([photos[0], photos[1], encoded(two_of(hopper()))]) == "face_several"
    assert code_of_enrolling([b"<html>", *photos[1:]]) == "face_image_format"


def test_three_photos_of_one_person_are_needed() -> None:
    photos = three()
    assert code_of_enrolling(photos[:2]) == "face_three_needed"
    assert code_of_enrolling([*photos, photos[0]]) == "face_three_needed"
    assert code_of_enrolling([photos[0], photos[1], photos[0]]) == "face_same_photo"
    again = encoded(Image.open(io.BytesIO(photos[0])), quality=45)
    assert code_of_enrolling([photos[0], photos[1], again]) == "face_same_photo"
    assert code_of_enrolling([*photos[:2], encoded(somebody_else())]) == "face_not_one_person"


# --- verification ---


def test_who_did_as_asked_and_is_the_one_passes() -> None:
    verdict = engine().verify(template(), frames_of(), ASKED)
    assert (verdict.decision, verdict.reasons) == (FaceDecision.PASS, ())
    assert verdict.distance is not None and verdict.distance < 0.3


def test_one_check_of_twelve_frames_costs_little() -> None:
    engine().verify(template(), frames_of(), ASKED)  # warm
    assert engine().verify(template(), frames_of(), ASKED).cpu_seconds < 2.5


@pytest.mark.parametrize(
    ("who", "decision"), [("relative", FaceDecision.MIDDLE), ("else", FaceDecision.NO_MATCH)]
)
def test_who_looks_alike_is_asked_for_more_and_a_stranger_is_refused(
    who: str, decision: FaceDecision
) -> None:
    assert engine().compare_still(template(), stills()[who])[0].decision is decision


@cache
def stills() -> dict[str, bytes]:
    return {"relative": encoded(a_relative()), "else": encoded(somebody_else())}


@pytest.mark.parametrize(
    "asked",
    [
        (Action.MOUTH, Action.LEFT),
        (Action.RIGHT, Action.MOUTH),
        (Action.LEFT,),
        (Action.LEFT, Action.MOUTH, Action.RIGHT),
    ],
)
def test_other_movements_than_asked_are_tried_again_for_free(asked: tuple[Action, ...]) -> None:
    verdict = engine().verify(template(), frames_of(), asked)
    assert (verdict.decision, verdict.reasons) == (FaceDecision.RETRY, ("action_missed",))
    assert verdict.distance is None


def test_frames_in_another_order_are_not_what_was_asked() -> None:
    verdict = engine().verify(template(), frames_of()[::-1], ASKED)
    assert (verdict.decision, verdict.reasons) == (FaceDecision.RETRY, ("action_missed",))


def test_a_mirrored_film_turns_the_wrong_way() -> None:
    mirrored = [encoded(ImageOps.mirror(Image.open(io.BytesIO(frame)))) for frame in frames_of()]
    assert engine().verify(template(), mirrored, ASKED).reasons == ("action_missed",)


def test_the_owners_photo_between_somebody_elses_movements_is_not_the_owner() -> None:
    owner, other = frames_of(), frames_of("else")
    mixed = [owner[at] for at in (0, 1, 5, 6)] + [other[7]] + [owner[at] for at in (9, 10, 11)]
    verdict = engine().verify(template(), mixed, (Action.MOUTH,))
    assert (verdict.decision, verdict.reasons) == (FaceDecision.NO_MATCH, ("not_one_person",))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda photo: photo.filter(ImageFilter.GaussianBlur(9)), "blur"),
        (lambda photo: ImageEnhance.Brightness(photo).enhance(0.25), "too_dark"),
        (lambda photo: Image.blend(photo, Image.new("RGB", photo.size), 1.0), "no_face"),
    ],
    ids=["shaken", "dark", "black"],
)
def test_a_try_of_poor_quality_is_repeated_for_free_with_its_reason(spoil: object, reason: str) -> None:
    assert callable(spoil)
    frames = [spoil(Image.open(io.BytesIO(frame))) for frame in frames_of()]
    for number, frame in enumerate(frames):  # so that black frames are not copies of each other
        ImageDraw.Draw(frame).rectangle((40 * number, 0, 40 * number + 40, 40), fill="white")
    verdict = engine().verify(template(), [encoded(frame) for frame in frames], ASKED)
    assert (verdict.decision, verdict.reasons) == (FaceDecision.RETRY, (reason,))


# --- sets of frames that are refused ---


def test_too_few_too_many_and_too_large_frames_are_refused() -> None:
    frames = list(frames_of())
    assert code_of_frames(frames[:7]) == "face_frames"
    assert code_of_frames([*frames, *frames[:4]]) == "face_frames"
    large = encoded(Image.open(io.BytesIO(frames[0])).resize((1440, 2560)))
    assert code_of_frames([large, *frames[1:]]) == "face_image_pixels"


def test_a_frame_that_is_used_twice_is_refused_however_it_is_encoded() -> None:
    frames = list(frames_of())
    picture = Image.open(io.BytesIO(frames[0]))
    copies = [
        frames[0],
        encoded(picture, 95),
        encoded(picture, 40),
        encoded(picture, 60, "WEBP"),
        encoded(picture, kind="PNG"),
    ]
    for copy in (each for each in copies if len(each) <= 1024 * 1024):
        assert code_of_frames([*frames[:10], copy]) == "face_frames"


def test_frames_of_different_sizes_are_not_one_film() -> None:
    small = encoded(Image.open(io.BytesIO(frames_of()[11])).resize((540, 960)))
    assert code_of_frames([*frames_of()[:11], small]) == "face_frames"


@pytest.mark.parametrize(
    "other",
    [
        FaceTemplate("dlib-resnet-68pt-v1", bytes(512)),
        FaceTemplate(MODEL_ID, bytes(500)),
        FaceTemplate(MODEL_ID, np.full(128, np.nan, "<f4").tobytes()),
    ],
    ids=["another model", "cut off", "not numbers"],
)
def test_a_template_of_another_model_is_never_compared(other: FaceTemplate) -> None:
    with pytest.raises(AppError) as refused:
        engine().verify(other, frames_of(), ASKED)
    assert refused.value.code == "face_template_model"


# --- pairs: of the package's photo always, of real people where they are ---


def surrogate_pairs() -> list[tuple[str, Image.Image]]:
    photo = hopper()
    return [
        ("turned by 12 degrees", photo.rotate(12, Image.Resampling.BICUBIC)),
        ("half the size", photo.resize((256, 300))),
        ("darker", ImageEnhance.Brightness(photo).enhance(0.5)),
        ("mirrored", ImageOps.mirror(photo)),
    ]


@pytest.mark.parametrize(("name", "picture"), surrogate_pairs(), ids=lambda value: str(value)[:20])
def test_the_same_face_in_another_light_is_the_same_face(name: str, picture: Image.Image) -> None:
    assert engine().compare_still(template(), encoded(picture))[0].decision is FaceDecision.PASS


@cache
def real_people() -> dict[str, list[Path]]:
    """Photos by person; empty where the measuring pictures are not."""
    table = DATA / "labels.tsv"
    if not table.is_file():
        return {}
    found: dict[str, list[Path]] = {}
    with table.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["person"].startswith(("deepface", "ea-")):
                found.setdefault(row["person"], []).append(DATA / row["file"])
    return found


def vector_in(image: bytes) -> Vector:
    picture = pixels(image, PHOTO)
    return the_models().embed(picture, the_models().find(picture, PHOTO.side)[0])


def test_strangers_never_pass_and_most_of_ones_own_photos_do_not_get_refused() -> None:
    vectors = {
        person: [vector_in(photo.read_bytes()) for photo in photos[:3]]
        for person, photos in real_people().items()
    }
    vectors["hopper"] = [vector_of(template()), vector_in(encoded(hopper()))]
    own, others = [], []
    for (person, one), (another, two) in itertools.combinations(
        [(person, vector) for person, found in vectors.items() for vector in found], 2
    ):
        (own if person == another else others).append(distance(one, two))
    assert all(apart > 0.40 for apart in others)
    assert sum(apart <= 0.50 for apart in own) >= 0.85 * len(own)
