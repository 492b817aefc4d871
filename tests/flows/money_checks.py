"""What must be true at every moment of a schedule, and what once it is over. Both sides' books are read."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain import orders as rules
from app.domain.clock import as_utc
from app.domain.orders import CARD_SYSTEM, EDGES, ENDS, INTER_CITY, PAY_ACCOUNTS, START, Event, State
from app.store import ledger
from app.voice import replies
from tests.builders import card_number
from tests.flows.money_world import MoneyWorld

PAID_TRADE = ("SUCCESS", "REFUND")
BOOKED = rules.MONEY_HELD | {State.COMPLETED, State.REFUNDED}
# Alarms that would mean that our books and theirs cannot be made to agree.
NEVER_RUNG = frozenset(
    ("transaction_reused", "unexpected_payment", "unexpected_refund", "unknown_refund", "wrong_refund_amount")
    + ("refund_refused", "unknown_notice", "message_refused", "credited_and_returned")
)
NEEDS_A_PERSON = frozenset(("refund_abnormal", "refund_closed"))


@dataclass(frozen=True)
class Theirs:
    """The sandbox's own books, read straight from its store."""

    trades: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    credits: dict[str, dict[str, Any]]
    messages: list[dict[str, Any]]

    @classmethod
    def read(cls, world: MoneyWorld) -> Theirs:
        rows = world.theirs.rows
        found = (
            "SELECT r.*, t.transaction_id FROM refunds r JOIN trades t ON t.seq = r.trade_seq ORDER BY r.seq"
        )
        return cls(
            rows("SELECT * FROM trades ORDER BY seq"),
            rows(found),
            {credit["order_id"]: credit for credit in rows("SELECT * FROM card_credits")},
            rows("SELECT * FROM messages ORDER BY id"),
        )

    def of_order(self, order_id: str) -> list[dict[str, Any]]:
        """Every payment at WeChat under this number, the first one first."""
        return [trade for trade in self.trades if trade["order_id"] == order_id]

    def returned(self, transaction_id: str, done: bool = True) -> int:
        """What of a payment went home, in fen; with not `done` also what may still be on its way."""
        return sum(
            refund["refund_fen"]
            for refund in self.refunds
            if refund["transaction_id"] == transaction_id
            and (refund["state"] == "SUCCESS" if done else refund["state"] != "CLOSED")
        )


@dataclass(frozen=True)
class Ours:
    """Our own books."""

    balance: ledger.Balance
    orders: dict[str, Mapping[str, Any]]
    events: dict[str, dict[Event, State]]
    closed_at: dict[str, float]
    strays: list[Mapping[str, Any]]
    cases: list[Mapping[str, Any]]
    alarms: set[str]

    @classmethod
    def read(cls, world: MoneyWorld) -> Ours:
        rows = world.ours.rows
        events: dict[str, dict[Event, State]] = defaultdict(dict)
        closed_at: dict[str, float] = {}
        for row in rows("SELECT order_id, event, state_after, at FROM order_events"):
            events[row["order_id"]][Event(row["event"])] = State(row["state_after"])
            if row["event"] in (Event.CANCELLED, Event.EXPIRED):
                closed_at[row["order_id"]] = moment(row["at"]).timestamp()
        with world.deps.database.engine.connect() as tx:
            balance = ledger.balance(tx)
        return cls(
            balance,
            {row["id"]: row for row in rows(_ORDERS)},
            events,
            closed_at,
            rows("SELECT * FROM differences"),
            rows("SELECT kind, subject, order_id, resolved_at FROM cases"),
            {row["kind"] for row in rows("SELECT DISTINCT kind FROM alarms")},
        )

    def waits_for_a_person(self, subject: str) -> bool:
        return any(
            case["subject"] == subject and case["kind"] in NEEDS_A_PERSON and case["resolved_at"] is None
            for case in self.cases
        )


def moment(stored: datetime | str) -> datetime:
    """A moment as either database's driver gives it."""
    return as_utc(datetime.fromisoformat(stored) if isinstance(stored, str) else stored)


_ORDERS = "SELECT o.*, c.card_number, c.city FROM orders o JOIN cards c ON c.id = o.card_id"


class Watcher:
    """Checks after every step; remembers the states it saw, because they may only move along the edges."""

    def __init__(self, world: MoneyWorld) -> None:
        self._world = world
        self._seen: dict[str, State] = {}
        self._versions: tuple[int | None, int | None] = (None, None)
        self._last: tuple[Ours, Theirs] | None = None

    def look(self) -> tuple[Ours, Theirs]:
        """Everything that must be true at any moment; when nobody wrote anything, it still is."""
        versions = self._world.ours.version(), self._world.theirs.version()
        if self._last is None or versions[0] is None or versions != self._versions:
            self._last, self._versions = self._checked(), versions
        return self._last

    def _checked(self) -> tuple[Ours, Theirs]:
        ours, theirs = Ours.read(self._world), Theirs.read(self._world)
        assert ours.balance.ok, ours.balance
        assert not self._world.faults.found, self._world.faults.found
        assert not ours.alarms & NEVER_RUNG, ours.alarms
        for order in ours.orders.values():
            self._history(order, ours.events[order["id"]])
            _money_of(order, theirs, self._world)
        for order_id, at in ours.closed_at.items():
            paid = [trade["paid_at"] for trade in theirs.of_order(order_id) if trade["state"] in PAID_TRADE]
            assert not paid or min(paid) >= at, "closed as unpaid, though it was paid"
        _accounts(ours, theirs, self._world)
        _messages(ours, theirs)
        strangers = set(theirs.credits) - set(ours.orders)
        assert not strangers, strangers
        return ours, theirs

    def _history(self, order: Mapping[str, Any], events: dict[Event, State]) -> None:
        """The events of an order, put in an order the edges allow, lead to its state."""
        left = {event: after for event, after in events.items() if event is not Event.OPENED}
        passed = _path(START, left)
        assert passed is not None and passed[-1] == order["state"], (order["id"], left, order["state"])
        assert self._seen.get(order["id"], START) in passed, (order["id"], self._seen, passed)
        self._seen[order["id"]] = passed[-1]


