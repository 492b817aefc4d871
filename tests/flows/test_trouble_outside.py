"""When others go wrong: end-of-day files refused or unanswered, and a payment channel that is silent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock, as_utc
from app.domain.orders import WECHAT_STANDBY
from app.flows.channels import FAILURES_TO_OPEN
from app.store import cases
from tests.conftest import DATABASES, database_url
from tests.flows.troubles import LANZHOU_CARD, accounts, cases_of, paid, paying, quiet, told
from tests.world import Phone, World, running_world


@pytest.fixture(params=DATABASES)
def batch_world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Any:
    """Lanzhou: everything goes in end-of-day files."""
    url = database_url(request, request.param, tmp_path)
    with running_world(tmp_path, url, clock, CITY="lanzhou") as found:
        yield found


# --- end-of-day files --------------------------------------------------------------------------------


def test_a_batch_city_credits_by_its_file_after_the_cut_off(batch_world: World) -> None:
    world = batch_world  # ten in the morning; the next cut-off is at half past three
    elder, order_id = paid(world, card=LANZHOU_CARD)
    before = world.sandbox.card(LANZHOU_CARD)["balance_fen"]
    promised = elder.order(order_id)["order"]["promised_at"]
    assert promised == (world.clock.now() + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.work()
    world.sweep()
    assert world.sandbox.credits() == [] and world.sandbox.batches() == []
    world.clock.tick(hours=5, minutes=29)
    assert world.sweep()["batches"] == 0
    world.clock.tick(minutes=1)
    assert world.sweep()["batches"] == 1 and world.sweep()["batches"] == 0
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert world.sandbox.card(LANZHOU_CARD)["balance_fen"] == before + 5000
    assert len(world.sandbox.batches()) == 1 and told(world) == ["充值成功"]


def test_a_line_the_file_refuses_goes_home_and_the_others_arrive(batch_world: World) -> None:
    world = batch_world
    elder, good = paid(world, 5000, LANZHOU_CARD)
    page = elder.confirm(elder.open_order(5031))
    assert elder.pay(page) == "requestPayment:ok"
    world.clock.tick(hours=6)
    quiet(world)
    assert elder.order(good)["order"]["truth"] == "credited"
    assert elder.order(page["order"]["id"])["order"]["truth"] == "returned" and world.balanced()


def test_a_file_that_is_never_answered_breaks_the_promise_at_twelve_hours(batch_world: World) -> None:
    world = batch_world
    elder, order_id = paid(world, card=LANZHOU_CARD)
    paid_at = world.clock.now()
    world.sandbox.stall_batches()
    while world.clock.now() < paid_at + timedelta(hours=12):
        world.work(minutes=30)
        world.sweep()
    assert cases_of(world, order_id) == [] and told(world) == []
    world.work(seconds=1)
    world.work(seconds=1)
    (case,) = cases_of(world, order_id)
    assert case.kind == "promise_broken" and told(world) == ["到账会晚"]
    assert as_utc(case.opened_at) == paid_at + timedelta(hours=12, seconds=1)
    world.sandbox.stall_batches(False)
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert len(world.sandbox.credits()) == 1


# --- an outage, and the standby channel --------------------------------------------------------------


def silence(world: World) -> list[tuple[Phone, str]]:
    """Enough people whose payment cannot be opened for the breaker to open."""
    world.sandbox.outage("primary", "silent")
    stranded = []
    for number in range(FAILURES_TO_OPEN):
        elder = world.elder()
        order = elder.open_order(5100 + 100 * number)
        status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
        assert (status, body["code"]) == (503, "payment_unavailable") and "没有动您的钱" in body["say"]
        stranded.append((elder, order["id"]))
    return stranded


def test_an_outage_sends_new_orders_to_the_standby_channel_and_unknown_ones_nowhere(world: World) -> None:
    stranded = silence(world)
    elder, order_id = paid(world)
    merchants = {trade["order_id"]: trade["merchant_id"] for trade in world.sandbox.trades()}
    assert merchants[order_id] == world.sandbox.keys.standby.merchant_id
    world.work()
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert accounts(world)[WECHAT_STANDBY] == 5000
    other, lost = stranded[0]
    order = other.order(lost)["order"]
    status, _body = other.post(f"/api/v1/orders/{lost}/confirm", {"read_back": order["read_back"]})
    assert status == 503
    assert all(trade["order_id"] != lost for trade in world.sandbox.trades())
    with world.deps.database.read() as tx:
        (case,) = [case for case in cases.unresolved(tx) if case.kind == "channel_outage"]
    assert case.level == 3 and case.plan and case.planned_at is not None
    assert case.plan_due_at == case.opened_at + timedelta(minutes=15)


def test_after_the_outage_new_orders_take_the_primary_channel_again(world: World) -> None:
    silence(world)
    paid(world)
    world.sandbox.outage("primary", "none")
    breaker = world.deps.breakers["primary"]
    breaker.half_open()  # what a minute of real time does
    _elder, order_id = paid(world)
    merchants = {trade["order_id"]: trade["merchant_id"] for trade in world.sandbox.trades()}
    assert merchants[order_id] == world.sandbox.keys.merchant_id
    with world.deps.database.read() as tx:
        assert [case for case in cases.unresolved(tx) if case.kind == "channel_outage"] == []
    quiet(world)
    assert world.balanced()


def test_a_payment_that_certainly_was_not_opened_may_take_the_other_channel(world: World) -> None:
    world.sandbox.outage("primary", "refuses")
    elder = world.elder()
    order = elder.open_order()
    path = f"/api/v1/orders/{order['id']}/confirm"
    for _ in range(FAILURES_TO_OPEN):
        assert elder.post(path, {"read_back": order["read_back"]})[0] == 503
    assert elder.pay(elder.confirm(order)) == "requestPayment:ok"
    world.work()
    assert elder.order(order["id"])["order"]["truth"] == "credited" and world.balanced()
    assert accounts(world)[WECHAT_STANDBY] == 5000


def test_the_refund_of_a_standby_order_comes_from_the_standby_merchant(world: World) -> None:
    silence(world)
    _elder, _order_id = paid(world, 5031)
    for _ in range(5):
        world.work(seconds=10)
    (refund,) = world.sandbox.refunds()
    assert refund["merchant_id"] == world.sandbox.keys.standby.merchant_id
    assert accounts(world)[WECHAT_STANDBY] == 0 and world.balanced()


def test_a_notice_for_the_standby_merchant_at_the_primarys_door_is_refused(world: World) -> None:
    silence(world)
    elder, page = paying(world)
    assert elder.pay(page) == "requestPayment:ok"
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute("UPDATE notices SET url = replace(url, '/standby', ''), state = 'due', attempts = 0")
    world.sandbox.deliver()
    with world.deps.database.read() as tx:
        taken = tx.execute(text("SELECT count(*) FROM notices")).scalar()
    assert taken == 1 and world.balanced()
