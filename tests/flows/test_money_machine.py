"""Money is conserved whatever happens: orders, notices, queries, refunds, clocks and crashes in any order.

`ANXIN_SCHEDULES` sets how many schedules are played (SOAK=1: ten thousand), `--hypothesis-seed` replays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.domain.orders import State
from tests import proof
from tests.flows import money_choices as choices
from tests.flows.money_acts import Act, Between, Story
from tests.flows.money_checks import Watcher
from tests.flows.money_end import end
from tests.flows.money_ground import Ground
from tests.flows.schedules import ground_on, how_many, play

STEPS = 20
END = {f"end {state.value}" for state in State}
WHERE: dict[str, tuple[str, str, float]] = {  # city, database, share of the schedules
    "guangzhou": ("guangzhou", "sqlite", 0.6),
    "lanzhou": ("lanzhou", "sqlite", 0.3),
    "guangzhou on postgresql": ("guangzhou", "postgresql", 0.07),
    "lanzhou on postgresql": ("lanzhou", "postgresql", 0.03),
}


class MoneyMachine(RuleBasedStateMachine):
    """One schedule. Its ground is shared by all of a run; everything else is made anew."""

    ground: ClassVar[Ground]
    totals: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self._open = self.ground.world()
        self.world = self._open.__enter__()
        self.story = Story(self.world)
        self.watcher = Watcher(self.world)
        self.sound = True

    def act(self, *acts: Act, between: Between | None = None) -> None:
        self.sound = False
        for act in acts:
            self.story.do(act, between)
        self.totals["steps"] += 1

    @invariant()
    def books_agree(self) -> None:
        self.watcher.look()
        self.sound = True

    @initialize(first=st.sampled_from([0, 5 * 3600 + 3570, 13 * 3600 - 61, 4 * 86_400]))
    def begin(self, first: int) -> None:
        """At ten in the morning, just before a cut-off, just before eleven at night, or on a Friday."""
        self.act(("tick", first), *[("subscribe", person, True) for person in (0, 0, 1, 1, 2, 2)])

    def order(self, wish: Act, *then: Act, between: Between | None = None) -> bool:
        if len(self.story.placed) < 6:
            self.act(wish, *then, between=between)
            return True
        return False

    @rule(wish=choices.WISHES, as_it_is=choices.SELDOM)
    def somebody_orders(self, wish: Act, as_it_is: bool) -> None:
        self.order((*wish, as_it_is))

    @rule(
        wish=choices.WISHES,
        weather=choices.WEATHER,
        asking=choices.AT_THE_COUNTER,
        sheet=choices.SHEETS,
        follows=choices.FOLLOWS,
        notices=choices.NOTICES,
        change=st.none() | choices.CARD_CHANGES,
        working=choices.AT_WORK,
    )
    def a_life(
        self,
        wish: Act,
        weather: tuple[Act, ...],
        asking: Between | None,
        sheet: tuple[Act, ...],
        follows: list[Act],
        notices: tuple[Act, ...],
        change: Act | None,
        working: Between | None,
    ) -> None:
        """An order from its beginning, some steps at a time, so that schedules get far."""
        if self.order(wish, *weather):
            self.act(("confirm", 0), between=asking)
            self.act(*sheet)
            for act in follows:
                self.act(act)
            self.act(*notices, *([change] if change else []))
            self.act(("work", 0, 8), between=working)

    @rule(
        wish=choices.WISHES,
        first=st.integers(0, 2),
        change=st.none() | choices.CARD_CHANGES,
        working=choices.AT_WORK,
    )
    def somebody_pays_twice(self, wish: Act, first: int, change: Act | None, working: Between | None) -> None:
        """And WeChat tells of the one or of the other payment first, or of neither yet."""
        if self.order(wish, choices.CALM, ("confirm", 0), ("sheet", 0, 0, "pay"), ("pay_again", 0)):
            self.world.letters.clear()
            self.act(("send_notices", False), *([change] if change else []))
            self.act(*[("letter", first - 1, False)] * (first > 0))
            self.act(("work", 0, 8), between=working)

    @rule(wish=choices.WISHES, change=choices.CARD_CHANGES, between=choices.TWO_WORKERS)
    def two_workers_deliver(self, wish: Act, change: Act, between: Between) -> None:
        if self.order(
            wish, choices.CALM, ("confirm", 0), ("sheet", 0, 0, "pay"), ("send_notices", True), change
        ):
            self.act(("work", 0, 8), between=between)

    @rule(wish=choices.WISHES, weather=choices.WEATHER, between=choices.TWO_TAPS)
    def somebody_taps_twice(self, wish: Act, weather: tuple[Act, ...], between: Between) -> None:
        if self.order(wish, *weather):
            self.act(("confirm", 0), between=between)
            self.act(("sheet", 0, 0, "pay"))

    @rule(act=choices.ASKS, between=choices.AT_THE_COUNTER)
    def somebody_asks(self, act: Act, between: Between | None) -> None:
        self.act(act, between=between)

    @rule(act=choices.OWN_WORK, between=choices.AT_WORK)
    def a_worker_works(self, act: Act, between: Between | None) -> None:
        self.act(act, between=between)

    @rule(act=choices.ANYTHING)
    def something_happens(self, act: Act) -> None:
        self.act(act)

    @rule(seconds=choices.TIMES)
    def time_passes(self, seconds: int) -> None:
        self.act(("tick", seconds))

    def teardown(self) -> None:
        try:
            if self.sound:
                end(self.story, self.watcher)
                self.totals["schedules"] += 1
                self.totals.update(self.story.counts)
                self.totals["moments"] += self.world.steps.passed
        finally:
            self._open.__exit__(None, None, None)


@pytest.fixture(params=list(WHERE))
def ground(request: pytest.FixtureRequest) -> Iterator[tuple[Ground, float]]:
    city, database, share = WHERE[request.param]
    with ground_on(request, city, database) as made:
        yield made, share


def test_money_is_conserved_in_every_schedule(
    ground: tuple[Ground, float], request: pytest.FixtureRequest
) -> None:
    made, share = ground
    totals = play(request, MoneyMachine, made, how_many(share, in_ci=500, in_soak=10_000), STEPS)
    told_of = ["steps", "moments", "power cuts", "interleavings", *sorted(END & totals.keys())]
    counts = {"played": totals["schedules"], **{what: totals[what] for what in told_of}}
    proof.record(request.config, "schedules", counts)
