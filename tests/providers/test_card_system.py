"""The card system contract over HTTP: facts, credits exactly once, and how sure each answer is."""

from __future__ import annotations

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests

from app.domain.clock import FakeClock
from app.domain.ids import Kind, new_id
from app.ports import CardFacts, CardMode, CreditState, OutsideError, Refused, Unavailable, Unknown
from app.providers.card_system_gateway import CardSystemGateway
from tests.providers.adapters import SHORT, gateway_config
from tests.providers.fault_server import FaultServer, signed_answer
from tests.sandbox_server import Sandbox, sandbox_keys

GOOD = "3104870300000000001"
NEARLY_FULL = "3104870300000000006"
ANONYMOUS = "3104870300000000007"
BLOCKED = "3104870300000000008"
CREDIT_REFUSED = "3104870300000000009"
CREDIT_UNAVAILABLE_ONCE = "3104870300000000010"
CREDIT_ANSWER_LOST_ONCE = "3104870300000000011"
FIND_UNAVAILABLE_ONCE = "3104870300000000012"
CHIP = "3104870400000000001"


def an_order() -> str:
    return new_id(Kind.ORDER)


def balance(sandbox: Sandbox, number: str = GOOD) -> int:
    return int(sandbox.card(number)["balance_fen"])


# --- find ---


def test_a_card_is_found_with_what_its_issuer_knows(cards: CardSystemGateway) -> None:
    assert cards.find(GOOD) == CardFacts(GOOD, "guangzhou", CardMode.ACCOUNT, True, 3650, "王*英")
    assert cards.find(ANONYMOUS) == CardFacts(ANONYMOUS, "guangzhou", CardMode.ACCOUNT, False, 96000)
    assert cards.find(CHIP).mode is CardMode.CHIP


@pytest.mark.parametrize(
    ("number", "code"),
    [("3104870399999999999", "card_unknown"), ("", "card_unknown"), (BLOCKED, "card_blocked")],
)
def test_a_card_that_cannot_be_topped_up_is_refused(cards: CardSystemGateway, number: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        cards.find(number)
    assert refused.value.code == code


def test_a_card_system_that_is_busy_is_asked_again(cards: CardSystemGateway) -> None:
    with pytest.raises(Unavailable):
        cards.find(FIND_UNAVAILABLE_ONCE)
    assert cards.find(FIND_UNAVAILABLE_ONCE).balance_fen == 1500


# --- credit ---


def test_money_arrives_on_the_card(cards: CardSystemGateway, sandbox: Sandbox) -> None:
    order_id = an_order()
    credit = cards.credit(order_id, GOOD, 5000)
    assert (credit.state, credit.balance_fen) == (CreditState.CREDITED, 3650 + 5000)
    assert cards.query(order_id) == credit and balance(sandbox) == 8650
    assert cards.find(GOOD).balance_fen == 8650


def test_the_same_order_credits_once_however_often_it_is_sent(
    cards: CardSystemGateway, sandbox: Sandbox
) -> None:
    order_id = an_order()
    with ThreadPoolExecutor(12) as pool:
        answers = set(pool.map(lambda _: cards.credit(order_id, GOOD, 5000), range(24)))
    assert len(answers) == 1 and balance(sandbox) == 8650 and len(sandbox.credits()) == 1


def test_many_orders_at_once_all_arrive(cards: CardSystemGateway, sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: cards.credit(an_order(), GOOD, 100), range(30)))
    assert balance(sandbox) == 3650 + 3000


@pytest.mark.parametrize(("number", "amount_fen"), [(GOOD, 5001), ("3104870300000000002", 5000)])
def test_an_order_used_differently_is_a_conflict_and_changes_nothing(
    cards: CardSystemGateway, sandbox: Sandbox, number: str, amount_fen: int
) -> None:
    order_id = an_order()
    cards.credit(order_id, GOOD, 5000)
    before = sandbox.cards()
    with pytest.raises(Refused) as refused:
        cards.credit(order_id, number, amount_fen)
    assert refused.value.code == "conflict" and sandbox.cards() == before


def test_a_chip_card_waits_for_its_chip(cards: CardSystemGateway) -> None:
    order_id = an_order()
    credit = cards.credit(order_id, CHIP, 5000)
    assert (credit.state, credit.balance_fen) == (CreditState.WRITE_ISSUED, 4200)
    assert cards.query(order_id) == credit


