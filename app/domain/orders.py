"""One order, one table of edges. `app.store.orders.advance` is its only writer.

Once money is held (paid, awaiting_write, refunding) the only ends are completed and refunded; the graph
has no cycle, so each event happens at most once per order and every repeat is a no-op.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class State(StrEnum):
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    AWAITING_CHECK = "awaiting_check"
    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    AWAITING_WRITE = "awaiting_write"
    COMPLETED = "completed"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Event(StrEnum):
    OPENED = "opened"
    CONFIRMED = "confirmed"
    CHECK_REQUIRED = "check_required"
    CHECK_PASSED = "check_passed"
    CHECK_REFUSED = "check_refused"
    PAYMENT_RECEIVED = "payment_received"
    CREDITED = "credited"
    WRITE_ISSUED = "write_issued"
    WRITTEN = "written"
    WRITE_EXPIRED = "write_expired"
    DELIVERY_REFUSED = "delivery_refused"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


S, E = State, Event
EDGES: dict[tuple[State, Event], State] = {
    (S.AWAITING_CONFIRMATION, E.CONFIRMED): S.AWAITING_PAYMENT,
    (S.AWAITING_CONFIRMATION, E.CHECK_REQUIRED): S.AWAITING_CHECK,
    (S.AWAITING_CONFIRMATION, E.CANCELLED): S.CANCELLED,
    (S.AWAITING_CONFIRMATION, E.EXPIRED): S.EXPIRED,
    (S.AWAITING_CHECK, E.CHECK_PASSED): S.AWAITING_PAYMENT,
    (S.AWAITING_CHECK, E.CHECK_REFUSED): S.REJECTED,
    (S.AWAITING_CHECK, E.CANCELLED): S.CANCELLED,
    (S.AWAITING_CHECK, E.EXPIRED): S.EXPIRED,
    (S.AWAITING_PAYMENT, E.PAYMENT_RECEIVED): S.PAID,
    (S.AWAITING_PAYMENT, E.CANCELLED): S.CANCELLED,
    (S.AWAITING_PAYMENT, E.EXPIRED): S.EXPIRED,
    # Late money for a closed order goes home.
    (S.CANCELLED, E.PAYMENT_RECEIVED): S.REFUNDING,
    (S.EXPIRED, E.PAYMENT_RECEIVED): S.REFUNDING,
    (S.PAID, E.CREDITED): S.COMPLETED,
    (S.PAID, E.WRITE_ISSUED): S.AWAITING_WRITE,
    (S.PAID, E.DELIVERY_REFUSED): S.REFUNDING,
    (S.AWAITING_WRITE, E.WRITTEN): S.COMPLETED,
    (S.AWAITING_WRITE, E.WRITE_EXPIRED): S.REFUNDING,
    (S.REFUNDING, E.REFUNDED): S.REFUNDED,
}
START = S.AWAITING_CONFIRMATION
ENDS = frozenset({S.COMPLETED, S.REFUNDED, S.CANCELLED, S.EXPIRED, S.REJECTED})
MONEY_HELD = frozenset({S.PAID, S.AWAITING_WRITE, S.REFUNDING})
UNPAID = frozenset({S.AWAITING_CONFIRMATION, S.AWAITING_CHECK, S.AWAITING_PAYMENT})

CONFIRMATION_WINDOW = timedelta(minutes=10)
PAYMENT_WINDOW = timedelta(minutes=15)
WRITE_WINDOW = timedelta(hours=72)


class InvalidTransition(Exception):
    """The event has no edge from this state and did not happen before."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} has no edge from {state}")
        self.state = state
        self.event = event


def next_state(state: State, event: Event) -> State:
    """The state after `event`. Raise InvalidTransition where there is no edge."""
    try:
        return EDGES[state, event]
    except KeyError:
        raise InvalidTransition(state, event) from None


class Truth(StrEnum):
    """What may be said about the money. "credited" is never said before the card system said so."""

    NOT_PAID = "not_paid"
    PAID = "paid"
    WAITING_FOR_CARD = "waiting_for_card"
    CREDITED = "credited"
    GOING_BACK = "going_back"
    RETURNED = "returned"
    CLOSED = "closed"


TRUTH: dict[State, Truth] = {
    S.AWAITING_CONFIRMATION: Truth.NOT_PAID,
    S.AWAITING_CHECK: Truth.NOT_PAID,
    S.AWAITING_PAYMENT: Truth.NOT_PAID,
    S.PAID: Truth.PAID,
    S.AWAITING_WRITE: Truth.WAITING_FOR_CARD,
    S.COMPLETED: Truth.CREDITED,
    S.REFUNDING: Truth.GOING_BACK,
    S.REFUNDED: Truth.RETURNED,
    S.CANCELLED: Truth.CLOSED,
    S.EXPIRED: Truth.CLOSED,
    S.REJECTED: Truth.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a posting. Debits are positive; the lines of a posting sum to zero."""

    account: str
    amount_fen: int


WECHAT = "wechat"  # what WeChat Pay owes the operator
IN_TRANSIT = "in_transit"  # what the operator owes the person until the card has it
FEES = "fees"
CARD_SYSTEM = "card_system"  # what the operator owes the city card system


def posting(event: Event, amount_fen: int, fee_fen: int) -> tuple[Entry, ...]:
    """The ledger lines of an event, summing to zero; empty for events that move no money.

    `in_transit` of an order is zero exactly when the order rests.
    """
    total_fen = amount_fen + fee_fen
    if event is Event.PAYMENT_RECEIVED:
        return (Entry(WECHAT, total_fen), Entry(IN_TRANSIT, -total_fen))
    if event in (Event.CREDITED, Event.WRITTEN):
        lines = (Entry(IN_TRANSIT, total_fen), Entry(CARD_SYSTEM, -amount_fen))
        return (*lines, Entry(FEES, -fee_fen)) if fee_fen else lines
    if event is Event.REFUNDED:
        return (Entry(IN_TRANSIT, total_fen), Entry(WECHAT, -total_fen))
    return ()


def read_back_hash(
    card_id: str, amount_fen: int, fee_fen: int, method: str, payer_id: str, beneficiary_id: str
) -> str:
    """What a confirmation is bound to: change any of it and the old confirmation is worth nothing."""
    text = "|".join([card_id, str(amount_fen), str(fee_fen), method, payer_id, beneficiary_id])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Topic(StrEnum):
    """Work that waits in the outbox after an order entered a state."""

    WATCH_PAYMENT = "watch_payment"  # ask WeChat, instead of waiting for its notice
    CLOSE_PAYMENT = "close_payment"
    DELIVER = "deliver"
    REFUND = "refund"
    RECEIPT = "receipt"


def follow_up(before: State, after: State) -> tuple[Topic, ...]:
    """What must be done outside once an order went from `before` to `after`."""
    if after is S.AWAITING_PAYMENT:
        return (Topic.WATCH_PAYMENT,)
    if after is S.PAID:
        return (Topic.DELIVER,)
    if after is S.REFUNDING:
        return (Topic.REFUND,)
    if after in (S.COMPLETED, S.REFUNDED):
        return (Topic.RECEIPT,)
    if before is S.AWAITING_PAYMENT and after in (S.CANCELLED, S.EXPIRED):
        return (Topic.CLOSE_PAYMENT,)
    return ()
