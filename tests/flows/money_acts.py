"""What can happen in a schedule of the money machine: each act is one thing that somebody does.

An act is a tuple: its name and small numbers that choose an order, a person, a moment. Numbers wrap around,
so every act is possible at every moment; one that has nothing to act on does nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from app.domain.orders import State, Truth
from app.errors import AppError
from app.flows import checkout, questions
from app.flows.checkout import OrderView
from app.jobs.outbox import drain
from app.jobs.sweep import sweep
from app.providers.sandbox.trades import PAID, CannotPay
from app.store import notices, outbox
from tests.flows.money_checks import Theirs
from tests.flows.money_world import Elder, Letter, MoneyWorld, PowerCut
from tests.sandbox_server import RECEIPT_TEMPLATE

Act = tuple[Any, ...]
Between = tuple[int | str, tuple[Act, ...]]

CUT: Act = ("power cut",)
CEILING_FEN = 500_000
ARRIVED_WORDS = ("充好了", "已经到账")
HOME_WORDS = "已经退回"
NOTHING_TAKEN = "没有动您的钱"
WORKERS = ("worker-a", "worker-b")
# Genuine letters of WeChat that say something else than they should, and letters that are not WeChat's.
BENT_LETTERS = (
    "replay wrong_currency wrong_merchant wrong_app stale future tampered truncated not_json wrong_key"
    " unsigned probe unknown_serial unknown_event no_amount"
).split()
LYING = 7  # the notice names another amount: of a second payment nobody could know the true one


@dataclass
class Placed:
    """One order as its payer's phone knows it."""

    elder: Elder
    id: str
    read_back: str
    card_number: str
    sheets: list[dict[str, str]] = field(default_factory=list)