def test_a_credit_nobody_asked_for_is_none(cards: CardSystemGateway) -> None:
    assert cards.query(an_order()) is None


@pytest.mark.parametrize(
    ("number", "amount_fen", "code"),
    [
        (NEARLY_FULL, 5000, "ceiling_exceeded"),
        (ANONYMOUS, 5000, "ceiling_exceeded"),
        (BLOCKED, 5000, "card_blocked"),
        (CREDIT_REFUSED, 5000, "credit_refused"),
        (GOOD, 5031, "credit_refused"),
        ("3104870399999999999", 5000, "card_unknown"),
        (GOOD, 0, "amount_malformed"),
        (GOOD, -5000, "amount_malformed"),
    ],
)
def test_a_refused_credit_leaves_no_trace(
    cards: CardSystemGateway, sandbox: Sandbox, number: str, amount_fen: int, code: str
) -> None:
    before, order_id = sandbox.cards(), an_order()
    with pytest.raises(Refused) as refused:
        cards.credit(order_id, number, amount_fen)
    assert refused.value.code == code
    assert sandbox.cards() == before and cards.query(order_id) is None


def test_a_card_may_be_filled_to_its_ceiling_exactly(cards: CardSystemGateway) -> None:
    assert cards.credit(an_order(), NEARLY_FULL, 4000).balance_fen == 500_000
    assert cards.credit(an_order(), ANONYMOUS, 4000).balance_fen == 100_000


@pytest.mark.parametrize(
    ("number", "amount_fen", "outcome", "done"),
    [
        (CREDIT_UNAVAILABLE_ONCE, 5000, Unavailable, False),
        (GOOD, 5032, Unavailable, False),
        (CREDIT_ANSWER_LOST_ONCE, 5000, Unknown, True),
        (GOOD, 5033, Unknown, True),
        (GOOD, 5034, Unknown, False),
    ],
)
def test_a_credit_that_goes_wrong_once_is_finished_by_the_same_order_id(
    cards: CardSystemGateway,
    sandbox: Sandbox,
    number: str,
    amount_fen: int,
    outcome: type[OutsideError],
    done: bool,
) -> None:
    before, order_id = balance(sandbox, number), an_order()
    with pytest.raises(OutsideError) as ended:
        cards.credit(order_id, number, amount_fen)
    assert type(ended.value) is outcome
    assert (cards.query(order_id) is not None) is done
    assert cards.credit(order_id, number, amount_fen).balance_fen == before + amount_fen
    assert balance(sandbox, number) == before + amount_fen


# --- signatures, both ways ---


@pytest.mark.parametrize("change", [{"key_id": "stranger"}, {"clock": 301}, {"clock": -301}])
def test_a_stranger_or_a_wrong_clock_is_not_served(
    sandbox: Sandbox, clock: FakeClock, change: dict[str, Any]
) -> None:
    skewed = FakeClock(clock.now() + timedelta(seconds=change.pop("clock", 0)))
    cards = CardSystemGateway(gateway_config(sandbox.base_url, sandbox.keys, **change), skewed)
    with pytest.raises((Unavailable, Unknown)):
        cards.credit(an_order(), GOOD, 5000)
    assert sandbox.credits() == []
    cards.close_connections()


def test_another_secret_is_neither_served_nor_believed(sandbox: Sandbox, clock: FakeClock) -> None:
    cards = CardSystemGateway(gateway_config(sandbox.base_url, sandbox.keys, secret="x" * 64), clock)
    with pytest.raises(Unknown, match="unverified_401"):
        cards.credit(an_order(), GOOD, 5000)
    assert sandbox.credits() == []
    cards.close_connections()


def signed(sandbox: Sandbox, clock: FakeClock, body: bytes, **changes: str) -> dict[str, str]:
    """The headers docs/CARD_SYSTEM.md describes, written out a second time."""
    timestamp, nonce = str(int(clock.now().timestamp())), changes.pop("nonce", "0" * 32)
    digest = hashlib.sha256(body).hexdigest()
    text = f"POST\n/card-system/v1/credits\n{timestamp}\n{nonce}\n{digest}"
    mac = hmac.new(sandbox.keys.card_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Card-Key": sandbox.keys.card_client_id,
        "X-Card-Timestamp": timestamp,
        "X-Card-Nonce": nonce,
        "X-Card-Signature": mac,
    } | changes


