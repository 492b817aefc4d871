"""请我女儿帮我充: the chosen relative is asked, then the next, and the elder always hears where it stands."""

from __future__ import annotations

import pytest

from app.domain.family import Role
from tests.flows.asking import (
    DAUGHTERS_PHONE,
    ELDERS_PHONE,
    REQUESTS,
    SONS_PHONE,
    a_daughter_and_a_son,
    credits,
    no,
    refused,
    texts,
    yes,
)
from tests.flows.family_ground import Family, a_family
from tests.flows.test_identity_check import with_phone
from tests.world import Phone, World


@pytest.fixture
def family(world: World) -> Family:
    return a_daughter_and_a_son(world)


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
