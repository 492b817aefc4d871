"""Playing a state machine: so many schedules on one ground, with a seed that is shown when one fails."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests import postgres, proof
from tests.flows.money_ground import Ground, ground_in


def how_many(share: float, in_ci: int, in_soak: int) -> int:
    """Schedules of this share: ANXIN_SCHEDULES, or those of `make soak`, or those of CI; one at least."""
    told = os.environ.get("ANXIN_SCHEDULES") or str(in_soak if proof.SOAK else in_ci)
    return max(1, round(int(told) * share))


@contextmanager
def ground_on(request: pytest.FixtureRequest, city: str, database: str) -> Iterator[Ground]:
    """A ground of this city on SQLite or PostgreSQL."""
    url = None
    if database == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.fresh_database
    with ground_in(city, url) as made:
        yield made


def play(
    request: pytest.FixtureRequest,
    machine: type[RuleBasedStateMachine],
    ground: Ground,
    many: int,
    steps: int,
) -> Counter[str]:
    """Play `many` schedules of at most `steps` steps. What they counted; fails when too few were played."""
    totals: Counter[str] = Counter()
    schedule: Any = type("Schedule", (machine,), {"ground": ground, "totals": totals})
    told = request.config.getoption("hypothesis_seed", None)
    number = secrets.randbelow(2**32) if told is None else int(told)
    print(f"seed {number}")  # noqa: T201 - shown when a schedule fails
    how = settings(
        max_examples=many,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(seed(number)(schedule), settings=how)
    assert totals["schedules"] >= many // 2, totals  # hypothesis leaves out what it has played
    return totals
