"""Two payments of one order, booked in the same moment: one is the order's, the other goes home."""

from __future__ import annotations

import threading
import time

from sqlalchemy import text

from app.flows import settle
from app.ports import Payment, TradeState
from tests.world import World

HELD = 5006  # the sandbox holds this amount's notices back, so that the books learn of both from here


def until_somebody_waits(world: World) -> None:
    """On PostgreSQL: until the other transaction waits for the order's row. SQLite has one writer."""
    deadline = time.monotonic() + 10
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    while world.deps.database.engine.dialect.name == "postgresql" and time.monotonic() < deadline:
        with world.deps.database.read() as tx:
            if tx.execute(waiting).scalar_one():
                return
        time.sleep(0.01)


def test_a_second_payment_that_is_told_in_the_same_moment_goes_home_too(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(HELD))
    order_id = page["order"]["id"]
    assert elder.pay(page) == "requestPayment:ok"
    world.sandbox.pay_again(order_id)
    numbers = [trade["transaction_id"] for trade in world.sandbox.trades()]
    verdicts: list[str] = []

    def booked(transaction_id: str, told: threading.Event | None = None) -> None:
        payment = Payment(order_id, TradeState.SUCCESS, HELD, transaction_id, world.clock.now())
        with world.deps.database.write() as tx:
            verdicts.append(settle.payment_received(world.deps, tx, payment, world.clock.now()))
            if told is not None:
                told.set()
                until_somebody_waits(world)

    first_is_written = threading.Event()
    first = threading.Thread(target=booked, args=(numbers[0], first_is_written))
    first.start()
    first_is_written.wait(10)
    booked(numbers[1])
    first.join()
    assert sorted(verdicts) == ["accepted", "second_payment"]
    world.work()
    returned = [refund["transaction_id"] for refund in world.sandbox.refunds()]
    assert returned == [numbers[1]]
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
