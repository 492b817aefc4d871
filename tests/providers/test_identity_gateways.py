"""Texts and bank checks over HTTP: what they promise, and what both promise as signed gateways."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import OutsideError, Refused, Unavailable, Unknown
from app.providers.bank_check_gateway import BankCheckGateway
from app.providers.sandbox.people import Citizen, citizens
from app.providers.sandbox.texts import ANSWER_LOST_ONCE, REFUSED, UNAVAILABLE_ONCE
from app.providers.sandbox.world import seeds
from app.providers.signed_gateway import GatewayConfig
from app.providers.sms_gateway import SmsGateway
from tests.providers.adapters import gateway_config
from tests.sandbox_server import Sandbox, sandbox_keys

PHONE, REQUEST = "13900000001", "txt_000001"
FACTS = {"code": "048213", "card": "0001", "amount": "1200.00"}
WANG = citizens()[0]


def config(base_url: str, name: str, **changes: Any) -> GatewayConfig:
    keys = sandbox_keys()
    return gateway_config(base_url, keys, **({"secret": keys.gateway_secret(name)} | changes))


@pytest.fixture
def texts(sandbox: Sandbox, clock: FakeClock) -> Iterator[SmsGateway]:
    adapter = SmsGateway(config(sandbox.base_url, "texts"), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def banks(sandbox: Sandbox, clock: FakeClock) -> Iterator[BankCheckGateway]:
    adapter = BankCheckGateway(config(sandbox.base_url, "bank_checks"), clock)
    yield adapter
    adapter.close_connections()


def asked_about(citizen: Citizen = WANG, **changes: str) -> dict[str, str]:
    facts = {
        "name": citizen.name,
        "id_number": citizen.id_number,
        "card_number": citizen.bank_card,
        "phone": citizen.phone,
    }
    return facts | changes


def citizen(behaviour: str) -> Citizen:
    return next(one for one in citizens() if one.behaviour == behaviour)


# --- texts ---


def test_a_text_reaches_the_phone_with_its_code(texts: SmsGateway, sandbox: Sandbox) -> None:
    texts.send(REQUEST, PHONE, "order_code", FACTS)
    (text,) = sandbox.texts(PHONE)
    assert text["facts"] == FACTS and all(fact in text["text"] for fact in FACTS.values())
    assert sandbox.ask("/phone/texts", {"phone": PHONE})["texts"] == [text]
    assert sandbox.texts("13900000002") == []


def test_a_request_is_one_text_however_often_it_is_sent(texts: SmsGateway, sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: texts.send(REQUEST, PHONE, "order_code", FACTS), range(20)))
    assert len(sandbox.texts()) == 1
    texts.send("txt_000002", PHONE, "order_code", FACTS)
    assert len(sandbox.texts()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"phone": "13900000002"},
        {"facts": FACTS | {"code": "1"}},
        {"template": "phone_code", "facts": {"code": "1"}},
    ],
    ids=str,
)
def test_a_request_used_differently_is_a_conflict_and_sends_nothing(
    texts: SmsGateway, sandbox: Sandbox, change: dict[str, Any]
) -> None:
    texts.send(REQUEST, PHONE, "order_code", FACTS)
    with pytest.raises(Refused, match="conflict"):
        texts.send(
            **({"request_id": REQUEST, "phone": PHONE, "template": "order_code", "facts": FACTS} | change)
        )
    assert len(sandbox.texts()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"phone": REFUSED}, "phone_refused"),
        ({"phone": "12345"}, "phone_malformed"),
        ({"phone": "+8613900000001"}, "phone_malformed"),
        ({"phone": "13900000001\n"}, "phone_malformed"),
        ({"template": "advertising"}, "template_unknown"),
        ({"facts": {"code": "048213"}}, "facts_malformed"),
        ({"facts": FACTS | {"more": "x"}}, "facts_malformed"),
        ({"facts": FACTS | {"code": ""}}, "facts_malformed"),
        ({"facts": FACTS | {"code": "x" * 65}}, "facts_malformed"),
        ({"request_id": "short"}, "request_id_malformed"),
        ({"request_id": "txt/000001"}, "request_id_malformed"),
    ],
    ids=str,
)
def test_a_text_that_will_never_go_out_is_refused(
    texts: SmsGateway, sandbox: Sandbox, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        texts.send(
            **({"request_id": REQUEST, "phone": PHONE, "template": "order_code", "facts": FACTS} | change)
        )
    assert refused.value.code == code and sandbox.texts() == []


@pytest.mark.parametrize(
    ("phone", "outcome", "sent"), [(UNAVAILABLE_ONCE, Unavailable, 0), (ANSWER_LOST_ONCE, Unknown, 1)]
)
def test_a_text_that_goes_wrong_once_is_finished_by_the_same_request(
    texts: SmsGateway, sandbox: Sandbox, phone: str, outcome: type[OutsideError], sent: int
) -> None:
    with pytest.raises(outcome):
        texts.send(REQUEST, phone, "order_code", FACTS)
    assert len(sandbox.texts(phone)) == sent
    texts.send(REQUEST, phone, "order_code", FACTS)
    assert len(sandbox.texts(phone)) == 1


def test_every_template_asks_people_to_do_something_and_fits_one_long_message() -> None:
    for words in seeds()["text_templates"].values():
        assert words.startswith("【安心充】") and len(words) <= 70


# --- bank checks ---


@pytest.mark.parametrize("person", [one for one in citizens() if one.behaviour == "normal"], ids=str)
def test_four_factors_of_one_person_agree(banks: BankCheckGateway, person: Citizen) -> None:
    assert banks.verify("bnk_000001", **asked_about(person)) is True


@pytest.mark.parametrize(
    "change",
    [
        {"name": "王秀莲"},
        {"id_number": "440106194809260223"},
        {"phone": "13900000002"},
        {"card_number": "6222021000000000074"},
    ],
    ids=str,
)
def test_one_wrong_factor_is_a_no_that_does_not_say_which(
    banks: BankCheckGateway, change: dict[str, str]
) -> None:
    assert banks.verify("bnk_000001", **asked_about(**change)) is False


def test_a_blocked_card_is_refused_whoever_asks(banks: BankCheckGateway) -> None:
    for change in ({}, {"name": "王秀莲"}):
        with pytest.raises(Refused, match="card_blocked"):
            banks.verify("bnk_000001", **asked_about(citizen("blocked"), **change))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, "name_malformed"),
        ({"name": "长" * 65}, "name_malformed"),
        ({"id_number": "44010619500312011"}, "id_number_malformed"),
        ({"id_number": "44010619500312011x"}, "id_number_malformed"),
        ({"card_number": "6222 0210"}, "card_number_malformed"),
        ({"phone": "8613900000001"}, "phone_malformed"),
    ],
    ids=str,
)
def test_what_has_not_the_shape_of_such_numbers_is_refused(
    banks: BankCheckGateway, change: dict[str, str], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        banks.verify("bnk_000001", **asked_about(**change))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("behaviour", "outcome"), [("unavailable_once", Unavailable), ("answer_lost_once", Unknown)]
)
def test_a_check_that_goes_wrong_once_is_finished_by_the_same_request(
    banks: BankCheckGateway, behaviour: str, outcome: type[OutsideError]
) -> None:
    facts = asked_about(citizen(behaviour))
    with pytest.raises(outcome):
        banks.verify("bnk_000001", **facts)
    assert banks.verify("bnk_000001", **facts) is True


def test_a_request_about_somebody_else_is_a_conflict(banks: BankCheckGateway) -> None:
    assert banks.verify("bnk_000001", **asked_about(name="王秀莲")) is False
    with pytest.raises(Refused, match="conflict"):  # one id is one question: no guessing with it
        banks.verify("bnk_000001", **asked_about())
    assert banks.verify("bnk_000001", **asked_about(name="王秀莲")) is False


def test_the_bank_keeps_nothing_of_what_it_was_asked(banks: BankCheckGateway, sandbox: Sandbox) -> None:
    banks.verify("bnk_000001", **asked_about())
    (row,) = sandbox.server.sandbox.world.store.rows("SELECT * FROM bank_checks")
    assert not any(str(fact) in str(row) for fact in asked_about().values())


@pytest.mark.parametrize("person", citizens(), ids=str)
def test_the_invented_people_have_numbers_with_right_check_digits(person: Citizen) -> None:
    digits = [10 if digit == "X" else int(digit) for digit in person.id_number]
    weights = [2**place % 11 for place in range(17, -1, -1)]  # GB 11643
    assert sum(map(int.__mul__, digits, weights)) % 11 == 1
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(person.bank_card))]
    assert sum(value - 9 * (value > 9) for value in doubled) % 10 == 0  # Luhn
