"""WeChat and WeChat Pay v3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol


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
