"""WeChat Pay v3 for one merchant: our own thin client (docs/adr/003-own-wechat-pay-client.md).

Signed requests out, verified answers and notices in. Every 2xx answer is verified over its raw bytes, also
an empty 204; what cannot be verified is Unknown, because somebody may stand between us and WeChat.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from app.ports import (
    Bill,
    Clock,
    Notice,
    NoticeRejected,
    Payment,
    PaymentRequest,
    Refund,
    RefundRequest,
    RefundState,
    Refused,
    TradeState,
    Unavailable,
    Unknown,
)
from app.providers.http import segment
from app.providers.wechat_pay_bill import BadBill, parse_bill, unpacked
from app.providers.wechat_pay_config import PayConfig
from app.providers.wechat_pay_shapes import (
    BillLink,
    Envelope,
    PrepayAnswer,
    RefundAnswer,
    RefundTold,
    Transaction,
)
from app.providers.wechat_pay_signing import (
    NotGenuine,
    check_signature,
    load_private_key,
    pay_parameters,
    unseal,
)
from app.providers.wechat_pay_wire import SignedWire, read

__all__ = ["PayConfig", "WeChatPayV3"]

TRANSACTIONS = "/v3/pay/transactions"
REFUNDS = "/v3/refund/domestic/refunds"
TRADE_BILL = "/v3/bill/tradebill"
LARGEST_NOTICE_BYTES = 64 * 1024
PAID_EVENT = "TRANSACTION.SUCCESS"
REFUND_EVENTS = {f"REFUND.{state}": state for state in ("SUCCESS", "ABNORMAL", "CLOSED")}

_CHINA = timezone(timedelta(hours=8))
_Shape = TypeVar("_Shape", bound=BaseModel)


class WeChatPayV3:
    """ports.WeChatPay over HTTP. Constructing it touches no network."""

    def __init__(self, config: PayConfig, clock: Clock) -> None:
        """Raise ValueError listing everything wrong with `config`."""
        faults = config.faults()
        if faults:
            raise ValueError("WeChat Pay is not set up: " + "; ".join(faults))
        self.merchant_id = config.merchant_id
        self._config = config
        self._key = load_private_key(config.merchant_private_key_pem)
        self._apiv3_key = config.apiv3_key.encode()
        self._wire = SignedWire(config, clock)

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._wire.close()

    # --- payments ---

    def open(self, request: PaymentRequest) -> str:
        """Create or re-enter the prepay. The body depends on `request` and our configuration only."""
        if request.expires_at.tzinfo is None:
            raise ValueError("expires_at must be aware")
        body = {
            "appid": self._config.app_id,
            "mchid": self.merchant_id,
            "description": request.description[:127],
            "out_trade_no": request.order_id,
            "time_expire": request.expires_at.astimezone(_CHINA).isoformat(timespec="seconds"),
            "notify_url": self._config.notify_url,
            "amount": {"total": request.amount_fen, "currency": "CNY"},
            "payer": {"openid": request.payer_openid},
        }
        return read(PrepayAnswer, self._wire.call("POST", f"{TRANSACTIONS}/jsapi", body)).prepay_id

    def pay_parameters(self, prepay_id: str, now: datetime) -> dict[str, str]:
        """What wx.requestPayment takes, signed."""
        return pay_parameters(
            self._key, self._config.app_id, prepay_id, int(now.timestamp()), secrets.token_hex(16)
        )

    def query(self, order_id: str) -> Payment:
        """The trade as WeChat knows it; UNKNOWN_ORDER when it knows none."""
        query = urlencode({"mchid": self.merchant_id})
        try:
            raw = self._wire.call("GET", f"{TRANSACTIONS}/out-trade-no/{segment(order_id)}?{query}")
        except Refused as no:
            if no.code == "ORDER_NOT_EXIST":
                return Payment(order_id, TradeState.UNKNOWN_ORDER)
            raise
        told = read(Transaction, raw)
        state = told.state()
        if told.out_trade_no != order_id or told.mchid != self.merchant_id or state is None:
            raise Unknown("answer_mismatch", "a trade we did not ask about, or an unlisted state")
        return told.payment(state)

    def close(self, order_id: str) -> None:
        """Close an unpaid trade; closing twice is fine. Refused("ORDER_PAID") when the money has come."""
        target = f"{TRANSACTIONS}/out-trade-no/{segment(order_id)}/close"
        self._wire.call("POST", target, {"mchid": self.merchant_id})

    # --- refunds ---

    def refund(self, request: RefundRequest) -> Refund:
        """Ask for a refund; repeating it with the same refund_id changes nothing. With a transaction_id
        that one payment is meant, otherwise the order's own."""
        meant = (
            {"out_trade_no": request.order_id}
            if request.transaction_id is None
            else {"transaction_id": request.transaction_id}
        )
        body = meant | {
            "out_refund_no": request.refund_id,
            "reason": request.reason[:80],
            "notify_url": self._config.refund_notify_url,
            "amount": {"refund": request.refund_fen, "total": request.total_fen, "currency": "CNY"},
        }
        told = _refund_told(request.refund_id, self._wire.call("POST", REFUNDS, body))
        refund = told.refund(RefundState(told.status))
        if (refund.order_id, refund.refund_fen) != (request.order_id, request.refund_fen):
            raise Unknown("answer_mismatch", "a refund of another order or amount")
        if request.transaction_id not in (None, told.transaction_id):
            raise Unknown("answer_mismatch", "a refund of another payment")
        return refund

    def query_refund(self, refund_id: str) -> Refund | None:
        """The refund as WeChat knows it, or None."""
        try:
            raw = self._wire.call("GET", f"{REFUNDS}/{segment(refund_id)}")
        except Refused as no:
            if no.code == "RESOURCE_NOT_EXISTS":
                return None
            raise
        told = _refund_told(refund_id, raw)
        return told.refund(RefundState(told.status))

    # --- bills ---

    def trade_bill(self, day: date) -> Bill | None:
        """The bill of a past day; None when WeChat says that there were no trades."""
        query = urlencode({"bill_date": day.isoformat(), "bill_type": "ALL", "tar_type": "GZIP"})
        try:
            link = read(BillLink, self._wire.call("GET", f"{TRADE_BILL}?{query}"))
        except Refused as no:
            if no.code == "NO_STATEMENT_EXIST":
                return None
            raise
        try:
            raw = unpacked(self._wire.download(link.target()), link.hash_value)
            lines = parse_bill(raw, self.merchant_id, day)
        except Refused as no:  # the link has expired or is not ours: a new one may be asked for
            raise Unavailable("bill_link", no.code) from None
        except BadBill as bad:
            raise Unknown(f"bill_{bad.reason}") from None
        return Bill(day, lines, raw, link.hash_value.lower())

    # --- notices ---

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify, decrypt and parse. The order of the checks goes from cheap to dear, and nothing is
        parsed before it is known to be WeChat's."""
        if len(body) > LARGEST_NOTICE_BYTES:
            raise NoticeRejected("too_large")
        try:
            window = self._config.notice_window_seconds
            check_signature(headers, body, self._wire.keys, int(now.timestamp()), window)
            envelope = _shaped(Envelope, body, "json")
            plaintext = unseal(self._apiv3_key, envelope.resource.sealed())
        except NotGenuine as fault:
            raise NoticeRejected(fault.reason) from None
        if envelope.event_type == PAID_EVENT:
            return self._payment_notice(envelope, _shaped(Transaction, plaintext, "shape"))
        if envelope.event_type in REFUND_EVENTS:
            return self._refund_notice(envelope, _shaped(RefundTold, plaintext, "shape"))
        raise NoticeRejected("event_type")

    @staticmethod
    def _payment_notice(envelope: Envelope, told: Transaction) -> Notice:
        if told.trade_state != TradeState.SUCCESS or told.amount is None or told.transaction_id is None:
            raise NoticeRejected("shape")
        return Notice(
            id=envelope.id,
            event_type=envelope.event_type,
            merchant_id=told.mchid,
            app_id=told.appid,
            currency=told.amount.currency,
            payment=told.payment(TradeState.SUCCESS),
        )

    @staticmethod
    def _refund_notice(envelope: Envelope, told: RefundTold) -> Notice:
        if told.refund_status != REFUND_EVENTS[envelope.event_type]:
            raise NoticeRejected("shape")
        return Notice(
            id=envelope.id,
            event_type=envelope.event_type,
            merchant_id=told.mchid,
            app_id=None,
            currency=told.amount.currency,
            refund=told.refund(RefundState(told.refund_status)),
        )


def _refund_told(refund_id: str, raw: bytes) -> RefundAnswer:
    """What WeChat says of the refund we asked about; its status is one we know."""
    told = read(RefundAnswer, raw)
    if told.out_refund_no != refund_id or told.status not in RefundState.__members__:
        raise Unknown("answer_mismatch", "a refund we did not ask about, or an unlisted status")
    return told


def _shaped(shape: type[_Shape], raw: bytes, reason: str) -> _Shape:
    """Part of a genuine notice as `shape`. Its content goes into no message, because it is private."""
    try:
        return shape.model_validate_json(raw)
    except ValidationError:
        raise NoticeRejected(reason) from None
