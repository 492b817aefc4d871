"""Where end-of-day files fill the cards: what is held stays out of them, and what is in one stays in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.clock import FakeClock
from app.domain.orders import Event
from app.store import orders
from tests.conftest import DATABASES, database_url
from tests.flows.protection_world import answer, checked_at_the_desk, hold, refused
from tests.flows.test_identity_check import bound
from tests.world import Phone, World, running_world

CARD = "3104900000000000001"


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    url = database_url(request, request.param, tmp_path)
    with running_world(tmp_path, url, clock, CITY="lanzhou") as found:
        yield found


def paid_at_night(world: World) -> tuple[Phone, Phone, str]:
    """An elder who let the family look first, and paid in the night; the file of that night is not closed."""
    world.clock.tick(hours=15)  # one in the night
    elder = world.elder("wang", CARD)
    daughter = bound(world, elder)
    page = elder.confirm(elder.open_order(30_000))
    answer(elder, page, "told_to", "relatives")
    page = checked_at_the_desk(world, elder, answer(elder, page, "told_to", "own"))
    assert elder.pay(page) == "requestPayment:ok", page
    world.work()
    return elder, daughter, str(page["order"]["id"])


def days_pass(world: World, hours: int) -> None:
    for _ in range(hours):
        world.clock.tick(hours=1)
        world.sweep()
        world.work()


def batch_of(world: World, order_id: str) -> str | None:
    with world.deps.database.read() as tx:
        return orders.get(tx, order_id).batch_id


def test_a_held_payment_stays_out_of_the_file_and_goes_into_one_when_it_is_over(world: World) -> None:
    elder, daughter, order_id = paid_at_night(world)
    world.clock.tick(hours=5, minutes=30)  # the file is closed at half past seven
    hold(daughter, order_id)
    for _ in range(11):  # until ten minutes before its end, half past eight
        world.work(minutes=10)
        world.sweep()
        assert batch_of(world, order_id) is None
    world.clock.tick(minutes=10)
    world.sweep()
    assert batch_of(world, order_id) is not None, "the file of half past seven takes what it left out"
    days_pass(world, 26)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert len(world.sandbox.credits()) == 1


def test_until_the_file_is_closed_the_payer_may_take_it_back_and_then_no_more(world: World) -> None:
    elder, _daughter, order_id = paid_at_night(world)
    elder.ok("POST", f"/api/v1/orders/{order_id}/undo")
    world.work()
    assert elder.order(order_id)["order"]["truth"] == "returned"
    days_pass(world, 26)
    assert world.sandbox.credits() == [] and world.balanced()


def test_what_stands_in_a_file_is_neither_held_nor_taken_back(world: World) -> None:
    elder, daughter, order_id = paid_at_night(world)
    world.sandbox.stall_batches(True)
    while batch_of(world, order_id) is None:
        world.clock.tick(hours=1)
        world.sweep()
    assert refused(elder.post(f"/api/v1/orders/{order_id}/undo")) == (409, "undo_too_late")
    tried = daughter.post("/api/v1/holds", {"order_id": order_id, "reason": "stranger"})
    assert refused(tried) == (409, "hold_too_late")
    world.sandbox.stall_batches(False)
    days_pass(world, 3)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    with world.deps.database.read() as tx:
        assert not orders.happened(tx, order_id, Event.UNDONE)
