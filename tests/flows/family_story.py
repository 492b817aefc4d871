"""What the family machine plays with: people, their ties as a model knows them, and orders of relatives.

The model says what must come of each act, from its own notes and from a recount of the orders' rows that
shares nothing with the store's; the flows must say the same.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.clock import SHANGHAI
from app.domain.family import Role
from app.domain.orders import State
from app.errors import AppError
from app.flows import bind_relative, change_relative, check_code, checkout, relative_topup
from app.flows.checkout import OrderView
from app.jobs.outbox import drain
from app.jobs.sweep import sweep
from app.ports import WeChatIdentity
from app.providers.sandbox.trades import CannotPay
from app.store import notices, people
from app.store.people import Actor
from tests.flows.money_checks import moment
from tests.flows.money_world import Elder, MoneyWorld
from tests.sandbox_server import RECEIPT_TEMPLATE

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


class FamilyStory:
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

    # --- orders ---

    def over(self, elder: int, relative: int, card: str, amount_fen: int, but: str = "") -> bool:
        """Whether this would pass a cap: counted from all rows, one by one."""
        tie = self.tie(elder, relative)
        sums: Counter[str] = Counter()
        for row in self.rows():
            if row["id"] == but:
                continue
            at = moment(row["paid_at"]) if row["paid_at"] else self.now
            going = row["state"] in LIVE_UNPAID or (
                row["state"] == "awaiting_confirmation" and moment(row["expires_at"]) > self.now
            )
            if not going and (row["paid_at"] is None or row["state"] in ("refunding", "refunded")):
                continue
            mine = (row["user_id"], row["beneficiary_id"]) == (self._id(relative), self._id(elder))
            for side, counts in (("my", mine), ("card", row["card_number"] == card)):
                sums[f"{side} day"] += row["amount_fen"] * (counts and _day(at) == _day(self.now))
                sums[f"{side} month"] += row["amount_fen"] * (counts and _day(at)[:2] == _day(self.now)[:2])
                sums[f"{side} young"] += row["amount_fen"] * (counts and self.now - at < DAY)
        assert tie.bound_at is not None
        limits = {
            "my day": tie.caps["day"],
            "my month": tie.caps["month"],
            "card day": CARD_DAY,
            "card month": CARD_MONTH,
        }
        if self.now - tie.bound_at < DAY:
            limits["my young"] = YOUNG
        if self.now - self._card_since(elder, card) < DAY:
            limits["card young"] = YOUNG
        return amount_fen > tie.caps["single"] or any(
            sums[name] + amount_fen > most for name, most in limits.items()
        )

    def rows(self) -> list[dict[str, Any]]:
        return self.world.ours.rows(
            "SELECT o.*, c.card_number FROM orders o JOIN cards c ON c.id = o.card_id"
            " WHERE o.user_id <> o.beneficiary_id ORDER BY o.id"
        )

    def _card_since(self, elder: int, card: str) -> datetime:
        sql = f"SELECT created_at FROM cards WHERE card_number = '{card}' AND user_id = '{self._id(elder)}'"
        return moment(self.world.ours.rows(sql)[0]["created_at"])

    def order(self, elder: int, relative: int, at: int, amount_fen: int) -> None:
        """A relative, or somebody who is none, opens an order for one of an elder's cards."""
        owner, payer = self.people[elder], self.people[relative]
        card, self._keys = owner.card_numbers[at % len(owner.card_numbers)], self._keys + 1
        card_id, key = owner.card_ids[at % len(owner.card_ids)], f"key-{self._keys}"
        self._client.post("/sandbox/cards/set", json={"card_number": card, "balance_fen": 0})
        outcome, view = self._did(
            "opened",
            lambda: relative_topup.open_order(
                self.world.deps, payer.actor, self._id(elder), card_id, amount_fen, "wechat_balance", key
            ),
        )
        tie = self.tie(elder, relative)
        if tie.state != "bound":
            assert outcome == "elder_not_found", outcome
        elif tie.frozen or tie.until is None or self.now >= tie.until:
            assert outcome == "tie_over", outcome
        elif Role.PAY not in tie.roles:
            assert outcome == "role_missing", outcome
        elif outcome == "ok":
            assert not self.over(elder, relative, card, amount_fen, view.order.id), "above a cap"
            self.placed.append(Placed(elder, relative, card, view))
            self._accepts_messages(owner, payer)
        else:
            assert outcome in ("over_cap", "cap_used_up"), outcome
            assert self.over(elder, relative, card, amount_fen), "nothing was passed"
            self.counts["held by a cap"] += 1

    def _accepts_messages(self, *persons: Elder) -> None:
        for person in persons:
            body = {"person": person.name, "template_ids": [RECEIPT_TEMPLATE]}
            self._client.post("/phone/subscribe", json=body)
            with self.world.deps.database.write() as tx:
                notices.add_subscription(tx, person.actor.openid, "receipt", self.now)

    def go_on(self, which: int) -> None:
        """The relative confirms; a check that is asked for is passed at the desk."""
        placed = self._placed(which)
        if placed is None:
            return
        deps, payer, order = self.world.deps, self.people[placed.relative].actor, placed.view.order
        tie, before = self.tie(placed.elder, placed.relative), self.state(placed)
        outcome, view = self._did("gone on", lambda: checkout.confirm(deps, payer, order.id, order.read_back))
        if outcome == "ok" and view.order.state is State.AWAITING_CHECK:
            code = check_code.issue_desk_code(deps, order.id, "desk-1")
            outcome, view = self._did("checked", lambda: check_code.answer_desk(deps, payer, order.id, code))
        if outcome == "ok" and view.screen.payment is not None:
            assert tie.pays(self.now), "asked to pay outside a role"
            if before == "awaiting_confirmation":
                over = self.over(placed.elder, placed.relative, placed.card, order.amount_fen, order.id)
                assert not over, "asked to pay above a cap"
            placed.sheets.append(dict(view.screen.payment))
        elif outcome == "tie_over":
            assert not tie.pays(self.now) and self.state(placed) in ("cancelled", "expired", "rejected")

    def pay(self, which: int, sheet: int) -> None:
        """In a sheet they were shown: also in an old one."""
        placed = self._placed(which)
        if placed is None or not placed.sheets:
            return
        payment = placed.sheets[sheet % len(placed.sheets)]
        try:
            self.world.sandbox.trades.pay(payment, "pay", self.people[placed.relative].name)
        except CannotPay:
            self.counts["could not pay"] += 1
            return
        self.counts["paid"] += 1
        assert self.tie(placed.elder, placed.relative).in_force(), "paid though the tie is over"

    def stop(self, which: int, by_elder: bool) -> None:
        placed = self._placed(which)
        if placed is not None:
            actor = self.people[placed.elder if by_elder else placed.relative].actor
            self._did("stopped", lambda: checkout.cancel(self.world.deps, actor, placed.view.order.id))

    def meddle(self, which: int, person: int) -> None:
        """Somebody who is neither of the two, or is not the payer, tries what only those may."""
        placed = self._placed(which)
        if placed is None or person == placed.relative:
            return
        actor, order = self.people[person].actor, placed.view.order
        outcome, _view = self._did(
            "meddled", lambda: checkout.confirm(self.world.deps, actor, order.id, order.read_back)
        )
        assert outcome == "order_not_found"
        if person != placed.elder:
            outcome, _view = self._did("meddled", lambda: checkout.find(self.world.deps, actor, order.id))
            assert outcome == "order_not_found"

    def _placed(self, which: int) -> Placed | None:
        return self.placed[-1 - which % len(self.placed)] if self.placed else None

    def state(self, placed: Placed) -> str:
        found = {row["id"]: str(row["state"]) for row in self.rows()}
        return found[placed.view.order.id]

    # --- time and work ---

    def work(self) -> None:
        """The network brings what WeChat has sent, and the worker does what is due."""
        self.world.prompt = True
        self.world.sandbox.refunds.finish_due()
        self.world.sandbox.notices.deliver_due()
        self.world.prompt = False
        drain(self.world.deps)

    def tick(self, duration: timedelta) -> None:
        self.world.clock.tick(seconds=duration.total_seconds())

    def rest(self) -> None:
        """Everything comes to its end."""
        for minutes in (0, 1, 16, 31, 60, 24 * 60):
            self.tick(timedelta(minutes=minutes))
            sweep(self.world.deps)
            self.work()
            self.work()

    def told(self) -> Counter[tuple[str, str]]:
        """How many messages about an order each openid was sent."""
        found: Counter[tuple[str, str]] = Counter()
        for row in self.world.theirs.rows("SELECT openid, data FROM messages"):
            order_id = json.loads(row["data"])["character_string3"]
            found[order_id, row["openid"]] += 1
        return found


def _day(at: datetime) -> tuple[int, int, int]:
    local = at.astimezone(SHANGHAI)
    return local.year, local.month, local.day
