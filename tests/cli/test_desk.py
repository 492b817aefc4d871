"""At the counter: a code for one order, and thresholds that were set too low by mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app.domain.clock import FakeClock
from app.store import orders
from tests.conftest import database_url
from tests.flows.family import ALL_ROLES, bound, elder_id_of, tie_of
from tests.world import Phone, World, running_world


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock) as found:
        yield found


def desk(world: World, *words: str) -> Result:
    with world.app.app_context():
        return world.app.test_cli_runner().invoke(args=["desk", *words])


def waiting(elder: Phone) -> dict[str, Any]:
    return elder.confirm(elder.open_order(120_000))


def test_a_code_of_the_desk_lets_its_order_go_on(world: World) -> None:
    elder = world.elder()
    page = waiting(elder)
    told = json.loads(desk(world, "code", page["order"]["id"], "--operator", "chen", "--json").output)
    path = f"/api/v1/orders/{page['order']['id']}/check/desk/answer"
    paid = elder.ok("POST", path, {"code": told["code"]})
    assert elder.pay(paid) == "requestPayment:ok"


def test_an_order_that_waits_for_nothing_gets_no_code(world: World) -> None:
    elder = world.elder()
    for order_id in ("ord_nobodys", elder.open_order()["id"]):
        refused = desk(world, "code", order_id)
        assert refused.exit_code == 2 and "no order of that number waits" in refused.output


def test_thresholds_set_too_low_are_taken_back_at_the_desk(world: World) -> None:
    elder = world.elder()
    elder.ok("PUT", "/api/v1/me/limits", {"single_fen": 100, "day_fen": 100})
    order = elder.open_order()
    assert elder.confirm(order)["order"]["state"] == "awaiting_check"
    with world.deps.database.read() as tx:
        user_id = orders.get(tx, order["id"]).user_id
    assert desk(world, "limits", user_id).exit_code == 0
    assert elder.confirm(elder.open_order())["screen"]["next"] == "pay"
    again = desk(world, "limits", user_id)
    assert again.exit_code == 2 and "no thresholds" in again.output


def test_an_operator_freezes_a_tie_for_a_reason_that_can_be_said(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder, roles=ALL_ROLES)
    ids = (elder_id_of(daughter), tie_of(elder)["user_id"])
    unspeakable = desk(world, "freeze", *ids, "--reason", "fraud #7")
    assert unspeakable.exit_code == 2 and "read aloud" in unspeakable.output
    assert desk(world, "freeze", *ids).exit_code == 2, "a reason is required"
    assert desk(world, "freeze", *ids, "--reason", "家里人报告").exit_code == 0
    assert desk(world, "freeze", *ids, "--reason", "家里人报告").exit_code == 2
    assert daughter.ok("GET", "/api/v1/elders")["elders"][0]["frozen_why"] == "家里人报告"
    assert desk(world, "unfreeze", *ids, "--reason", "查清楚了").exit_code == 0
    assert desk(world, "unfreeze", *ids, "--reason", "查清楚了").exit_code == 2
    assert daughter.ok("GET", "/api/v1/elders")["elders"][0]["live"]
