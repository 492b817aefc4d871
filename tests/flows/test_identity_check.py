"""A large payment is checked first: by the ways a person chooses, each proven for this one order only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.flows import check_code
from tests.conftest import DATABASES, database_url
from tests.world import Phone, World, a_key, running_world

LARGE_FEN = 120_000
ELDERS_PHONE, DAUGHTERS_PHONE = "13900000001", "13900000009"
_cards = itertools.count(2)


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, request.param, tmp_path), clock) as found:
        yield found


def code_in(world: World, phone: str, template: str) -> str:
    """The code of the newest text of this kind."""
    kept = [each for each in world.sandbox.texts(phone) if each["template"] == template]
    return str(kept[-1]["facts"]["code"])


def with_phone(world: World, person: Phone, number: str) -> Phone:
    person.ok("POST", "/api/v1/me/phone", {"phone": number})
    told = {"phone": number, "code": code_in(world, number, "phone_code")}
    person.ok("POST", "/api/v1/me/phone/answer", told)
    return person


def bound(
    world: World,
    elder: Phone,
    person: str = "daughter",
    roles: Sequence[str] = ("alerts",),
    name: str = "女儿",
) -> Phone:
    """A relative of this elder's: invited, accepted, and confirmed with the code."""
    relative = world.phone(person)
    code = elder.ok("POST", "/api/v1/relatives/invites")["code"]
    relative.ok("POST", "/api/v1/relatives/accept", {"code": code, "name": "妈妈"})
    waiting = elder.ok("GET", "/api/v1/relatives")["relatives"]
    user_id = next(each["user_id"] for each in waiting if each["state"] == "accepted")
    told = {"code": code, "name": name, "roles": list(roles)}
    elder.ok("POST", f"/api/v1/relatives/{user_id}/confirm", told)
    return relative


def checked(elder: Phone, amount_fen: int = LARGE_FEN) -> dict[str, Any]:
    """An order that was confirmed and now waits for its check."""
    page = elder.confirm(elder.open_order(amount_fen))
    assert page["order"]["state"] == "awaiting_check", page["order"]
    assert "没有动您的钱" in page["screen"]["say"] and page["screen"].get("payment") is None
    return page


def path(page: dict[str, Any], end: str = "") -> str:
    return f"/api/v1/orders/{page['order']['id']}/check{end}"


def sent_code(world: World, elder: Phone, page: dict[str, Any], number: str = ELDERS_PHONE) -> str:
    elder.ok("POST", path(page, "/sms"))
    return code_in(world, number, "order_code")


@pytest.fixture
def elder(world: World) -> Phone:
    """An elder with a phone number and a daughter, both known for more than a day."""
    found = with_phone(world, world.elder("wang"), ELDERS_PHONE)
    with_phone(world, bound(world, found), DAUGHTERS_PHONE)
    world.clock.tick(hours=25)
    return found


def daughter(world: World) -> Phone:
    return world.phone("daughter")


def test_a_code_and_the_daughters_yes_are_as_good_as_a_face(world: World, elder: Phone) -> None:
    page = checked(elder)
    labels = [choice["label"] for choice in page["screen"]["choices"]]
    assert labels == ["刷脸", "收短信验证码", "请家人确认", "到柜台办", "不充了"]
    told = elder.ok("POST", path(page, "/sms/answer"), {"code": sent_code(world, elder, page)})
    assert told["order"]["state"] == "awaiting_check" and "短信验证码对了" in told["screen"]["say"]
    elder.tap(f"check:relative:{page['order']['id']}")
    world.work()
    asked = world.sandbox.texts(DAUGHTERS_PHONE)[-1]
    assert asked["template"] == "relative_asked" and "1200" in asked["text"]
    (request,) = daughter(world).ok("GET", "/api/v1/co-confirmations")["requests"]
    assert request["amount_fen"] == LARGE_FEN and len(request["last_four"]) == 4
    daughter(world).ok("POST", f"/api/v1/co-confirmations/{page['order']['id']}", {"yes": True})
    waiting = elder.order(page["order"]["id"])
    assert waiting["order"]["state"] == "awaiting_payment"
    pay = next(choice["id"] for choice in waiting["screen"]["choices"] if choice["id"].startswith("pay:"))
    assert elder.pay({"screen": elder.tap(pay)["screen"]}) == "requestPayment:ok"
    world.work()
    assert elder.order(page["order"]["id"])["order"]["state"] == "completed" and world.balanced()


