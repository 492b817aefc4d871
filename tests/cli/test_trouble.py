"""`demo trouble` and `case`: what operators see of a payment that went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.domain.orders import ENDS, State
from tests.conftest import database_url
from tests.world import World, running_world

REFUSING_CARD = "3104870300000000009"


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Any:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock) as found:
        yield found


def command(world: World, *words: str) -> tuple[int, str]:
    with world.app.app_context():
        done = world.app.test_cli_runner().invoke(args=list(words))
    return done.exit_code, done.output


def test_seven_troubles_are_played_and_each_ends_with_the_money_accounted_for(world: World) -> None:
    code, output = command(world, "demo", "trouble", "--json")
    played = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert code == 0 and [each["name"] for each in played] == [
        "late_notice",
        "double_payment",
        "refused_credit",
        "unknown_then_paid",
        "outage_with_standby",
        "ceiling",
        "batch_breach",
    ]
    for each in played:
        assert each["holds"] and each["heard"] and State(each["end"]["state"]) in ENDS
        assert sum(fen for _event, _account, fen in each["entries"]) == 0
        in_transit = [fen for _event, account, fen in each["entries"] if account == "in_transit"]
        assert in_transit and sum(in_transit) == 0


def test_a_trouble_nobody_knows_is_answered_with_the_names_there_are(world: World) -> None:
    code, output = command(world, "demo", "trouble", "--only", "flood")
    assert code == 2 and "ceiling" in output


def test_a_case_is_listed_shown_planned_and_resolved_once(world: World) -> None:
    elder = world.elder(card=REFUSING_CARD)
    elder.pay(elder.confirm(elder.open_order(5009)))  # the refund's way home is gone
    for _ in range(3):
        world.work(minutes=1)
    code, output = command(world, "case", "list", "--json")
    (case,) = [json.loads(line) for line in output.splitlines()]
    assert code == 0 and (case["level"], case["kind"]) == (2, "refund_abnormal")
    assert "1 open cases" in command(world, "case", "list")[1]
    code, output = command(world, "case", "show", case["id"])
    shown = json.loads(output)
    assert code == 0 and {"events", "notices", "queries", "entries"} <= set(shown["evidence"])
    assert command(world, "case", "plan", case["id"], "pay it back at the desk")[0] == 0
    assert command(world, "case", "plan", case["id"], "another")[0] == 1
    assert command(world, "case", "resolve", case["id"], "paid back, receipt 17")[0] == 0
    assert command(world, "case", "resolve", case["id"], "again")[0] == 1
    assert command(world, "case", "list", "--json") == (0, "")


def test_a_case_that_is_not_there_is_said_to_be_not_there(world: World) -> None:
    assert command(world, "case", "show", "cas_1")[0] == 2
    assert command(world, "case", "resolve", "cas_1", "done")[0] == 1
