"""Configurations of the adapters, and the orders they are asked about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.domain.clock import FakeClock
from app.domain.ids import Kind, new_id
from app.ports import PaymentRequest, RefundRequest
from app.providers.http import Timeouts
from app.providers.sandbox.keys import MerchantKeys, SandboxKeys
from app.providers.signed_gateway import GatewayConfig
from app.providers.wechat_pay import PayConfig, WeChatPayV3
from app.providers.wechat_wire import WeChatConfig
from tests.sandbox_server import Sandbox

NOTIFY_URL = "https://anxin.example/api/v1/callbacks/wechat-pay"
SHORT = Timeouts(connect_seconds=1.0, read_seconds=0.4)


def pay_config(
    base_url: str, keys: SandboxKeys, merchant: MerchantKeys | None = None, **changes: Any
) -> PayConfig:
    """The first merchant's configuration, or that of `merchant` (keys.standby)."""
    merchant = merchant or keys
    values: dict[str, Any] = {
        "base_url": base_url,
        "app_id": keys.app_id,
        "merchant_id": merchant.merchant_id,
        "merchant_serial": merchant.merchant_serial,
        "merchant_private_key_pem": merchant.merchant_private_key_pem,
        "apiv3_key": merchant.apiv3_key,
        "wechatpay_keys": merchant.wechatpay_keys,
        "wechatpay_serial": merchant.public_key_id,
        "notify_url": NOTIFY_URL,
        "refund_notify_url": NOTIFY_URL,
    }
    return PayConfig(**(values | changes))


def wechat_config(base_url: str, keys: SandboxKeys, **changes: Any) -> WeChatConfig:
    return WeChatConfig(base_url, **({"app_id": keys.app_id, "app_secret": keys.app_secret} | changes))


def gateway_config(base_url: str, keys: SandboxKeys, **changes: Any) -> GatewayConfig:
    return GatewayConfig(base_url, **({"key_id": keys.card_client_id, "secret": keys.card_secret} | changes))


def a_payment(sandbox: Sandbox, clock: FakeClock, amount_fen: int = 5000, **changes: Any) -> PaymentRequest:
    """A fresh order of a person WeChat knows, payable for ten minutes."""
    values: dict[str, Any] = {
        "order_id": new_id(Kind.ORDER),
        "amount_fen": amount_fen,
        "description": "羊城通充值",
        "payer_openid": sandbox.openid("amy"),
        "expires_at": clock.now() + timedelta(minutes=10),
    }
    return PaymentRequest(**(values | changes))


def paid(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, amount_fen: int = 5000) -> PaymentRequest:
    """A fresh order that was opened at this merchant and paid."""
    request = a_payment(sandbox, clock, amount_fen)
    assert sandbox.pay(pay.pay_parameters(pay.open(request), clock.now())) == "requestPayment:ok"
    return request


def a_refund(payment: PaymentRequest, refund_fen: int | None = None, **changes: Any) -> RefundRequest:
    values: dict[str, Any] = {
        "refund_id": "rfd_" + payment.order_id.partition("_")[2],
        "order_id": payment.order_id,
        "refund_fen": payment.amount_fen if refund_fen is None else refund_fen,
        "total_fen": payment.amount_fen,
        "reason": "充值未到账，原路退回",
    }
    return RefundRequest(**(values | changes))
