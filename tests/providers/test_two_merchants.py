"""Two merchant numbers at one WeChat Pay: what is one's own stays one's own, whatever the order is called."""

from __future__ import annotations

import pytest

from app.domain.clock import FakeClock
from app.ports import NoticeRejected, RefundState, Refused, TradeState, Unavailable
from app.providers.wechat_pay import WeChatPayV3
from tests.providers.adapters import a_payment, a_refund, paid, pay_config
from tests.providers.conftest import Inbox
from tests.sandbox_server import Sandbox


def test_the_second_merchant_opens_takes_and_returns_money_like_the_first(
    standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = paid(standby, sandbox, clock)
    told = standby.query(request.order_id)
    assert told.state is TradeState.SUCCESS and standby.merchant_id == sandbox.keys.standby.merchant_id
    for _url, headers, body in inbox.received:
        notice = standby.read_notice(headers, body, clock.now())
        assert (notice.merchant_id, notice.app_id) == (standby.merchant_id, sandbox.keys.app_id)
        assert notice.payment == told
    assert standby.refund(a_refund(request)).state is RefundState.SUCCESS
    refunded = standby.read_notice(inbox.received[-1][1], inbox.received[-1][2], clock.now())
    assert refunded.merchant_id == standby.merchant_id


def test_one_merchant_never_sees_what_is_the_others(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = paid(pay, sandbox, clock)
    refund = pay.refund(a_refund(request, 1000))
    assert standby.query(request.order_id).state is TradeState.UNKNOWN_ORDER
    assert standby.query_refund(refund.refund_id) is None
    with pytest.raises(Refused, match="ORDER_NOT_EXIST"):
        standby.close(request.order_id)
    with pytest.raises(Refused, match="RESOURCE_NOT_EXISTS"):
        standby.refund(a_refund(request, refund_id="rfd_other"))
    transaction_id = pay.query(request.order_id).transaction_id
    with pytest.raises(Refused, match="RESOURCE_NOT_EXISTS"):
        standby.refund(a_refund(request, refund_id="rfd_other", transaction_id=transaction_id))


def test_the_same_order_at_both_is_two_trades_and_both_can_be_paid(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = a_payment(sandbox, clock)
    sheets = [one.pay_parameters(one.open(request), clock.now()) for one in (pay, standby)]
    assert [sandbox.pay(sheet) for sheet in sheets] == ["requestPayment:ok"] * 2  # a double payment
    first, second = pay.query(request.order_id), standby.query(request.order_id)
    assert first.state is second.state is TradeState.SUCCESS
    assert first.transaction_id != second.transaction_id
    same_number = a_refund(request)
    done = [one.refund(same_number).wechat_refund_id for one in (pay, standby)]
    assert done[0] != done[1] and len(sandbox.refunds()) == 2


def test_a_prepay_of_one_merchant_signed_by_the_other_does_not_open_the_sheet(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    prepay_id = pay.open(a_payment(sandbox, clock))
    assert sandbox.pay(standby.pay_parameters(prepay_id, clock.now())) == "requestPayment:fail sign error"
    assert sandbox.pay(pay.pay_parameters(prepay_id, clock.now())) == "requestPayment:ok"


def test_a_notice_for_one_merchant_is_nothing_to_the_other(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    paid(standby, sandbox, clock)
    paid(pay, sandbox, clock)
    for (_url, headers, body), stranger in zip(inbox.received, (pay, standby), strict=True):
        with pytest.raises(NoticeRejected, match="serial_unknown"):
            stranger.read_notice(headers, body, clock.now())


def test_the_number_and_the_key_of_a_request_must_belong_together(sandbox: Sandbox, clock: FakeClock) -> None:
    keys = sandbox.keys
    for changed in (
        {"merchant_id": keys.standby.merchant_id},
        {"merchant_serial": keys.standby.merchant_serial},
        {"merchant_private_key_pem": keys.standby.merchant_private_key_pem},
    ):
        adapter = WeChatPayV3(pay_config(sandbox.base_url, keys, **changed), clock)
        with pytest.raises(Unavailable, match="SIGN_ERROR"):
            adapter.open(a_payment(sandbox, clock))
        adapter.close_connections()
    assert sandbox.trades() == []


def test_an_answer_can_only_be_asked_for_under_a_key_of_ones_own(sandbox: Sandbox, clock: FakeClock) -> None:
    keys = sandbox.keys
    both = keys.wechatpay_keys | keys.standby.wechatpay_keys
    config = pay_config(
        sandbox.base_url, keys, wechatpay_keys=both, wechatpay_serial=keys.standby.public_key_id
    )
    adapter = WeChatPayV3(config, clock)
    with pytest.raises(Refused, match="PARAM_ERROR"):
        adapter.open(a_payment(sandbox, clock))
    adapter.close_connections()
