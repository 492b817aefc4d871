"""WeChat's face check when the network, the token or the answer is at fault."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import OutsideError, Unavailable, Unknown
from app.providers.wechat_face import OUTCOMES, WeChatFace, cert_hash
from app.providers.wechat_wire import WeChatWire
from tests.providers.adapters import SHORT, wechat_config
from tests.providers.fault_server import FaultServer, closed_port, http_answer, scripted
from tests.providers.test_wechat_face import ID_NUMBER, NAME, Check, a_sequence
from tests.sandbox_server import Sandbox, sandbox_keys


@pytest.fixture
def lonely(fault_server: FaultServer, clock: FakeClock) -> Iterator[WeChatFace]:
    wire = WeChatWire(wechat_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    yield WeChatFace(wire)
    wire.close_connections()


def answering(server: FaultServer, answer: bytes | dict[str, Any]) -> None:
    """Tokens are given, and every other request is answered so."""
    token = http_answer(200, b'{"access_token":"t","expires_in":7200}')
    raw = answer if isinstance(answer, bytes) else http_answer(200, json.dumps(answer).encode())
    server.then = lambda request: token if b"stable_token" in request.split(b"\r\n")[0] else raw


@pytest.mark.parametrize(
    "answer",
    [
        {"errcode": 0, "errmsg": "ok"},
        {"verify_ret": 10000},  # passed needs both, each said
        {"errcode": False, "verify_ret": 10000},
        {"errcode": 0, "verify_ret": "10000"},
        {"errcode": 0, "verify_ret": 10000.5},
        {"errcode": None, "verify_ret": 10000},
        {"errcode": 99999, "verify_ret": 10000},
        http_answer(200, b"<html>"),
        http_answer(500, b'{"errcode":0,"verify_ret":10000}'),
        http_answer(302, b"", Location="https://elsewhere.example/"),
    ],
    ids=str,
)
def test_an_answer_that_is_not_plainly_a_result_is_unknown(
    lonely: WeChatFace, fault_server: FaultServer, answer: bytes | dict[str, Any]
) -> None:
    answering(fault_server, answer)
    with pytest.raises(Unknown):
        lonely.result("verify", a_sequence(), NAME, ID_NUMBER, "o1")


@pytest.mark.parametrize(
    "answer",
    [
        {"errcode": 0, "expires_in": 3600},
        {"errcode": 0, "verify_id": "", "expires_in": 3600},
        {"errcode": 0, "verify_id": "v" * 257, "expires_in": 3600},
        {"errcode": 0, "verify_id": "v", "expires_in": 0},
        {"verify_id": "v", "expires_in": 3600},
    ],
    ids=str,
)
def test_a_beginning_without_a_usable_id_is_unknown(
    lonely: WeChatFace, fault_server: FaultServer, answer: dict[str, Any]
) -> None:
    answering(fault_server, answer)
    with pytest.raises(Unknown, match="answer_shape"):
        lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1")


@pytest.mark.parametrize("code", sorted(OUTCOMES))
def test_every_listed_errcode_ends_a_check_as_the_table_says(
    lonely: WeChatFace, fault_server: FaultServer, code: int
) -> None:
    answering(fault_server, {"errcode": code})
    for call in (
        lambda: lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1"),
        lambda: lonely.result("verify", a_sequence(), NAME, ID_NUMBER, "o1"),
    ):
        with pytest.raises(OutsideError) as ended:
            call()
        assert type(ended.value) is OUTCOMES[code] and ended.value.code == str(code)


@pytest.mark.parametrize("then", ["reset", "close", "hang", "drip", "half"])
def test_without_a_token_nothing_was_begun_and_without_an_answer_nobody_knows(
    lonely: WeChatFace, fault_server: FaultServer, then: str
) -> None:
    fault_server.then = then
    with pytest.raises(Unavailable, match="token_no_answer"):
        lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1")
    answering(fault_server, {"errcode": -1})
    with pytest.raises(Unavailable, match="-1"):
        lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1")  # the token is there now
    fault_server.then = then
    with pytest.raises(Unknown, match="no_answer"):
        lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1")


def test_a_token_that_was_reset_is_renewed_once_and_the_check_goes_on(
    face: WeChatFace, sandbox: Sandbox, amy: str
) -> None:
    check = Check(face, amy)
    sandbox.ask("/sandbox/tokens/expire")
    sandbox.facial_verify(check.begun.verify_id)
    assert check.result().passed


def test_a_token_that_stays_stale_is_not_renewed_for_ever(
    lonely: WeChatFace, fault_server: FaultServer
) -> None:
    for code in (40001, 40014, 42001):
        scripted(
            fault_server,
            lambda line, code=code: (
                {"access_token": "t", "expires_in": 7200} if b"stable" in line else {"errcode": code}
            ),
        )
        before = len(fault_server.requests)
        with pytest.raises(Unavailable, match=str(code)):
            lonely.result("verify", a_sequence(), NAME, ID_NUMBER, "o1")
        assert len(fault_server.requests) - before <= 4


@pytest.mark.parametrize(
    ("mode", "outcome"), [("refuses", Unavailable), ("silent", Unknown), ("lost", Unknown)]
)
def test_faces_that_are_out_say_how_sure_it_is_and_a_new_sequence_begins_again(
    face: WeChatFace, sandbox: Sandbox, amy: str, mode: str, outcome: type[OutsideError]
) -> None:
    sandbox.outage("faces", mode)
    with pytest.raises(outcome):
        Check(face, amy)
    sandbox.outage("faces", "none")
    check = Check(face, amy)
    sandbox.facial_verify(check.begun.verify_id)
    sandbox.outage("faces", mode)
    with pytest.raises(outcome):
        check.result()
    sandbox.outage("faces", "none")
    assert check.result().passed


def test_no_name_or_number_reaches_a_log_an_address_or_an_error(
    face: WeChatFace,
    lonely: WeChatFace,
    sandbox: Sandbox,
    fault_server: FaultServer,
    amy: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    Check(face, amy).result()
    told = ""
    answering(fault_server, {"errcode": 84001})
    for then in (fault_server.then, "reset", http_answer(200, b"<html>")):
        fault_server.then = then
        for call in (
            lambda: lonely.begin(a_sequence(), NAME, ID_NUMBER, "o1"),
            lambda: lonely.result("v", a_sequence(), NAME, ID_NUMBER, "o1"),
        ):
            with pytest.raises(OutsideError) as ended:
                call()
            told += "".join(traceback.format_exception(ended.value))
    nowhere = WeChatFace(WeChatWire(wechat_config(closed_port(), sandbox.keys), sandbox.clock))
    with pytest.raises(Unavailable) as ended:
        nowhere.begin(a_sequence(), NAME, ID_NUMBER, amy)
    told += "".join(traceback.format_exception(ended.value))
    told += "".join(str(request.split(b"\r\n")[0]) for request in fault_server.requests)
    everything = told + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for secret in (NAME, ID_NUMBER, cert_hash(NAME, ID_NUMBER), amy):
        assert secret not in everything
