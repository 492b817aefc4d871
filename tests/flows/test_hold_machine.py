"""Holds, releases, payments, deliveries, clock jumps and undo in any order: what is held is never credited,
and money ends on the card or at home exactly once.

Played like the money machine (its world, its watcher, its end). `ANXIN_SCHEDULES` sets how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.domain.family import Role
from app.domain.identity import Factor
from app.domain.orders import State
from app.domain.protection import HoldReason
from app.errors import AppError
from app.flows import checkout, hold, identity_check, questions, undo
from app.store import holds, relatives
from tests import proof
from tests.flows.money_acts import Act, Between, Placed, Story
from tests.flows.money_checks import Watcher
from tests.flows.money_end import end
from tests.flows.money_ground import Ground, ground_in
from tests.flows.schedules import ground_on, how_many, play

WHERE: dict[str, tuple[str, str, float]] = {  # city, database, share of the schedules
    "guangzhou": ("guangzhou", "sqlite", 0.55),
    "lanzhou": ("lanzhou", "sqlite", 0.3),
    "guangzhou on postgresql": ("guangzhou", "postgresql", 0.1),
    "lanzhou on postgresql": ("lanzhou", "postgresql", 0.05),
}
STEPS = 15
NIGHT = 14 * 3600 + 1800  # from ten in the morning to half past midnight
ALERTS = frozenset({Role.ALERTS})


class HoldStory(Story):
    """An elder (the first person of the ground) and two relatives who are told of payments."""

    def begin(self) -> None:
        self.elder, *self.guardians = self.world.elders
        now = self.world.clock.now()
        with self.world.deps.database.write() as tx:
            for guardian in self.guardians:
                tie = (self.elder.actor.user_id, guardian.actor.user_id)
                relatives.end(tx, *tie, now)
                relatives.accept(tx, *tie, None)
                relatives.bind(tx, *tie, None, ALERTS, now)

    def _wish(self, number: int, look_first: bool) -> None:
        """The elder wants the next, larger sum for the newest card, and insists whatever is asked."""
        card = len(self.elder.card_ids) - 1
        self._open(0, card, 21_000 + 1000 * number, "wechat_balance", None)
        self._insist(self.placed[-1], look_first)

    def _insist(self, placed: Placed, look_first: bool) -> None:
        deps, actor = self.world.deps, placed.elder.actor
        self._shown(placed, self._yes)
        for said in ("relatives", "own") if look_first else ("own",):
            try:
                questions.answer(deps, actor, placed.id, "told_to", said)
                self.counts["asked"] += said == "own"
            except AppError as fault:
                self.counts[f"told {fault.code}"] += 1
        if checkout.find(deps, actor, placed.id).order.state is State.AWAITING_CHECK:
            identity_check.prove(deps, placed.id, Factor.DESK, "desk:machine", self.world.clock.now())
        self._shown(placed, self._yes)

    def _hold(self, who: int, which: int) -> None:
        self._tried(
            "held", which, lambda order_id: hold.place(self.world.deps, self._actor(who), order_id, WHY)
        )

    def _release(self, who: int, which: int) -> None:
        self._tried(
            "released", which, lambda order_id: hold.release(self.world.deps, self._actor(who), order_id)
        )

    def _desk(self, which: int) -> None:
        def released(order_id: str) -> None:
            try:
                hold.release_at_the_desk(self.world.deps, order_id, "machine", "heard both")
            except LookupError:
                raise AppError("hold_not_found") from None

        self._tried("released", which, released)

    def _undo(self, which: int) -> None:
        actor = self.elder.actor
        self._tried("taken back", which, lambda order_id: undo.undo(self.world.deps, actor, order_id))

    def _role(self, who: int, given: bool) -> None:
        """The elder takes a relative's role away, or gives it back."""
        guardian = self.guardians[who % 2].actor.user_id
        with self.world.deps.database.write() as tx:
            roles = ALERTS if given else frozenset[Role]()
            relatives.change(tx, self.elder.actor.user_id, guardian, {"roles": roles})

    def _actor(self, who: int) -> Any:
        return self.guardians[who % 2].actor

    def _tried(self, what: str, which: int, act: Any) -> None:
        placed = self._order(which)
        if placed is None:
            return
        try:
            act(placed.id)
            self.counts[what] += 1
        except AppError as fault:
            self.counts[f"told {fault.code}"] += 1


WHY = HoldReason.STRANGER
FEW, WHO = st.sampled_from([0, 0, 0, 1, 2]), st.integers(0, 1)
HOLD = st.tuples(st.just("hold"), WHO, FEW)
RELEASE = st.tuples(st.just("release"), WHO, FEW) | st.tuples(st.just("desk"), FEW)
UNDO = st.tuples(st.just("undo"), FEW)
ROLE = st.tuples(st.just("role"), WHO, st.booleans())
WORK = st.tuples(st.just("work"), WHO, st.just(8))
CARDS = st.tuples(st.just("outage"), st.just("cards"), st.sampled_from(["none", "refuses", "lost", "silent"]))
TICK = st.tuples(st.just("tick"), st.sampled_from([1, 61, 301, 3600, 7199, 7200, 43_200, 86_399, 86_400]))
PAY: tuple[Act, ...] = (("sheet", 0, 0, "pay"), ("send_notices", True))
MOMENTS = st.integers(0, 24) | st.sampled_from(
    ["before credit", "after credit", "before write", "after write"]
)
BETWEEN: st.SearchStrategy[Between] = st.tuples(MOMENTS, st.tuples(st.one_of(HOLD, UNDO, RELEASE)))
IN_BETWEEN = st.none() | BETWEEN
OFTEN = st.sampled_from([True, True, False])


