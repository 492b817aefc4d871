"""The face before a large payment, over HTTP with real pictures: enrolment after consent, one challenge, one
order. The head is one photo from a package, bent into movements (tests/providers/moving_faces.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.clock import FakeClock
from app.providers.face_pool import FacePool
from app.store import models
from tests.conftest import database_url
from tests.flows.test_identity_check import ELDERS_PHONE, bound, checked, path, sent_code, with_phone
from tests.providers.moving_faces import Head, a_relative, hopper, somebody_else, the_models
from tests.providers.test_face_engine import three
from tests.world import Phone, World, running_world

PEOPLE = {"self": hopper, "alike": a_relative, "other": somebody_else}
ID_NUMBER = "440106195003120111"


@pytest.fixture(scope="module")
def faces() -> Iterator[FacePool]:
    """One pool for all worlds of this file: its models load once."""
    pool = FacePool(1, 8, 20)
    yield pool
    pool.close()


@cache
def head(who: str) -> Head:
    return Head(the_models(), PEOPLE[who]())


# A bent photo is no head: these are movements that landmarks follow on these photos (seen by trying).
FILMS: dict[str, tuple[tuple[str, str], tuple[str | float, ...]]] = {
    "self": (("mouth", "left"), (0.0, 0.02, "mouth", "mouth", 0.0, 0.02, 0.3, 0.5, 0.3, 0.0, 0.02)),
    "alike": (("mouth", "left"), (0.0, 0.02, "mouth", "mouth", 0.0, 0.02, 0.3, 0.5, 0.3, 0.0, 0.02)),
    "other": (("right", "left"), (0.0, 0.02, -0.2, -0.5, -0.2, 0.0, 0.02, 0.2, 0.5, 0.2, 0.0, 0.02)),
}


@cache
def frames_of(who: str) -> list[bytes]:
    return head(who).frames(FILMS[who][1])


def film(who: str = "self", take: int = 0) -> tuple[bytes, ...]:
    """Frames of this one's movements, each followed by a calm face. Another `take` is told by a comment in
    each picture: another file, and for the engine the same film."""
    note = b"\xff\xfe\x00\x04%02d" % take
    return tuple(frame[:2] + note + frame[2:] for frame in frames_of(who))


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, faces: FacePool
) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock, faces=faces) as found:
        yield found


def send(phone: Phone, address: str, field: str, pictures: Sequence[bytes], **form: str) -> tuple[int, Any]:
    answer = requests.post(
        phone.base_url + address,
        files=[(field, (f"{number}.jpg", picture, "image/jpeg")) for number, picture in enumerate(pictures)],
        data=form,
        headers={"Authorization": f"Bearer {phone.token}"},
        timeout=60,
    )
    return answer.status_code, answer.json()


def agree(phone: Phone) -> None:
    face = next(
        each for each in phone.ok("GET", "/api/v1/me/consents")["consents"] if each["purpose"] == "face"
    )
    phone.ok("POST", "/api/v1/me/consents", {"purpose": "face", "version": face["version"]})


@pytest.fixture
def elder(world: World) -> Phone:
    """Enrolled, with a phone number and a daughter known for more than a day."""
    found = with_phone(world, world.elder("wang"), ELDERS_PHONE)
    bound(world, found)
    agree(found)
    assert send(found, "/api/v1/me/face", "photos", three())[0] == 200
    world.clock.tick(hours=25)
    return found


def begun(elder: Phone, page: dict[str, Any], who: str = "self") -> dict[str, Any]:
    """A challenge for the movements that `who` can make. One that nobody answered costs no try."""
    for _drawn in range(200):
        challenge = elder.ok("POST", path(page, "/face"))
        assert challenge["screen"]["next"] == "face" and len(set(challenge["actions"])) == 2
        if tuple(challenge["actions"]) == FILMS[who][0]:
            return challenge
    raise AssertionError("the movements are not drawn at random")


def answered(elder: Phone, page: dict[str, Any], challenge: dict[str, Any], frames: Sequence[bytes]) -> Any:
    form = {"challenge_id": challenge["challenge_id"], "nonce": challenge["nonce"]}
    return send(elder, path(page, "/face/answer"), "frames", frames, **form)


def test_a_face_and_a_code_let_a_large_payment_go_on(world: World, elder: Phone) -> None:
    page = checked(elder)
    challenge = begun(elder, page)
    status, told = answered(elder, page, challenge, film())
    assert status == 200 and told["order"]["state"] == "awaiting_check", "a face alone is never enough"
    assert "脸认出来了" in told["screen"]["say"]
    paid = elder.ok("POST", path(page, "/sms/answer"), {"code": sent_code(world, elder, page)})
    assert elder.pay(paid) == "requestPayment:ok"
    world.work()
    assert elder.order(page["order"]["id"])["order"]["state"] == "completed" and world.balanced()


def test_a_face_in_the_middle_is_asked_for_other_proof_and_not_turned_away(
    world: World, elder: Phone
) -> None:
    page = checked(elder)
    challenge = begun(elder, page, "alike")
    status, told = answered(elder, page, challenge, film("alike"))
    assert status == 200 and told["screen"]["title"] == "再加一个办法核对"
    labels = {choice["label"] for choice in told["screen"]["choices"]}
    assert {"收短信验证码", "请家人确认", "到柜台办"} <= labels
    elder.ok("POST", path(page, "/sms/answer"), {"code": sent_code(world, elder, page)})
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_check"
    elder.ok("POST", path(page, "/relative"))
    world.phone("daughter").ok("POST", f"/api/v1/co-confirmations/{page['order']['id']}", {"yes": True})
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_payment"


def test_a_strangers_face_gets_three_tries_and_the_other_ways_stay(world: World, elder: Phone) -> None:
    page = checked(elder)
    for number in range(3):
        challenge = begun(elder, page, "other")
        frames = film("other", number)
        status, told = answered(elder, page, challenge, frames)
        assert status == 200 and told["screen"]["title"] == "这次没有认出来"
        assert "distance" not in str(told), "no oracle for an attacker"
    assert elder.post(path(page, "/face"))[1]["code"] == "face_used_up"
    elder.ok("POST", path(page, "/sms/answer"), {"code": sent_code(world, elder, page)})


def test_the_same_film_and_another_orders_challenge_are_worth_nothing(world: World, elder: Phone) -> None:
    first, second = checked(elder), checked(elder, 130_000)
    challenge = begun(elder, first)
    frames = film()
    status, body = answered(elder, second, challenge, frames)
    assert (status, body["code"]) == (409, "challenge_over")
    assert answered(elder, first, challenge, frames)[0] == 200
    assert elder.ok("GET", path(first))["check"]["proven"] == ["face"]
    assert elder.ok("GET", path(second))["check"]["proven"] == []
    again = begun(elder, second)
    status, body = answered(elder, second, again, frames)
    assert (status, body["code"]) == (422, "face_frames"), "a recording is not a face"


def test_a_challenge_lives_ninety_seconds_and_is_answered_once(world: World, elder: Phone) -> None:
    page = checked(elder)
    late = begun(elder, page)
    world.clock.tick(seconds=91)
    assert answered(elder, page, late, [b"x"] * 8)[1]["code"] == "challenge_over"
    challenge = begun(elder, page)
    wrong = {**challenge, "nonce": "0" * 32}
    assert answered(elder, page, wrong, [b"x"] * 8)[1]["code"] == "challenge_over"
    assert answered(elder, page, challenge, [b"x"] * 8)[1]["code"] == "challenge_over", "it was used"


def test_bad_pictures_cost_no_try(world: World, elder: Phone) -> None:
    page = checked(elder)
    for _number in range(4):
        challenge = begun(elder, page)
        status, body = answered(elder, page, challenge, [b"<html>%d" % _number] * 8)
        assert status in (415, 422) and body["code"].startswith("face_")
    begun(elder, page)


def test_without_consent_no_face_is_kept_and_taking_it_back_deletes_it_in_the_middle(
    world: World, elder: Phone
) -> None:
    stranger = world.elder("li", "3104870300000000002")
    assert send(stranger, "/api/v1/me/face", "photos", three())[1]["code"] == "consent_missing"
    page = checked(elder)
    challenge = begun(elder, page)
    frames = film()
    elder.ok("DELETE", "/api/v1/me/consents/face")
    assert answered(elder, page, challenge, frames)[1]["code"] == "consent_missing"
    with world.deps.database.read() as tx:
        assert tx.execute(models.metadata.tables["face_templates"].select()).all() == []
    assert elder.ok("GET", "/api/v1/me/face")["enrolled_at"] is None


def test_a_template_is_kept_sealed_and_expires(world: World, elder: Phone) -> None:
    with world.deps.database.read() as tx:
        row = tx.execute(models.metadata.tables["face_templates"].select()).one()
    key_id, _, sealed = row.template.partition(":")
    assert key_id and len(sealed) > 512
    world.clock.tick(days=180)
    fresh = world.phone("wang")
    assert fresh.ok("GET", "/api/v1/me/face")["enrolled_at"] is None


def test_wechats_own_check_is_enough_and_only_by_what_wechat_says(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, FACE="wechat") as world:
        elder = world.elder("wang")
        page = checked(elder)
        assert elder.post(path(page, "/face"))[1]["code"] == "real_name_missing"
        elder.ok("PUT", "/api/v1/me/real-name", {"name": "王秀英", "id_number": ID_NUMBER})
        claimed = elder.ok("POST", path(page, "/face"))
        answer = {"challenge_id": claimed["challenge_id"]}
        told = elder.ok("POST", path(page, "/face/result"), answer)
        assert told["order"]["state"] == "awaiting_check", "nobody looked into the camera"
        begun_again = elder.ok("POST", path(page, "/face"))
        world.sandbox.facial_verify(begun_again["verify_id"], "pass", "wang")
        answer = {"challenge_id": begun_again["challenge_id"]}
        paid = elder.ok("POST", path(page, "/face/result"), answer)
        assert elder.pay(paid) == "requestPayment:ok"


def test_a_fingerprint_beside_a_face_is_enough_and_its_answer_counts_once(world: World, elder: Phone) -> None:
    page = checked(elder)
    asked = elder.ok("POST", path(page, "/fingerprint"))
    made = world.sandbox.fingerprint("wang", asked["nonce"])
    body = {
        "challenge_id": asked["challenge_id"],
        "result_json": made["resultJSON"],
        "signature": made["resultJSONSignature"],
    }
    told = elder.ok("POST", path(page, "/fingerprint/answer"), body)
    assert told["order"]["state"] == "awaiting_check" and "指纹对上了" in told["screen"]["say"]
    assert elder.post(path(page, "/fingerprint/answer"), body)[1]["code"] in (
        "challenge_over",
        "check_not_needed",
    )
    challenge = begun(elder, page)
    status, paid = answered(elder, page, challenge, film())
    assert status == 200 and paid["screen"]["next"] == "pay"
