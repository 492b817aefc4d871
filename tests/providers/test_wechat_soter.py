"""Fingerprints by SOTER over HTTP: only a signed answer to our very challenge, by this person's phone."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import OutsideError, Refused, Unavailable, Unknown
from app.providers.wechat import WeChatApi
from app.providers.wechat_soter import BAD_SIGNATURE, OUTCOMES, WeChatSoter
from app.providers.wechat_wire import WeChatWire
from tests.providers.adapters import SHORT, wechat_config
from tests.providers.fault_server import FaultServer, http_answer, scripted
from tests.sandbox_server import Sandbox, sandbox_keys

CHALLENGE = "order ord_01 ¥1200.00 nonce 5f1c"


@pytest.fixture
def soter(wechat: WeChatApi) -> WeChatSoter:
    return WeChatSoter(wechat.wire)


def pressed(
    sandbox: Sandbox, person: str = "amy", challenge: str = CHALLENGE, **more: str
) -> tuple[str, str]:
    """What the phone hands over: the result and its signature."""
    told = sandbox.fingerprint(person, challenge, **more)
    return told["resultJSON"], told["resultJSONSignature"]


def test_the_right_finger_on_the_right_phone_is_confirmed(soter: WeChatSoter, sandbox: Sandbox) -> None:
    amy = sandbox.openid("amy")
    result, signature = pressed(sandbox)
    assert json.loads(result)["raw"] == CHALLENGE
    for _ in range(2):  # nobody there remembers it: single use is the caller's
        assert soter.verify(amy, CHALLENGE, result, signature) is True


@pytest.mark.parametrize("action", ["cancel", "mismatch", "not_enrolled"])
def test_without_the_finger_there_is_nothing_to_verify(sandbox: Sandbox, action: str) -> None:
    told = sandbox.fingerprint("amy", CHALLENGE, action)
    assert told["errCode"] != 0 and "resultJSON" not in told


def test_somebody_elses_phone_or_person_is_not_confirmed(soter: WeChatSoter, sandbox: Sandbox) -> None:
    amy, bob = sandbox.openid("amy"), sandbox.openid("bob")
    assert soter.verify(amy, CHALLENGE, *pressed(sandbox, action="stranger")) is False
    assert soter.verify(bob, CHALLENGE, *pressed(sandbox, "amy")) is False


def test_a_result_that_was_changed_on_the_way_is_not_confirmed(soter: WeChatSoter, sandbox: Sandbox) -> None:
    amy = sandbox.openid("amy")
    result, signature = pressed(sandbox)
    assert soter.verify(amy, CHALLENGE, result.replace('"fid": "2"', '"fid": "3"'), signature) is False
    assert (
        soter.verify(amy, CHALLENGE, json.dumps(json.loads(result)), signature) is False
    )  # the same, escaped
    assert soter.verify(amy, CHALLENGE, result, signature[:-4] + "AAA=") is False
    other = "order ord_02 ¥1200.00 nonce 77aa"
    assert soter.verify(amy, other, result.replace(CHALLENGE, other), signature) is False


@pytest.fixture
def asked(fault_server: FaultServer, clock: FakeClock) -> Iterator[WeChatSoter]:
    wire = WeChatWire(wechat_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    yield WeChatSoter(wire)
    wire.close_connections()


def answering(server: FaultServer, answer: dict[str, Any]) -> None:
    scripted(server, lambda line: {"access_token": "t", "expires_in": 7200} if b"stable" in line else answer)


@pytest.mark.parametrize(
    ("challenge", "result"),
    [
        ("another", json.dumps({"raw": CHALLENGE})),
        (CHALLENGE, json.dumps({"raw": CHALLENGE + " "})),
        (CHALLENGE, json.dumps({"raw": [CHALLENGE]})),
        (CHALLENGE, json.dumps({"other": CHALLENGE})),
        (CHALLENGE, json.dumps([CHALLENGE])),
        (CHALLENGE, '{"raw": "x", "raw": "' + CHALLENGE + '"}'),
        (CHALLENGE, CHALLENGE),
        (CHALLENGE, ""),
        (CHALLENGE, "[" * 5000),
        (CHALLENGE, json.dumps({"raw": CHALLENGE, "more": "x" * 9000})),
        (CHALLENGE, '{"raw": "' + CHALLENGE + '", "fid": "\ud800"}'),
        ("", json.dumps({"raw": ""})),
        ("?", json.dumps({"raw": "\ud800"})),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_answer_to_our_challenge_is_never_asked_about(
    asked: WeChatSoter, fault_server: FaultServer, challenge: str, result: str
) -> None:
    answering(fault_server, {"is_ok": True})
    assert asked.verify("o1", challenge, result, "signature") is False
    assert fault_server.requests == []


@pytest.mark.parametrize("signature", ["", "s" * 5000, "\udfff"])
def test_nor_is_what_cannot_be_a_signature(
    asked: WeChatSoter, fault_server: FaultServer, signature: str
) -> None:
    answering(fault_server, {"is_ok": True})
    assert asked.verify("o1", CHALLENGE, json.dumps({"raw": CHALLENGE}), signature) is False
    assert fault_server.requests == []


def test_both_texts_go_to_wechat_as_the_phone_gave_them(
    asked: WeChatSoter, fault_server: FaultServer
) -> None:
    answering(fault_server, {"errcode": 0, "errmsg": "ok", "is_ok": True})
    result = ' {"raw":\t"' + CHALLENGE.replace("¥", "\\u00a5") + '"}\n'
    assert asked.verify("o1", CHALLENGE, result, "sig+/==") is True
    sent = json.loads(fault_server.requests[-1].partition(b"\r\n\r\n")[2])
    assert sent == {"openid": "o1", "json_string": result, "json_signature": "sig+/=="}


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"is_ok": True}, True),
        ({"is_ok": False}, False),
        ({"errcode": 0, "is_ok": False}, False),
        ({"errcode": int(BAD_SIGNATURE), "errmsg": "invalid signature"}, False),
        ({"errcode": 0}, Unknown),
        ({"is_ok": "true"}, Unknown),
        ({"is_ok": 1}, Unknown),
        ({"errcode": 99999, "is_ok": True}, Unknown),
        ({"errcode": -1}, Unavailable),
        ({"errcode": 40003}, Refused),
        ({"errcode": "40003"}, Refused),
        ({"errcode": 48001}, Unavailable),
    ],
    ids=str,
)
def test_what_an_answer_means(
    asked: WeChatSoter, fault_server: FaultServer, answer: dict[str, Any], ends: Any
) -> None:
    answering(fault_server, answer)
    call = ("o1", CHALLENGE, json.dumps({"raw": CHALLENGE}), "signature")
    if isinstance(ends, bool):
        assert asked.verify(*call) is ends
        return
    with pytest.raises(OutsideError) as ended:
        asked.verify(*call)
    assert type(ended.value) is ends


@pytest.mark.parametrize("code", sorted(set(OUTCOMES) - {int(BAD_SIGNATURE)}))
def test_every_listed_errcode_ends_as_the_table_says(
    asked: WeChatSoter, fault_server: FaultServer, code: int
) -> None:
    answering(fault_server, {"errcode": code})
    with pytest.raises(OutsideError) as ended:
        asked.verify("o1", CHALLENGE, json.dumps({"raw": CHALLENGE}), "signature")
    assert type(ended.value) is OUTCOMES[code]


@pytest.mark.parametrize("then", ["reset", "close", "hang", "half"])
def test_a_broken_connection_is_never_a_yes(asked: WeChatSoter, fault_server: FaultServer, then: str) -> None:
    call = ("o1", CHALLENGE, json.dumps({"raw": CHALLENGE}), "signature")
    answering(fault_server, {"is_ok": True})
    assert asked.verify(*call)
    fault_server.then = then
    with pytest.raises(Unknown, match="no_answer"):
        asked.verify(*call)
    fault_server.then = http_answer(502, b'{"is_ok":true}')
    with pytest.raises(Unknown, match="http_502"):
        asked.verify(*call)


def test_a_token_that_was_reset_is_renewed_once(soter: WeChatSoter, sandbox: Sandbox) -> None:
    amy = sandbox.openid("amy")
    assert soter.verify(amy, CHALLENGE, *pressed(sandbox))
    sandbox.ask("/sandbox/tokens/expire")
    assert soter.verify(amy, CHALLENGE, *pressed(sandbox))


@pytest.mark.parametrize(
    ("mode", "outcome"), [("refuses", Unavailable), ("silent", Unknown), ("lost", Unknown)]
)
def test_fingerprints_that_are_out_say_how_sure_it_is(
    soter: WeChatSoter, sandbox: Sandbox, mode: str, outcome: type[OutsideError]
) -> None:
    amy, made = sandbox.openid("amy"), pressed(sandbox)
    sandbox.outage("fingerprints", mode)
    with pytest.raises(outcome):
        soter.verify(amy, CHALLENGE, *made)
    sandbox.outage("fingerprints", "none")
    assert soter.verify(amy, CHALLENGE, *made)


def test_nothing_the_phone_said_reaches_a_log_or_an_error(
    asked: WeChatSoter, fault_server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told, result = "", json.dumps({"raw": CHALLENGE, "cpu_id": "c-p-u"})
    person, signature = "o-person", "a-signature"
    for code in (40003, 99999):
        answering(fault_server, {"errcode": code})
        with pytest.raises(OutsideError) as ended:
            asked.verify(person, CHALLENGE, result, signature)
        told += "".join(traceback.format_exception(ended.value))
    everything = told + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for secret in (person, "c-p-u", signature, "nonce 5f1c"):
        assert secret not in everything
