"""The card number on a photo: upright or not, one code and only one, and no picture that bites."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageFilter

from app.errors import AppError
from app.providers.barcode import MAX_BYTES, ZxingBarcodes, read_barcode

CARD, OTHER = "3104770012345678", "3104770087654321"
GREEN = (96, 140, 110)


def code(text: str = CARD, kind: str = "Code128", scale: int = 4) -> Image.Image:
    made = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    return Image.fromarray(np.array(zxingcpp.write_barcode_to_image(made, scale=scale))).convert("RGB")


def photo(*codes: Image.Image, size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    """A card with these codes below each other."""
    card = Image.new("RGB", size, GREEN)
    for row, each in enumerate(codes):
        card.paste(each, (200, 150 + row * 500))
    return card


def file_of(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def refusal(image: bytes) -> str:
    with pytest.raises(AppError) as refused:
        read_barcode(image)
    return refused.value.code


@pytest.mark.parametrize("kind", ["Code128", "Code39", "ITF", "QRCode", "DataMatrix", "PDF417"])
def test_the_number_is_read_from_every_kind_of_code_a_card_carries(kind: str) -> None:
    assert read_barcode(file_of(photo(code(kind=kind)))) == CARD


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_the_number_is_read_from_every_kind_of_picture(kind: str) -> None:
    assert read_barcode(file_of(photo(code()), kind)) == CARD


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_camera_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_barcode(file_of(photo(code(kind="QRCode")), exif=exif)) == CARD


@pytest.mark.parametrize("degrees", [7, 90, 180, 275])
def test_a_card_may_lie_askew(degrees: int) -> None:
    assert read_barcode(file_of(photo(code()).rotate(degrees, expand=True, fillcolor=GREEN))) == CARD


def test_a_shaking_hand_in_poor_light_is_forgiven() -> None:
    shaken = photo(code(scale=5)).filter(ImageFilter.GaussianBlur(2)).point(lambda level: level // 3 + 20)
    assert read_barcode(file_of(shaken, quality=40)) == CARD


def test_a_code_on_a_transparent_picture_is_read_as_if_on_white() -> None:
    black = code().convert("L").point(lambda level: 255 - level)
    inked = Image.new("RGBA", black.size, (0, 0, 0, 0))
    inked.putalpha(black)
    assert read_barcode(file_of(inked, "PNG")) == CARD


@pytest.mark.parametrize("progressive", [False, True])
def test_the_largest_photo_of_a_phone_is_read(progressive: bool) -> None:
    huge = photo(code(scale=12), size=(8064, 6048))
    assert read_barcode(file_of(huge, quality=70, progressive=progressive)) == CARD


def test_a_photo_without_a_code_is_told_apart() -> None:
    assert refusal(file_of(photo())) == "photo_no_barcode"


def test_a_code_too_short_for_a_card_number_is_none() -> None:
    assert refusal(file_of(photo(code("1234")))) == "photo_no_barcode"


def test_two_different_codes_are_one_too_many() -> None:
    assert refusal(file_of(photo(code(), code(OTHER)))) == "photo_two_barcodes"


def test_the_same_number_printed_twice_is_one() -> None:
    assert read_barcode(file_of(photo(code(), code(kind="QRCode")))) == CARD


def png_claiming(width: int, height: int) -> bytes:
    """A well-formed PNG whose header promises this size and whose rows are a few bytes of zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(12_000, 9_000), (30_000, 3_334), (60_000, 60_000), (25_000_001, 1)])
def test_a_few_bytes_that_claim_a_hundred_megapixels_are_refused_undecoded(size: tuple[int, int]) -> None:
    assert refusal(png_claiming(*size)) == "photo_too_many_pixels"


def test_a_picture_that_ends_before_its_claim_cannot_be_opened() -> None:
    assert refusal(png_claiming(4_000, 4_000)) == "photo_unreadable"


def test_a_jpeg_of_a_hundred_megapixels_is_refused() -> None:
    assert refusal(file_of(Image.new("L", (10000, 10000)))) == "photo_too_many_pixels"


WHOLE = file_of(photo(code()))


@pytest.mark.parametrize(
    "image",
    [
        b"\xff",
        b"<html></html>",
        b"%PDF-1.7",
        b"GIF89a",
        WHOLE[:400],
        WHOLE[: len(WHOLE) // 3],
        b"RIFF....WEBP",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
    ],
    ids=[
        "a byte",
        "a page",
        "a pdf",
        "a gif's head",
        "a jpeg's head",
        "a third of a jpeg",
        "a webp's head",
        "a drawing",
        "a png's head",
    ],
)
def test_what_is_no_whole_photo_cannot_be_opened(image: bytes) -> None:
    assert refusal(image) == "photo_unreadable"


def test_damaged_photos_never_escape_as_anything_but_a_spoken_fault() -> None:
    dice = np.random.default_rng(11)
    files = [file_of(photo(code(), size=(640, 480)), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP")]
    for turn in range(150):
        damaged = bytearray(files[turn % len(files)])
        for at in dice.integers(0, len(damaged) if turn % 2 else 60, 8):
            damaged[at] = int(dice.integers(0, 256))
        with contextlib.suppress(AppError):  # any other exception fails the test
            read_barcode(bytes(damaged))


@pytest.fixture(scope="module")
def reader() -> Iterator[ZxingBarcodes]:
    made = ZxingBarcodes()
    yield made
    made.close()


def test_a_photo_is_read_in_another_process(reader: ZxingBarcodes) -> None:
    assert reader.read(WHOLE) == CARD


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (b"", "photo_empty"),
        (bytes(MAX_BYTES + 1), "photo_too_large"),
        (b"<html>", "photo_unreadable"),
        (file_of(photo(code(), code(OTHER))), "photo_two_barcodes"),
    ],
    ids=["empty", "too large", "a page", "two codes"],
)
def test_the_other_process_tells_why_it_could_not(reader: ZxingBarcodes, image: bytes, expected: str) -> None:
    with pytest.raises(AppError) as refused:
        reader.read(image)
    assert refused.value.code == expected
