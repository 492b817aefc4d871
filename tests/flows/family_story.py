"""What the family machine plays with, its second half: orders of relatives, held against the model and a
recount of the orders' rows that shares nothing with the store's.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from app.domain.clock import SHANGHAI
from app.domain.family import Role
from app.domain.orders import State
from app.flows import check_code, checkout, relative_topup
from app.jobs.outbox import drain
from app.jobs.sweep import sweep
from app.providers.sandbox.trades import CannotPay
from app.store import notices
from tests.flows.family_ties import CARD_DAY, CARD_MONTH, DAY, LIVE_UNPAID, YOUNG, FamilyTies, Placed
from tests.flows.money_checks import moment
from tests.flows.money_world import Elder
from tests.sandbox_server import RECEIPT_TEMPLATE


class FamilyStory(FamilyTies):
    """Does orders too; anybody may be anybody's relative."""

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
        """Every order of a relative's; `card_number` is its last four, which no two share here."""
        return self.world.ours.rows(
            "SELECT o.*, c.last_four AS card_number FROM orders o JOIN cards c ON c.id = o.card_id"
            " WHERE o.user_id <> o.beneficiary_id ORDER BY o.id"
        )

    def _card_since(self, elder: int, card: str) -> datetime:
        rows = self.world.ours.rows("SELECT user_id, last_four, created_at FROM cards")
        mine = [row for row in rows if (row["user_id"], row["last_four"]) == (self._id(elder), card)]
        return moment(mine[0]["created_at"])

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
            assert not self.over(elder, relative, card[-4:], amount_fen, view.order.id), "above a cap"
            self.placed.append(Placed(elder, relative, card[-4:], view))
            self._accepts_messages(owner, payer)
        else:
            assert outcome in ("over_cap", "cap_used_up"), outcome
            assert self.over(elder, relative, card[-4:], amount_fen), "nothing was passed"
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
