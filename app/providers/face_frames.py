"""The frames of one try: as many as asked, of one size, and no two of them the same picture.

Two frames are the same when their small grey copies are, however they were encoded. Measured on 720p frames
built from data/faces: a JPEG of quality 30 or more and a WebP of 50 are at most 0.010 apart; moving the
phone by two pixels is at least 0.013, by four at least 0.023. A copy that was moved, turned or shrunk on
purpose (with all of its set) is *not* found here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from app.errors import AppError
from app.providers.face_images import FRAME, Limits, Pixels, check_bytes, pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FEWEST, MOST = 8, 15
SAME_PICTURE = 0.010  # mean difference of two prints, in standard deviations of grey
_PRINT = 48


def check_frames(frames: Sequence[bytes]) -> None:
    """What needs no decoding. Raise AppError face_frames (number, or the same bytes twice), face_image_*."""
    if not FEWEST <= len(frames) <= MOST:
        raise AppError("face_frames")
    if len({hashlib.sha256(frame).digest() for frame in frames}) != len(frames):
        raise AppError("face_frames")
    for frame in frames:
        check_bytes(frame, FRAME)


def unpack(frames: Sequence[bytes]) -> list[Pixels]:
    """Every frame's pixels, in order. Raise AppError face_frames or face_image_*."""
    check_frames(frames)
    pictures = [pixels(frame, FRAME) for frame in frames]
    if len({picture.shape for picture in pictures}) != 1 or repeated(pictures):
        raise AppError("face_frames")
    return pictures


def unpack_photos(images: Sequence[bytes], limits: Limits) -> list[Pixels]:
    """Enrolment's photos. Raise AppError face_same_photo or face_image_*."""
    pictures = [pixels(image, limits) for image in images]
    if repeated(pictures):
        raise AppError("face_same_photo")
    return pictures


def repeated(pictures: Sequence[Pixels]) -> bool:
    """Whether any two of them are one picture."""
    prints = [_print_of(picture) for picture in pictures]
    return any(float(abs(one - other).mean()) <= SAME_PICTURE for one, other in combinations(prints, 2))


def _print_of(picture: Pixels) -> npt.NDArray[np.float64]:
    """48 × 48 greys around 0, in standard deviations: brightness and contrast do not count."""
    import numpy as np
    from PIL import Image

    small = Image.fromarray(picture).convert("L").resize((_PRINT, _PRINT), Image.Resampling.BOX)
    grey = np.asarray(small, np.float64)
    found: npt.NDArray[np.float64] = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    return found
