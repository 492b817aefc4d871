"""Whatever is wrong with a day's books: money is conserved, and running the day again changes nothing."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from app.domain.clock import FakeClock
from app.flows.reconcile_books import Silent
from tests.conftest import DATABASES, MORNING, database_url
from tests.flows.reconciling import (
    MONDAY,
    REFUSING,
    TUESDAY,
    WEDNESDAY,
    bookkeeping,
    go_to,
    in_their_book,
    pay,
    quiet,
    reconcile,
)
from tests.world import GOOD_CARD, World, running_world

_folders = itertools.count(1)

# What may be wrong with one order: with its row in the bill, and with its credit in the card system's file.
BILL = (None, "missing_row", "duplicate_row", "amount_changed", "shifted_row")
CARDS = (
    None,
    "DELETE FROM card_credits WHERE order_id = ?",
    "UPDATE card_credits SET amount_fen = amount_fen + 100 WHERE order_id = ?",
    "UPDATE card_credits SET credited_at = credited_at + 86400 WHERE order_id = ?",
    "UPDATE card_credits SET card_number = '3104870300000000002' WHERE order_id = ?",
)
AMOUNTS_FEN = (5000, 5005, 5006, 5008, 5009, 5033)  # told, never told, told late, slow refund, abnormal, lost
an_order = st.tuples(
    st.sampled_from(AMOUNTS_FEN),
    st.sampled_from((GOOD_CARD, GOOD_CARD, REFUSING)),
    st.booleans(),  # whether the worker does anything about it on Monday
    st.booleans(),  # whether it is paid twice
    st.sampled_from(BILL),
    st.sampled_from(CARDS),
)
a_morning = st.lists(st.sampled_from(("run", "silent", "work")), min_size=1, max_size=5)


def trade(world: World, order: tuple[Any, ...]) -> None:
    """What happens about one order on Monday."""
    amount_fen, card, works, again, bill, cards = order
    _phone, order_id = pay(world, amount_fen, card)
    if works:
        quiet(world)
    if again:
        world.sandbox.pay_again(order_id)
    if bill:
        world.sandbox.bill_fault(MONDAY, bill, order_id=order_id)
    if cards and any(row["order_id"] == order_id for row in world.sandbox.credits()):
        in_their_book(world, cards, order_id)


def check(world: World, day: date, report: dict[str, Any]) -> None:
    assert world.balanced(), "every posting sums to zero, and suspense is what the open differences say"
    assert (report["state"] == "closed") == (report["open"] == 0)
    told = [row["order_id"] for row in world.sandbox.credits()]
    assert len(set(told)) == len(told), "no card is credited twice for one order"
    bill = world.deps.pays["primary"].trade_bill(day)
    shown = [told["theirs"]["count"] for told in report["books"]["primary"]["classes"].values()]
    assert sum(shown) == (len(bill.lines) if bill else 0), "every row of the bill is in one class"


def run_twice(world: World, day: date) -> str:
    first = reconcile(world, day).report
    check(world, day, first)
    before = bookkeeping(world)
    second = reconcile(world, day).report
    assert second == {**first, "runs": first["runs"] + 1}
    assert bookkeeping(world) == before, "a second run changes nothing"
    return str(first["state"])


def run_in_silence(world: World) -> None:
    before = bookkeeping(world)
    world.sandbox.outage("cards", "refuses")
    with suppress(Silent):  # a closed day asks nobody
        reconcile(world)
    world.sandbox.outage("cards", "none")
    assert bookkeeping(world) == before


@pytest.mark.parametrize("kind", DATABASES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=st.lists(an_order, min_size=1, max_size=4), morning=a_morning)
def test_any_day_can_be_run_again_and_again(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    kind: str,
    orders: list[tuple[Any, ...]],
    morning: list[str],
) -> None:
    folder = tmp_path / str(next(_folders))
    folder.mkdir()
    with running_world(folder, database_url(request, kind, folder), FakeClock(MORNING)) as world:
        for order in orders:
            trade(world, order)
        go_to(world, TUESDAY)
        steps = {
            "run": lambda: run_twice(world, MONDAY),
            "silent": lambda: run_in_silence(world),
            "work": lambda: quiet(world),
        }
        for step in morning:
            steps[step]()
        event("monday after its morning: " + run_twice(world, MONDAY))
        quiet(world)
        go_to(world, WEDNESDAY)
        event("tuesday: " + run_twice(world, TUESDAY))
        event("monday after tuesday: " + run_twice(world, MONDAY))
