"""Recordings and photos of every bad kind through the front door, with a real recogniser behind it."""

from __future__ import annotations

import io
import itertools
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from app.domain.clock import FakeClock
from app.providers.audio_formats import MAX_BYTES
from app.providers.barcode import MAX_BYTES as MAX_PHOTO_BYTES
from app.providers.barcode import ZxingBarcodes
from app.providers.speech_pool import SpeechPool
from tests.conftest import MORNING, database_url
from tests.providers.recordings import FIFTY_YUAN, encoded, noise, silence, speech, wav
from tests.providers.speech_models import korean_dir
from tests.providers.test_barcode import code, file_of, photo, png_claiming
from tests.web.asking import books, fault_of, photograph, say, send
from tests.world import Phone, World, a_key, running_world

_people = itertools.count(1)
CARD, OTHER = "3104870300000000001", "3104870300000000002"
SENTENCE = FIFTY_YUAN.read_bytes()


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a Korean model: what it makes of Mandarin is nonsense, but it decodes and listens for real."""
    folder = tmp_path_factory.mktemp("world")
    pool = SpeechPool("vosk", korean_dir(), workers=1, queue_limit=4, timeout_seconds=30, vocabulary="")
    try:
        with running_world(
            folder, database_url(request, "sqlite", folder), FakeClock(MORNING), speech=pool
        ) as found:
            yield found
            assert isinstance(found.deps.barcodes, ZxingBarcodes)
            found.deps.barcodes.close()
    finally:
        pool.close()


@pytest.fixture
def elder(world: World) -> Iterator[Phone]:
    """Somebody in front of a read-back, the most dangerous place to mishear; nothing may move."""
    phone = world.elder(f"elder-{next(_people)}")
    phone.agree()
    phone.tap("top_up")
    phone.tap("amount:5000")
    before = books(world, phone), where(phone)
    yield phone
    assert (books(world, phone), where(phone)) == before


def where(phone: Phone) -> object:
    return phone.ok("GET", "/api/v1/screen")


def zipped(name: str, data: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, data)
    return archive.getvalue()


def a_wav_that_asks_for_two_gigabytes() -> bytes:
    shape = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    claim = b"LIST" + struct.pack("<I", 0x7FFFFFFC) + b"INFO" + b"ISFT" + struct.pack("<I", 0x7FFFFFF0)
    return b"RIFF" + struct.pack("<I", 1_000_000) + b"WAVE" + shape + claim + bytes(3000)


def rubbish(length: int) -> bytes:
    return np.random.default_rng(3).integers(0, 256, length, np.uint8).tobytes()


BAD_SOUND = {
    "nothing": (lambda: b"", "audio_empty"),
    "one byte": (lambda: b"\xff", "audio_format_unknown"),
    "random bytes": (lambda: b"\x00" + rubbish(20_000), "audio_format_unknown"),
    "random bytes behind a true beginning": (lambda: b"OggS" + rubbish(20_000), "audio_unreadable"),
    "the first 200 bytes of an mp3": (lambda: SENTENCE[:200], "audio_unreadable"),
    "a tap on the button": (lambda: wav(speech()[8000:9600]), "audio_too_short"),
    "silence": (lambda: wav(silence(3)), "audio_silent"),
    "the hiss of a microphone": (lambda: wav(noise(3, 0.0005)), "audio_silent"),
    "an hour in a few bytes": (lambda: encoded(silence(3600), "flac", "flac", 8000), "audio_too_long"),
    "half a minute of talk": (lambda: wav(np.tile(speech(), 6)), "audio_too_long"),
    "a picture called a.mp3": (lambda: file_of(Image.new("L", (8, 8)), "PNG"), "audio_format_unknown"),
    "an archive of a recording": (lambda: zipped("a.mp3", SENTENCE), "audio_format_unknown"),
    "an archive of a hundred megabytes of nothing": (
        lambda: zipped("a", bytes(10**8)),
        "audio_format_unknown",
    ),
    "a playlist of our own files": (lambda: b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "audio_format_unknown"),
    "a script that joins our own files": (
        lambda: b"ffconcat version 1.0\nfile wsgi.py",
        "audio_format_unknown",
    ),
    "three kilobytes that ask for two gigabytes": (a_wav_that_asks_for_two_gigabytes, "audio_unreadable"),
    "more bytes than a command has": (lambda: b"OggS" + bytes(MAX_BYTES), "audio_too_large"),
}


@pytest.mark.speech
@pytest.mark.parametrize("kind", BAD_SOUND)
def test_a_recording_that_cannot_be_heard_says_why_and_moves_nothing(elder: Phone, kind: str) -> None:
    made, expected = BAD_SOUND[kind]
    key = a_key()
    answer = say(elder, made(), key)
    assert fault_of(answer) == expected
    again = "请" in answer.json()["say"] and answer.json()["next"] in ("listen", "choose")
    assert again and "没有动您的钱" in answer.json()["say"]


@pytest.mark.speech
@pytest.mark.parametrize("declared", ["s16le/1/1", "s16le/16000/9", "s16le/16000/x", "s16le/999999999/1"])
def test_an_impossible_declaration_of_raw_sound_is_refused(elder: Phone, declared: str) -> None:
    assert fault_of(say(elder, bytes(64_000), a_key(), declared=declared)) == "audio_format_unknown"


@pytest.mark.speech
@pytest.mark.parametrize(
    ("name", "sound", "form"),
    [
        ("a.wav", lambda: SENTENCE, {}),
        ("a.exe", lambda: wav(speech()), {"declared": "audio/mpeg"}),
        ("../../a", lambda: SENTENCE[: len(SENTENCE) * 2 // 3], {}),
        ("a.pcm", lambda: speech().tobytes(), {"declared": "s16le/16000/1"}),
    ],
    ids=["another ending", "another type", "cut off", "raw"],
)
def test_a_mislabelled_or_cut_recording_is_listened_to_all_the_same(
    world: World, name: str, sound: object, form: dict[str, str]
) -> None:
    phone = world.elder(f"elder-{next(_people)}")
    assert callable(sound)
    answer = say(phone, sound(), a_key(), name, **form)
    assert answer.status_code == 200 and answer.json()["understood"]["decision"]
    assert phone.ok("GET", "/api/v1/orders")["orders"] == []  # Korean nonsense opens no order


@pytest.mark.speech
def test_a_key_spent_on_a_recording_nobody_could_hear_is_free_for_the_next_try(world: World) -> None:
    phone = world.elder(f"elder-{next(_people)}")
    key = a_key()
    assert fault_of(say(phone, wav(silence(2)), key)) == "audio_silent"
    assert say(phone, SENTENCE, key).status_code == 200


@pytest.mark.speech
def test_after_all_of_this_the_service_is_ready_and_the_buttons_work(world: World) -> None:
    phone = world.elder(f"elder-{next(_people)}")
    ready = send(phone, "GET", "/readyz").json()
    assert ready["ready"] and [part["name"] for part in ready["parts"] if not part["ok"]] == ["streams"]
    assert phone.tap("balance")["screen"]["body"]


# --- photos ---


def turned(orientation: int) -> bytes:
    """A photo held in another way than it was taken, as its camera noted down."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file_of(photo(code(CARD)), exif=exif)