def _path(at: State, left: Mapping[Event, State]) -> list[State] | None:
    """The states an order passed, if these events lead along the edges from `at`, each once."""
    if not left:
        return [at]
    for event, after in left.items():
        if EDGES.get((at, event)) is after:
            more = _path(after, {each: left[each] for each in left if each is not event})
            if more is not None:
                return [at, *more]
    return None


def _money_of(order: Mapping[str, Any], theirs: Theirs, world: MoneyWorld) -> None:
    """One order against WeChat and the card system: nothing doubled, nothing said before it was so."""
    state, trades = State(order["state"]), theirs.of_order(order["id"])
    credit = theirs.credits.get(order["id"])
    whole_fen = order["amount_fen"] + order["fee_fen"]
    assert len({trade["merchant_id"] for trade in trades}) <= 1, "sent to two channels"
    if state not in BOOKED:
        assert credit is None and order["transaction_id"] is None, order["id"]
        assert not any(theirs.returned(str(trade["transaction_id"]), done=False) for trade in trades)
        return
    (own,) = [trade for trade in trades if trade["transaction_id"] == order["transaction_id"]]
    assert own["state"] in PAID_TRADE and own["amount_fen"] == whole_fen
    assert own["merchant_id"] == world.deps.pays[order["pay_channel"]].merchant_id
    home_fen = theirs.returned(own["transaction_id"])
    leaving_fen = theirs.returned(own["transaction_id"], done=False)
    if credit is not None:
        assert state in (State.PAID, State.RETURNING_REST, State.COMPLETED), (order["id"], state)
        number = card_number(world.deps.vault, order["card_id"], order["card_number"])
        assert credit["card_number"] == number
        assert credit["amount_fen"] + leaving_fen <= whole_fen, "more went out than came in"
    if state in (State.RETURNING_REST, State.COMPLETED):
        asked_fen = order["amount_fen"] if order["credit_fen"] is None else order["credit_fen"]
        assert credit is not None and credit["amount_fen"] == asked_fen, (order["id"], asked_fen, credit)
    to_return_fen = {
        State.RETURNING_REST: order["rest_fen"],
        State.COMPLETED: order["rest_fen"] or 0,
        State.REFUNDING: whole_fen,
        State.REFUNDED: whole_fen,
    }.get(state, 0)
    assert leaving_fen <= to_return_fen, (order["id"], state, leaving_fen, to_return_fen)
    if state in ENDS:
        assert home_fen == to_return_fen, (order["id"], state, home_fen, to_return_fen)


def _accounts(ours: Ours, theirs: Theirs, world: MoneyWorld) -> None:
    """Each account of the ledger is what the other side's book says about what we have booked."""
    expected: Counter[str] = Counter()
    for order in ours.orders.values():
        state = State(order["state"])
        if state not in BOOKED:
            continue
        account = PAY_ACCOUNTS[order["pay_channel"]]
        expected[account] += order["amount_fen"] + order["fee_fen"]
        if state in ENDS:
            expected[account] -= theirs.returned(order["transaction_id"])
        if state in (State.RETURNING_REST, State.COMPLETED):
            own_card = order["city"] == world.deps.settings.city
            expected[CARD_SYSTEM if own_card else INTER_CITY] -= theirs.credits[order["id"]]["amount_fen"]
    for stray in ours.strays:
        if stray["state"] == "open":
            expected[stray["account"]] += stray["amount_fen"]
        elif stray["resolution"] == "returned":
            assert theirs.returned(stray["transaction_id"]) == stray["amount_fen"], stray
    for account in (*PAY_ACCOUNTS.values(), CARD_SYSTEM, INTER_CITY):
        booked_fen = ours.balance.accounts.get(account, 0)
        assert booked_fen == expected[account], (account, booked_fen, expected[account])


def _messages(ours: Ours, theirs: Theirs) -> None:
    """Nobody is told twice, and nobody before it is so."""
    told: Counter[tuple[str, str]] = Counter()
    for message in theirs.messages:
        data = json.loads(message["data"])
        order_id, words = data["character_string3"], data["phrase5"]
        told[order_id, words] += 1
        if words in (replies.phrase("receipt_completed"), replies.phrase("receipt_completed_in_part")):
            credit = theirs.credits.get(order_id)
            assert credit is not None and credit["credited_at"] <= message["sent_at"], "told too early"
        elif words == replies.phrase("receipt_refunded"):
            order = ours.orders[order_id]
            done = [
                refund["done_at"]
                for refund in theirs.refunds
                if refund["transaction_id"] == order["transaction_id"] and refund["state"] == "SUCCESS"
            ]
            assert done and max(done) <= message["sent_at"], "told too early"
    returned = Counter(stray["order_id"] for stray in ours.strays if stray["resolution"] == "returned")
    for (order_id, words), times in told.items():
        often = returned[order_id] if words == replies.phrase("receipt_second_payment") else 1
        assert times <= often, told
    besides = {replies.phrase("receipt_late"), replies.phrase("receipt_second_payment")}
    ends = Counter(order_id for order_id, words in told if words not in besides)
    closed = {order_id for order_id, words in told if words == replies.phrase("receipt_expired")}
    assert all(times == 1 or order_id in closed for order_id, times in ends.items()), told
