"""What becomes of a relative's top-up when its tie ends, is frozen or runs out, or its caps get smaller."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.flows import change_relative
from tests.flows.family import ALL_ROLES, bound, deeds_of, elder_id_of, open_for, tie_of
from tests.world import Phone, World

LATER = timedelta(hours=25)


@pytest.fixture
def elder(world: World) -> Phone:
    return world.elder()


@pytest.fixture
def daughter(world: World, elder: Phone) -> Phone:
    """A daughter with every role, for more than a day."""
    found = bound(world, elder, roles=ALL_ROLES)
    world.clock.tick(seconds=LATER.total_seconds())
    return found


def take_role(world: World, elder: Phone, daughter: Phone) -> None:
    elder.ok("PATCH", f"/api/v1/relatives/{tie_of(elder)['user_id']}", {"roles": ["alerts"]})


def revoke(world: World, elder: Phone, daughter: Phone) -> None:
    elder.ok("DELETE", f"/api/v1/relatives/{tie_of(elder)['user_id']}")


def leave(world: World, elder: Phone, daughter: Phone) -> None:
    daughter.ok("DELETE", f"/api/v1/elders/{elder_id_of(daughter)}")


def freeze(world: World, elder: Phone, daughter: Phone) -> None:
    change_relative.freeze(world.deps, elder_id_of(daughter), tie_of(elder)["user_id"], "有人报告")


ENDS = pytest.mark.parametrize("end", [take_role, revoke, leave, freeze])


def begun(daughter: Phone, elder: Phone) -> tuple[dict[str, Any], dict[str, Any]]:
    order = open_for(daughter, elder, 5000)
    return order, daughter.confirm(order)


@ENDS
def test_a_tie_that_ends_stops_what_is_not_paid(
    world: World, elder: Phone, daughter: Phone, end: Any
) -> None:
    unconfirmed = open_for(daughter, elder, 6000)
    order, page = begun(daughter, elder)
    end(world, elder, daughter)
    assert daughter.pay(page) != "requestPayment:ok"
    for each in (unconfirmed, order):
        told = {"read_back": each["read_back"]}
        status, body = daughter.post(f"/api/v1/orders/{each['id']}/confirm", told)
        assert (status, body["code"]) == (409, "tie_over")
        assert daughter.order(each["id"])["order"]["state"] == "cancelled"
    world.work(minutes=2)
    assert world.balanced() and elder.order(order["id"])["order"]["truth"] == "closed"


@ENDS
def test_what_was_paid_before_a_tie_ended_is_delivered_as_promised(
    world: World, elder: Phone, daughter: Phone, end: Any
) -> None:
    before = elder.balance_fen()
    order, page = begun(daughter, elder)
    assert daughter.pay(page) == "requestPayment:ok"
    end(world, elder, daughter)
    world.work()
    assert daughter.order(order["id"])["order"]["truth"] == "credited"
    assert elder.balance_fen() == before + 5000 and world.balanced()


def test_money_that_comes_for_a_stopped_order_goes_home(world: World, elder: Phone, daughter: Phone) -> None:
    before = elder.balance_fen()
    order, _page = begun(daughter, elder)
    revoke(world, elder, daughter)
    world.sandbox.pay_late(order["id"])
    world.work()
    world.work(minutes=2)
    assert daughter.order(order["id"])["order"]["truth"] == "returned"
    assert elder.balance_fen() == before and world.balanced()
    assert deeds_of(world, elder.ok("GET", "/api/v1/me/export")["user_id"], "relative_money_back")


def test_an_agreement_that_runs_out_in_between_stops_the_order(
    world: World, elder: Phone, daughter: Phone
) -> None:
    world.clock.tick(days=178, hours=22, minutes=50)  # bound 25 hours before
    daughter.log_in(), elder.log_in()
    order = open_for(daughter, elder, 5000)
    world.clock.tick(minutes=10)
    status, body = daughter.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) in ((409, "tie_over"), (409, "order_over"))
    assert daughter.order(order["id"])["order"]["truth"] == "closed"


def test_caps_that_were_lowered_count_when_it_is_confirmed(
    world: World, elder: Phone, daughter: Phone
) -> None:
    order = open_for(daughter, elder, 10_000)
    elder.ok("PATCH", f"/api/v1/relatives/{tie_of(elder)['user_id']}", {"single_fen": 9_900})
    status, body = daughter.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "over_cap")
    assert daughter.order(order["id"])["order"]["state"] == "cancelled"