class Story:
    """Does acts, and keeps what the people in it were shown."""

    def __init__(self, world: MoneyWorld) -> None:
        self.world = world
        self.placed: list[Placed] = []
        self.counts: Counter[str] = Counter()
        self._client = world.sandbox.app.test_client()
        self._keys = 0

    def do(self, act: Act, between: Between | None = None) -> None:
        """Do an act. `between`: after so many moments other acts happen inside it, or the power goes."""
        name, *numbers = act
        after, others = between or (0, ())
        self.counts[name] += 1
        if others:
            self.counts["power cuts" if CUT in others else "interleavings"] += 1
        with self.world.steps.interrupted(after, (lambda: self._meanwhile(others)) if others else None):
            try:
                getattr(self, f"_{name}")(*numbers)
            except PowerCut:
                self.world.restart_web()

    def _meanwhile(self, others: tuple[Act, ...]) -> None:
        for other in others:
            if other == CUT:
                raise PowerCut
            self.do(other)

    def _order(self, which: int, among: Collection[str] | None = None) -> Placed | None:
        """Counted from the newest one, which is the likeliest to be under way."""
        found = [each for each in reversed(self.placed) if among is None or each.id in among]
        return found[which % len(found)] if found else None

    def _shown(self, placed: Placed | None, call: Callable[[Placed], OrderView], asked: bool = False) -> None:
        """What a phone shows after a request. It may say no, but never more than what is true. `asked`:
        WeChat was asked in this very request, so that "nothing was taken" must be true."""
        if placed is None:
            return
        try:
            view = call(placed)
        except AppError as fault:
            self.counts[f"told {fault.code}"] += 1
            return
        payment = view.screen.payment
        if payment is not None:
            placed.sheets.append(dict(payment))
        theirs = Theirs.read(self.world)
        credit = theirs.credits.get(placed.id)
        text = view.screen.say + "".join(line.text for line in view.screen.body)
        arrived = view.order.truth in (Truth.CREDITED, Truth.CREDITED_IN_PART)
        assert arrived or not any(words in text for words in ARRIVED_WORDS), (view.order.state, text)
        assert not arrived or credit is not None, "said to have arrived before it has"
        waits = view.order.state is State.AWAITING_PAYMENT
        if asked and waits and NOTHING_TAKEN in text and not self.world.steps.used:
            paid = [trade for trade in theirs.of_order(placed.id) if trade["state"] in PAID]
            assert not paid, "said that nothing was taken"
        if HOME_WORDS in text or view.order.truth is Truth.RETURNED:
            home_fen = theirs.returned(str(view.order.transaction_id))
            assert home_fen == view.order.to_return_fen, "said to be home"

    # --- people ---

    def _open(
        self, person: int, card: int, amount_fen: int, method: str, bank: str | None, as_it_is: bool = False
    ) -> None:
        """Not `as_it_is`: the card was ridden with since, so that there is room for what is wanted."""
        elder = self.world.elders[person % len(self.world.elders)]
        self._keys += 1
        at = card % len(elder.card_ids)
        if not as_it_is:
            self._change_card(elder.card_numbers[at], {"behaviour": "normal", "balance_fen": 0})
        try:
            view = checkout.open_order(
                self.world.deps,
                elder.actor,
                elder.card_ids[at],
                amount_fen,
                method,
                f"key-{self._keys}",
                bank,
            )
        except AppError as fault:
            self.counts[f"told {fault.code}"] += 1
            return
        self.placed.append(Placed(elder, view.order.id, view.order.read_back, elder.card_numbers[at]))

    def _confirm(self, which: int) -> None:
        self._shown(self._order(which), self._yes)

    def _yes(self, placed: Placed) -> OrderView:
        """Somebody who means it, also when the same was paid for this card just now."""
        view = checkout.confirm(self.world.deps, placed.elder.actor, placed.id, placed.read_back)
        if not any(each.id.startswith("question:duplicate:") for each in view.screen.choices):
            return view
        self.counts["asked whether once more"] += 1
        return questions.answer(self.world.deps, placed.elder.actor, placed.id, "duplicate", "again")

    def _pay(self, which: int) -> None:
        """The sheet was closed, or the phone slept: open it once more."""
        self._shown(
            self._order(which), lambda placed: checkout.pay(self.world.deps, placed.elder.actor, placed.id)
        )

    def _sheet(self, which: int, sheet: int, action: str) -> None:
        """The person pays, or cancels, in one of the sheets they were shown: also an old one."""
        placed = self._order(which)
        if placed is None or not placed.sheets:
            return
        try:
            payment = placed.sheets[sheet % len(placed.sheets)]
            self.world.sandbox.trades.pay(payment, action, placed.elder.name)
        except CannotPay as no:
            self.counts[f"sheet: {no}"] += 1
        else:
            self.counts["paid in the sheet"] += 1

    def _result(self, which: int, said: str) -> None:
        self._shown(
            self._order(which),
            lambda placed: checkout.payment_result(self.world.deps, placed.elder.actor, placed.id, said),
            asked=said != "ok",
        )

    def _cancel(self, which: int) -> None:
        self._shown(
            self._order(which),
            lambda placed: checkout.cancel(self.world.deps, placed.elder.actor, placed.id),
            asked=True,
        )

    def _look(self, which: int) -> None:
        self._shown(
            self._order(which), lambda placed: checkout.find(self.world.deps, placed.elder.actor, placed.id)
        )

    def _subscribe(self, person: int, really: bool) -> None:
        """Accept one message; not `really`: WeChat thinks otherwise than what it reported to us."""
        elder = self.world.elders[person % len(self.world.elders)]
        if really:
            body = {"person": elder.name, "template_ids": [RECEIPT_TEMPLATE]}
            self._client.post("/phone/subscribe", json=body)
        with self.world.deps.database.write() as tx:
            notices.add_subscription(tx, elder.actor.openid, "receipt", self.world.clock.now())

    # --- WeChat, and the network to us ---

    def _send_notices(self, prompt: bool) -> None:
        self.world.prompt = prompt
        self.world.sandbox.refunds.finish_due()
        before = len(self.world.letters)
        self.world.sandbox.notices.deliver_due()
        self.world.letters[before:] = sorted(self.world.letters[before:], key=self._sent)  # by four threads
        self.world.prompt = False

    def _sent(self, letter: Letter) -> tuple[int, str]:
        """Which of them WeChat wrote first."""
        notice_id = json.loads(letter.body)["id"]
        found = "SELECT min(seq) AS seq FROM notices WHERE notice_id = ?"
        (row,) = self.world.sandbox.world.store.rows(found, notice_id)
        return row["seq"], notice_id

    def _release_notices(self) -> None:
        self.world.sandbox.notices.release(None)

    def _letter(self, which: int, again: bool) -> None:
        """A notice that was on its way arrives; with `again` it will arrive once more."""
        letters = self.world.letters
        if letters:
            at = which % len(letters)
            self.world.take_in(letters[at] if again else letters.pop(at))

    def _lose_letter(self, which: int) -> None:
        if self.world.letters:
            self.world.letters.pop(which % len(self.world.letters))

    def _bent_letter(self, which: int, fault: int) -> None:
        theirs = Theirs.read(self.world)
        placed = self._order(which, {trade["order_id"] for trade in theirs.trades})
        if placed is None:
            return
        trades = theirs.of_order(placed.id)
        faults = [*BENT_LETTERS, "none" if trades[0]["state"] in PAID else "unknown_order"]
        if len(trades) == 1:
            faults.append("wrong_amount")
        body = {"order_id": placed.id, "fault": faults[fault % len(faults)]}
        self._client.post("/sandbox/notices/send", json=body)  # a replay of nothing is a 400: nothing happens

    def _pay_late(self, which: int) -> None:
        """The money comes although the trade expired or was closed."""
        trades = Theirs.read(self.world).trades
        self._trouble(
            "pay-late", which, {trade["order_id"] for trade in trades if trade["state"] not in PAID}
        )

    def _pay_again(self, which: int) -> None:
        trades = Theirs.read(self.world).trades
        often = Counter(trade["order_id"] for trade in trades)
        paid = [trade for trade in trades if trade["state"] in PAID and trade["amount_fen"] % 100 != LYING]
        self._trouble("pay-again", which, {each["order_id"] for each in paid if often[each["order_id"]] < 3})

    def _trouble(self, name: str, which: int, among: Collection[str]) -> None:
        placed = self._order(which, among)
        if placed is not None:
            answer = self._client.post(f"/sandbox/trades/{name}", json={"order_id": placed.id})
            self.counts[f"{name}: {answer.status_code}"] += 1

    def _settle_refund(self, which: int) -> None:
        """A person sends an ABNORMAL refund home by hand, on WeChat's page."""
        waiting = [refund for refund in Theirs.read(self.world).refunds if refund["state"] == "ABNORMAL"]
        if waiting:
            number = waiting[which % len(waiting)]["refund_id"]
            self._client.post("/sandbox/refunds/settle", json={"refund_id": number})

    def _outage(self, who: str, mode: str) -> None:
        self._client.post("/sandbox/outages", json={"who": who, "mode": mode})

    def _calm(self) -> None:
        """Every outage is over; the breakers' minute has passed."""
        for row in self.world.theirs.rows("SELECT who FROM outages WHERE mode != 'none'"):
            self._outage(row["who"], "none")
        self._half_open()

    def _half_open(self) -> None:
        for breaker in self.world.deps.breakers.values():
            if breaker.current_state == "open":  # it counts in real time
                breaker.half_open()

    def _forget_tokens(self) -> None:
        self._client.post("/sandbox/tokens/expire")

    def _card(self, which: int, what: str, room_fen: int) -> None:
        """Somebody tops an order's card up at a desk, rides with it, or its issuer blocks it."""
        placed = self._order(which)
        if placed is None:
            return
        change: dict[str, Any] = {"behaviour": what}
        if what == "room":
            row = self._card_row(placed.card_number)
            ceiling = CEILING_FEN if row["registered"] else CEILING_FEN // 5
            change = {"balance_fen": max(0, ceiling - room_fen)}
        self._change_card(placed.card_number, change)

    def _card_row(self, number: str) -> dict[str, Any]:
        row = self.world.sandbox.world.store.row("SELECT * FROM cards WHERE card_number = ?", number)
        assert row is not None
        return row

    def _change_card(self, number: str, change: dict[str, Any]) -> None:
        if change.items() - self._card_row(number).items():
            self._client.post("/sandbox/cards/set", json={"card_number": number, **change})

    # --- time, and our own workers ---

    def _tick(self, seconds: int) -> None:
        self.world.clock.tick(seconds=seconds)
        if seconds >= self.world.deps.settings.breaker_reset_seconds:
            self._half_open()

    def _work(self, worker: int, rows: int) -> None:
        drain(self.world.deps, rows, WORKERS[worker % len(WORKERS)])

    def _stalled_work(self, worker: int, rows: int) -> None:
        """Inside another worker's work: that one stood still for longer than its lease.

        Not between its last look at the clock and the credit itself: no card system can tell a credit that
        was sent a minute late from one that is wanted. A lease is longer than all time-outs together.
        """
        if self.world.steps.at != "before credit":
            self._tick(61)
        self._work(worker, rows)

    def _sweep(self) -> None:
        sweep(self.world.deps)

    def _restart_worker(self, worker: int) -> None:
        """A worker that died comes back: what it held is due again."""
        with self.world.deps.database.write() as tx:
            outbox.release(tx, WORKERS[worker % len(WORKERS)], self.world.clock.now())
