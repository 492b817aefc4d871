"""The shapes WeChat Pay accepts: unknown and null members are refused, as the real one does."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.providers.sandbox.pay_edge import PayError

Number = Annotated[int, Field(strict=True, ge=1, le=100_000_000_00)]
OrderId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-|*]{6,32}$")]
RefundId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-|*@]{1,64}$")]
Shape = TypeVar("Shape", bound="Strict")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)(:\d+)?/")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            raise ValueError("null is not a value: leave the member out")
        return value


class Amount(Strict):
    total: Number
    currency: Literal["CNY"] = "CNY"


class Payer(Strict):
    openid: str


class SceneInfo(Strict):
    payer_client_ip: str


class SettleInfo(Strict):
    profit_sharing: bool


class Prepay(Strict):
    """POST /v3/pay/transactions/jsapi."""

    appid: str
    mchid: str
    description: Annotated[str, Field(min_length=1, max_length=127)]
    out_trade_no: OrderId
    time_expire: AwareDatetime | None = None
    attach: Annotated[str, Field(max_length=128)] = ""
    notify_url: str
    goods_tag: str | None = None
    support_fapiao: bool | None = None
    amount: Amount
    payer: Payer
    scene_info: SceneInfo | None = None
    settle_info: SettleInfo | None = None


class RefundAmount(Strict):
    refund: Number
    total: Number
    currency: Literal["CNY"]


class RefundAsked(Strict):
    """POST /v3/refund/domestic/refunds."""

    transaction_id: str | None = None
    out_trade_no: str | None = None
    out_refund_no: RefundId
    reason: Annotated[str, Field(max_length=80)] | None = None
    notify_url: str | None = None
    amount: RefundAmount


class Close(Strict):
    mchid: str


def checked(shape: type[Shape], body: dict[str, Any]) -> Shape:
    """`body` as a `shape`, or PARAM_ERROR naming the first wrong member."""
    try:
        return shape.model_validate(body)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise PayError(400, "PARAM_ERROR", ".".join(str(part) for part in first["loc"])) from None


def check_notify_url(url: str) -> None:
    """https, without a query; plain http only to this machine."""
    if "?" in url or "#" in url or not (url.startswith("https://") or _LOOPBACK.match(url)):
        raise PayError(400, "PARAM_ERROR", "notify_url")
