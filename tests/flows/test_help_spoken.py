"""The spoken half of the two yeses, heard by the real recogniser; and a relative's message that is spoken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.clock import FakeClock
from app.domain.family import Role
from app.ports import Clip
from app.providers.audio import decode
from app.providers.speech_pool import SpeechPool
from app.store import help_rows
from app.voice import command_characters
from tests.conftest import database_url
from tests.flows.test_identity_check import bound
from tests.helping import helped, with_role
from tests.providers.recordings import FIFTY_YUAN, SPEECH, silence, wav
from tests.providers.speech_models import whisper_dir
from tests.world import Phone, World, running_world

pytestmark = pytest.mark.speech

NO = SPEECH / "jf_nezumi_6.mp3"  # 不要充了


def slowly(path: Path, speed: float) -> bytes:
    """The recording as somebody says it who takes their time."""
    samples = decode(Clip(path.read_bytes()))
    places = np.linspace(0, len(samples) - 1, int(len(samples) / speed))
    found: bytes = wav(np.interp(places, np.arange(len(samples)), samples).astype(np.int16))
    return found


@pytest.fixture(scope="module")
def listening() -> Iterator[SpeechPool]:
    pool = SpeechPool("whisper", whisper_dir(), 1, 4, 60, command_characters())
    yield pool
    pool.close()


@pytest.fixture
def world(
    listening: SpeechPool, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> Iterator[World]:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, speech=listening) as found:
        yield found


def say(who: Phone, session_id: str, clip: bytes, door: str = "spoken") -> tuple[int, dict[str, Any]]:
    return who.call("POST", f"/api/v1/help/{session_id}/{door}", files={"audio": ("clip", clip)})


@pytest.fixture
def asked(world: World) -> tuple[Phone, Phone, str]:
    elder = world.elder()
    elder.agree()
    daughter = bound(world, elder)
    relative_id = with_role(world.deps.database, elder, daughter, Role.ASSIST)
    page = elder.ok("POST", "/api/v1/help", {"relative_id": relative_id})
    assert page["screen"]["next"] == "listen" and "我同意" in page["screen"]["say"]
    return elder, daughter, page["help"]["id"]


def test_a_spoken_yes_and_a_touch_let_the_relative_in(asked: tuple[Phone, Phone, str]) -> None:
    elder, daughter, session = asked
    status, page = say(elder, session, slowly(SPEECH / "jf_tebukuro_5.mp3", 0.85))
    assert status == 200, page
    choice = page["screen"]["choices"][0]["id"]
    assert page["help"]["state"] == "asked" and choice == f"help_open:{session}"
    assert daughter.get(f"/api/v1/help/{session}")[0] == 404  # it takes the touch too
    assert elder.ok("POST", f"/api/v1/help/{session}/open")["help"]["state"] == "open"
    assert daughter.ok("GET", f"/api/v1/help/{session}")["help"]["side"] == "relative"


def test_nobody_is_heard_who_took_their_consent_back(asked: tuple[Phone, Phone, str]) -> None:
    elder, _daughter, session = asked
    elder.ok("DELETE", "/api/v1/me/consents/voice")
    status, body = say(elder, session, slowly(SPEECH / "jf_tebukuro_5.mp3", 0.85))
    assert (status, body["code"]) == (403, "consent_missing")


def test_a_spoken_no_ends_it(asked: tuple[Phone, Phone, str]) -> None:
    elder, _daughter, session = asked
    status, page = say(elder, session, NO.read_bytes())
    assert status == 200 and page["screen"]["title"] == "帮忙结束了"
    assert elder.post(f"/api/v1/help/{session}/open")[1]["code"] == "help_not_found"


def test_what_is_no_yes_is_asked_again_and_lets_nobody_in(asked: tuple[Phone, Phone, str]) -> None:
    elder, daughter, session = asked
    for clip, code in ((FIFTY_YUAN.read_bytes(), "help_yes_not_heard"), (wav(silence(2.0)), "audio_silent")):
        status, body = say(elder, session, clip)
        assert (status, body["code"], body["next"]) == (422, code, "listen")
    assert say(daughter, session, FIFTY_YUAN.read_bytes())[1]["code"] == "help_not_found"
    assert elder.post(f"/api/v1/help/{session}/open")[1]["code"] == "help_yes_first"


def test_what_a_relative_says_arrives_as_words(world: World) -> None:
    help = helped(world)
    assert say(help.relative, help.id, FIFTY_YUAN.read_bytes(), "messages")[1]["code"] == "consent_missing"
    help.relative.agree()
    status, body = say(help.relative, help.id, FIFTY_YUAN.read_bytes(), "messages")
    assert status == 200, body
    with world.deps.database.read() as tx:
        said = help_rows.after(tx, help.id, 1)[0].body["text"]
    assert "50" in said or "五十" in said
