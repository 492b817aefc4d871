"""Bytes from a phone to upright pixels: JPEG, PNG or WebP, one whole still picture and nothing behind it.

The size is read from the header before anything is decoded. Bytes behind a picture's end are refused: they
are how a file is made that one reader takes for a picture and another for an archive or a page (a "motion
photo" with its film behind it is refused with them). Runs in a
worker (numpy and Pillow load with the first picture).
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from app.errors import AppError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint8]"  # height × width × 3, red green blue
MAX_PHOTO_BYTES = 8 * 1024 * 1024
MAX_FRAME_BYTES = 1024 * 1024
MAX_SIDE = 12_000
MAX_JPEG_PIXELS = 50_000_000  # a phone's largest photo; decoded at an eighth of its size
MAX_PIXELS = 25_000_000  # PNG and WebP are decoded whole: 100 MB with transparency
MIN_SIDE = 96  # smaller than the least face that is taken

_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
_FAULTS = (OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one kind of picture may be. `side`: the decoded picture is made to fit this many pixels."""

    most_bytes: int
    side: int
    longest: int = MAX_SIDE


PHOTO = Limits(MAX_PHOTO_BYTES, 800)
FRAME = Limits(MAX_FRAME_BYTES, 1280, longest=1280)


def check_bytes(data: bytes, limits: Limits) -> str:
    """The format by its first bytes, without Pillow: what a web worker may ask before a place in the queue.

    Raise AppError face_image_empty, face_image_too_large, face_image_format, face_image_unreadable.
    """
    if not data:
        raise AppError("face_image_empty")
    if len(data) > limits.most_bytes:
        raise AppError("face_image_too_large")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise AppError("face_image_format")


def pixels(data: bytes, limits: Limits) -> Pixels:
    """Upright RGB, uint8, height × width × 3, at most `limits.side` on the long side.

    Raise AppError face_image_empty, face_image_too_large (bytes), face_image_format, face_image_pixels (too
    many or too few), face_image_moving (animated), face_image_unreadable (damaged, cut off, or more than a
    picture).
    """
    kind = check_bytes(data, limits)
    import numpy as np
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MAX_JPEG_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # measured below instead
            picture = Image.open(io.BytesIO(data), formats=(kind,))
        _check_shape(picture, kind, limits)
        if not _whole(data, kind):
            raise AppError("face_image_unreadable")
        picture.draft("RGB", (limits.side, limits.side))
        picture.load()
        picture.thumbnail((limits.side, limits.side), reducing_gap=2.0)
        upright = ImageOps.exif_transpose(picture)
        return np.asarray(_on_white(upright))
    except (Image.DecompressionBombError, MemoryError) as fault:
        raise AppError("face_image_pixels") from fault
    except _FAULTS as fault:  # Pillow's readers raise all of these for damaged files
        raise AppError("face_image_unreadable") from fault


def _check_shape(picture: Any, kind: str, limits: Limits) -> None:
    """By the header alone, before anything is decoded."""
    width, height = picture.size
    most = MAX_JPEG_PIXELS if kind == "JPEG" else MAX_PIXELS
    if min(width, height) < MIN_SIDE or max(width, height) > limits.longest or width * height > most:
        raise AppError("face_image_pixels")
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) != 1:
        raise AppError("face_image_moving")


def _on_white(picture: Any) -> Any:
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    coloured = picture.convert("RGBA")
    paper = Image.new("RGB", coloured.size, "white")
    paper.paste(coloured, mask=coloured.getchannel("A"))
    return paper


def _whole(data: bytes, kind: str) -> bool:
    """Whether the file ends where the picture says that it ends."""
    if kind == "PNG":
        return data.find(_PNG_END) == len(data) - len(_PNG_END)
    if kind == "WEBP":
        length = int.from_bytes(data[4:8], "little") + 8
        return len(data) == length
    rest = data.rstrip(b"\0")
    while rest:  # behind the first picture a phone may put more of them (depth, brightness), each a JPEG
        length = _jpeg_length(rest) if rest.startswith(b"\xff\xd8\xff") else 0
        if not length:
            return False
        rest = rest[length:].lstrip(b"\0")
    return True


def _jpeg_length(data: bytes) -> int:
    """Bytes up to and with the end marker of the first picture (ITU T.81 B.1.1.2). 0 when it does not end."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return 0
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == 0xD9:
            return at + 2
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            at = _scan_end(data, at)
            if at < 0:
                return 0
    return at + 2 if data[at : at + 2] == _JPEG_END else 0


def _scan_end(data: bytes, at: int) -> int:
    """Where the entropy-coded bytes end: the next marker that is neither stuffing nor a restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return -1
        if data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        else:
            return at
