"""One whole still picture, or a refusal with its reason before anything large is decoded."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.errors import AppError
from app.providers.face_images import FRAME, PHOTO, check_bytes, pixels


def plain(width: int = 240, height: int = 320) -> Image.Image:
    picture = Image.new("RGB", (width, height), (90, 120, 150))
    picture.paste((200, 30, 30), (0, 0, width, height // 4))  # red at the top
    return picture


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    whole = encoded(plain())
    at = whole.index(b"\xff\xc0")
    return whole[: at + 5] + struct.pack(">HH", height, width) + whole[at + 9 :]


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "hello")
    return file.getvalue()


def code_of(data: bytes, limits: Any = PHOTO) -> str:
    with pytest.raises(AppError) as refused:
        pixels(data, limits)
    return refused.value.code


JPEG, PNG, WEBP = encoded(plain()), encoded(plain(), "PNG"), encoded(plain(), "WEBP")
MOVING = encoded(plain(), "WEBP", save_all=True, append_images=[plain(), plain().rotate(90)], duration=100)
MOVING_PNG = encoded(plain(), "PNG", save_all=True, append_images=[plain().rotate(180)], duration=100)


@pytest.mark.parametrize(
    "data",
    [
        JPEG,
        PNG,
        WEBP,
        encoded(plain(), "JPEG", progressive=True),
        encoded(plain(), "JPEG", restart_marker_blocks=4),
        encoded(plain().convert("L")),
        encoded(plain().convert("CMYK")),
        encoded(plain().convert("P"), "PNG"),
        encoded(plain().convert("RGBA"), "PNG"),
        JPEG + JPEG,  # a second picture behind the first, as phones write them
        JPEG + bytes(8),
    ],
    ids=[
        "jpeg",
        "png",
        "webp",
        "progressive",
        "restarts",
        "grey",
        "cmyk",
        "palette",
        "alpha",
        "two",
        "padded",
    ],
)
def test_pictures_as_phones_write_them_are_read(data: bytes) -> None:
    found = pixels(data, PHOTO)
    assert found.shape == (320, 240, 3) and found.dtype == np.uint8
    assert (found[10, 100] != found[300, 100]).any()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "face_image_empty"),
        (b"\xff\xd8\xff" + bytes(8 * 1024 * 1024), "face_image_too_large"),
        (b"<html><body>face</body></html>", "face_image_format"),
        (encoded(plain(), "GIF"), "face_image_format"),
        (encoded(plain(), "BMP"), "face_image_format"),
        (encoded(plain(), "TIFF"), "face_image_format"),
        (zipped(), "face_image_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "face_image_format"),
        (JPEG[: len(JPEG) // 2], "face_image_unreadable"),
        (JPEG[:-2], "face_image_unreadable"),
        (PNG[:-20], "face_image_unreadable"),
        (WEBP[:-20], "face_image_unreadable"),
        (b"\xff\xd8\xff" + b"rubbish" * 40, "face_image_unreadable"),
        (JPEG + zipped(), "face_image_unreadable"),
        (JPEG + b"<script>alert(1)</script>", "face_image_unreadable"),
        (JPEG + JPEG + zipped(), "face_image_unreadable"),
        (PNG + zipped(), "face_image_unreadable"),
        (WEBP + b"<html>", "face_image_unreadable"),
        (MOVING, "face_image_moving"),
        (MOVING_PNG, "face_image_moving"),
        (png_of(30_000, 30_000), "face_image_pixels"),
        (jpeg_of(30_000, 30_000), "face_image_pixels"),
        (png_of(9_000, 9_000), "face_image_pixels"),
        (png_of(1, 20_000_000), "face_image_pixels"),
        (encoded(Image.new("RGB", (20, 20))), "face_image_pixels"),
    ],
)
def test_anything_else_is_refused_by_what_it_is(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize("data", [png_of(0, 0), jpeg_of(0, 0), png_of(0, 500)])
def test_a_picture_without_pixels_is_refused(data: bytes) -> None:
    assert code_of(data) in {"face_image_pixels", "face_image_unreadable"}


@pytest.mark.parametrize("bomb", [png_of(30_000, 30_000), jpeg_of(30_000, 30_000)])
def test_a_bomb_is_refused_without_being_decoded(bomb: bytes) -> None:
    tracemalloc.start()
    begun = time.monotonic()
    code_of(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000 and time.monotonic() - begun < 2


def test_a_picture_that_lies_on_its_side_is_put_upright() -> None:
    turned = plain().rotate(90, expand=True)  # how the sensor saw it
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        found = pixels(encoded(turned, kind, exif=exif), PHOTO)
        assert found.shape == (320, 240, 3)
        assert found[10, 100, 0] > found[300, 100, 0]


def test_a_photo_of_twelve_megapixels_is_made_small_while_it_is_read() -> None:
    data = encoded(plain(4000, 3000))
    begun = time.process_time()
    found = pixels(data, PHOTO)
    assert found.shape == (600, 800, 3)
    assert time.process_time() - begun < 0.5


def test_a_frame_is_smaller_than_a_photo() -> None:
    assert pixels(encoded(plain(720, 1280)), FRAME).shape == (1280, 720, 3)
    assert code_of(encoded(plain(720, 1281)), FRAME) == "face_image_pixels"
    with pytest.raises(AppError) as refused:
        check_bytes(b"\xff\xd8\xff" + bytes(1024 * 1024), FRAME)
    assert refused.value.code == "face_image_too_large"


@given(st.sampled_from([JPEG, PNG, WEBP]), st.data())
def test_damage_anywhere_is_a_picture_or_a_refusal(data: bytes, draw: st.DataObject) -> None:
    spoilt = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 8))):
        spoilt[draw.draw(st.integers(0, len(spoilt) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(AppError):
        assert pixels(bytes(spoilt), PHOTO).ndim == 3
