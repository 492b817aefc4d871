"""Days that pass in a small world, and looking at what reconciling them came to."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from sqlalchemy import text

from app.domain.clock import SHANGHAI
from app.domain.differences import ready_at
from app.flows import reconcile as flow
from app.flows.reconcile import Result
from app.store import cases, differences
from app.store.cases import Case
from app.store.differences import Difference
from tests.world import GOOD_CARD, Phone, World

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 11, day) for day in (23, 24, 25, 26))
REFUSING = "3104870300000000009"


def go_to(world: World, day: date, at: str = "10:00") -> None:
    """Let time pass until this moment in Shanghai; the worker finds what is due then."""
    moment = datetime.combine(day, time.fromisoformat(at), SHANGHAI)
    ahead = (moment - world.clock.now()).total_seconds()
    assert ahead >= 0, "time does not run backwards"
    world.clock.tick(seconds=ahead)


def pay(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> tuple[Phone, str]:
    """Somebody pays; returns the phone and the order. Nothing is delivered yet."""
    phone = world.elder(card=card)
    page = phone.confirm(phone.open_order(amount_fen))
    assert phone.pay(page) == "requestPayment:ok"
    return phone, str(page["order"]["id"])


def paid(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> str:
    """An order that was paid, and everything that follows from it until the worker rests."""
    _phone, order_id = pay(world, amount_fen, card)
    quiet(world)
    return order_id


def quiet(world: World, seconds: float = 2) -> None:
    """Let the worker work until nothing is due; little time passes."""
    for _ in range(200):
        world.sweep()
        if world.work(seconds=seconds) == 0:
            return
    raise AssertionError("the outbox never came to rest")


def reconcile(world: World, day: date = MONDAY, at: str = "10:00") -> Result:
    """Reconcile a day in the morning after it, or now if that is over."""
    if world.clock.now() < ready_at(day):
        go_to(world, date.fromordinal(day.toordinal() + 1), at)
    return flow.reconcile(world.deps, day)


def classes(result: Result, book: str = "primary") -> dict[str, tuple[int, int, int, int]]:
    """Of each class: our count and fen, their count and fen."""
    found = result.report["books"][book]["classes"]
    return {
        name: (told["ours"]["count"], told["ours"]["fen"], told["theirs"]["count"], told["theirs"]["fen"])
        for name, told in found.items()
    }


def of_day(world: World, day: date = MONDAY) -> list[Difference]:
    with world.deps.database.read() as tx:
        return differences.of_day(tx, day)


def the_difference(world: World, day: date = MONDAY) -> Difference:
    (found,) = of_day(world, day)
    return found


def open_cases(world: World) -> list[Case]:
    with world.deps.database.read() as tx:
        return cases.unresolved(tx)


def alarms(world: World) -> set[str]:
    with world.deps.database.read() as tx:
        return {row.kind for row in tx.execute(text("SELECT kind FROM alarms"))}


BOOKKEEPING = {
    "ledger_entries": "subject, event, account, amount_fen, at",
    "differences": "*",
    "cases": "id, kind, subject, plan_due_at, resolved_at, resolution",
    "orders": "id, state, transaction_id, paid_at, credited_at",
    "refunds": "*",
    "alarms": "kind, subject, opened_at",
}


def bookkeeping(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that money, differences and cases are made of, as it stands."""
    with world.deps.database.read() as tx:
        return {
            table: sorted(tuple(map(str, row)) for row in tx.execute(text(f"SELECT {columns} FROM {table}")))
            for table, columns in BOOKKEEPING.items()
        }


def in_their_book(world: World, sql: str, *values: Any) -> None:
    """Change one row that the sandbox's card system, or its WeChat, has written down."""
    with world.sandbox.server.sandbox.world.store.write() as tx:
        assert tx.execute(sql, values).rowcount == 1
