"""How well a film is known again that was encoded anew, and how often another film is taken for it.

Films are photos bent into movements (tests/providers/moving_faces.py), drawn anew each time: how far, how
fast, how wide, how the phone is held. The face between the movements is one still picture, which no living
face is: two films of one photo are harder to tell apart than two of a person, two of photos that were taken
years apart are easier. The truth lies between, and was not measured.
"""

from __future__ import annotations

import io
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from app.domain.liveness import LEFT, MOUTH, RIGHT, performed, watch
from app.domain.replay import ALIKE, Trace, how_far
from app.errors import AppError
from app.providers.face_engine import SEARCHED
from app.providers.face_images import FRAME, PHOTO, pixels
from app.providers.face_models import FaceModels
from app.providers.face_quality import look
from app.providers.face_trace import pose_of
from bench.face_accuracy import rate
from tests.providers.moving_faces import Head, encoded, hopper

SIZE = (480, 640)
SIDES = (190, 220, 250)  # of the face, in pixels
PHOTOS_EACH = 2
TAKES = (
    ("first", 1, 0.0),
    ("again", 1, 0.0),
    ("higher", 1, -1.0),
    ("lower", 1, 1.0),
    ("other side", -1, 0.0),
)
CAPTION = (
    "Films are photos bent into movements. Moved anew, held anew: the face between the movements is one "
    "still picture, which no living face is. Another photo: taken years apart. What two films of one elder "
    "in one week are like lies between, and was not measured. A film that is bent on purpose is not found."
)
Change = Callable[[Image.Image, random.Random], Image.Image]


def _shifted(picture: Image.Image, rng: random.Random) -> Image.Image:
    moved = (1, 0, rng.uniform(-20, 20), 0, 1, rng.uniform(-20, 20))
    return picture.transform(picture.size, Image.Transform.AFFINE, moved, Image.Resampling.BICUBIC)


def _cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    wide, high = picture.size
    corners = (left * wide, top * high, (1 - right) * wide, (1 - bottom) * high)
    return picture.crop(tuple(round(each) for each in corners))


def _sized(picture: Image.Image, share: float, stretch: float = 1.0) -> Image.Image:
    size = (round(picture.width * share), round(picture.height * share * stretch))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _everything(picture: Image.Image, rng: random.Random) -> Image.Image:
    cut = _cropped(picture, *(rng.uniform(0, 0.05) for _ in range(4)))
    lit = ImageEnhance.Brightness(cut).enhance(rng.uniform(0.8, 1.2))
    return _sized(lit.resize(picture.size), 0.7)


# What a copy was put through: (the change, the JPEG's quality). Together they are the replays.
CHANGES: dict[str, tuple[Change, int]] = {
    "JPEG 40": (lambda picture, _rng: picture, 40),
    "JPEG 95": (lambda picture, _rng: picture, 95),
    "half the size": (lambda picture, _rng: _sized(picture, 0.5), 80),
    "three quarters": (lambda picture, _rng: _sized(picture, 0.75), 80),
    "cropped by 2 %": (lambda picture, _rng: _cropped(picture, 0.01, 0.02, 0.01, 0), 85),
    "cropped by 10 %": (lambda picture, _rng: _cropped(picture, 0.1, 0.03, 0, 0.07), 85),
    "shifted": (_shifted, 85),
    "brighter": (lambda picture, _rng: ImageEnhance.Brightness(picture).enhance(1.2), 85),
    "darker": (lambda picture, _rng: ImageEnhance.Brightness(picture).enhance(0.8), 85),
    "tilted": (lambda picture, _rng: picture.rotate(5, Image.Resampling.BICUBIC), 85),
    "mirrored": (lambda picture, _rng: ImageOps.mirror(picture), 85),
    "drawn longer": (lambda picture, _rng: _sized(picture, 1.0, 1.05), 85),
    "all of it": (_everything, 60),
}


@dataclass
class Films:
    """One photo's traces by take, and those of the copies of its first take by change."""

    person: str
    takes: dict[str, Trace] = field(default_factory=dict)
    copies: dict[str, Trace] = field(default_factory=dict)


