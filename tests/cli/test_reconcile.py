"""`flask --app wsgi reconcile …` and `ledger check`: what an operator types, reads and may rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app.domain.clock import FakeClock
from app.store import reconciled_days
from tests.conftest import DATABASES, database_url
from tests.flows.reconciling import MONDAY, TUESDAY, go_to, in_their_book, of_day, open_cases, paid
from tests.world import World, running_world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, request.param, tmp_path), clock) as found:
        yield found


def typed(world: World, *arguments: str) -> Result:
    runner = world.app.test_cli_runner(env={"COLUMNS": "80"})
    with world.app.app_context():
        return runner.invoke(args=list(arguments))


def document(done: Result, exit_code: int = 0) -> dict[str, Any]:
    assert done.exit_code == exit_code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_a_missing_credit(world: World) -> str:
    order_id = paid(world)
    in_their_book(world, "DELETE FROM card_credits WHERE order_id = ?", order_id)
    go_to(world, TUESDAY)
    return order_id


def test_a_day_that_balances_is_shown_as_a_table_and_said_to_be_closed(world: World) -> None:
    paid(world)
    go_to(world, TUESDAY)
    done = typed(world, "reconcile", "--day", "2026-11-23")
    assert done.exit_code == 0, done.output
    assert "2026-11-23: closed" in done.stdout and "matched 相符" in done.stdout
    assert "50.00" in done.stdout and "-50.00" in done.stdout
    folder = done.stdout.partition("Report: ")[2].strip().replace("\n", "")
    assert json.loads((Path(folder) / "report.json").read_text())["state"] == "closed"


def test_one_object_for_programs(world: World) -> None:
    paid(world)
    go_to(world, TUESDAY)
    told = document(typed(world, "reconcile", "--day", "2026-11-23", "--json"))
    assert told["state"] == "closed" and told["runs"] == 1 and told["differences"] == []
    assert told["books"]["primary"]["classes"]["matched"]["theirs"] == {"count": 1, "fen": 5000}


def test_a_day_with_a_difference_is_open_and_shows_it(world: World) -> None:
    order_id = with_a_missing_credit(world)
    done = typed(world, "reconcile", "--day", "2026-11-23")
    assert done.exit_code == 0 and "open, 1 to resolve, 50.00 yuan in suspense" in done.stdout
    assert f"credit {order_id}" in done.stdout and "missing_theirs 对方缺" in done.stdout
    assert of_day(world)[0].id in typed(world, "reconcile", "open").stdout


@pytest.mark.parametrize("as_json", [True, False])
def test_too_early_is_exit_code_2_and_says_from_when_on(world: World, as_json: bool) -> None:
    arguments = ["reconcile", "--day", "2026-11-23", *(["--json"] if as_json else [])]
    done = typed(world, *arguments)
    assert done.exit_code == 2
    words = document(done, 2)["message"] if as_json else done.stderr
    assert "2026-11-24 10:00" in words and "Nothing was done" in words


@pytest.mark.parametrize("as_json", [True, False])
def test_a_silent_side_is_exit_code_3_and_is_named(world: World, as_json: bool) -> None:
    with_a_missing_credit(world)
    world.sandbox.bill_fault(MONDAY, "creating")
    arguments = ["reconcile", "--day", "2026-11-23", *(["--json"] if as_json else [])]
    done = typed(world, *arguments)
    assert done.exit_code == 3
    words = document(done, 3)["message"] if as_json else done.stderr
    assert "primary" in words and "STATEMENT_CREATING" in words and "Nothing was opened" in words
    assert of_day(world) == []


@pytest.mark.parametrize("arguments", [["--day", "2026-02-30"], ["--day", "yesterday"], []])
def test_what_is_no_day_is_a_matter_of_usage(world: World, arguments: list[str]) -> None:
    done = typed(world, "reconcile", *arguments)
    assert done.exit_code == 2 and "Usage:" in done.stderr
    with world.deps.database.read() as tx:
        assert reconciled_days.open_days(tx) == []


def test_open_differences_are_listed_with_their_age(world: World) -> None:
    order_id = with_a_missing_credit(world)
    typed(world, "reconcile", "--day", "2026-11-23")
    world.clock.tick(days=2)
    (told,) = document(typed(world, "reconcile", "open", "--json"))["differences"]
    assert (told["order_id"], told["age_days"], told["amount_fen"]) == (order_id, 3, 5000)
    shown = typed(world, "reconcile", "open").stdout
    assert "3 days old" in shown and f"credit {order_id}" in shown


def test_a_person_resolves_a_difference_and_the_day_closes(world: World) -> None:
    with_a_missing_credit(world)
    typed(world, "reconcile", "--day", "2026-11-23")
    (one,) = of_day(world)
    (case,) = open_cases(world)
    done = typed(world, "reconcile", "resolve", one.id, "--as", "reversed", "--note", "they found it")
    assert done.exit_code == 0 and "2026-11-23 is closed" in done.stdout, done.output
    assert open_cases(world) == [] and world.balanced()
    again = typed(world, "reconcile", "resolve", one.id, "--as", "written_off", "--note", "twice")
    assert again.exit_code == 1 and "resolved already: reversed" in again.stderr
    assert case.subject == one.id


def test_resolving_what_is_not_there_or_goes_home_by_itself_is_refused(world: World) -> None:
    order_id = paid(world)
    world.sandbox.pay_again(order_id)
    (stray,) = of_day(world)
    unknown = typed(world, "reconcile", "resolve", "dif_none", "--as", "reversed", "--note", "no")
    by_itself = typed(world, "reconcile", "resolve", stray.id, "--as", "reversed", "--note", "no")
    assert (unknown.exit_code, by_itself.exit_code) == (1, 1)
    assert "no difference" in unknown.stderr and "goes home by itself" in by_itself.stderr


def test_the_ledger_check_shows_suspense_and_finds_what_has_no_difference(world: World) -> None:
    with_a_missing_credit(world)
    typed(world, "reconcile", "--day", "2026-11-23")
    told = document(typed(world, "ledger", "check", "--json"))
    assert told["ok"] and told["adrift_fen"] == 0 and told["accounts"]["suspense"] == -5000
    with world.deps.database.write() as tx:
        tx.exec_driver_sql("UPDATE differences SET state = 'resolved'")
    told = document(typed(world, "ledger", "check", "--json"), 1)
    assert not told["ok"] and told["adrift_fen"] == -5000
    shown = typed(world, "ledger", "check")
    assert shown.exit_code == 1 and "-50.00 yuan are in suspense without an open difference" in shown.stdout
