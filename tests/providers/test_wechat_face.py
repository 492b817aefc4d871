"""WeChat's face check over HTTP: passed only on its server's word, for exactly who it was begun for."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import Refused, RemoteCheck, RemoteReason, RemoteResult
from app.providers.sandbox.people import citizens
from app.providers.wechat import WeChatApi
from app.providers.wechat_face import OUTCOMES, WeChatFace, cert_hash
from app.providers.wechat_face_codes import reason_of
from tests.sandbox_server import Sandbox

NAME, ID_NUMBER = "王秀英", "440106195003120111"
NO_PICTURE = next(one for one in citizens() if not one.picture)
_sequences = itertools.count(1)


def a_sequence() -> str:
    return f"chk_{next(_sequences):026d}"


class Check:
    """One check that was begun for amy as 王秀英, unless something is said to be different."""

    def __init__(self, face: WeChatFace, person: str, **changes: str) -> None:
        self._face = face
        self.facts = {
            "sequence": a_sequence(),
            "name": NAME,
            "id_number": ID_NUMBER,
            "openid": person,
        } | changes
        self.begun: RemoteCheck = face.begin(**self.facts)

    def result(self, **changes: str) -> RemoteResult:
        return self._face.result(**({"check_id": self.begun.verify_id} | self.facts | changes))


# --- the digest ---


def test_the_certificates_digest_is_that_of_the_official_example() -> None:
    told = "3c241f7ff324977aeb91f173bb2a7b06569e6fd784d5573db34a636d8671108b"
    assert cert_hash("张三", "310101199801011234") == told


# --- results ---


def test_a_face_that_fits_passes(face: WeChatFace, sandbox: Sandbox, amy: str) -> None:
    check = Check(face, amy)
    assert check.begun.expires_in == 3600 and 0 < len(check.begun.verify_id) <= 256
    assert sandbox.facial_verify(check.begun.verify_id, person="amy") == "requestFacialVerify:ok"
    for _ in range(2):  # asking again is safe
        assert check.result() == RemoteResult(True, 10000)
    assert check.result().reason is RemoteReason.PASSED


@pytest.mark.parametrize(
    ("action", "code", "reason", "phone_says_ok"),
    [
        ("fail", 10004, RemoteReason.OTHER_PERSON, True),
        ("dark", 10002, RemoteReason.BAD_CAPTURE, True),
        ("cancel", 90002, RemoteReason.CANCELLED, False),
        ("no_camera", 90008, RemoteReason.NO_PERMISSION, False),
        ("timeout", 90107, RemoteReason.TIMED_OUT, False),
        ("unsupported", 90001, RemoteReason.DEVICE, False),
        ("network", 90007, RemoteReason.NETWORK, False),
        ("fault", 90199, RemoteReason.FAULT, False),
    ],
)
def test_everything_else_does_not_and_says_why(
    face: WeChatFace,
    sandbox: Sandbox,
    amy: str,
    action: str,
    code: int,
    reason: RemoteReason,
    phone_says_ok: bool,
) -> None:
    check = Check(face, amy)
    assert sandbox.facial_verify(check.begun.verify_id, action).endswith(":ok") is phone_says_ok
    assert check.result() == RemoteResult(False, code) and check.result().reason is reason


def test_the_phones_word_alone_proves_nothing(face: WeChatFace, amy: str) -> None:
    check = Check(face, amy)  # and the phone now claims success, without anybody having looked
    assert not check.result().passed and check.result().reason is RemoteReason.UNFINISHED


def test_another_persons_number_does_not_pass_with_the_right_face(
    face: WeChatFace, sandbox: Sandbox, amy: str
) -> None:
    check = Check(face, amy, name="李小红")
    sandbox.facial_verify(check.begun.verify_id)
    assert check.result() == RemoteResult(False, 10003)
    assert check.result().reason is RemoteReason.OTHER_PERSON


def test_a_person_without_a_picture_on_file_is_told_apart_from_a_stranger(
    face: WeChatFace, sandbox: Sandbox, amy: str
) -> None:
    check = Check(face, amy, name=NO_PICTURE.name, id_number=NO_PICTURE.id_number)
    sandbox.facial_verify(check.begun.verify_id)
    assert check.result().reason is RemoteReason.NOT_ON_FILE


@pytest.mark.parametrize("code", [10001, 10045, 90018, 12345, -7])
def test_a_code_nobody_knows_is_a_fault_and_never_a_pass(code: int) -> None:
    assert reason_of(code) is RemoteReason.FAULT


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ({90002, 90003, 90004, 90005, 90006}, RemoteReason.CANCELLED),
        ({90008, 90009, 90010}, RemoteReason.NO_PERMISSION),
        ({90011, 90013, 90014}, RemoteReason.BAD_CAPTURE),
        ({90017, 90107}, RemoteReason.TIMED_OUT),
        ({90001, 90109}, RemoteReason.DEVICE),
        ({90007, 90012}, RemoteReason.NETWORK),
        ({10003, 10004}, RemoteReason.OTHER_PERSON),
        ({90018, 90104, 90105, 90110, 90199}, RemoteReason.FAULT),
        ({10000}, RemoteReason.PASSED),
    ],
)
def test_the_codes_of_the_official_page_mean_what_it_says(codes: set[int], reason: RemoteReason) -> None:
    assert {reason_of(code) for code in codes} == {reason}


# --- bound to its beginning ---


def test_a_result_is_told_only_to_who_names_all_it_was_begun_with(
    face: WeChatFace, sandbox: Sandbox, amy: str
) -> None:
    check, other = Check(face, amy), Check(face, sandbox.openid("bob"))
    for begun in (check, other):
        sandbox.facial_verify(begun.begun.verify_id)
    for changes in (
        {"openid": sandbox.openid("bob")},
        {"name": "李小红"},
        {"id_number": "440106194809260223"},
        {"sequence": other.facts["sequence"]},
        {"check_id": other.begun.verify_id},
        {"check_id": "nothing"},
        {"check_id": "\ud800"},
    ):
        with pytest.raises(Refused):
            check.result(**changes)
    assert check.result().passed


def test_a_check_is_made_by_its_own_person_once_and_within_the_hour(
    face: WeChatFace, sandbox: Sandbox, clock: FakeClock, amy: str
) -> None:
    check, late = Check(face, amy), Check(face, amy)
    assert "fail" in sandbox.facial_verify(check.begun.verify_id, person="bob")
    assert "ok" in sandbox.facial_verify(check.begun.verify_id, "fail", person="amy")
    assert "fail" in sandbox.facial_verify(check.begun.verify_id, "pass", person="amy")
    assert not check.result().passed
    clock.tick(seconds=3600)
    assert "fail" in sandbox.facial_verify(late.begun.verify_id)
    assert late.result().reason is RemoteReason.UNFINISHED
    assert "fail" in sandbox.facial_verify("nothing")


def test_a_sequence_is_used_once_also_by_twenty_at_once(face: WeChatFace, sandbox: Sandbox, amy: str) -> None:
    sequence = a_sequence()

    def begin(_number: int) -> bool:
        try:
            face.begin(sequence, NAME, ID_NUMBER, amy)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(begin, range(20))) == 1


@pytest.mark.parametrize("sequence", ["", "four", "x" * 33, "chk 00001", "chk_é0001", "chk_00001\n"])
def test_a_sequence_wechat_would_not_take_is_our_mistake(face: WeChatFace, amy: str, sequence: str) -> None:
    with pytest.raises(ValueError, match="sequence"):
        face.begin(sequence, NAME, ID_NUMBER, amy)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "84006"),
        ({"id_number": ""}, "84006"),
        ({"id_number": "44010619500312011x"}, "40097"),
        ({"openid": "o-unknown"}, "40003"),
        ({"name": "\ud800"}, "not_text"),
        ({"id_number": "\udfff"}, "not_text"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    face: WeChatFace, amy: str, changes: dict[str, str], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        Check(face, amy, **changes)
    assert refused.value.code == code


@pytest.mark.parametrize("body", [{}, {"out_seq_no": "chk_000001"}, [], {"openid": 1}])
def test_the_sandbox_takes_only_the_documented_shape(sandbox: Sandbox, wechat: WeChatApi, body: Any) -> None:
    for path in ("getverifyid", "queryverifyinfo"):
        with pytest.raises(Refused):
            wechat.wire.call(f"/cityservice/face/identify/{path}", body, "face", OUTCOMES)
