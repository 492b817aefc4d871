"""请我女儿帮我充: at the same moment, once more, by strangers, with bad input, and in the conversation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.store import orders, pay_requests
from tests.flows.asking import (
    REQUESTS,
    a_daughter_and_a_son,
    at_once,
    no,
    refused,
    yes,
)
from tests.flows.family_ground import Family
from tests.world import World, a_key


@pytest.fixture
def family(world: World) -> Family:
    return a_daughter_and_a_son(world)


# --- at the same moment, and again ---


def test_two_who_say_yes_at_the_same_moment_make_one_order(world: World, family: Family) -> None:
    for _round in range(4):
        request_id = family.ask("女儿")
        world.work(minutes=30)
        answers = at_once(*(partial(yes, family, name, request_id) for name in ("女儿", "儿子")))
        assert sorted(status for status, _ in answers) == [200, 409]
        (page,) = [body for status, body in answers if status == 200]
        with world.deps.database.read() as tx:
            request = pay_requests.find(tx, request_id)
            paid_by = orders.get(tx, page["order"]["id"]).user_id
        assert request is not None and request.order_id == page["order"]["id"]
        assert paid_by in (family.id_of("女儿"), family.id_of("儿子"))
        assert family.elder.call("DELETE", f"{REQUESTS}/{request_id}")[0] == 200


def test_a_double_tap_of_yes_is_one_order(family: Family) -> None:
    request_id = family.ask("女儿")
    answers = at_once(*[partial(yes, family, "女儿", request_id)] * 4)
    assert {status for status, _ in answers} == {200}
    assert len({page["order"]["id"] for _, page in answers}) == 1


def test_a_yes_and_a_withdrawal_at_the_same_moment_leave_no_order_to_pay(
    world: World, family: Family
) -> None:
    for _round in range(3):
        request_id = family.ask("女儿")
        said, _ = at_once(
            partial(yes, family, "女儿", request_id),
            partial(family.elder.call, "DELETE", f"{REQUESTS}/{request_id}"),
        )
        assert family.state(request_id) == "withdrawn"
        with world.deps.database.read() as tx:
            request = pay_requests.find(tx, request_id)
        assert request is not None
        if said[0] == 200:
            order_id = said[1]["order"]["id"]
            assert family.relatives["女儿"].order(order_id)["order"]["state"] == "cancelled"


def test_the_same_key_is_the_same_request_and_another_wish_is_refused(family: Family) -> None:
    wish = family.wish("女儿")
    first, again = (family.elder.ok("POST", REQUESTS, wish)["request"]["id"] for _ in range(2))
    assert first == again
    answer = family.elder.post(REQUESTS, {**wish, "amount_fen": 6000})
    assert refused(answer) == (409, "client_key_reused")


def test_one_open_request_a_card_also_in_a_race(world: World, family: Family) -> None:
    wishes = [family.wish("女儿") for _ in range(5)]
    answers = at_once(*(partial(family.elder.post, REQUESTS, wish) for wish in wishes))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]
    second_card = family.elder.bind("3104870300000000002")
    assert family.elder.post(REQUESTS, family.wish("女儿", card_id=second_card))[0] == 200


def test_once_it_was_paid_the_card_may_be_asked_for_again_at_once(world: World, family: Family) -> None:
    family.pay("女儿", yes(family, "女儿", family.ask("女儿"))[1])
    assert family.state(family.ask("女儿")) == "asking"


def test_five_a_day_and_the_day_is_shanghais(world: World, family: Family) -> None:
    midnight = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
    world.clock.tick(seconds=(midnight - timedelta(seconds=1) - world.clock.now()).total_seconds())
    for _ in range(5):
        family.elder.ok("DELETE", f"{REQUESTS}/{family.ask('女儿')}")
    assert refused(family.elder.post(REQUESTS, family.wish("女儿"))) == (429, "asked_enough")
    world.clock.tick(seconds=1)
    assert family.elder.post(REQUESTS, family.wish("女儿"))[0] == 200


# --- somebody else's, and what cannot be ---


def test_a_relative_of_another_elder_sees_and_answers_nothing_of_it(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    stranger = world.elder("li", "3104870300000000002")
    nobodys = "prq_01JD0000000000000000000000"
    for named in (request_id, nobodys):
        for method, path, body in (
            ("GET", f"{REQUESTS}/{named}", None),
            ("DELETE", f"{REQUESTS}/{named}", None),
            ("POST", f"{REQUESTS}/{named}/yes", {}),
            ("POST", f"{REQUESTS}/{named}/no", {"reason": "enough"}),
        ):
            assert refused(stranger.call(method, path, json=body)) == (404, "request_not_found")
            assert refused(family.relatives["儿子"].call(method, path, json=body)) == (
                404,
                "request_not_found",
            )
    assert refused(stranger.post(REQUESTS, family.wish("女儿"))) == (404, "card_not_found")
    assert family.state(request_id) == "asking"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"amount_fen": 4999}, "amount_too_small"),
        ({"amount_fen": 200_001}, "amount_too_large"),
        ({"amount_fen": 0}, "request_invalid"),
        ({"amount_fen": "5000"}, "request_invalid"),
        ({"relative_id": "usr_01JD0000000000000000000000"}, "relative_not_found"),
        ({"relative_id": "me"}, "request_invalid"),
        ({"card_id": "crd_01JD0000000000000000000000"}, "card_not_found"),
        ({"why": "x"}, "request_invalid"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_and_asks_nobody(
    family: Family, changed: dict[str, Any], code: str
) -> None:
    status, body = family.elder.post(REQUESTS, {**family.wish("女儿"), **changed})
    assert body["code"] == code and body["say"]
    assert family.asked_of("女儿") == []


def test_a_reason_nobody_offers_is_refused(family: Family) -> None:
    request_id = family.ask("女儿")
    assert refused(no(family, "女儿", request_id, "because")) == (422, "request_invalid")
    assert refused(yes(family, "女儿", request_id, method="gold")) == (422, "method_not_offered")
    assert family.asked_of("女儿") == [request_id]  # a yes that opened no order is none


def test_who_is_erased_in_the_middle_is_passed_over(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    token = family.relatives["女儿"].ok("POST", "/api/v1/me/erase", {})["token"]
    family.relatives["女儿"].ok("POST", "/api/v1/me/erase", {"token": token})
    world.work(minutes=30)
    assert family.asked_of("儿子") == [request_id]


# --- by touch, in the conversation ---


def test_by_touch_it_is_relative_amount_and_a_yes(world: World, family: Family) -> None:
    elder = family.elder
    whom = elder.tap("ask_family")["screen"]
    assert {"女儿", "儿子", "不用了"} == {choice["label"] for choice in whom["choices"]}
    much = elder.tap(next(each["id"] for each in whom["choices"] if each["label"] == "女儿"))["screen"]
    read_back = elder.tap(much["choices"][0]["id"])["screen"]
    assert read_back["say"].startswith("请女儿给羊城通，尾号零零零幺充五十元，由女儿付钱")
    key = a_key()
    turn = {"client_key": key, "choice": read_back["choices"][0]["id"]}
    first, again = (elder.ok("POST", "/api/v1/conversation/turns", turn)["screen"] for _ in range(2))
    assert "已经告诉女儿了" in first["say"] and again == first
    (request_id,) = family.asked_of("女儿")
    assert elder.tap(f"asked:{request_id}")["screen"] == first
    assert elder.tap(f"unask:{request_id}")["screen"]["title"] == "不用家人充了"
    assert family.asked_of("女儿") == [] and elder.tap("repeat")["screen"]["title"] == "不用家人充了"


def test_the_relative_answers_in_the_conversation_too(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    daughter = family.relatives["女儿"]
    question = daughter.ok("GET", "/api/v1/pay-requests")["asked_of_me"][0]["screen"]
    page = daughter.tap(question["choices"][0]["id"])["screen"]
    assert page["next"] == "confirm" and page["order"]["amount_fen"] == 5000
    paying = daughter.tap(page["choices"][0]["id"])["screen"]
    assert daughter.pay({"screen": paying}) == "requestPayment:ok"
    world.work()
    assert "已经充到卡上" in family.screen(request_id)["say"]
    second = family.ask("儿子")
    assert family.relatives["儿子"].tap(f"family:enough:{second}")["screen"]["title"] == "告诉家人了"


@pytest.mark.parametrize("choice", ["family:yes:{}", "family:enough:{}", "asked:{}", "unask:{}"])
def test_a_strangers_tap_finds_nothing(world: World, family: Family, choice: str) -> None:
    request_id = family.ask("女儿")
    stranger = world.elder("li", "3104870300000000002")
    for named in (request_id, "prq_01JD0000000000000000000000", "x"):
        turn = {"client_key": a_key(), "choice": choice.format(named)}
        assert refused(stranger.post("/api/v1/conversation/turns", turn)) == (404, "request_not_found")
    assert family.state(request_id) == "asking"
