"""The worker: exactly once in effect, patient with the outside, and never stopped by one bad row."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text

from app.domain.clock import as_utc
from app.domain.orders import Topic
from app.jobs.outbox import ALARM_AFTER_ATTEMPTS, drain
from app.store import models, outbox
from tests.world import Phone, World

_outbox = models.metadata.tables["outbox"]


def paid(world: World, amounts_fen: list[int]) -> tuple[Phone, list[str]]:
    """Somebody who has paid several orders, none of them credited yet."""
    elder = world.elder()
    ids = []
    for amount_fen in amounts_fen:
        elder.accept_receipts()
        page = elder.confirm(elder.open_order(amount_fen))
        assert elder.pay(page) == "requestPayment:ok"
        ids.append(page["order"]["id"])
    return elder, ids


def row(world: World, topic: Topic, order_id: str) -> dict[str, Any]:
    with world.deps.database.read() as tx:
        found = select(_outbox).where(_outbox.c.topic == topic.value, _outbox.c.subject == order_id)
        return dict(tx.execute(found).one()._mapping)


def truths(elder: Phone) -> set[str]:
    return {order["truth"] for order in elder.ok("GET", "/api/v1/orders")["orders"]}


def together(count: int, work: Any) -> None:
    """Run `work` in several threads that start at the same moment."""
    start = threading.Barrier(count)
    faults: list[BaseException] = []

    def one() -> None:
        start.wait()
        try:
            work()
        except BaseException as fault:  # handed to the test below
            faults.append(fault)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_two_workers_at_once_credit_refund_and_tell_each_order_once(world: World) -> None:
    amounts = [5000, 5031, 5033, 5100, 5034, 5200]  # one of them is refused, two answers are lost
    elder, ids = paid(world, amounts)
    before = elder.balance_fen()
    for _ in range(6):
        world.clock.tick(seconds=40)
        together(2, lambda: drain(world.deps))
    assert truths(elder) == {"credited", "returned"} and world.balanced()
    credited = [made["order_id"] for made in world.sandbox.credits()]
    assert sorted(credited) == sorted(set(ids) - {ids[1]})
    assert elder.balance_fen() == before + sum(amounts) - amounts[1]
    assert [refund["order_id"] for refund in world.sandbox.refunds()] == [ids[1]]
    told = [message["data"]["character_string3"] for message in world.sandbox.messages()]
    assert sorted(map(str, told)) == sorted(set(map(str, told))) and len(told) == len(ids)


def test_a_row_another_worker_holds_is_left_alone_until_its_lease_is_over(world: World) -> None:
    elder, _ids = paid(world, [5000])
    topics = set()
    with world.deps.database.write() as tx:
        while held := outbox.claim(tx, world.clock.now(), "another"):  # and this worker dies with it
            topics.add(held.topic)
    assert Topic.DELIVER in topics
    world.work(seconds=59)
    assert truths(elder) == {"paid"} and world.sandbox.credits() == []
    world.work(seconds=2)
    assert truths(elder) == {"credited"} and len(world.sandbox.credits()) == 1


def test_what_a_worker_left_behind_is_due_at_once_when_it_is_back(world: World) -> None:
    elder, _ids = paid(world, [5000])
    with world.deps.database.write() as tx:
        while outbox.claim(tx, world.clock.now(), "killed"):
            pass
    assert world.work() == 0
    with world.deps.database.write() as tx:
        assert outbox.release(tx, "somebody else", world.clock.now()) == 0
        assert outbox.release(tx, "killed", world.clock.now()) > 0
    world.work()
    assert truths(elder) == {"credited"} and len(world.sandbox.credits()) == 1


def test_after_an_outage_each_try_waits_longer_and_the_money_still_arrives(world: World) -> None:
    elder, (order_id,) = paid(world, [5000])
    hide(world, "card_credits")  # the card system answers 500 to every credit from now on
    waits = []
    for _ in range(11):
        world.work()
        found = row(world, Topic.DELIVER, order_id)
        due = as_utc(found["next_at"])
        assert isinstance(due, datetime) and found["last_error"] and found["done_at"] is None
        waits.append(round((due - world.clock.now()).total_seconds()))
        tries = found["attempts"]
        if waits[-1] > 1:
            world.work(seconds=waits[-1] - 1)  # not a moment earlier
            assert row(world, Topic.DELIVER, order_id)["attempts"] == tries
        world.clock.tick(seconds=1)
    assert waits == [1, 2, 5, 10, 30, 60, 120, 300, 600, 600, 600]
    assert truths(elder) == {"paid"} and world.balanced()
    show(world, "card_credits")
    world.work()
    assert truths(elder) == {"credited"} and len(world.sandbox.credits()) == 1 and world.balanced()


def hide(world: World, table: str) -> None:
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute(f"ALTER TABLE {table} RENAME TO {table}_away")


def show(world: World, table: str) -> None:
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_work_that_fails_inside_us_stops_nobody_elses_and_ends_in_an_alarm(world: World) -> None:
    elder, (order_id,) = paid(world, [5000])
    cancelled = elder.confirm(elder.open_order(5100))["order"]["id"]
    elder.ok("POST", f"/api/v1/orders/{cancelled}/cancel")
    with world.deps.database.write() as tx:
        tx.execute(text("ALTER TABLE cards RENAME TO cards_away"))
    for attempt in range(ALARM_AFTER_ATTEMPTS):
        world.work(minutes=11)
        assert (f"deliver:{order_id}" in stuck(world)) == (attempt + 1 == ALARM_AFTER_ATTEMPTS)
    assert row(world, Topic.CLOSE_PAYMENT, cancelled)["outcome"] == "closed"
    assert row(world, Topic.DELIVER, order_id)["last_error"]
    with world.deps.database.write() as tx:
        tx.execute(text("ALTER TABLE cards_away RENAME TO cards"))
    assert world.balanced() and truths(elder) == {"paid", "closed"}
    world.work(minutes=11)
    assert truths(elder) == {"credited", "closed"} and world.balanced()


def stuck(world: World) -> list[str]:
    with world.deps.database.read() as tx:
        found = tx.execute(text("SELECT subject FROM alarms WHERE kind = 'outbox_stuck'"))
        return [alarm.subject for alarm in found]


def test_a_topic_of_a_newer_release_waits_for_it_and_stops_nobody(world: World) -> None:
    elder, (order_id,) = paid(world, [5000])
    with world.deps.database.write() as tx:
        strange = {
            "id": "out_from_the_future",
            "topic": "from_the_future",
            "subject": order_id,
            "attempts": 0,
            "next_at": world.clock.now(),
        }
        tx.execute(insert(_outbox), strange)
    world.work()
    assert truths(elder) == {"credited"}
    with world.deps.database.read() as tx:
        assert outbox.waiting(tx) == {"from_the_future": 1, "watch_promise": 1}


def test_a_worker_takes_no_more_than_its_limit_in_one_go(world: World) -> None:
    elder, _ids = paid(world, [5000] * 3)
    assert drain(world.deps, limit=1) == 1
    assert truths(elder) != {"credited"}
    world.work()
    assert truths(elder) == {"credited"}
    assert drain(world.deps) == 0
