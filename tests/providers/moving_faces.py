"""Frames of a moving head, made from one photo: the face is bent like a relief and its lips are parted.

Good enough for dlib's landmarks and embedding to follow, which is what the tests need, and what an attacker
with the same forty lines could do (docs/adr/013: not defended).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from app.config import REPOSITORY
from app.providers.face_models import Box, FaceModels

HOPPER = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
DATA = REPOSITORY.parent / "shared" / "data" / "faces"  # for measuring; not in the repository
WIDE, HIGH = 720, 1280
_DRIFT = ((0, 0), (9, 4), (-7, 8), (12, -6), (-10, -9), (5, 12), (-4, -12))


@cache
def the_models() -> FaceModels:
    """Loaded once a process."""
    return FaceModels()


def hopper() -> Image.Image:
    return Image.open(HOPPER).convert("RGB")


def somebody_else() -> Image.Image:
    """The same photo, drawn so long that it is another person: 0.53 apart."""
    return hopper().resize((420, 840))


def a_relative() -> Image.Image:
    """Less so: between the strict threshold and the middle one."""
    return hopper().resize((450, 810))


class Head:
    """One photo, on a canvas of `size` (width, height), ready to be moved."""

    def __init__(
        self,
        models: FaceModels,
        picture: Image.Image,
        face_side: int = 330,
        size: tuple[int, int] = (WIDE, HIGH),
    ) -> None:
        box = models.find(np.asarray(picture), 800)[0]
        scale = face_side / box.side
        large = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        found = box.scaled(scale)
        wide, high = size
        self._canvas = Image.new("RGB", size, (120, 128, 135))
        at = (wide // 2 - (found.left + found.right) // 2, high // 2 - (found.top + found.bottom) // 2)
        self._canvas.paste(large, at)
        moved = Box(found.top + at[1], found.right + at[0], found.bottom + at[1], found.left + at[0])
        self._marks = models.marks(np.asarray(self._canvas), moved)

    def turned(self, amount: float) -> Image.Image:
        """`amount` > 0: to the person's own left. The nose moves by that share of half the face's width."""
        jaw, nose = self._marks[:17], self._marks[30]
        middle = (jaw[0] + jaw[16]) / 2
        half = abs(jaw[16, 0] - jaw[0, 0]) / 2
        x, y = self._places()
        down = np.clip(1 - ((y - nose[1]) / (1.9 * half)) ** 2, 0, None)
        source = x
        for _ in range(12):  # where did this pixel come from? The shift is of the place it came from
            across = np.clip(1 - ((source - middle[0]) / (1.02 * half)) ** 2, 0, None)
            source = x - amount * half * across * down
        return Image.fromarray(_sampled(np.asarray(self._canvas), source, y))

    def mouth_open(self, share: float = 0.6) -> Image.Image:
        """The lower lip and the chin go down by `share` of the lips' width; dark between."""
        left, right = self._marks[60], self._marks[64]
        width = right[0] - left[0]
        line = (self._marks[61:64, 1].mean() + self._marks[65:68, 1].mean()) / 2
        x, y = self._places()
        across = np.clip(1 - ((x - (left[0] + right[0]) / 2) / (0.62 * width)) ** 2, 0, None)
        gap = share * width * np.sqrt(across)
        fade = np.clip(1 - (y - line - gap) / (2.2 * width), 0, 1)
        source = np.where(y > line + gap, y - gap * fade, y)
        opened = _sampled(np.asarray(self._canvas), x, source)
        opened[(y > line) & (y <= line + gap)] = (45, 22, 22)
        return Image.fromarray(opened)

    def nod(self, amount: float) -> None:
        """From now on the head is held lower (`amount` > 0), by that share of half the face's width."""
        jaw, nose = self._marks[:17], self._marks[30]
        middle, half = (jaw[0, 0] + jaw[16, 0]) / 2, abs(jaw[16, 0] - jaw[0, 0]) / 2
        x, y = self._places()
        across = np.clip(1 - ((x - middle) / (1.02 * half)) ** 2, 0, None)
        source = y
        for _ in range(12):
            down = np.clip(1 - ((source - nose[1]) / (1.9 * half)) ** 2, 0, None)
            source = y - amount * half * across * down
        self._canvas = Image.fromarray(_sampled(np.asarray(self._canvas), x, source))

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Every pixel's x and y."""
        y, x = np.mgrid[0 : self._canvas.height, 0 : self._canvas.width].astype(float)
        return x, y

    def frames(self, steps: Sequence[str | float], quality: int = 85) -> list[bytes]:
        """JPEGs: a number is a turn, "mouth" an open mouth; the phone is never quite still."""
        found = []
        for number, step in enumerate(steps):
            picture = self.mouth_open() if isinstance(step, str) else self.turned(step)
            right, down = _DRIFT[number % len(_DRIFT)]
            shift = (1, 0, right + number, 0, 1, down - number)
            found.append(encoded(picture.transform(picture.size, Image.Transform.AFFINE, shift), quality))
        return found


def encoded(picture: Image.Image, quality: int = 85, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return file.getvalue()


def _sampled(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    to_right, to_bottom = (x - left)[..., None], (y - top)[..., None]
    upper = picture[top, left] * (1 - to_right) + picture[top, left + 1] * to_right
    lower = picture[top + 1, left] * (1 - to_right) + picture[top + 1, left + 1] * to_right
    return (upper * (1 - to_bottom) + lower * to_bottom).astype(np.uint8)


LEFT_THEN_MOUTH: tuple[str | float, ...] = (
    *(0.0, 0.02, 0.58, 0.6, 0.2),
    *(0.0, 0.03, "mouth", "mouth", 0.01),
    *(0.0, -0.02),
)
