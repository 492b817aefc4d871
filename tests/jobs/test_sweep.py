"""The sweep finds what everybody forgot: unpaid orders, lost notices, lost work."""

from __future__ import annotations

from sqlalchemy import text

from app.domain.orders import Topic
from app.store import models, outbox
from tests.world import World, a_key

_outbox = models.metadata.tables["outbox"]


def test_orders_whose_time_is_over_are_closed_here_and_at_wechat(world: World) -> None:
    elder = world.elder()
    read_back = elder.open_order()
    page = elder.confirm(elder.open_order(6000))
    assert world.sweep()["expired"] == 0
    world.clock.tick(minutes=10)
    assert world.sweep()["expired"] == 1  # the confirmation has ten minutes, the payment fifteen
    assert elder.order(read_back["id"])["order"]["state"] == "expired"
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_payment"
    world.clock.tick(minutes=5)
    assert world.sweep()["expired"] == 1
    told = elder.order(page["order"]["id"])
    assert told["order"]["truth"] == "closed" and "没有动您的钱" in told["screen"]["say"]
    assert [trade["state"] for trade in world.sandbox.trades()] == ["CLOSED"]
    assert elder.pay(page) != "requestPayment:ok" and world.sweep()["expired"] == 0
    assert world.balanced()


def test_a_payment_without_a_notice_is_found_before_its_order_is_closed(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5005))
    assert elder.pay(page) == "requestPayment:ok"
    world.clock.tick(minutes=20)
    assert world.sweep()["expired"] == 0
    assert elder.order(page["order"]["id"])["order"]["truth"] == "paid"
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_a_payment_in_the_moment_of_closing_is_not_lost(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5017))
    world.clock.tick(minutes=20)
    assert world.sweep()["expired"] == 0
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_while_wechat_does_not_answer_an_order_is_neither_closed_nor_called_unpaid(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    world.clock.tick(minutes=20)
    world.sandbox.server.close()
    assert world.sweep()["expired"] == 0
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_payment"


def test_work_that_was_lost_after_the_payment_is_done_after_all(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    with world.deps.database.write() as tx:
        tx.execute(_outbox.delete().where(_outbox.c.topic == Topic.DELIVER.value))
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "paid"
    world.sweep()
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_work_marked_as_done_that_was_not_done_is_opened_again(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    with world.deps.database.write() as tx:
        while work := outbox.claim(tx, world.clock.now(), "worker"):
            outbox.finish(tx, work, "somebody said so", world.clock.now())
    assert world.work() == 0
    assert world.sweep()["reopened"] == 1
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()
    assert set(world.sweep().values()) == {0}


def test_a_sweep_changes_nothing_that_rests(world: World) -> None:
    elder = world.elder()
    elder.pay(elder.confirm(elder.open_order()))
    world.work()
    before = elder.ok("GET", "/api/v1/orders")
    for _ in range(3):
        world.clock.tick(days=1)
        assert world.sweep()["expired"] == 0
        world.work()
    assert elder.ok("GET", "/api/v1/orders") == before and len(world.sandbox.credits()) == 1


def test_the_keys_of_old_turns_are_forgotten_after_a_week(world: World) -> None:
    elder = world.elder()
    elder.tap("help")
    world.clock.tick(days=6)
    elder.ok("POST", "/api/v1/conversation/turns", {"client_key": a_key(), "choice": "help"})
    assert world.sweep()["forgotten"] == 0
    world.clock.tick(days=2)
    assert world.sweep()["forgotten"] == 1
    with world.deps.database.read() as tx:
        assert tx.execute(text("SELECT COUNT(*) FROM turns")).scalar() == 1
