"""One order, one table of edges. `app.store.orders.advance` is its only writer.

Once money is held (paid, awaiting_write, returning_rest, refunding) the only ends are completed and
refunded; the graph has no cycle, so each event happens at most once per order and every repeat is a no-op.
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
    RETURNING_REST = "returning_rest"
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
    CREDITED_IN_PART = "credited_in_part"
    WRITE_ISSUED = "write_issued"
    WRITTEN = "written"
    WRITE_EXPIRED = "write_expired"
    DELIVERY_REFUSED = "delivery_refused"
    UNDONE = "undone"
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
    # The card had room for a part only: the rest goes home.
    (S.PAID, E.CREDITED_IN_PART): S.RETURNING_REST,
    (S.RETURNING_REST, E.REFUNDED): S.COMPLETED,
    (S.PAID, E.WRITE_ISSUED): S.AWAITING_WRITE,
    (S.PAID, E.DELIVERY_REFUSED): S.REFUNDING,
    # The payer wants it back before it was sent to the card.
    (S.PAID, E.UNDONE): S.REFUNDING,
    (S.AWAITING_WRITE, E.WRITTEN): S.COMPLETED,
    (S.AWAITING_WRITE, E.WRITE_EXPIRED): S.REFUNDING,
    (S.REFUNDING, E.REFUNDED): S.REFUNDED,
}
START = S.AWAITING_CONFIRMATION
ENDS = frozenset({S.COMPLETED, S.REFUNDED, S.CANCELLED, S.EXPIRED, S.REJECTED})
MONEY_HELD = frozenset({S.PAID, S.AWAITING_WRITE, S.RETURNING_REST, S.REFUNDING})
GOING_HOME = frozenset({S.RETURNING_REST, S.REFUNDING})
UNPAID = frozenset({S.AWAITING_CONFIRMATION, S.AWAITING_CHECK, S.AWAITING_PAYMENT})

CONFIRMATION_WINDOW = timedelta(minutes=10)
PAYMENT_WINDOW = timedelta(minutes=15)
WRITE_WINDOW = timedelta(hours=72)
A_MOMENT = timedelta(seconds=1)  # a promise is broken after its last moment, not in it
TIME_TO_DELIVER = timedelta(seconds=60)  # money we hear of too late is delivered before anybody is frightened
CERTAINTY = timedelta(minutes=30)  # level 1: no payment stays uncertain for longer (PRODUCT.md "Money")
PLAN_DUE = timedelta(hours=2)  # level 2: a written plan for stuck money
RESPONSE_DUE = timedelta(minutes=15)  # level 3: first response to an outage


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
    CREDITED_IN_PART = "credited_in_part"
    GOING_BACK = "going_back"
    RETURNED = "returned"
    CLOSED = "closed"


TRUTH: dict[State, Truth] = {
    S.AWAITING_CONFIRMATION: Truth.NOT_PAID,
    S.AWAITING_CHECK: Truth.NOT_PAID,
    S.AWAITING_PAYMENT: Truth.NOT_PAID,
    S.PAID: Truth.PAID,
    S.AWAITING_WRITE: Truth.WAITING_FOR_CARD,
    S.RETURNING_REST: Truth.CREDITED_IN_PART,
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
WECHAT_STANDBY = "wechat_standby"  # the same at the standby merchant
IN_TRANSIT = "in_transit"  # what the operator owes the person until the card has it
FEES = "fees"
CARD_SYSTEM = "card_system"  # what the operator owes the city card system
INTER_CITY = "inter_city"  # what it owes other cities' card systems, through inter-city clearing
SUSPENSE = "suspense"  # what two books do not agree on yet
LOSSES = "losses"  # what a person decided to write off

PRIMARY, STANDBY = "primary", "standby"
PAY_ACCOUNTS = {PRIMARY: WECHAT, STANDBY: WECHAT_STANDBY}


@dataclass(frozen=True, slots=True)
class Money:
    """What an order's postings are made of. `rest_fen` goes home when only a part fitted on the card;
    `pay_account` and `card_account` say who holds and who gets it."""

    amount_fen: int
    fee_fen: int
    credit_fen: int | None = None
    rest_fen: int | None = None
    pay_account: str = WECHAT
    card_account: str = CARD_SYSTEM

    @property
    def total_fen(self) -> int:
        return self.amount_fen + self.fee_fen

    @property
    def to_return_fen(self) -> int:
        """What a refund sends home."""
        return self.total_fen if self.rest_fen is None else self.rest_fen


def posting(event: Event, money: Money) -> tuple[Entry, ...]:
    """The ledger lines of an event, summing to zero; empty for events that move no money.

    `in_transit` of an order is zero exactly when the order rests.
    """
    if event is Event.PAYMENT_RECEIVED:
        return (Entry(money.pay_account, money.total_fen), Entry(IN_TRANSIT, -money.total_fen))
    if event in (Event.CREDITED, Event.WRITTEN):
        return _delivered(money, money.amount_fen, money.fee_fen)
    if event is Event.CREDITED_IN_PART:
        assert money.credit_fen is not None and money.rest_fen is not None
        kept_fee_fen = money.total_fen - money.rest_fen - money.credit_fen
        return _delivered(money, money.credit_fen, kept_fee_fen)
    if event is Event.REFUNDED:
        back_fen = money.to_return_fen
        return (Entry(IN_TRANSIT, back_fen), Entry(money.pay_account, -back_fen))
    return ()


def _delivered(money: Money, credit_fen: int, fee_fen: int) -> tuple[Entry, ...]:
    lines = (Entry(IN_TRANSIT, credit_fen + fee_fen), Entry(money.card_account, -credit_fen))
    return (*lines, Entry(FEES, -fee_fen)) if fee_fen else lines


def rest_after_part(amount_fen: int, fee_fen: int, credit_fen: int) -> int:
    """What goes home when only `credit_fen` of an amount fitted: the rest and its share of the fee.

    The share that is kept is rounded down: the doubt is the person's (our rule, PRODUCT.md is silent).
    ValueError unless 0 < credit_fen < amount_fen.
    """
    if not 0 < credit_fen < amount_fen:
        raise ValueError("a part is more than nothing and less than all")
    return amount_fen + fee_fen - credit_fen - fee_fen * credit_fen // amount_fen


def read_back_hash(
    card_id: str, amount_fen: int, fee_fen: int, method: str, payer_id: str, beneficiary_id: str
) -> str:
    """What a confirmation is bound to: change any of it and the old confirmation is worth nothing."""
    text = "|".join([card_id, str(amount_fen), str(fee_fen), method, payer_id, beneficiary_id])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Topic(StrEnum):
    """Work that waits in the outbox. Its subject is an order, unless said otherwise."""

    WATCH_PAYMENT = "watch_payment"  # ask WeChat, instead of waiting for its notice
    CLOSE_PAYMENT = "close_payment"
    DELIVER = "deliver"
    WATCH_PROMISE = "watch_promise"  # at the promised moment: is the money there?
    REFUND = "refund"
    RECEIPT = "receipt"  # money came to rest: on the card, or home
    ENDED_UNPAID = "ended_unpaid"  # a payment that had been asked for is off
    LATE = "late"  # the promise was broken: tell the person
    RETURN_STRAY = "return_stray"  # subject: a difference whose money goes home
    STRAY_RETURNED = "stray_returned"  # the same: tell the person that it did
    HELP_ASKED = "help_asked"  # subject: a help session; its relative is told
    HELP_OVER = "help_over"  # the same, when its ten minutes are over
    SEND_BATCH = "send_batch"  # subject: an end-of-day file
    ASK_RELATIVES = "ask_relatives"  # an elder asks for a co-confirmation
    # the family is asked to pay
    PAY_REQUEST = "pay_request"  # subject: a request and whose turn it is: tell that relative
    REQUEST_NEXT = "request_next"  # subject: a request: is it the next one's turn?
    REQUEST_UNMET = "request_unmet"  # the same: tell the elder that nobody paid
    STANDING = "standing"  # subject: a card with standing orders, looked at each morning
    STANDING_ENDED = "standing_ended"  # subject: a standing order and which side is told
    PROPOSAL = "proposal"  # subject: a proposal: tell the relative
    PROPOSAL_OVER = "proposal_over"  # the same: its time is over
    DEVICE_NEW = "device_new"  # subject: a device a person logged in from, beside the one they had
    # --- the family: delegated top-up ---
    TOPPED_UP_FOR_YOU = "topped_up_for_you"  # a relative's money is on the card: tell whose card it is
    # --- protection ---
    ALERT = "alert"  # an unusual payment: the elder's relatives with that role are told
    ALERT_ANSWER = "alert_answer"  # what the elder said to the question about it
    HELD = "held"  # a relative holds it: the elder and the other relatives are told


def follow_up(before: State, after: State, delegated: bool = False) -> tuple[Topic, ...]:
    """What must be done once an order went from `before` to `after`; of a `delegated` one two people hear."""
    if delegated and after in (S.COMPLETED, S.RETURNING_REST):
        return (*follow_up(before, after), Topic.TOPPED_UP_FOR_YOU)
    if after is S.AWAITING_PAYMENT:
        return (Topic.WATCH_PAYMENT,)
    if after is S.PAID:
        return (Topic.DELIVER, Topic.WATCH_PROMISE)
    if after in GOING_HOME:
        return (Topic.REFUND,)
    if after in (S.COMPLETED, S.REFUNDED):
        return (Topic.RECEIPT,)
    if before is S.AWAITING_PAYMENT and after in (S.CANCELLED, S.EXPIRED):
        return (Topic.CLOSE_PAYMENT, Topic.ENDED_UNPAID)
    return (Topic.ENDED_UNPAID,) if after is S.REJECTED else ()
