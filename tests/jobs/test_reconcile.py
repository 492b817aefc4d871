"""The clock of reconciliation: each day once after ten, again while a side is silent, never forgotten."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.jobs.reconcile import reconcile_due
from app.store import reconciled_days
from tests.flows.reconciling import (
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    alarms,
    go_to,
    in_their_book,
    open_cases,
    paid,
    the_difference,
)
from tests.world import World

SUNDAY = MONDAY - timedelta(days=1)


def runs(world: World, day: date = MONDAY) -> int:
    with world.deps.database.read() as tx:
        found = reconciled_days.find(tx, day)
    return found.runs if found else 0


def state(world: World, day: date = MONDAY) -> str:
    with world.deps.database.read() as tx:
        found = reconciled_days.find(tx, day)
    assert found is not None
    return found.state


def minutes(world: World, count: int) -> list[date]:
    """Let this many minutes pass, each with its call; answers the days that were read."""
    done: list[date] = []
    for _ in range(count):
        world.clock.tick(minutes=1)
        done += reconcile_due(world.deps)
    return done


@pytest.fixture(autouse=True)
def _monday_morning(world: World) -> None:
    """The installation has reconciled Sunday already."""
    assert reconcile_due(world.deps) == [SUNDAY]


def test_yesterday_is_reconciled_once_at_ten(world: World) -> None:
    paid(world)
    go_to(world, TUESDAY, "09:58")
    assert minutes(world, 5) == [MONDAY] and state(world) == "closed"
    assert minutes(world, 120) == [] and runs(world) == 1


def test_while_the_bill_is_being_made_it_is_asked_for_every_half_hour(world: World) -> None:
    paid(world)
    world.sandbox.bill_fault(MONDAY, "creating")
    go_to(world, TUESDAY, "09:59")
    assert minutes(world, 91) == [] and runs(world) == 4  # 10:00, 10:30, 11:00, 11:30
    world.sandbox.bill_fault(MONDAY, "none")
    assert minutes(world, 30) == [MONDAY] and state(world) == "closed"


def test_a_day_without_its_books_for_six_hours_rings_the_alarm(world: World) -> None:
    world.sandbox.outage("cards", "silent")
    for at, rung in (("10:00", False), ("15:30", False), ("16:00", True)):
        go_to(world, TUESDAY, at)
        assert reconcile_due(world.deps) == []
        assert ("reconciliation_late" in alarms(world)) is rung


def test_days_on_which_no_worker_ran_are_made_up_for_oldest_first(world: World) -> None:
    paid(world)
    go_to(world, date(2026, 11, 27), "09:00")
    assert reconcile_due(world.deps) == [MONDAY, TUESDAY, WEDNESDAY]
    go_to(world, date(2026, 11, 27), "10:00")
    assert reconcile_due(world.deps) == [date(2026, 11, 26)] and state(world) == "closed"


def test_an_open_day_is_worked_every_half_hour_and_read_again_each_morning(world: World) -> None:
    paid(world, 5009, "3104870300000000009")  # its refund is ABNORMAL
    go_to(world, TUESDAY)
    assert reconcile_due(world.deps) == [MONDAY] and state(world) == "open"
    world.sandbox.settle_refund(world.sandbox.refunds()[0]["refund_id"])
    assert minutes(world, 29) == [] and the_difference(world).kind == "status"
    assert minutes(world, 1) == [] and the_difference(world).kind == "cutoff_shift" and runs(world) == 1
    go_to(world, WEDNESDAY)
    assert reconcile_due(world.deps) == [MONDAY, TUESDAY]
    assert state(world) == state(world, TUESDAY) == "closed" and runs(world) == 2


def test_what_is_overdue_is_noticed_by_the_clock_alone(world: World) -> None:
    order_id = paid(world)
    paid(world, 6000)
    world.sandbox.bill_fault(MONDAY, "missing_row", order_id=order_id)
    for day in (TUESDAY, WEDNESDAY, date(2026, 11, 26)):
        assert "difference_overdue" not in alarms(world)
        go_to(world, day)
        reconcile_due(world.deps)
    assert "difference_overdue" in alarms(world) and len(open_cases(world)) == 1


def test_one_day_that_cannot_be_read_does_not_stop_the_next(world: World) -> None:
    paid(world)
    world.sandbox.bill_fault(MONDAY, "wrong_hash")
    go_to(world, WEDNESDAY)
    assert reconcile_due(world.deps) == [TUESDAY] and state(world) == "open"


def test_a_case_rings_once_however_often_the_clock_ticks(world: World) -> None:
    order_id = paid(world)
    in_their_book(world, "DELETE FROM card_credits WHERE order_id = ?", order_id)
    go_to(world, TUESDAY, "09:59")
    minutes(world, 62)
    assert len(open_cases(world)) == 1