def test_a_request_is_served_once_and_never_replayed(sandbox: Sandbox, clock: FakeClock) -> None:
    body = json.dumps({"order_id": an_order(), "card_number": GOOD, "amount_fen": 5000}).encode()
    headers = signed(sandbox, clock, body)
    url = sandbox.base_url + "/card-system/v1/credits"
    assert requests.post(url, data=body, headers=headers, timeout=5).status_code == 200
    again = requests.post(url, data=body, headers=headers, timeout=5)
    assert (again.status_code, again.json()) == (401, {"code": "nonce_used"})


@pytest.mark.parametrize(
    ("changes", "body", "expected"),
    [
        ({"X-Card-Signature": "0" * 64}, b"{}", (401, "signature")),
        ({"X-Card-Signature": "é"}, b"{}", (401, "signature")),
        ({"X-Card-Timestamp": "now"}, b"{}", (401, "stale")),
        ({"X-Card-Timestamp": "9" * 5000}, b"{}", (401, "stale")),
        ({"nonce": "short"}, b"{}", (401, "nonce_malformed")),
        ({}, b"[]", (400, "not_json")),
        ({}, b"\xff", (400, "not_json")),
        ({}, b'{"order_id":1,"amount_fen":5000}', (422, "order_id_malformed")),
        ({}, b'{"order_id":"ord_123","amount_fen":50.0}', (422, "amount_malformed")),
        ({}, b'{"order_id":"ord_123","amount_fen":true}', (422, "amount_malformed")),
        ({}, b'{"order_id":"ord_123","amount_fen":5000}', (404, "card_unknown")),
    ],
)
def test_bad_requests_have_their_codes(
    sandbox: Sandbox, clock: FakeClock, changes: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    headers = {name: value.encode() for name, value in signed(sandbox, clock, body, **changes).items()}
    answer = requests.post(
        sandbox.base_url + "/card-system/v1/credits", data=body, headers=headers, timeout=5
    )
    assert (answer.status_code, answer.json()["code"]) == expected


def card_answer(request: bytes, status: int, body: bytes, **changes: str) -> bytes:
    """What a card system with our secret would answer to `request`."""
    return signed_answer(request, "X-Card", sandbox_keys().card_secret, status, body, **changes)


@pytest.mark.parametrize(
    ("status", "body", "changes", "code"),
    [
        (422, b'{"code":"credit_refused"}', {"signed_status": "200"}, "unverified_422"),
        (422, b'{"code":"credit_refused"}', {"nonce": "0" * 32}, "unverified_422"),
        (422, b'{"code":"credit_refused"}', {"timestamp": "1"}, "answer_stale"),
        (422, b'{"code":"credit_refused"}', {"timestamp": "never"}, "answer_stale"),
        (422, b"<html>", {}, "answer_shape"),
        (422, b'{"code":"something_new"}', {}, "something_new"),
        (500, b'{"code":"internal"}', {}, "internal"),
        (200, b"{}", {}, "answer_shape"),
        (
            200,
            (
                b'{"order_id":"ord_other","card_number":"1","amount_fen":1,"state":"credited",'
                b'"reference":"r","balance_fen":1}'
            ),
            {},
            "answer_mismatch",
        ),
    ],
)
def test_an_answer_that_is_not_surely_the_card_systems_is_unknown(
    fault_server: FaultServer, clock: FakeClock, status: int, body: bytes, changes: dict[str, str], code: str
) -> None:
    fault_server.then = lambda request: card_answer(request, status, body, **changes)
    cards = CardSystemGateway(gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    with pytest.raises(Unknown) as ended:
        cards.credit(an_order(), GOOD, 5000)
    assert ended.value.code == code
    cards.close_connections()


def test_a_card_number_stands_in_no_address(fault_server: FaultServer, clock: FakeClock) -> None:
    cards = CardSystemGateway(gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    with pytest.raises(Unknown):
        cards.find(GOOD)
    head, _, body = fault_server.requests[0].partition(b"\r\n\r\n")
    assert GOOD.encode() not in head and GOOD.encode() in body
    cards.close_connections()


def test_a_missing_key_or_a_weak_secret_is_refused_at_once(clock: FakeClock) -> None:
    for changes in ({"key_id": ""}, {"secret": "short"}):
        with pytest.raises(ValueError, match="card system"):
            CardSystemGateway(gateway_config("http://127.0.0.1:9", sandbox_keys(), **changes), clock)