def test_a_daughters_no_ends_the_order_before_any_money(world: World, elder: Phone) -> None:
    page = checked(elder)
    elder.ok("POST", path(page, "/relative"))
    daughter(world).ok("POST", f"/api/v1/co-confirmations/{page['order']['id']}", {"yes": False})
    ended = elder.order(page["order"]["id"])
    assert ended["order"]["state"] == "rejected" and "没有动您的钱" in ended["screen"]["say"]


def test_the_desk_alone_is_enough(world: World, elder: Phone) -> None:
    page = checked(elder)
    code = check_code.issue_desk_code(world.deps, page["order"]["id"], "operator-7")
    paid = elder.ok("POST", path(page, "/desk/answer"), {"code": code})
    assert paid["screen"]["next"] == "pay" and elder.pay(paid) == "requestPayment:ok"


def test_what_was_proven_for_one_order_is_worth_nothing_for_another(world: World, elder: Phone) -> None:
    first, second = checked(elder), checked(elder, LARGE_FEN + 1000)
    code = sent_code(world, elder, first)
    status, body = elder.post(path(second, "/sms/answer"), {"code": code})
    assert (status, body["code"]) == (422, "code_wrong")
    elder.ok("POST", path(first, "/sms/answer"), {"code": code})
    proven = elder.ok("GET", path(second))["check"]
    assert proven["proven"] == []
    desk = check_code.issue_desk_code(world.deps, first["order"]["id"], "operator-7")
    status, body = elder.post(path(second, "/desk/answer"), {"code": desk})
    assert (status, body["code"]) == (422, "code_wrong")
    assert elder.order(second["order"]["id"])["order"]["state"] == "awaiting_check"


def test_a_code_counts_once_and_only_in_time(world: World, elder: Phone) -> None:
    page = checked(elder)
    late = sent_code(world, elder, page)
    world.clock.tick(minutes=6)
    status, body = elder.post(path(page, "/sms/answer"), {"code": late})
    assert (status, body["code"]) == (422, "code_wrong")
    code = sent_code(world, elder, page)
    elder.ok("POST", path(page, "/sms/answer"), {"code": code})
    status, body = elder.post(path(page, "/sms/answer"), {"code": code})
    assert (status, body["code"]) == (409, "check_not_needed")


def test_three_wrong_guesses_end_a_code(world: World, elder: Phone) -> None:
    page = checked(elder)
    code = sent_code(world, elder, page)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _guess in range(3):
        assert elder.post(path(page, "/sms/answer"), {"code": wrong})[1]["code"] == "code_wrong"
    status, body = elder.post(path(page, "/sms/answer"), {"code": code})
    assert (status, body["code"]) == (422, "code_wrong")


def test_a_phone_or_a_relative_of_today_proves_nothing(world: World) -> None:
    elder = with_phone(world, world.elder("zhao"), ELDERS_PHONE)
    bound(world, elder, "stranger")
    page = checked(elder)
    assert elder.post(path(page, "/sms"))[1]["code"] == "phone_too_new"
    assert elder.post(path(page, "/relative"))[1]["code"] == "relative_missing"
    assert world.phone("stranger").ok("GET", "/api/v1/co-confirmations")["requests"] == []


def test_only_ones_own_relative_may_answer(world: World, elder: Phone) -> None:
    page = checked(elder)
    address = f"/api/v1/co-confirmations/{page['order']['id']}"
    assert daughter(world).post(address, {"yes": True})[0] == 404, "nobody asked her yet"
    elder.ok("POST", path(page, "/relative"))
    for stranger in (world.phone("li"), elder):
        assert stranger.post(address, {"yes": True})[1]["code"] == "request_not_found"
    user_id = elder.ok("GET", "/api/v1/relatives")["relatives"][0]["user_id"]
    elder.ok("DELETE", f"/api/v1/relatives/{user_id}")
    assert daughter(world).post(address, {"yes": True})[1]["code"] == "request_not_found"
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_check"


def test_small_payments_are_never_asked_for_more(world: World) -> None:
    world.clock.tick(hours=15)  # one in the morning
    elder = world.elder("qian")
    for amount_fen in (5_000, 10_000, 20_000):
        page = elder.confirm(elder.open_order(amount_fen))
        assert page["screen"]["next"] == "pay"
        assert elder.pay(page) == "requestPayment:ok"


