"""请我女儿帮我充: the chosen relative is asked, then the next, and the elder always hears where it stands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.family import Role
from app.store import orders, pay_requests
from tests.flows.family_ground import Family, a_family
from tests.flows.test_identity_check import with_phone
from tests.world import Phone, World, a_key

REQUESTS = "/api/v1/pay-requests"
DAUGHTERS_PHONE, SONS_PHONE, ELDERS_PHONE = "13900000006", "13900000009", "13900000001"


@pytest.fixture
def family(world: World) -> Family:
    """A daughter and a son. Relatives are asked in the order of their ids after the chosen one."""
    found = a_family(world, "女儿", "儿子")
    with_phone(world, found.relatives["女儿"], DAUGHTERS_PHONE)
    with_phone(world, found.relatives["儿子"], SONS_PHONE)
    return found


def yes(family: Family, name: str, request_id: str, **how: str) -> tuple[int, dict[str, Any]]:
    return family.relatives[name].post(f"{REQUESTS}/{request_id}/yes", how)


def no(family: Family, name: str, request_id: str, reason: str = "not_now") -> tuple[int, dict[str, Any]]:
    return family.relatives[name].post(f"{REQUESTS}/{request_id}/no", {"reason": reason})


def texts(world: World, number: str, template: str = "pay_request") -> list[str]:
    return [each["text"] for each in world.sandbox.texts(number) if each["template"] == template]


def refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def credits(world: World) -> int:
    return len(world.sandbox.credits())


# --- from the asking to the card ---


def test_the_daughter_says_yes_and_pays_and_both_hear_it(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    assert "已经告诉女儿了" in family.screen(request_id)["say"]
    world.work()
    assert family.asked_of("女儿") == [request_id] and family.asked_of("儿子") == []
    (text,) = texts(world, DAUGHTERS_PHONE)
    assert "尾号0001" in text and "50元" in text and texts(world, SONS_PHONE) == []
    question = family.relatives["女儿"].ok("GET", f"{REQUESTS}/{request_id}")["screen"]
    assert len(question["choices"]) == 5 and question["choices"][0]["label"] == "好，我来充50元"
    status, page = yes(family, "女儿", request_id)
    assert status == 200 and page["screen"]["next"] == "confirm"
    assert "女儿答应" in family.screen(request_id)["say"]
    before = family.elder.balance_fen()
    family.pay("女儿", page)
    told = family.screen(request_id)
    assert "女儿给" in told["say"] and "已经充到卡上" in told["say"] and told["next"] == "done"
    assert family.elder.balance_fen() == before + 5000 and credits(world) == 1
    world.work(minutes=2)
    assert family.state(request_id) == "paid" and world.balanced()
    asked, answered = family.history()[:2]
    assert asked.endswith("您请女儿给羊城通，尾号零零零幺充五十元。") and "女儿答应给" in answered


def test_in_wechat_the_message_goes_there_and_not_by_text(world: World, family: Family) -> None:
    daughter = family.relatives["女儿"]
    accept_family_messages(daughter)
    family.ask("女儿")
    world.work()
    (message,) = [each for each in world.sandbox.messages() if each["template_id"] == "anxin-family"]
    assert message["data"]["thing1"] == "家人请您帮忙充值" and "50.00" in message["data"]["amount3"]
    assert texts(world, DAUGHTERS_PHONE) == []


def accept_family_messages(phone: Phone, in_wechat: bool = True) -> None:
    if in_wechat:
        told = {"person": phone.person, "template_ids": ["anxin-family"]}
        phone.ok("POST", "/sandbox/phone/subscribe", told)
    phone.ok("POST", "/api/v1/subscriptions", {"accepted": ["family"]})


def test_with_the_quota_used_up_in_wechat_it_comes_by_text_once(world: World, family: Family) -> None:
    accept_family_messages(family.relatives["女儿"], in_wechat=False)
    request_id = family.ask("女儿")
    world.work()
    world.work(seconds=61)
    assert len(texts(world, DAUGHTERS_PHONE)) == 1 and family.asked_of("女儿") == [request_id]


def test_who_can_be_reached_by_nothing_still_finds_it_in_the_app(world: World) -> None:
    family = a_family(world, "女儿")
    request_id = family.ask("女儿")
    world.work()
    assert family.asked_of("女儿") == [request_id]


# --- whose turn it is ---


def test_after_thirty_minutes_the_next_is_asked_too_and_not_a_second_before(
    world: World, family: Family
) -> None:
    request_id = family.ask("女儿")
    world.work(minutes=29, seconds=59)
    assert family.asked_of("儿子") == []
    world.work(seconds=1)
    assert family.asked_of("儿子") == [request_id] == family.asked_of("女儿")
    world.work()
    assert "已经告诉儿子了" in family.screen(request_id)["say"]
    assert len(texts(world, SONS_PHONE)) == len(texts(world, DAUGHTERS_PHONE)) == 1
    status, page = yes(family, "儿子", request_id)
    assert status == 200
    family.pay("儿子", page)
    assert "接着请儿子" in "".join(family.history()) and credits(world) == 1


def test_a_late_yes_of_the_first_is_welcome_and_the_second_is_too_late(family: Family, world: World) -> None:
    request_id = family.ask("女儿")
    world.work(minutes=30)
    assert yes(family, "女儿", request_id)[0] == 200
    assert refused(yes(family, "儿子", request_id)) == (409, "request_over")
    assert refused(no(family, "儿子", request_id)) == (409, "request_over")
    over = family.relatives["儿子"].ok("GET", f"{REQUESTS}/{request_id}")["screen"]
    assert "已经有人办了" in over["say"] and family.asked_of("儿子") == []


def test_a_no_says_why_and_the_next_is_asked_at_once(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    assert no(family, "女儿", request_id, "call_first")[0] == 200
    assert family.asked_of("儿子") == [request_id]
    told = family.screen(request_id)
    assert {"label": "女儿", "text": "想先给您打个电话问一问"} in told["body"]
    assert no(family, "女儿", request_id, "call_first")[0] == 200  # a double tap
    assert refused(yes(family, "女儿", request_id)) == (409, "request_over")
    assert any("女儿这次不给" in each and "打个电话" in each for each in family.history())


def test_after_the_last_no_the_elder_hears_what_to_do(world: World, family: Family) -> None:
    with_phone(world, family.elder, ELDERS_PHONE)
    request_id = family.ask("女儿")
    no(family, "女儿", request_id)
    no(family, "儿子", request_id, "enough")
    told = family.screen(request_id)
    assert "没有办成" in told["say"] and "没有动钱" in told["say"]
    assert [choice["id"] for choice in told["choices"]] == ["top_up", "ask_family", "agent", "home"]
    assert family.state(request_id) == "declined"
    world.work()
    world.work(minutes=31)
    assert len(texts(world, ELDERS_PHONE, "request_unmet")) == 1
    assert family.history()[-1].endswith("没有人办成，没有动钱。")


def test_nobody_answers_until_the_last_turn_is_over(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    world.work(minutes=30)
    world.work(minutes=29, seconds=59)
    assert family.state(request_id) == "asking"
    world.work(seconds=1)
    assert family.state(request_id) == "unanswered"
    assert refused(yes(family, "女儿", request_id)) == (409, "request_over")


def test_a_yes_that_is_not_paid_in_time_goes_on_to_the_next(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    page = yes(family, "女儿", request_id)[1]
    world.work(minutes=9, seconds=59)
    assert family.state(request_id) == "accepted" and family.asked_of("儿子") == []
    world.work(minutes=1)
    assert family.asked_of("儿子") == [request_id]
    assert family.relatives["女儿"].order(page["order"]["id"])["order"]["state"] == "expired"
    assert any("答应了充五十元，可是没有付款" in each for each in family.history())
    assert refused(yes(family, "女儿", request_id)) == (409, "request_over")
    family.pay("儿子", yes(family, "儿子", request_id)[1])
    assert credits(world) == 1 and world.balanced()


def test_an_order_the_relative_stops_goes_on_to_the_next(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    page = yes(family, "女儿", request_id)[1]
    family.relatives["女儿"].ok("POST", f"/api/v1/orders/{page['order']['id']}/cancel")
    world.work(minutes=1)
    assert family.asked_of("儿子") == [request_id]


def test_a_yes_above_a_cap_is_none_and_the_request_waits_as_before(world: World, family: Family) -> None:
    request_id = family.ask("女儿", 60_000)
    answer = yes(family, "女儿", request_id)
    assert refused(answer) == (422, "over_cap") and "500元" in answer[1]["say"]
    assert family.asked_of("女儿") == [request_id] and family.state(request_id) == "asking"
    assert not any("答应" in each for each in family.history())
    world.work(minutes=30)
    assert family.asked_of("儿子") == [request_id]


# --- ties that change in the middle ---


@pytest.mark.parametrize("how", ["ended", "role taken", "frozen"])
def test_who_may_no_longer_pay_is_not_asked_and_sees_nothing(world: World, family: Family, how: str) -> None:
    request_id = family.ask("女儿")
    if how == "ended":
        family.end("女儿")
    elif how == "role taken":
        family.change("女儿", roles=frozenset({Role.ALERTS}))
    else:
        family.change("女儿", frozen_at=world.clock.now())
    assert refused(yes(family, "女儿", request_id)) == (404, "request_not_found")
    assert refused(no(family, "女儿", request_id)) == (404, "request_not_found")
    assert family.asked_of("女儿") == []
    world.work(minutes=30)
    assert family.asked_of("儿子") == [request_id]


def test_the_next_one_whose_role_was_taken_meanwhile_is_passed_over(world: World, family: Family) -> None:
    family.change("儿子", roles=frozenset({Role.ALERTS, Role.ASSIST}))
    request_id = family.ask("女儿")
    assert no(family, "女儿", request_id)[0] == 200
    assert family.asked_of("儿子") == [] and family.state(request_id) == "declined"


def test_only_who_may_pay_can_be_asked(family: Family) -> None:
    family.change("儿子", roles=frozenset({Role.BALANCE, Role.ALERTS}))
    assert refused(family.elder.post(REQUESTS, family.wish("儿子"))) == (404, "relative_not_found")


# --- the elder changes their mind ---


def test_the_elder_withdraws_and_nobody_can_say_yes_any_more(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    told = family.elder.ok("DELETE", f"{REQUESTS}/{request_id}")
    assert told["request"]["state"] == "withdrawn" and "没有动钱" in told["screen"]["say"]
    assert refused(yes(family, "女儿", request_id)) == (409, "request_over")
    assert family.elder.ok("DELETE", f"{REQUESTS}/{request_id}")["request"]["state"] == "withdrawn"
    world.work(minutes=31)
    assert texts(world, DAUGHTERS_PHONE) == [] == texts(world, SONS_PHONE)


def test_a_withdrawn_request_stops_an_order_that_is_not_paid(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    page = yes(family, "女儿", request_id)[1]
    family.relatives["女儿"].confirm(page["order"])
    assert family.elder.ok("DELETE", f"{REQUESTS}/{request_id}")["request"]["state"] == "withdrawn"
    assert family.relatives["女儿"].order(page["order"]["id"])["order"]["state"] == "cancelled"


def test_what_is_paid_cannot_be_withdrawn_and_says_so(world: World, family: Family) -> None:
    request_id = family.ask("女儿")
    family.pay("女儿", yes(family, "女儿", request_id)[1])
    answer = family.elder.call("DELETE", f"{REQUESTS}/{request_id}")
    assert refused(answer) == (409, "payment_already_made") and credits(world) == 1


# --- at the same moment, and again ---


def at_once(*calls: Any) -> list[tuple[int, dict[str, Any]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


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
