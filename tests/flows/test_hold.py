"""A relative holds an unusual payment for a while: it takes nothing, ends by itself; others may end it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.clock import iso
from app.store import relatives
from tests.cli.test_desk import desk
from tests.flows.protection_world import (
    answer,
    checked_at_the_desk,
    choice,
    family,
    hold,
    paid,
    refused,
    unusual,
)
from tests.flows.test_identity_check import DAUGHTERS_PHONE, ELDERS_PHONE
from tests.flows.test_questions import deeds, texts
from tests.world import Phone, World


def credited(world: World, order_id: str) -> bool:
    return order_id in {credit["order_id"] for credit in world.sandbox.credits()}


def release(person: Phone, order_id: str) -> tuple[int, dict[str, Any]]:
    return person.call("DELETE", f"/api/v1/holds/{order_id}")


def user_id(person: Phone, elder: Phone) -> str:
    return str(person.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"])


def test_a_held_payment_is_delivered_by_itself_when_its_time_is_over(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder)
    before = elder.order(order_id)["order"]["promised_at"]
    held = hold(daughter, order_id)
    assert held["until"] == iso(world.clock.now() + timedelta(hours=2)), "alone: two hours"
    page = elder.order(order_id)
    assert page["screen"]["title"] == "钱已付，先等一等再充" and page["order"]["promised_at"] > before
    assert "女儿请这笔先等一等，因为像是陌生人叫充的" in page["screen"]["say"]
    assert "最晚等到今天三点整" in page["screen"]["say"]
    assert [each["label"] for each in page["screen"]["choices"]] == ["不充了，退回来", "找人工", "回首页"]
    world.work()
    assert texts(world, ELDERS_PHONE)[-1] == "held_elder" and "order_held" in deeds(world)
    for _ in range(23):
        world.work(minutes=5)
        world.sweep()
        assert not credited(world, order_id)
    world.work(minutes=5)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    with world.deps.database.read() as tx:
        kinds = set(tx.execute(text("SELECT kind FROM alarms UNION SELECT kind FROM cases")).scalars())
    assert kinds <= {"calendar_missing"}, "the promise knows of the hold"


def test_two_guardians_hold_for_a_day_and_the_other_one_releases(world: World) -> None:
    elder, (daughter, son) = family(world, two=True)
    order_id = paid(world, elder)
    held = hold(daughter, order_id)
    assert held["until"] == iso(world.clock.now() + timedelta(hours=24))
    world.work()
    assert texts(world, "13900000008")[-1] == "held_relatives" != texts(world, DAUGHTERS_PHONE)[-1]
    (seen,) = son.ok("GET", "/api/v1/alerts")["alerts"]
    assert seen["held"]["yours"] is False and seen["paid"] is True and seen["may_hold"] is False
    assert refused(release(elder, order_id)) == (404, "hold_not_found"), "who is steered releases nothing"
    assert release(son, order_id)[0] == 200
    world.work()
    assert elder.order(order_id)["order"]["truth"] == "credited" and "hold_released" in deeds(world)
    assert refused(release(son, order_id)) == (404, "hold_not_found")


def test_who_placed_it_may_take_it_back_and_hold_it_no_second_time(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder)
    assert hold(daughter, order_id)["until"] == hold(daughter, order_id)["until"], "a double tap is one hold"
    assert release(daughter, order_id)[0] == 200
    again = daughter.post("/api/v1/holds", {"order_id": order_id, "reason": "stranger"})
    assert refused(again) == (409, "hold_over")
    world.work()
    assert credited(world, order_id)


def test_the_desk_releases_with_a_reason(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder, held_by=daughter)
    told = desk(world, "release", order_id, "--reason", "both heard", "--operator", "seven")
    assert told.exit_code == 0, told.output
    world.work()
    assert credited(world, order_id)
    assert desk(world, "release", order_id, "--reason", "again").exit_code == 2
    report = desk(world, "protection", "--days", "1", "--json").output
    assert (
        '"held": 1' in report and '"released_by": {"desk": 1}' in report and '"strangers_card": 1' in report
    )


def test_an_unpaid_order_that_is_held_offers_no_payment(world: World) -> None:
    elder, (daughter,) = family(world)
    page = unusual(elder)
    hold(daughter, page["order"]["id"], "not_known")
    for held in (elder.confirm(page["order"]), answer(elder, page, "told_to", "own")):
        assert held["screen"]["title"] == "这笔先等一等" and held["screen"].get("payment") is None
        assert "没有动您的钱" in held["screen"]["say"]
    assert release(daughter, page["order"]["id"])[0] == 200
    assert checked_at_the_desk(world, elder, elder.confirm(page["order"]))["screen"]["next"] == "pay"


def test_a_sheet_that_was_open_already_may_be_paid_and_then_waits(world: World) -> None:
    elder, (daughter,) = family(world)
    page = checked_at_the_desk(world, elder, answer(elder, unusual(elder), "told_to", "own"))
    order_id = page["order"]["id"]
    hold(daughter, order_id)
    assert elder.pay(page) == "requestPayment:ok"
    world.work()
    held = elder.order(order_id)
    assert held["order"]["state"] == "paid" and not credited(world, order_id)
    assert held["order"]["promised_at"] > iso(world.clock.now() + timedelta(hours=2))
    world.work(hours=2)
    assert credited(world, order_id) and world.balanced()


def test_the_elder_takes_a_held_payment_home(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder, held_by=daughter)
    gone = elder.tap(choice(elder.order(order_id), "不充了，退回来"))["screen"]
    assert gone["order"]["state"] == "refunding" and "正在退回" in gone["say"]
    world.work()
    assert elder.order(order_id)["order"]["truth"] == "returned" and not credited(world, order_id)
    assert world.balanced() and "order_undone" in deeds(world)
    assert elder.ok("POST", f"/api/v1/orders/{order_id}/undo")["order"]["truth"] == "returned"
    assert daughter.ok("GET", "/api/v1/alerts")["alerts"] == []


def test_an_undo_that_comes_too_late_says_so(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    world.work()
    path = f"/api/v1/orders/{page['order']['id']}/undo"
    assert refused(elder.post(path)) == (409, "undo_arrived")
    assert refused(world.phone("li").post(path)) == (404, "order_not_found")
    unpaid = elder.confirm(elder.open_order(7000))
    cancelled = elder.ok("POST", f"/api/v1/orders/{unpaid['order']['id']}/undo")
    assert cancelled["order"]["state"] == "cancelled" and "没有动您的钱" in cancelled["screen"]["say"]


def test_a_credit_nobody_answered_for_can_be_neither_held_nor_undone(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder)
    world.sandbox.outage("cards", "lost")
    world.work()
    late = daughter.post("/api/v1/holds", {"order_id": order_id, "reason": "stranger"})
    assert refused(late) == (409, "hold_too_late")
    assert refused(elder.post(f"/api/v1/orders/{order_id}/undo")) == (409, "undo_too_late")
    world.sandbox.outage("cards", "none")
    world.work(minutes=1)
    assert credited(world, order_id) and world.balanced()


def test_a_card_system_that_certainly_did_nothing_leaves_the_way_home_open(world: World) -> None:
    elder, _relatives = family(world)
    order_id = paid(world, elder)
    world.sandbox.outage("cards", "refuses")
    world.work()
    elder.ok("POST", f"/api/v1/orders/{order_id}/undo")
    world.sandbox.outage("cards", "none")
    world.work(minutes=1)
    assert elder.order(order_id)["order"]["truth"] == "returned" and not credited(world, order_id)


# --- the abuser --------------------------------------------------------------------------------------


def held_again(world: World, elder: Phone, relative: Phone, number: int) -> tuple[int, dict[str, Any]]:
    page = unusual(elder, 30_000 + 100 * number)
    return relative.post("/api/v1/holds", {"order_id": page["order"]["id"], "reason": "too_much"})


def test_nobody_holds_more_than_three_in_one_shanghai_day(world: World) -> None:
    elder, (daughter, son) = family(world, two=True)
    assert [held_again(world, elder, daughter, number)[0] for number in range(3)] == [200] * 3
    assert refused(held_again(world, elder, daughter, 3)) == (429, "too_many_holds")
    assert held_again(world, elder, son, 4)[0] == 200, "each has their own three"
    world.clock.tick(hours=22, minutes=59, seconds=59)  # a second before midnight
    for amount_fen in (10_000, 15_000):
        elder.confirm(elder.open_order(amount_fen))
    order = elder.open_order(30_000, elder.bind("3104870300000000004"))
    assert "今天充的钱一笔比一笔大" in elder.confirm(order)["screen"]["say"]
    tried = {"order_id": order["id"], "reason": "too_much"}
    assert refused(daughter.post("/api/v1/holds", tried)) == (429, "too_many_holds")
    world.clock.tick(seconds=1)
    assert daughter.post("/api/v1/holds", tried)[0] == 200


def test_a_relative_whose_role_was_taken_away_holds_nothing_more(world: World) -> None:
    elder, (daughter, son) = family(world, two=True)
    order_id = paid(world, elder, held_by=daughter)
    elder_id = user_id(daughter, elder)
    with world.deps.database.read() as tx:
        held_by = tx.execute(text("SELECT placed_by FROM holds")).scalar_one()
    with world.deps.database.write() as tx:
        relatives.change(tx, elder_id, held_by, {"roles": frozenset()})
    assert daughter.ok("GET", "/api/v1/alerts")["alerts"] == []
    assert refused(held_again(world, elder, daughter, 1)) == (404, "alert_not_found")
    world.work(hours=1)
    assert not credited(world, order_id), "what was held stays held until its end"
    assert release(son, order_id)[0] == 200
    world.work()
    assert credited(world, order_id)


def test_an_ended_tie_may_still_take_its_own_hold_back(world: World) -> None:
    elder, (daughter,) = family(world)
    order_id = paid(world, elder, held_by=daughter)
    daughter.ok("DELETE", f"/api/v1/elders/{user_id(daughter, elder)}")
    assert release(daughter, order_id)[0] == 200


def test_only_marked_orders_of_ones_own_elder_can_be_held(world: World) -> None:
    elder, (daughter,) = family(world)
    everyday = elder.confirm(elder.open_order())["order"]["id"]
    asked = unusual(elder)["order"]["id"]
    for person, order_id in ((daughter, everyday), (world.phone("li"), asked), (elder, asked)):
        told = person.post("/api/v1/holds", {"order_id": order_id, "reason": "stranger"})
        assert refused(told) == (404, "alert_not_found")
    status, _body = daughter.post("/api/v1/holds", {"order_id": asked, "reason": "because"})
    assert status == 422


@pytest.mark.parametrize("lift", [True, False])
def test_the_desk_lifts_the_waiting_after_it_was_no_fraud(world: World, lift: bool) -> None:
    elder, (daughter,) = family(world)
    answer(elder, unusual(elder), "told_to", "told")
    elder_id = daughter.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"]
    told = desk(world, "cool-off", elder_id, *(["--lift", "--reason", "her grandson"] if lift else []))
    assert told.exit_code == 0 and ("lifted for 1" if lift else "ord_") in told.output, told.output
    order = elder.open_order(30_000, elder.cards[1])
    status, _body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert status == (200 if lift else 409)
