"""Money is conserved whatever happens: orders, notices, queries, refunds, clocks and crashes in any order.

`ANXIN_SCHEDULES` sets how many schedules are played (SOAK=1: ten thousand), `--hypothesis-seed` replays.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests import postgres
from tests.flows.money_acts import BENT_LETTERS, CUT, WORKERS, Act, Between, Story
from tests.flows.money_checks import Watcher
from tests.flows.money_end import end
from tests.flows.money_ground import Ground, ground_in

STEPS = 20
WHERE: dict[str, tuple[str, str, float]] = {  # city, database, share of the schedules
    "guangzhou": ("guangzhou", "sqlite", 0.6),
    "lanzhou": ("lanzhou", "sqlite", 0.3),
    "guangzhou on postgresql": ("guangzhou", "postgresql", 0.07),
    "lanzhou on postgresql": ("lanzhou", "postgresql", 0.03),
}
MAGIC = (*range(1, 21), *range(31, 35))
FEW = st.integers(0, 2)
# Who wishes what for which card: plain sums, each sum that asks for a fault, and sums with a fee.
WISHES = st.tuples(
    FEW,
    FEW,
    st.sampled_from(
        [(5000, "wechat_balance", None), (10_000, "wechat_balance", None), (90_000, "wechat_balance", None)]
        + [(10_000 + last, "wechat_balance", None) for last in MAGIC]
        + [(10_000 + last, "bank_card", "icbc") for last in (0, 21, 31, 33)]
        + [(30_000, "credit_card", None)]
    ),
).map(lambda told: ("open", told[0], told[1], *told[2]))
NUMBER = st.integers(0, 5)
SAID = st.sampled_from(["ok", "cancelled", "failed"])


def one_kind(*kinds: st.SearchStrategy[Act]) -> st.SearchStrategy[Act]:
    """One of them, as a unit: nested choices would be flattened, and the largest group would win."""
    return st.one_of(*kinds).map(tuple)


ASKS = one_kind(
    st.tuples(st.just("confirm"), NUMBER),
    st.tuples(st.just("pay"), NUMBER),
    st.tuples(st.just("result"), NUMBER, SAID),
    st.tuples(st.just("cancel"), NUMBER),
)
LETTER = st.tuples(st.just("letter"), NUMBER, st.booleans())
TELLS = one_kind(
    st.tuples(st.just("send_notices"), st.booleans()),
    LETTER,
    st.tuples(st.just("lose_letter"), NUMBER),
    st.tuples(st.just("bent_letter"), NUMBER, st.integers(0, len(BENT_LETTERS) + 1)),
    st.just(("release_notices",)),
)
OUTAGE = one_kind(
    st.tuples(
        st.just("outage"),
        st.sampled_from(["primary", "cards", "standby", "messages"]),
        st.sampled_from(["none", "refuses", "silent", "lost"]),
    )
)
CARD_CHANGES = one_kind(
    st.tuples(st.just("card"), NUMBER, st.just("room"), st.sampled_from([3000, 7000, 0, 25_000, 300_000, 300_000])),
    st.tuples(st.just("card"), NUMBER, st.sampled_from(["blocked", "normal"]), st.just(0)),
)
PAYMENTS = one_kind(
    st.tuples(st.just("pay_late"), NUMBER),
    st.tuples(st.just("pay_again"), NUMBER),
    st.tuples(st.just("settle_refund"), NUMBER),
)
SMALL_TROUBLES = one_kind(st.just(("forget_tokens",)), st.tuples(st.just("subscribe"), FEW, st.booleans()))
WORK = one_kind(st.tuples(st.just("work"), FEW, st.integers(1, 8)))
TIMES = [1, 5, 30, 61, 300, 660, 960, 1860, 7300, 6 * 3600, 13 * 3600, 3 * 86_400]
# What may happen between two steps of a request or of a worker.
BETWEEN = st.one_of(
    one_kind(st.just(CUT)),
    ASKS,
    one_kind(st.tuples(st.just("sheet"), NUMBER, NUMBER, st.just("pay")), LETTER),
    one_kind(st.tuples(st.just("stalled_work"), FEW, st.integers(1, 4)), st.just(("sweep",))),
    OUTAGE,
    CARD_CHANGES,
)
INTERRUPTION = st.none() | st.tuples(
    st.integers(0, 14), st.one_of(st.tuples(BETWEEN), st.tuples(BETWEEN, BETWEEN))
)


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
        self.act(("tick", first), *[("subscribe", person, True) for person in range(3)])

    def order(self, wish: Act, *then: Act, between: Between | None = None) -> bool:
        if len(self.story.placed) < 6:
            self.act(wish, *then, between=between)
            return True
        return False

    @rule(wish=WISHES, as_it_is=st.booleans())
    def somebody_orders(self, wish: Act, as_it_is: bool) -> None:
        self.order((*wish, as_it_is))

    @rule(wish=WISHES, between=INTERRUPTION)
    def somebody_orders_and_pays(self, wish: Act, between: Between | None) -> None:
        if self.order(wish):
            self.act(("confirm", 0), between=between)
            self.act(("sheet", 0, 0, "pay"))

    @rule(wish=WISHES, change=CARD_CHANGES | st.none(), between=INTERRUPTION)
    def somebody_pays_and_a_worker_works(
        self, wish: Act, change: Act | None, between: Between | None
    ) -> None:
        if self.order(wish, ("confirm", 0), ("sheet", 0, 0, "pay"), ("send_notices", True)):
            self.act(*([change] if change else []))
            self.act(("work", 0, 8), between=between)

    @rule(wish=WISHES, first=st.integers(0, 2), prompt=st.booleans(), between=INTERRUPTION)
    def somebody_pays_twice(self, wish: Act, first: int, prompt: bool, between: Between | None) -> None:
        """And WeChat tells of the one or of the other payment first, or of neither yet."""
        letters = len(self.world.letters)
        if self.order(wish, ("confirm", 0), ("sheet", 0, 0, "pay"), ("send_notices", prompt)):
            self.act(("pay_again", 0), ("send_notices", prompt))
            self.act(*[("letter", letters + first - 1, False)] * (first > 0))
            self.act(("work", 0, 8), between=between)

    @rule(act=ASKS, between=INTERRUPTION)
    def somebody_asks(self, act: Act, between: Between | None) -> None:
        self.act(act, between=between)

    @rule(which=NUMBER, sheet=NUMBER, action=st.sampled_from(["pay", "pay", "cancel"]))
    def in_the_sheet(self, which: int, sheet: int, action: str) -> None:
        self.act(("sheet", which, sheet, action))

    @rule(which=NUMBER)
    def somebody_looks(self, which: int) -> None:
        self.act(("look", which))

    @rule(act=TELLS)
    def wechat_tells(self, act: Act) -> None:
        self.act(act)

    @rule(act=st.one_of(OUTAGE, CARD_CHANGES, PAYMENTS, SMALL_TROUBLES))
    def trouble(self, act: Act) -> None:
        self.act(act)

    @rule(seconds=st.sampled_from(TIMES))
    def time_passes(self, seconds: int) -> None:
        self.act(("tick", seconds))

    @rule(act=WORK, between=INTERRUPTION)
    def a_worker_works(self, act: Act, between: Between | None) -> None:
        self.act(act, between=between)

    @rule(between=INTERRUPTION)
    def the_minute_comes(self, between: Between | None) -> None:
        self.act(("sweep",), between=between)

    @rule(worker=st.integers(0, len(WORKERS) - 1))
    def a_worker_comes_back(self, worker: int) -> None:
        self.act(("restart_worker", worker))

    def teardown(self) -> None:
        try:
            if self.sound:
                end(self.story, self.watcher)
                self.totals["schedules"] += 1
                self.totals.update(self.story.counts)
                self.totals["moments"] += self.world.steps.passed
        finally:
            self._open.__exit__(None, None, None)


def schedules(share: float) -> int:
    told = os.environ.get("ANXIN_SCHEDULES") or ("10000" if os.environ.get("SOAK") == "1" else "500")
    return max(1, round(int(told) * share))


@pytest.fixture(params=list(WHERE))
def ground(request: pytest.FixtureRequest) -> Iterator[tuple[Ground, float]]:
    city, database, share = WHERE[request.param]
    url = None
    if database == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.fresh_database
    with ground_in(city, url) as made:
        yield made, share


def test_money_is_conserved_in_every_schedule(
    ground: tuple[Ground, float], request: pytest.FixtureRequest
) -> None:
    made, share = ground
    totals: Counter[str] = Counter()
    machine: Any = type("Schedule", (MoneyMachine,), {"ground": made, "totals": totals})
    told = request.config.getoption("hypothesis_seed", None)
    number = secrets.randbelow(2**32) if told is None else int(told)
    print(f"seed {number}")
    play = settings(
        max_examples=schedules(share),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(seed(number)(machine), settings=play)
    print(dict(sorted(totals.items())))
