"""The outside world on one page: what we ask of it, the values that cross, and how a call can end.

An outside call ends in exactly one of four ways: it returns, or it raises `Refused` (a final no),
`Unavailable` (certainly not done: retry later with the same id) or `Unknown` (sent, no answer: query,
or retry with the same id). A time-out after sending is `Unknown`, never "failed". A vendor's "duplicate
request" is success. Bad material from a person (a silent clip, a photo without a barcode) is an
`app.errors.AppError`, because its answer is spoken to that person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol


class OutsideError(Exception):
    """Base of the three ways an outside call can end without a result.

    `code` is the vendor's own code (for logs and operators), never shown to the elder.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(OutsideError):
    """The other side said no, finally. Nothing was done and asking again changes nothing."""


class Unavailable(OutsideError):
    """Certainly not done (not sent, or rejected before any effect). Retry with the same id."""


class Unknown(OutsideError):
    """Sent, and no usable answer came back. Query, or retry with the same id; never assume failure."""


# --- time ---------------------------------------------------------------------------------------


class Clock(Protocol):
    """Read once at the top of a flow and passed down as `now`."""

    def now(self) -> datetime:
        """The current moment, timezone-aware, UTC."""
        ...


# --- speech -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio as it arrived. `declared` is only needed for raw PCM, e.g. "s16le/16000/1"."""

    data: bytes
    declared: str | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading of what was said. `score` is the mean log-probability a token (≤ 0, higher is better)."""

    text: str
    score: float
    source: str = "free"  # "free" decoding, or "constrained" to the command vocabulary


@dataclass(frozen=True, slots=True)
class Heard:
    """What one clip sounded like: at most 5 hypotheses, best first. An empty tuple means no speech."""

    hypotheses: tuple[Hypothesis, ...]
    engine: str
    audio_seconds: float
    cpu_seconds: float


class Recogniser(Protocol):
    """One engine with its model loaded (inside a speech worker process)."""

    name: str

    def recognise(self, pcm: bytes) -> tuple[Hypothesis, ...]:
        """`pcm` is 16 kHz mono signed 16-bit little-endian, at most 10 s. Up to 5 hypotheses."""
        ...


class Speech(Protocol):
    """Bytes in, hypotheses out, never in a web thread: decode and recognise in the process pool."""

    def hear(self, clip: Clip) -> Heard:
        """Raise AppError `audio_*` for unusable clips, `speech_busy` when the queue is full,
        `speech_unavailable` when no model is installed or the worker died or timed out."""
        ...

    def problem(self) -> str | None:
        """None when speech can work, else a short English reason for /readyz."""
        ...

    def close(self) -> None:
        """Stop the workers; idempotent."""
        ...


class Barcodes(Protocol):
    """Reads the one card number on a photo."""

    def read(self, image: bytes) -> str:
        """The text of the single barcode. Raise AppError `photo_*` when there is none, two, or no photo."""
        ...


# --- WeChat -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeChatIdentity:
    """Who WeChat says this is, within one app. session_key is deliberately absent: we never store it."""

    openid: str
    unionid: str | None = None


class WeChatLogin(Protocol):
    def exchange(self, code: str) -> WeChatIdentity:
        """Exchange a one-time login code (5 minutes). Raise Refused for a bad or used code."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One subscribe message. `data` maps the template's field names to text, e.g. {"amount2": "￥50.00"}."""

    openid: str
    template_id: str
    page: str
    data: Mapping[str, str]


class Messages(Protocol):
    def send(self, message: Message) -> None:
        """Refused when the person has not subscribed or their quota is used up (do not retry)."""
        ...


