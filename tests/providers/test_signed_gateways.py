"""What texts and bank checks promise alike, as signed gateways: answers, broken networks, secrets."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import OutsideError, Unavailable, Unknown
from app.providers import bank_check_gateway, sms_gateway
from app.providers.bank_check_gateway import BankCheckGateway
from app.providers.sms_gateway import SmsGateway
from tests.providers.adapters import SHORT
from tests.providers.fault_server import FaultServer, closed_port, signed_answer
from tests.providers.test_identity_gateways import (
    FACTS,
    PHONE,
    REQUEST,
    WANG,
    asked_about,
    config,
)
from tests.sandbox_server import Sandbox, sandbox_keys


@dataclass(frozen=True)
class Kind:
    """One of the two gateways, and one whole question to it. `answer` is what it says when all is well."""

    name: str
    header: str
    make: Callable[..., Any]
    ask: Callable[[Any], Any]
    answer: dict[str, Any]
    outcomes: Any
    secrets: tuple[str, ...]


KINDS = [
    Kind(
        "texts",
        "X-Text",
        SmsGateway,
        lambda adapter: adapter.send(REQUEST, PHONE, "order_code", FACTS),
        {"request_id": REQUEST},
        sms_gateway.OUTCOMES,
        (PHONE, FACTS["code"]),
    ),
    Kind(
        "bank_checks",
        "X-Bank",
        BankCheckGateway,
        lambda adapter: adapter.verify(REQUEST, **asked_about()),
        {"request_id": REQUEST, "agrees": True},
        bank_check_gateway.OUTCOMES,
        (WANG.name, WANG.id_number, WANG.bank_card, WANG.phone),
    ),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def lonely(kind: Kind, fault_server: FaultServer, clock: FakeClock) -> Iterator[Any]:
    """The adapter, talking to a server that misbehaves as told."""
    adapter = kind.make(config(fault_server.base_url, kind.name, timeouts=SHORT), clock)
    yield adapter
    adapter.close_connections()


def answering(server: FaultServer, kind: Kind, status: int, body: bytes, **changes: str) -> None:
    secret = changes.pop("secret", sandbox_keys().gateway_secret(kind.name))
    server.then = lambda request: signed_answer(request, kind.header, secret, status, body, **changes)


def test_a_well_signed_answer_is_believed(kind: Kind, lonely: Any, fault_server: FaultServer) -> None:
    answering(fault_server, kind, 200, json.dumps(kind.answer).encode())
    assert kind.ask(lonely) == kind.answer.get("agrees")


@pytest.mark.parametrize("answered", ["yes", "no"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "s" * 40}, "unverified"),
        ({"signed_status": "500"}, "unverified"),
        ({"signed_body": '{"request_id":"txt_other"}'}, "unverified"),
        ({"nonce": "0" * 32}, "unverified"),
        ({"timestamp": "1"}, "answer_stale"),
        ({"timestamp": "never"}, "answer_stale"),
    ],
    ids=str,
)
def test_neither_a_yes_nor_a_no_is_believed_that_is_not_surely_theirs(
    kind: Kind, lonely: Any, fault_server: FaultServer, answered: str, changes: dict[str, str], code: str
) -> None:
    status, body = (200, kind.answer) if answered == "yes" else (422, {"code": "phone_malformed"})
    answering(fault_server, kind, status, json.dumps(body).encode(), **changes)
    with pytest.raises(Unknown, match=code):
        kind.ask(lonely)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"{}", "answer_shape"),
        (200, b"<html>", "answer_shape"),
        (200, b'{"request_id":"txt_other","agrees":true}', "answer_mismatch"),
        (422, b"[]", "answer_shape"),
        (422, b'{"code":"something_new"}', "something_new"),
        (500, b'{"code":"internal"}', "internal"),
        (302, b'{"code":"elsewhere"}', "elsewhere"),
    ],
)
def test_a_signed_answer_that_says_nothing_is_unknown(
    kind: Kind, lonely: Any, fault_server: FaultServer, status: int, body: bytes, code: str
) -> None:
    answering(fault_server, kind, status, body)
    with pytest.raises(Unknown) as ended:
        kind.ask(lonely)
    assert ended.value.code == code


@pytest.mark.parametrize("agrees", ['"true"', "1", "null", '"yes"'])
def test_only_true_agrees(fault_server: FaultServer, clock: FakeClock, agrees: str) -> None:
    banks = KINDS[1]
    adapter = banks.make(config(fault_server.base_url, banks.name, timeouts=SHORT), clock)
    answering(fault_server, banks, 200, f'{{"request_id":"{REQUEST}","agrees":{agrees}}}'.encode())
    with pytest.raises(Unknown, match="answer_shape"):
        banks.ask(adapter)
    adapter.close_connections()


def test_every_listed_code_ends_as_the_table_says(kind: Kind, lonely: Any, fault_server: FaultServer) -> None:
    for code, outcome in kind.outcomes.items():
        answering(fault_server, kind, 422, json.dumps({"code": code}).encode())
        with pytest.raises(OutsideError) as ended:
            kind.ask(lonely)
        assert type(ended.value) is outcome and ended.value.code == code


@pytest.mark.parametrize("then", ["reset", "close", "hang", "drip", "half"])
def test_a_broken_connection_leaves_it_unknown(
    kind: Kind, lonely: Any, fault_server: FaultServer, then: str
) -> None:
    fault_server.then = then
    with pytest.raises(Unknown, match="no_answer"):
        kind.ask(lonely)


def test_nobody_listening_means_that_nothing_was_asked(kind: Kind, clock: FakeClock) -> None:
    with pytest.raises(Unavailable, match="not_connected"):
        kind.ask(kind.make(config(closed_port(), kind.name, timeouts=SHORT), clock))


@pytest.mark.parametrize(
    "change", [{"key_id": "stranger"}, {"secret": "s" * 40}, {"clock": 301}, {"clock": -301}], ids=str
)
def test_a_stranger_or_a_wrong_clock_is_not_served(
    kind: Kind, sandbox: Sandbox, clock: FakeClock, change: dict[str, Any]
) -> None:
    skewed = FakeClock(clock.now() + timedelta(seconds=change.get("clock", 0)))
    changes = {name: value for name, value in change.items() if name != "clock"}
    adapter = kind.make(config(sandbox.base_url, kind.name, **changes), skewed)
    with pytest.raises((Unavailable, Unknown)):
        kind.ask(adapter)
    store = sandbox.server.sandbox.world.store
    assert sandbox.texts() == [] and store.rows("SELECT * FROM bank_checks") == []
    adapter.close_connections()


def test_the_secret_of_one_gateway_opens_no_other(kind: Kind, sandbox: Sandbox, clock: FakeClock) -> None:
    for other in (
        sandbox.keys.card_secret,
        *(sandbox.keys.gateway_secret(k.name) for k in KINDS if k is not kind),
    ):
        adapter = kind.make(config(sandbox.base_url, kind.name, secret=other), clock)
        with pytest.raises((Unavailable, Unknown)):
            kind.ask(adapter)
        adapter.close_connections()


@pytest.mark.parametrize(
    ("mode", "outcome"), [("refuses", Unavailable), ("silent", Unknown), ("lost", Unknown)]
)
def test_a_gateway_that_is_out_says_how_sure_it_is_and_the_same_request_finishes(
    kind: Kind, sandbox: Sandbox, clock: FakeClock, mode: str, outcome: type[OutsideError]
) -> None:
    adapter = kind.make(config(sandbox.base_url, kind.name), clock)
    sandbox.outage(kind.name, mode)
    for _ in range(2):
        with pytest.raises(outcome):
            kind.ask(adapter)
    sandbox.outage(kind.name, "none")
    assert kind.ask(adapter) == kind.answer.get("agrees")
    assert len(sandbox.texts()) <= 1
    adapter.close_connections()


def test_no_number_name_or_code_reaches_a_log_an_address_or_an_error(
    kind: Kind, lonely: Any, fault_server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    for status, body in ((422, b'{"code":"phone_malformed"}'), (200, b"{}"), (500, b'{"code":"internal"}')):
        answering(fault_server, kind, status, body)
        with pytest.raises(OutsideError) as ended:
            kind.ask(lonely)
        told += "".join(traceback.format_exception(ended.value))
    heads = b"".join(request.partition(b"\r\n\r\n")[0] for request in fault_server.requests).decode()
    everything = told + heads + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for secret in (*kind.secrets, sandbox_keys().gateway_secret(kind.name)):
        assert secret not in everything


def test_a_missing_key_or_a_weak_secret_is_refused_at_once(kind: Kind, clock: FakeClock) -> None:
    for changes in ({"key_id": ""}, {"secret": "short"}):
        with pytest.raises(ValueError, match="key id is missing"):
            kind.make(config("http://127.0.0.1:9", kind.name, **changes), clock)
