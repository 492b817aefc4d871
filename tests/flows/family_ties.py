"""What the family machine plays with, its first half: people, and their ties as a model knows them.

The model says what must come of each act, from its own notes and from a recount of the orders' rows that
shares nothing with the store's; the flows must say the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.family import Role
from app.errors import AppError
from app.flows import bind_relative, change_relative
from app.flows.checkout import OrderView
from app.ports import WeChatIdentity
from app.store import people
from app.store.people import Actor
from tests.flows.money_world import Elder, MoneyWorld

DAY = timedelta(days=1)
AGREED = timedelta(days=180)
HOUSE = {"single": 50_000, "day": 100_000, "month": 300_000}
YOUNG, CARD_DAY, CARD_MONTH = 20_000, 200_000, 500_000
FAMILY = 3
LIVE_UNPAID = ("awaiting_check", "awaiting_payment")


@dataclass
class Tie:
    """What the model knows of an elder and a relative."""

    state: str = "none"  # none | accepted | bound
    code: str = ""
    until: datetime | None = None  # of the code, then of the agreement
    roles: frozenset[Role] = frozenset()
    caps: dict[str, int] = field(default_factory=lambda: dict(HOUSE))
    bound_at: datetime | None = None
    frozen: bool = False
    wrong: int = 0

    def in_force(self) -> bool:
        return self.state == "bound" and not self.frozen and Role.PAY in self.roles

    def pays(self, now: datetime) -> bool:
        assert self.until is not None or self.state != "bound"
        return self.in_force() and self.until is not None and now < self.until


@dataclass
class Placed:
    """One order of a relative's, as both know it."""

    elder: int
    relative: int
    card: str
    view: OrderView
    sheets: list[dict[str, str]] = field(default_factory=list)


