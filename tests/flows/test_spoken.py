"""The main job by voice: a recording goes in over HTTP, the real recogniser hears it, and money arrives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.providers.speech_pool import SpeechPool
from app.voice import command_characters
from tests.conftest import database_url
from tests.flows.family_ground import a_family
from tests.providers.recordings import FIFTY_YUAN, SPEECH, noise, silence, wav
from tests.providers.speech_models import whisper_dir
from tests.world import Phone, World, a_key, running_world

pytestmark = pytest.mark.speech

TWO_HUNDRED = SPEECH / "jm_kumo_2.mp3"  # 充值两百元
NOT_ANY_MORE = SPEECH / "jf_nezumi_6.mp3"  # 不要充了
BALANCE = SPEECH / "jf_gongitsune_3.mp3"  # 查一下我的余额
ASK_MY_DAUGHTER = SPEECH / "jf_nezumi_4.mp3"  # 请我女儿帮我充五十块
TURNS = "/api/v1/conversation/turns"


@pytest.fixture(scope="module")
def listening() -> Iterator[SpeechPool]:
    """One worker with the real model, as the product builds it."""
    pool = SpeechPool(
        engine="whisper",
        model_dir=whisper_dir(),
        workers=1,
        queue_limit=4,
        timeout_seconds=60,
        vocabulary=command_characters(),
    )
    yield pool
    pool.close()


@pytest.fixture
def world(
    listening: SpeechPool, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> Iterator[World]:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, speech=listening) as found:
        yield found


def say(phone: Phone, clip: Path | bytes, key: str | None = None, **more: str) -> tuple[int, dict[str, Any]]:
    data = clip.read_bytes() if isinstance(clip, Path) else clip
    phone.agree()
    form = {"client_key": key or a_key(), **more}
    return phone.call("POST", TURNS, data=form, files={"audio": ("clip", data)})


def heard(phone: Phone, clip: Path | bytes, **more: str) -> dict[str, Any]:
    status, body = say(phone, clip, **more)
    assert status == 200, body
    return body


def test_nobody_is_heard_before_they_agreed_and_after_they_took_it_back(world: World) -> None:
    elder = world.elder()
    clip = {"audio": ("clip", FIFTY_YUAN.read_bytes())}
    for _before_and_after in range(2):
        form = {"client_key": a_key()}
        asked = elder.call("POST", TURNS, data=form, files=clip)[1]
        assert (asked["heard"], asked["understood"], asked["may_listen"]) == ([], None, False)
        screen = asked["screen"]
        assert "声音听完就丢掉" in screen["say"] and "没有动您的钱" in screen["say"]
        assert elder.ok("GET", "/api/v1/orders")["orders"] == []
        agreed = elder.tap(screen["choices"][0]["id"])
        assert agreed["may_listen"] and agreed["screen"]["next"] == "listen"
        assert elder.ok("GET", "/api/v1/screen")["may_listen"]
        elder.ok("DELETE", "/api/v1/me/consents/voice")
        assert not elder.ok("GET", "/api/v1/screen")["may_listen"]


def test_what_was_begun_stays_while_the_person_is_asked_to_be_heard(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    read_back = elder.tap("amount:5000")["screen"]
    elder.tap("ask_voice")
    elder.tap("agree_voice:2")
    assert elder.tap("resume")["screen"]["order"] == read_back["order"]
    elder.tap("cancel")
    much = elder.tap("top_up")["screen"]
    elder.tap("ask_voice")
    assert elder.tap("resume")["screen"] == much
    status, old = elder.post(TURNS, {"client_key": a_key(), "choice": "agree_voice:99"})
    assert (status, old["code"]) == (409, "consent_outdated")


def test_fifty_yuan_that_were_spoken_arrive_on_the_card(world: World) -> None:
    elder = world.elder()
    before = elder.balance_fen()
    turn = heard(elder, FIFTY_YUAN)
    screen = turn["screen"]
    assert screen["next"] == "confirm" and "五十元" in screen["say"]
    order = screen["order"]
    assert (order["amount_fen"], order["card_id"], order["truth"]) == (5000, elder.cards[0], "not_paid")

    confirm = screen["choices"][0]["id"]
    assert confirm == f"confirm:{order['id']}:{order['read_back']}"
    page = {"screen": elder.tap(confirm)["screen"]}
    assert page["screen"]["next"] == "pay"
    assert elder.pay(page) == "requestPayment:ok"
    assert elder.order(order["id"])["order"]["truth"] == "paid"
    world.work()
    done = elder.order(order["id"])
    assert done["order"]["truth"] == "credited" and "五十元" in done["screen"]["say"]
    assert elder.balance_fen() == before + 5000 and world.balanced()


def test_the_answer_tells_what_was_heard_and_understood(world: World) -> None:
    turn = heard(world.elder(), FIFTY_YUAN)
    assert 1 <= len(turn["heard"]) <= 5 and any("50" in text or "五十" in text for text in turn["heard"])
    understood = turn["understood"]
    assert (understood["intent"], understood["amount_fen"], understood["decision"]) == (
        "top_up",
        5000,
        "accept",
    )


def test_a_sum_that_was_asked_for_may_be_spoken(world: World) -> None:
    elder = world.elder()
    assert elder.tap("top_up")["screen"]["next"] == "listen"
    screen = heard(elder, TWO_HUNDRED)["screen"]
    assert screen["order"]["amount_fen"] == 20_000 and screen["order"]["card_id"] == elder.cards[0]


def test_a_spoken_no_ends_the_order_and_nothing_was_taken(world: World) -> None:
    elder = world.elder()
    before = elder.balance_fen()
    order = heard(elder, FIFTY_YUAN)["screen"]["order"]
    screen = heard(elder, NOT_ANY_MORE)["screen"]
    assert screen["order"]["id"] == order["id"] and screen["order"]["state"] == "cancelled"
    assert "没有动您的钱" in screen["say"] and elder.balance_fen() == before


def test_another_sum_while_confirming_is_read_back_and_the_old_order_is_over(world: World) -> None:
    elder = world.elder()
    old = heard(elder, FIFTY_YUAN)["screen"]["order"]
    new = heard(elder, TWO_HUNDRED)["screen"]
    assert new["next"] == "confirm" and new["order"]["amount_fen"] == 20_000
    assert elder.order(old["id"])["order"]["state"] == "cancelled"


def test_balance_and_asking_the_family_work_by_voice_and_open_no_order(world: World) -> None:
    elder = world.elder()
    assert "卡里有" in heard(elder, BALANCE)["screen"]["title"]
    assert heard(elder, ASK_MY_DAUGHTER)["screen"]["title"] == "先请一位家人"
    assert elder.ok("GET", "/api/v1/orders")["orders"] == []


def test_asking_the_daughter_by_voice_is_read_back_and_sent_with_one_touch(world: World) -> None:
    family = a_family(world, "女儿", "儿子")
    read_back = heard(family.elder, ASK_MY_DAUGHTER)["screen"]
    assert read_back["say"].startswith("请女儿给羊城通") and "充五十元" in read_back["say"]
    assert family.asked_of("女儿") == []  # a word alone asks nobody
    sent = family.elder.tap(read_back["choices"][0]["id"])["screen"]
    assert "已经告诉女儿了" in sent["say"] and len(family.asked_of("女儿")) == 1
    assert family.elder.ok("GET", "/api/v1/orders")["orders"] == []


def test_a_recording_without_speech_asks_again_and_loses_nothing(world: World) -> None:
    elder = world.elder()
    order = heard(elder, FIFTY_YUAN)["screen"]["order"]
    key = a_key()
    status, body = say(elder, wav(silence(2.0)), key)
    assert (status, body["code"], body["next"]) == (422, "audio_silent", "listen")
    assert elder.ok("GET", "/api/v1/screen")["screen"]["order"]["id"] == order["id"]
    status, body = say(elder, TWO_HUNDRED, key)  # the key of a clip that could not be used is still free
    assert status == 200 and body["screen"]["order"]["amount_fen"] == 20_000


def test_what_nobody_can_understand_asks_again_then_shows_buttons_then_a_person(world: World) -> None:
    elder = world.elder()
    order = heard(elder, FIFTY_YUAN)["screen"]["order"]
    titles = [heard(elder, wav(noise(2.0)))["screen"]["title"] for _ in range(3)]
    assert titles == ["没有听清", "请点一个按钮", "找人帮您办"]
    told = elder.order(order["id"])["order"]
    assert told["state"] == "awaiting_confirmation" and told["truth"] == "not_paid"
    # and the form is still there: the next sentence is taken as an answer to it
    assert heard(elder, NOT_ANY_MORE)["screen"]["order"]["id"] == order["id"]


def test_the_same_recording_sent_twice_is_one_turn(world: World) -> None:
    elder = world.elder()
    key = a_key()
    (first_status, first), (again_status, again) = (say(elder, FIFTY_YUAN, key) for _ in range(2))
    assert (first_status, again_status) == (200, 200)
    assert again["screen"]["order"]["id"] == first["screen"]["order"]["id"]
    assert again["version"] == first["version"]
    assert len(elder.ok("GET", "/api/v1/orders")["orders"]) == 1


def test_another_recording_under_the_same_key_is_a_conflict(world: World) -> None:
    elder = world.elder()
    key = a_key()
    assert say(elder, FIFTY_YUAN, key)[0] == 200
    status, body = say(elder, TWO_HUNDRED, key)
    assert (status, body["code"]) == (409, "client_key_reused")
    assert len(elder.ok("GET", "/api/v1/orders")["orders"]) == 1


def test_a_recording_made_for_an_older_screen_is_not_an_answer_to_this_one(world: World) -> None:
    elder = world.elder()
    old = elder.tap("top_up")
    read_back = elder.tap("amount:5000")["screen"]
    turn = heard(elder, NOT_ANY_MORE, version=str(old["version"]))
    assert turn["screen"]["order"]["id"] == read_back["order"]["id"]
    assert turn["screen"]["order"]["state"] == "awaiting_confirmation"