class TradeState(StrEnum):
    """WeChat Pay v3 trade_state. REFUND also follows a partial refund: it *was* paid."""

    SUCCESS = "SUCCESS"
    REFUND = "REFUND"
    NOTPAY = "NOTPAY"
    CLOSED = "CLOSED"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"  # the query answered ORDER_NOT_EXIST


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A JSAPI prepay. The same order_id must always carry the same values (re-entry rule)."""

    order_id: str
    amount_fen: int
    description: str
    payer_openid: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """The state of one payment as WeChat tells it, from a query or a verified notice."""

    order_id: str
    state: TradeState
    amount_fen: int | None = None
    transaction_id: str | None = None
    paid_at: datetime | None = None
    payer_openid: str | None = None


class RefundState(StrEnum):
    SUCCESS = "SUCCESS"
    PROCESSING = "PROCESSING"
    CLOSED = "CLOSED"
    ABNORMAL = "ABNORMAL"


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Retried always with the same refund_id and the same values.

    `transaction_id` names the one payment to send back where an order has several (a second payment);
    without it the order's own payment is meant. `total_fen` is what that payment took.
    """

    refund_id: str
    order_id: str
    refund_fen: int
    total_fen: int
    reason: str
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    refund_id: str
    order_id: str
    state: RefundState
    refund_fen: int
    wechat_refund_id: str | None = None
    refunded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified and decrypted notice. Exactly one of payment and refund is set."""

    id: str
    event_type: str
    merchant_id: str
    app_id: str | None  # refunds carry none
    currency: str
    payment: Payment | None = None
    refund: Refund | None = None


class NoticeRejected(Exception):
    """A notice that is not provably WeChat's: answer 4xx, change nothing. `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BillLine:
    """One row of a trade bill: a payment (`refund_id` None) or a refund that was applied for.

    `amount_fen` is what the payer paid, or what the refund sends back; `order_id` and `refund_id` are our
    numbers, `transaction_id` and `wechat_refund_id` WeChat's. `state` is the bill's own text: SUCCESS for a
    payment, the refund's status for a refund (never updated later).
    """

    at: datetime
    transaction_id: str
    order_id: str
    amount_fen: int
    state: str
    refund_id: str | None = None
    wechat_refund_id: str | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """One merchant's trades of one Asia/Shanghai day. `raw` is the file as it came, `sha1` its checksum."""

    day: date
    lines: tuple[BillLine, ...]
    raw: bytes
    sha1: str


class WeChatPay(Protocol):
    """WeChat Pay v3 for one merchant."""

    merchant_id: str

    def open(self, request: PaymentRequest) -> str:
        """Create (or re-enter) the JSAPI prepay and return its prepay_id (valid 2 h)."""
        ...

    def pay_parameters(self, prepay_id: str, now: datetime) -> dict[str, str]:
        """What wx.requestPayment takes: timeStamp, nonceStr, package, signType, paySign."""
        ...

    def query(self, order_id: str) -> Payment: ...

    def close(self, order_id: str) -> None:
        """Refused("ORDER_PAID") when the money has already come."""
        ...

    def refund(self, request: RefundRequest) -> Refund:
        """Ask for a refund: accepted is not done, see `Refund.state`."""
        ...

    def query_refund(self, refund_id: str) -> Refund | None:
        """None when WeChat has never seen this refund_id."""
        ...

    def trade_bill(self, day: date) -> Bill | None:
        """The bill of a past day, there from 10:00 (Asia/Shanghai) of the next one; None: no trades that day.

        Unavailable("STATEMENT_CREATING") while it is being made; Unknown for a file whose checksum, rows or
        sums are wrong: a damaged bill is no bill.
        """
        ...

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify over the raw bytes, decrypt and parse. Raise NoticeRejected; never fetch anything."""
        ...


# --- the city's card system ---------------------------------------------------------------------


class CardMode(StrEnum):
    ACCOUNT = "account"  # the balance lives on the server
    CHIP = "chip"  # the balance lives on the chip and must be written to it


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card as its issuer knows it."""

    card_number: str
    city: str
    mode: CardMode
    registered: bool  # real-name registered: ceiling 5000 yuan, else 1000
    balance_fen: int
    holder_masked: str | None = None  # e.g. "王*英"


class CreditState(StrEnum):
    CREDITED = "credited"
    WRITE_ISSUED = "write_issued"  # chip cards: the load is authorised and waits for the chip


@dataclass(frozen=True, slots=True)
class Credit:
    order_id: str
    state: CreditState
    reference: str
    balance_fen: int


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One credit asked for in an end-of-day file."""

    order_id: str
    card_number: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of one line: exactly one of `credit` and `refused` (the card system's code) is set."""

    order_id: str
    credit: Credit | None
    refused: str | None


@dataclass(frozen=True, slots=True)
class CreditLine:
    """One credit in the card system's own file of a day."""

    order_id: str
    card_number: str
    amount_fen: int
    reference: str
    at: datetime


class CardSystem(Protocol):
    """The city card system. `order_id` is the request id: the same id never credits twice."""

    def find(self, card_number: str) -> CardFacts:
        """Refused("card_unknown" | "card_blocked") when it cannot be topped up."""
        ...

    def credit(self, order_id: str, card_number: str, amount_fen: int) -> Credit: ...

    def query(self, order_id: str) -> Credit | None:
        """What became of this credit; None when the card system never saw it."""
        ...

    def submit_batch(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        """Hand an end-of-day file in. Repeating it is safe; Refused("batch_conflict") for other lines."""
        ...

    def batch_result(self, batch_id: str) -> tuple[BatchOutcome, ...] | None:
        """An outcome for every line; None while the file is being worked through or was never seen."""
        ...

    def credits_of(self, day: date) -> tuple[CreditLine, ...]:
        """Every credit of an Asia/Shanghai day, by the card system's clock (also those of batches)."""
        ...


# --- health -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Health:
    """One line of /readyz."""

    name: str
    ok: bool
    detail: str = field(default="")