class FamilyTies:
    """Does acts through the flows and holds what comes of them against the model. Person 0 and 1 have cards,
    and one of them is the same; anybody may be anybody's relative."""

    def __init__(self, world: MoneyWorld, strangers: int = 4) -> None:
        self.world = world
        self.people = [*world.elders[:2], *(self._person(f"relative-{n}") for n in range(strangers))]
        self.ties: dict[tuple[int, int], Tie] = {}
        self.invitations: dict[int, tuple[str, str, datetime]] = {}
        self.placed: list[Placed] = []
        self.counts: Counter[str] = Counter()
        self._client = world.sandbox.app.test_client()
        self._keys = 0

    def _person(self, name: str) -> Elder:
        with self.world.sandbox.world.store.write() as tx:
            openid = self.world.sandbox.world.register(tx, name)
        with self.world.deps.database.write() as tx:
            app_id = self.world.deps.settings.wechat.app_id
            user_id = people.user_for(tx, app_id, WeChatIdentity(openid), self.now)
        return Elder(name, Actor(user_id, openid, "no-session", "h5"), (), ())

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    def tie(self, elder: int, relative: int) -> Tie:
        return self.ties.setdefault((elder, relative), Tie())

    def _id(self, person: int) -> str:
        return self.people[person].actor.user_id

    def _did(self, name: str, call: Any) -> tuple[str, Any]:
        """("ok", result) or (code, None)."""
        self.counts[name] += 1
        try:
            return "ok", call()
        except AppError as fault:
            self.counts[f"told {fault.code}"] += 1
            return fault.code, None

    # --- the tie ---

    def invite(self, elder: int) -> None:
        code, made = self._did(
            "invited", lambda: bind_relative.invite(self.world.deps, self.people[elder].actor)
        )
        if code == "ok":
            self.invitations[elder] = (made.code, made.page.partition("card=")[2], self.now + DAY)

    def accept(self, elder: int, relative: int, by_card: bool) -> None:
        """With what the elder gave out last, whether it is still worth anything or not."""
        if elder not in self.invitations or elder == relative:
            return
        code, card, until = self.invitations[elder]
        told = {"code": None if by_card else code, "card": card if by_card else None}
        actor = self.people[relative].actor
        outcome, screen = self._did(
            "accepted", lambda: bind_relative.accept(self.world.deps, actor, **told, name=None)
        )
        if outcome == "too_many_tries":
            return
        assert outcome == ("ok" if self.now < until else "invite_wrong"), outcome
        if outcome != "ok":
            return
        self.invitations[elder] = (code, card, self.now)  # used up
        tie = self.tie(elder, relative)
        if tie.state != "bound":
            fresh = Tie(state="accepted", frozen=tie.frozen)
            fresh.code, fresh.until = (screen.body[0].text if by_card else code), until
            self.ties[elder, relative] = fresh

    def confirm(self, elder: int, relative: int, roles: frozenset[Role], another: int | None) -> None:
        """With the code of that relative, or with another's."""
        tie, source = self.tie(elder, relative), self.tie(elder, relative if another is None else another)
        code = source.code or "00000000"
        actor, relative_id = self.people[elder].actor, self._id(relative)
        outcome, _told = self._did(
            "confirmed",
            lambda: bind_relative.confirm(self.world.deps, actor, relative_id, code, f"n{relative}", roles),
        )
        if outcome == "too_many_tries":
            return
        expected = "ok" if len(self.bound(elder)) < FAMILY else "too_many_relatives"
        if tie.state != "accepted":
            expected = "relative_not_found"
        elif tie.until is None or self.now >= tie.until or tie.wrong >= 3 or code != tie.code:
            expected, tie.wrong = "bind_code_wrong", tie.wrong + 1
        assert outcome == expected, (outcome, expected)
        if outcome == "ok":
            tie.state, tie.roles, tie.bound_at, tie.until = "bound", roles, self.now, self.now + AGREED

    def bound(self, elder: int) -> list[Tie]:
        return [tie for (whose, _who), tie in self.ties.items() if whose == elder and tie.state == "bound"]

    def change(self, elder: int, relative: int, wanted: dict[str, Any]) -> None:
        tie, actor = self.tie(elder, relative), self.people[elder].actor
        outcome, _told = self._did(
            "changed", lambda: change_relative.change(self.world.deps, actor, self._id(relative), wanted)
        )
        above = any(wanted.get(f"{name}_fen", 0) > most for name, most in HOUSE.items())
        expected = "cap_above_house" if above else "ok" if tie.state == "bound" else "relative_not_found"
        assert outcome == expected, (outcome, expected)
        if outcome == "ok":
            tie.roles = frozenset(wanted.get("roles", tie.roles))
            tie.caps |= {name: wanted[f"{name}_fen"] for name in HOUSE if f"{name}_fen" in wanted}

    def agree(self, elder: int, relative: int) -> None:
        tie, actor = self.tie(elder, relative), self.people[elder].actor
        outcome, _told = self._did(
            "agreed", lambda: change_relative.agree(self.world.deps, actor, self._id(relative))
        )
        assert outcome == ("ok" if tie.state == "bound" else "relative_not_found"), outcome
        if outcome == "ok":
            tie.until = self.now + AGREED

    def end(self, elder: int, relative: int, by_relative: bool) -> None:
        tie, actor = self.tie(elder, relative), self.people[relative if by_relative else elder].actor
        outcome, _told = self._did(
            "ended",
            lambda: change_relative.end(self.world.deps, actor, self._id(elder), self._id(relative)),
        )
        assert (outcome == "ok") == (tie.state != "none"), outcome
        self.ties[elder, relative] = Tie(frozen=tie.frozen)

    def freeze(self, elder: int, relative: int, thaw: bool) -> None:
        tie = self.tie(elder, relative)
        act = change_relative.unfreeze if thaw else change_relative.freeze
        try:
            act(self.world.deps, self._id(elder), self._id(relative), "有人报告")
        except LookupError:
            assert tie.frozen is not thaw or tie.state == "none"
        else:
            self.counts["thawed" if thaw else "frozen"] += 1
            assert tie.frozen is thaw
            tie.frozen = not thaw
