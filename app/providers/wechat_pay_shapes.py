"""What WeChat Pay v3 sends us: only the members we use; money is an integer or nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from app.ports import Payment, Refund, RefundState, TradeState
from app.providers.wechat_pay_signing import Sealed

Text = Annotated[str, Field(min_length=1, max_length=128)]
Fen = Annotated[int, Field(strict=True, ge=0, le=100_000_000_00)]

_Value = TypeVar("_Value")
# Unpaid trades may carry these members empty instead of leaving them out.
Maybe = Annotated[_Value | None, BeforeValidator(lambda value: None if value == "" else value)]

# JSAPI trades know the first four; the rest belong to payment codes, where nothing is decided yet.
_TRADE_STATES = {
    "SUCCESS": TradeState.SUCCESS,
    "REFUND": TradeState.REFUND,
    "NOTPAY": TradeState.NOTPAY,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
    "USERPAYING": TradeState.NOTPAY,
    "PAYERROR": TradeState.NOTPAY,  # this attempt failed; the trade can still be paid until it is closed
}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


class Problem(BaseModel):
    """An error answer. The message is for people and is not looked at."""

    code: Text


class PrepayAnswer(BaseModel):
    prepay_id: Text


class Amount(BaseModel):
    """`total` is what the order asks; `payer_total` can be less (vouchers) and is not our business."""

    total: Fen
    currency: Text = "CNY"


class Payer(BaseModel):
    openid: Maybe[Text] = None


class Transaction(BaseModel):
    """A trade, from a query or a notice."""

    mchid: Text
    appid: Maybe[Text] = None
    out_trade_no: Text
    trade_state: Text
    transaction_id: Maybe[Text] = None
    success_time: Maybe[AwareDatetime] = None
    payer: Payer | None = None
    amount: Amount | None = None

    def state(self) -> TradeState | None:
        """None for a state we have never heard of."""
        return _TRADE_STATES.get(self.trade_state)

    def payment(self, state: TradeState) -> Payment:
        return Payment(
            order_id=self.out_trade_no,
            state=state,
            amount_fen=self.amount.total if self.amount else None,
            transaction_id=self.transaction_id,
            paid_at=_utc(self.success_time),
            payer_openid=self.payer.openid if self.payer else None,
        )


class RefundAmount(BaseModel):
    refund: Fen
    total: Fen
    currency: Text = "CNY"  # refund notices carry none


class RefundFacts(BaseModel):
    """What an answer and a notice say alike about a refund."""

    refund_id: Text
    out_refund_no: Text
    out_trade_no: Text
    transaction_id: Maybe[Text] = None
    success_time: Maybe[AwareDatetime] = None
    amount: RefundAmount

    def refund(self, state: RefundState) -> Refund:
        return Refund(
            refund_id=self.out_refund_no,
            order_id=self.out_trade_no,
            state=state,
            refund_fen=self.amount.refund,
            wechat_refund_id=self.refund_id,
            refunded_at=_utc(self.success_time),
        )


class RefundAnswer(RefundFacts):
    """From asking for a refund, or from a query."""

    status: Text


class RefundTold(RefundFacts):
    """From a notice: the state has another name there, and the merchant is named."""

    mchid: Text
    refund_status: Text


class BillLink(BaseModel):
    """Where a bill can be fetched for some minutes, and the checksum of its unpacked bytes."""

    hash_type: Literal["SHA1"]
    hash_value: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{40}$")]
    download_url: Annotated[str, Field(pattern=r"^https?://[^/]+/v3/billdownload/[!-~]+$", max_length=2048)]

    def target(self) -> str:
        """Path and query. The host is not followed: what we sign goes where the configuration says."""
        return "/" + self.download_url.split("/", 3)[3]


class SealedResource(BaseModel):
    algorithm: Text
    nonce: Text
    ciphertext: str
    associated_data: str | None = None

    def sealed(self) -> Sealed:
        return Sealed(self.algorithm, self.nonce, self.ciphertext, self.associated_data or "")


class Envelope(BaseModel):
    """The outside of a notice."""

    id: Text
    event_type: Text
    resource: SealedResource
