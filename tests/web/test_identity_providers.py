"""The wired application reaches every identity provider, and a browser can play the phone's part in it."""

from __future__ import annotations

import pytest

from app.ports import Refused
from app.providers.sandbox.people import citizens
from tests.world import World

WANG = citizens()[0]


def test_a_face_is_checked_from_the_browser_to_wechats_own_word(world: World) -> None:
    phone, faces = world.phone("wang"), world.deps.remote_face
    facts = {"name": WANG.name, "id_number": WANG.id_number, "openid": world.sandbox.openid("wang")}
    begun = faces.begin("chk_from_a_browser", **facts)
    look = {"verify_id": begun.verify_id, "person": "wang"}
    assert phone.ok("POST", "/sandbox/phone/facial-verify", look)["errMsg"] == "requestFacialVerify:ok"
    assert faces.result(begun.verify_id, "chk_from_a_browser", **facts).passed
    with pytest.raises(Refused):
        faces.result(begun.verify_id, "chk_from_a_browser", **facts | {"openid": world.sandbox.openid("li")})


def test_a_finger_answers_the_challenge_it_was_shown(world: World) -> None:
    phone, openid = world.phone("wang"), world.sandbox.openid("wang")
    told = phone.ok("POST", "/sandbox/phone/fingerprint", {"person": "wang", "challenge": "nonce-1"})
    for challenge, confirmed in (("nonce-1", True), ("nonce-2", False)):
        verdict = world.deps.fingerprints.verify(
            openid, challenge, told["resultJSON"], told["resultJSONSignature"]
        )
        assert verdict is confirmed


def test_a_code_is_read_on_the_phone_it_was_sent_to(world: World) -> None:
    world.deps.texts.send("txt_from_a_browser", WANG.phone, "phone_code", {"code": "048213"})
    inbox = world.phone("wang").ok("POST", "/sandbox/phone/texts", {"phone": WANG.phone})["texts"]
    assert inbox[-1]["facts"] == {"code": "048213"} and "048213" in inbox[-1]["text"]


def test_the_bank_knows_its_own(world: World) -> None:
    banks = world.deps.bank_cards
    facts = (WANG.name, WANG.id_number, WANG.bank_card)
    assert banks.verify("bnk_from_here_1", *facts, WANG.phone) is True
    assert banks.verify("bnk_from_here_2", *facts, "13900000002") is False