def measure(
    models: FaceModels, chosen: Sequence[tuple[str, Path | None]], step: Callable[[], None]
) -> dict[str, Any]:
    """Everything, as JSON, of films made from the chosen photos (`chosen_of`)."""
    films = []
    for person, photo in chosen:
        made = _films_of(models, person, photo)
        films += [made] if made else []
        step()
    copies = [(name, copy, each.takes["first"]) for each in films for name, copy in each.copies.items()]
    groups = {"a film encoded anew": [how_far(copy, first) for _, copy, first in copies]}
    groups |= {name: [] for name in ("one photo, moved anew", "one photo, held anew", "another photo")}
    for one, other in itertools.combinations(films, 2):
        if one.person == other.person:
            pairs = itertools.product(one.takes.values(), other.takes.values())
            groups["another photo"] += [how_far(*pair) for pair in pairs]
    for each in films:
        for (name, one), (another, two) in itertools.combinations(each.takes.items(), 2):
            still = {name, another} <= {"first", "again", "other side"}
            groups["one photo, moved anew" if still else "one photo, held anew"].append(how_far(one, two))
    return {
        "threshold": ALIKE,
        "photos": len(films),
        "of": len(chosen),
        "apart": {name: sorted(round(each, 2) for each in found) for name, found in groups.items()},
        "missed": rate([each > ALIKE for each in groups["a film encoded anew"]]),
        "missed_by_change": {
            change: rate([how_far(copy, first) > ALIKE for name, copy, first in copies if name == change])
            for change in CHANGES
        },
        "taken_for_a_copy": {
            name: rate([each <= ALIKE for each in found])
            for name, found in groups.items()
            if name != "a film encoded anew"
        },
    }


def chosen_of(people: dict[str, list[Path]], quick: bool) -> list[tuple[str, Path | None]]:
    """(person, photo): of each at most two; None for the photo of a package."""
    found = [(person, photo) for person, photos in people.items() for photo in photos[:PHOTOS_EACH]]
    return [*found[: 4 if quick else None], ("package", None)]


def _films_of(models: FaceModels, person: str, photo: Path | None) -> Films | None:
    """Films of one photo that do as they were asked; None when its first does not."""
    found = Films(person)
    try:
        picture = Image.fromarray(pixels(photo.read_bytes(), PHOTO)) if photo else hopper()
    except AppError:
        return None
    if not models.find(np.asarray(picture), PHOTO.side):
        return None
    for name, side, nod in TAKES:
        rng = random.Random(f"{photo.name if photo else person} {name}")
        frames = _filmed(models, picture, rng, side, nod)
        asked = (MOUTH, LEFT if side > 0 else RIGHT)
        trace = _trace(models, frames, asked)
        if trace:
            found.takes[name] = trace
        if name == "first":
            if not trace:
                return None
            for change, (made, quality) in CHANGES.items():
                decoded = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
                copied = [encoded(made(frame, rng), quality) for frame in decoded]
                found.copies[change] = _trace(models, copied, None)
    return found


def _filmed(
    models: FaceModels, picture: Image.Image, rng: random.Random, side: int, nod: float
) -> list[bytes]:
    """The mouth, then a turn to this side; with `nod` the head is held lower (> 0) or higher throughout."""
    head = Head(models, picture, rng.choice(SIDES), SIZE)
    if nod:
        head.nod(nod * rng.uniform(0.05, 0.12))
    top = side * rng.uniform(0.45, 0.65)
    turn = [top * rng.uniform(0.3, 0.6)] if rng.random() < 0.6 else []
    turn += [top * rng.uniform(0.88, 1.0) for _ in range(rng.choice([1, 2, 3]))]
    turn += [top * rng.uniform(0.2, 0.5)] if rng.random() < 0.5 else []
    opened = [rng.uniform(0.4, 0.75) for _ in range(rng.choice([1, 2, 3]))]
    shown = [
        *(head.turned(each) for each in _calm(rng)),
        *(head.mouth_open(each) for each in opened),
        *(head.turned(each) for each in [*_calm(rng), *turn, *_calm(rng)]),
    ]
    return [encoded(_held(frame, rng), 88) for frame in shown]


def _calm(rng: random.Random) -> list[float]:
    return [rng.uniform(-0.03, 0.03) for _ in range(2)]


def _held(picture: Image.Image, rng: random.Random) -> Image.Image:
    """As a phone in the hand sees it: a little tilted, nearer or farther, and elsewhere."""
    tilt, size = math.radians(rng.uniform(-4, 4)), rng.uniform(0.95, 1.06)
    along, aside = math.cos(tilt) * size, math.sin(tilt) * size
    x, y = picture.width / 2, picture.height / 2
    right, down = x + rng.uniform(-12, 12), y + rng.uniform(-12, 12)
    places = (along, aside, right - along * x - aside * y, -aside, along, down + aside * x - along * y)
    return picture.transform(picture.size, Image.Transform.AFFINE, places, Image.Resampling.BICUBIC)


def _trace(models: FaceModels, frames: Sequence[bytes], asked: Sequence[str] | None) -> Trace:
    """As the engine makes it; () for a film that does not do what was `asked`."""
    pictures = [pixels(frame, FRAME) for frame in frames]
    looks = [look(models, picture, SEARCHED, facing=False) for picture in pictures]
    seen = watch([None if isinstance(found, str) else found.moment for found in looks])
    if asked is not None and not performed(seen, asked):
        return ()
    return tuple(
        pose_of(models, picture, found.box)
        for picture, found in zip(pictures, looks, strict=True)
        if not isinstance(found, str)
    )