def test_the_days_sum_cannot_be_split_into_orders_side_by_side(world: World, elder: Phone) -> None:
    first, second, third = (elder.open_order(90_000) for _ in range(3))
    assert elder.confirm(first)["order"]["state"] == "awaiting_payment"
    assert elder.confirm(second)["order"]["state"] == "awaiting_payment"
    page = elder.confirm(third)
    assert page["order"]["state"] == "awaiting_check" and "今天加起来" in page["screen"]["say"]


@pytest.mark.parametrize("provider", ["local", "wechat"])
def test_every_way_that_is_shown_leads_somewhere(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, provider: str
) -> None:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, FACE=provider) as world:
        elder = world.elder("zhou")
        for amount_fen in (50_000, LARGE_FEN):  # medium: the first day, a new card; and large
            page = checked(elder, amount_fen)
            offered = [choice["id"] for choice in page["screen"]["choices"] if choice["id"] != "cancel"]
            assert offered[-1].startswith("check:desk:")
            for choice in offered:
                told = {"client_key": a_key(), "choice": choice}
                _status, answer = elder.post("/api/v1/conversation/turns", told)
                assert answer.get("code") in (None, "phone_missing", "relative_missing"), choice
            if any(choice.startswith("check:face:") for choice in offered):
                code = elder.post(path(page, "/face"))[1].get("code")
                assert code in ("consent_missing", "real_name_missing")


def test_an_elder_may_lower_the_sum_and_nobody_may_raise_it(world: World, elder: Phone) -> None:
    elder.ok("PUT", "/api/v1/me/limits", {"single_fen": 10_000, "day_fen": 50_000})
    status, body = elder.call("PUT", "/api/v1/me/limits", json={"single_fen": 10_001, "day_fen": 50_000})
    assert (status, body["code"]) == (422, "limit_only_lower")
    assert elder.confirm(elder.open_order(9_900))["screen"]["next"] == "pay"
    checked(elder, 10_000)


def test_a_check_that_nobody_finishes_ends_by_itself_without_money(world: World, elder: Phone) -> None:
    page = checked(elder)
    world.clock.tick(minutes=31)
    assert elder.post(path(page, "/sms"))[1]["code"] == "order_over"
    world.sweep()
    assert elder.order(page["order"]["id"])["order"]["state"] == "expired"


def test_confirming_twice_asks_for_the_same_check(world: World, elder: Phone) -> None:
    page = checked(elder)
    assert elder.confirm(page["order"])["screen"] == page["screen"]


def test_the_bank_card_is_checked_the_first_time_only(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, CITY="wenzhou") as world:
        elder = with_phone(world, world.elder("wang", "3104880000000000001"), ELDERS_PHONE)
        page = elder.confirm(elder.open_order(10_000))
        assert [choice["label"] for choice in page["screen"]["choices"]] == [
            "核对银行卡",
            "到柜台办",
            "不充了",
        ]
        card = {"bank_card": "6222021000000000017"}
        assert elder.post(path(page, "/bank-card"), card)[1]["code"] == "real_name_missing"
        elder.ok("PUT", "/api/v1/me/real-name", {"name": "王秀英", "id_number": "440106195003120111"})
        wrong = {"bank_card": "6222021000000000025"}
        assert elder.post(path(page, "/bank-card"), wrong)[1]["code"] in (
            "bank_card_refused",
            "bank_card_malformed",
        )
        paid = elder.ok("POST", path(page, "/bank-card"), card)
        assert elder.pay(paid) == "requestPayment:ok"
        world.work()
        again = elder.confirm(elder.open_order(10_000))
        assert again["screen"]["next"] == "pay"
        known = elder.ok("GET", "/api/v1/me/real-name")
        assert known["bank_card"] == "*" * 15 + "0017" and known["name"] == "**英"


def test_a_first_use_in_hangzhou_takes_a_code_as_well_as_a_face(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    url = database_url(request, "sqlite", tmp_path)
    with running_world(tmp_path, url, clock, CITY="hangzhou") as world:
        elder = with_phone(world, world.elder("wang", "3104880100000000001"), ELDERS_PHONE)
        page = elder.confirm(elder.open_order(10_000))
        assert page["screen"]["choices"][0]["label"] == "刷脸"
        paid = elder.ok("POST", path(page, "/sms/answer"), {"code": sent_code(world, elder, page)})
        assert elder.pay(paid) == "requestPayment:ok"
        clock.tick(days=181)
        fresh = world.phone("wang")
        fresh.cards = elder.cards
        assert fresh.confirm(fresh.open_order(10_000))["order"]["state"] == "awaiting_check"