class HoldMachine(RuleBasedStateMachine):
    """One schedule."""

    ground: ClassVar[Ground]
    totals: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self._open = self.ground.world()
        self.world = self._open.__enter__()
        self.story = HoldStory(self.world)
        self.watcher = Watcher(self.world)
        self.sound = True

    def act(self, *acts: Act, between: Between | None = None) -> None:
        self.sound = False
        for act in acts:
            self.story.do(act, between)
        self.totals["steps"] += 1

    @initialize()
    def a_night(self) -> None:
        self.story.begin()
        self.act(("tick", NIGHT))

    @invariant()
    def what_is_held_is_not_on_the_card(self) -> None:
        _ours, theirs = self.watcher.look()
        now = self.world.clock.now()
        with self.world.deps.database.read() as tx:
            held = [holds.of_order(tx, placed.id) for placed in self.story.placed]
        for each in held:
            if each is not None and each.active(now):
                assert each.order_id not in theirs.credits, "credited while it was held"
                self.totals["looks at a hold"] += 1
        self.sound = True

    @rule(look_first=st.booleans(), held=st.none() | HOLD, paid=OFTEN, then=st.none() | HOLD | UNDO)
    def the_elder_insists(self, look_first: bool, held: Act | None, paid: bool, then: Act | None) -> None:
        number = len(self.story.placed)
        if number < 6:
            acts = (held, *PAY, then) if paid else (held, then)
            self.act(("wish", number, look_first), *filter(None, acts))

    @rule(look_first=st.booleans(), work=WORK, between=BETWEEN)
    def it_is_paid_and_delivered(self, look_first: bool, work: Act, between: Between) -> None:
        """The closest race: the worker has begun, and a relative or the payer comes in between."""
        number = len(self.story.placed)
        if number < 6:
            self.act(("wish", number, look_first), *PAY)
            self.act(work, between=between)

    @rule(act=HOLD, paid=st.booleans())
    def a_relative_holds(self, act: Act, paid: bool) -> None:
        self.act(act, *(PAY if paid else ()))

    @rule(act=RELEASE | ROLE | UNDO | CARDS)
    def somebody_acts(self, act: Act) -> None:
        self.act(act)

    @rule(work=WORK, between=IN_BETWEEN)
    def a_worker_delivers(self, work: Act, between: Between | None) -> None:
        self.act(work, between=between)

    @rule(between=IN_BETWEEN)
    def a_minute_passes(self, between: Between | None) -> None:
        self.act(("sweep",), between=between)

    @rule(tick=TICK, sweeps=st.booleans())
    def time_passes(self, tick: Act, sweeps: bool) -> None:
        self.act(tick, *([("sweep",), ("work", 0, 20)] if sweeps else []))

    def teardown(self) -> None:
        try:
            if self.sound:
                end(self.story, self.watcher)
                self.totals["schedules"] += 1
                self.totals.update(self.story.counts)
        finally:
            self._open.__exit__(None, None, None)


@pytest.mark.parametrize("meanwhile", [("undo", 0), ("hold", 0, 0)], ids=["undone", "held"])
@pytest.mark.parametrize("moment", ["before credit", "after credit", *range(14, 20)])
def test_at_every_moment_of_a_delivery_it_is_too_late_or_in_time(moment: int | str, meanwhile: Act) -> None:
    with ground_in("guangzhou") as ground, ground.world() as world:
        story, watcher = HoldStory(world), Watcher(world)
        story.begin()
        for act in (("tick", NIGHT), ("wish", 0, False), *PAY):
            story.do(act)
        story.do(("work", 0, 8), (moment, (meanwhile,)))
        _ours, theirs = watcher.look()
        with world.deps.database.read() as tx:
            held = holds.of_order(tx, story.placed[0].id)
        assert held is None or not theirs.credits
        end(story, watcher)
    assert (
        story.counts["held"]
        + story.counts["taken back"]
        + story.counts["told hold_too_late"]
        + (story.counts["told undo_too_late"] + story.counts["told undo_arrived"])
    )


@pytest.fixture(params=list(WHERE))
def ground(request: pytest.FixtureRequest) -> Iterator[tuple[Ground, float]]:
    city, database, share = WHERE[request.param]
    with ground_on(request, city, database) as made:
        yield made, share


def test_a_held_payment_is_never_credited_and_money_ends_once(
    ground: tuple[Ground, float], request: pytest.FixtureRequest
) -> None:
    made, share = ground
    totals = play(request, HoldMachine, made, how_many(share, in_ci=60, in_soak=4_000), STEPS)
    told_of = ["steps", "asked", "held", "released", "taken back", "looks at a hold", "interleavings"]
    told_of += [what for what in ("told hold_too_late", "told undo_too_late") if totals[what]]
    ends = sorted(name for name in totals if name.startswith("end "))
    counts = {"played": totals["schedules"], **{what: totals[what] for what in (*told_of, *ends)}}
    proof.record(request.config, "holds", counts)