BAD_PHOTOS = {
    "nothing": (lambda: b"", "photo_empty"),
    "no barcode": (lambda: file_of(photo()), "photo_no_barcode"),
    "two barcodes": (lambda: file_of(photo(code(CARD), code(OTHER))), "photo_two_barcodes"),
    "a text": (lambda: b"31048703000000001" * 100, "photo_unreadable"),
    "half a photo": (lambda: file_of(photo(code(CARD)))[:9_000], "photo_unreadable"),
    "a hundred megapixels in a header": (lambda: png_claiming(12_000, 9_000), "photo_too_many_pixels"),
    "an archive": (lambda: zipped("card.jpg", b"x"), "photo_unreadable"),
    "more bytes than a photo has": (lambda: bytes(MAX_PHOTO_BYTES + 1), "photo_too_large"),
    "a barcode that is no card": (lambda: file_of(photo(code("HELLO-WORLD"))), "card_number_malformed"),
    "the card of another city": (lambda: file_of(photo(code("3105170000000000001"))), "card_other_city"),
}


@pytest.mark.parametrize("kind", BAD_PHOTOS)
def test_a_photo_that_shows_no_card_says_why_and_binds_nothing(elder: Phone, kind: str) -> None:
    made, expected = BAD_PHOTOS[kind]
    assert fault_of(photograph(elder, made())) == expected


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_taken_in_any_direction_binds_the_card(world: World, orientation: int) -> None:
    phone = world.phone(f"elder-{next(_people)}")
    answer = photograph(phone, turned(orientation), client_key=a_key())
    assert answer.status_code == 200 and answer.json()["card"]["last_four"] == "0001"
    assert CARD not in answer.text


def test_a_number_beside_a_photo_is_refused_instead_of_chosen_between(elder: Phone) -> None:
    assert fault_of(photograph(elder, turned(1), card_number=OTHER)) == "request_invalid"
