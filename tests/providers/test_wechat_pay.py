"""The WeChat Pay contract, spoken over HTTP with a WeChat that checks every signature."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.domain.clock import FakeClock
from app.ports import (
    Payment,
    RefundState,
    Refused,
    TradeState,
    Unavailable,
    Unknown,
)
from app.providers.wechat_pay import WeChatPayV3
from app.providers.wechat_pay_signing import load_private_key
from tests.providers.adapters import a_payment, a_refund, paid, pay_config
from tests.providers.conftest import Inbox
from tests.sandbox_server import Sandbox, running_sandbox, sandbox_keys


@pytest.fixture(params=["public_key", "certificate"])
def pay(sandbox: Sandbox, clock: FakeClock, request: pytest.FixtureRequest) -> Iterator[WeChatPayV3]:
    """The whole contract holds whichever kind of key signs WeChat's answers."""
    keys = sandbox.keys
    serial = keys.public_key_id if request.param == "public_key" else keys.platform_serial
    adapter = WeChatPayV3(pay_config(sandbox.base_url, keys, wechatpay_serial=serial), clock)
    yield adapter
    adapter.close_connections()


# --- prepay, payment, query ---


def test_an_order_is_opened_paid_and_found_paid(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    request = a_payment(sandbox, clock)
    parameters = pay.pay_parameters(pay.open(request), clock.now())
    assert pay.query(request.order_id) == Payment(
        request.order_id, TradeState.NOTPAY, amount_fen=5000, payer_openid=request.payer_openid
    )
    clock.tick(seconds=3)
    assert sandbox.pay(parameters) == "requestPayment:ok"
    told = pay.query(request.order_id)
    assert told.state is TradeState.SUCCESS and told.amount_fen == 5000
    assert told.paid_at == clock.now() and told.paid_at.utcoffset() == timedelta(0)
    assert told.transaction_id is not None and told.payer_openid == request.payer_openid


def test_an_order_nobody_opened_is_unknown(pay: WeChatPayV3) -> None:
    told = pay.query("ord_00000000000000000000000000")
    assert told == Payment("ord_00000000000000000000000000", TradeState.UNKNOWN_ORDER)


def test_opening_twice_enters_the_same_trade_again(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = a_payment(sandbox, clock)
    first = pay.open(request)
    clock.tick(seconds=30)
    second = pay.open(request)
    assert first != second and len(sandbox.trades()) == 1
    assert sandbox.pay(pay.pay_parameters(first, clock.now())) == "requestPayment:ok"
    assert sandbox.pay(pay.pay_parameters(second, clock.now())) == "requestPayment:fail already paid"


@pytest.mark.parametrize("change", [{"amount_fen": 6000}, {"description": "X"}, {"payer_openid": "bob"}])
def test_opening_the_same_order_with_other_values_is_refused(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, change: dict[str, object]
) -> None:
    request = a_payment(sandbox, clock)
    pay.open(request)
    if "payer_openid" in change:
        change = {"payer_openid": sandbox.openid("bob")}
    with pytest.raises(Refused, match="INVALID_REQUEST"):
        pay.open(replace(request, **change))  # type: ignore[arg-type]


def test_a_paid_or_closed_order_cannot_be_opened_again(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    with pytest.raises(Refused, match="ORDER_PAID"):
        pay.open(paid(pay, sandbox, clock))
    closed = a_payment(sandbox, clock)
    pay.open(closed)
    pay.close(closed.order_id)
    with pytest.raises(Refused, match="ORDER_CLOSED"):
        pay.open(closed)


@pytest.mark.parametrize(
    "change",
    [
        {"payer_openid": "o-of-another-app"},
        {"order_id": "short"},
        {"order_id": "x" * 33},
        {"amount_fen": 0},
        {"expires_at": datetime(2026, 11, 23, 2, 0, 59, tzinfo=UTC)},
        {"expires_at": datetime(2027, 11, 23, tzinfo=UTC)},
    ],
)
def test_what_wechat_does_not_accept_is_refused(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, change: dict[str, object]
) -> None:
    with pytest.raises(Refused, match="PARAM_ERROR"):
        pay.open(a_payment(sandbox, clock, **change))
    assert sandbox.trades() == []


def test_an_expiry_without_a_time_zone_is_a_mistake_of_ours(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    with pytest.raises(ValueError, match="aware"):
        pay.open(a_payment(sandbox, clock, expires_at=datetime(2026, 11, 23, 3, 0)))


def test_an_expired_order_cannot_be_paid_and_still_says_not_paid(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = a_payment(sandbox, clock)
    parameters = pay.pay_parameters(pay.open(request), clock.now())
    clock.tick(minutes=10)
    assert sandbox.pay(parameters) == "requestPayment:fail the order is closed"
    assert pay.query(request.order_id).state is TradeState.NOTPAY


def test_parameters_that_were_touched_do_not_open_the_payment_sheet(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    parameters = pay.pay_parameters(pay.open(a_payment(sandbox, clock)), clock.now())
    for name, value in parameters.items():
        assert sandbox.pay(parameters | {name: value + "0"}) == "requestPayment:fail sign error"
    assert sandbox.pay(parameters, person="bob") == "requestPayment:fail another person's order"
    assert sandbox.pay(parameters, "cancel") == "requestPayment:fail cancel"
    assert sandbox.pay(parameters, person="amy") == "requestPayment:ok"


def test_money_that_comes_twice_at_once_is_taken_once(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    parameters = pay.pay_parameters(pay.open(a_payment(sandbox, clock)), clock.now())
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: sandbox.pay(parameters), range(6)))
    assert sorted(answers) == ["requestPayment:fail already paid"] * 5 + ["requestPayment:ok"]


# --- close ---


def test_a_closed_order_says_so_and_closing_twice_is_fine(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = a_payment(sandbox, clock)
    parameters = pay.pay_parameters(pay.open(request), clock.now())
    pay.close(request.order_id)
    pay.close(request.order_id)
    assert pay.query(request.order_id).state is TradeState.CLOSED
    assert sandbox.pay(parameters) == "requestPayment:fail the order is closed"


def test_a_paid_order_cannot_be_closed(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    request = paid(pay, sandbox, clock)
    with pytest.raises(Refused) as refused:
        pay.close(request.order_id)
    assert refused.value.code == "ORDER_PAID"


def test_closing_an_order_wechat_never_saw_is_refused(pay: WeChatPayV3) -> None:
    with pytest.raises(Refused, match="ORDER_NOT_EXIST"):
        pay.close("ord_00000000000000000000000000")


def test_money_that_comes_while_closing_wins(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    request = a_payment(sandbox, clock, 5017)
    pay.open(request)
    with pytest.raises(Refused, match="ORDER_PAID"):
        pay.close(request.order_id)
    assert pay.query(request.order_id).state is TradeState.SUCCESS


# --- refunds ---


def test_a_refund_sends_the_money_home_and_the_trade_says_it_was_paid(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    payment = paid(pay, sandbox, clock)
    refund = pay.refund(a_refund(payment))
    assert (refund.state, refund.refund_fen, refund.order_id) == (
        RefundState.SUCCESS,
        5000,
        payment.order_id,
    )
    assert refund.refunded_at == clock.now() and refund.wechat_refund_id
    assert pay.query_refund(refund.refund_id) == refund
    assert pay.query(payment.order_id).state is TradeState.REFUND


def test_asking_for_the_same_refund_again_pays_once(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    wish = a_refund(paid(pay, sandbox, clock), 2000)
    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(lambda _: pay.refund(wish), range(6)))
    assert len(answers) == 1 and len(sandbox.refunds()) == 1
    with pytest.raises(Refused, match="INVALID_REQUEST"):
        pay.refund(replace(wish, refund_fen=3000))


def test_no_more_goes_home_than_was_paid(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    payment = paid(pay, sandbox, clock)
    pay.refund(a_refund(payment, 3000, refund_id="rfd_one"))
    with pytest.raises(Refused, match="INVALID_REQUEST"):
        pay.refund(a_refund(payment, 2001, refund_id="rfd_two"))
    assert pay.refund(a_refund(payment, 2000, refund_id="rfd_two")).state is RefundState.SUCCESS


def test_an_unpaid_order_an_unknown_order_and_a_wrong_total_are_refused(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    unpaid = a_payment(sandbox, clock)
    pay.open(unpaid)
    for wish in (a_refund(unpaid), a_refund(replace(paid(pay, sandbox, clock), amount_fen=4000))):
        with pytest.raises(Refused, match="INVALID_REQUEST"):
            pay.refund(wish)
    with pytest.raises(Refused, match="RESOURCE_NOT_EXISTS"):
        pay.refund(a_refund(a_payment(sandbox, clock)))
    assert sandbox.refunds() == []


def test_a_refund_wechat_never_saw_is_none(pay: WeChatPayV3) -> None:
    assert pay.query_refund("rfd_never") is None


def test_a_refund_may_take_its_time(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    wish = a_refund(paid(pay, sandbox, clock, 5008))
    assert pay.refund(wish).state is RefundState.PROCESSING
    clock.tick(seconds=4)
    told = pay.query_refund(wish.refund_id)
    assert told is not None and told.state is RefundState.PROCESSING and told.refunded_at is None
    clock.tick(seconds=1)
    assert sandbox.deliver() == [(wish.order_id, "REFUND.SUCCESS", 204)]
    told = pay.query_refund(wish.refund_id)
    assert told is not None and told.state is RefundState.SUCCESS and told.refunded_at == clock.now()


@pytest.mark.parametrize(("amount_fen", "state"), [(5009, RefundState.ABNORMAL), (5010, RefundState.CLOSED)])
def test_a_refund_may_get_stuck_and_says_how(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, amount_fen: int, state: RefundState
) -> None:
    payment = paid(pay, sandbox, clock, amount_fen)
    assert pay.refund(a_refund(payment)).state is state
    assert pay.query(payment.order_id).state is TradeState.SUCCESS
    assert pay.refund(a_refund(payment)).state is state  # the same number stays as it is


def test_a_closed_refund_is_asked_again_under_a_new_number(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    payment = paid(pay, sandbox, clock, 5010)
    assert pay.refund(a_refund(payment)).state is RefundState.CLOSED
    second = pay.refund(a_refund(payment, refund_id="rfd_second"))
    assert second.state is RefundState.SUCCESS and pay.query(payment.order_id).state is TradeState.REFUND
    with pytest.raises(Refused, match="INVALID_REQUEST"):  # and no third time
        pay.refund(a_refund(payment, refund_id="rfd_third"))


def test_an_abnormal_refund_ends_when_a_person_settles_it_at_wechat(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    wish = a_refund(paid(pay, sandbox, clock, 5009))
    assert pay.refund(wish).state is RefundState.ABNORMAL
    with pytest.raises(Refused, match="INVALID_REQUEST"):  # it holds its money: a new number is no way out
        pay.refund(replace(wish, refund_id="rfd_second"))
    sandbox.settle_refund(wish.refund_id)
    told = pay.query_refund(wish.refund_id)
    assert told is not None and told.state is RefundState.SUCCESS
    assert pay.read_notice(inbox.received[-1][1], inbox.received[-1][2], clock.now()).refund == told


# --- a second payment for one order ---


def test_a_second_payment_is_told_and_goes_home_by_its_own_number(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = paid(pay, sandbox, clock)
    first = pay.query(request.order_id)
    second_id = sandbox.pay_again(request.order_id)
    told = pay.read_notice(inbox.received[-1][1], inbox.received[-1][2], clock.now()).payment
    assert told is not None and (told.order_id, told.transaction_id) == (request.order_id, second_id)
    assert second_id != first.transaction_id and pay.query(request.order_id) == first
    wish = a_refund(request, refund_id="rfd_second", transaction_id=second_id)
    done = pay.refund(wish)
    assert done.state is RefundState.SUCCESS and pay.refund(wish) == done
    assert pay.query(request.order_id) == first  # the order's own payment stays
    states = {trade["transaction_id"]: trade["state"] for trade in sandbox.trades()}
    assert states == {first.transaction_id: "SUCCESS", second_id: "REFUND"}
    assert pay.refund(a_refund(request)).state is RefundState.SUCCESS  # and could go home as well
    with pytest.raises(Refused, match="INVALID_REQUEST"):
        pay.refund(replace(wish, refund_id="rfd_third"))


def test_a_refund_of_a_payment_wechat_never_took_is_refused(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = paid(pay, sandbox, clock)
    with pytest.raises(Refused, match="RESOURCE_NOT_EXISTS"):
        pay.refund(a_refund(request, transaction_id="4" * 28))


def test_money_can_come_for_an_order_that_was_closed(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = a_payment(sandbox, clock)
    pay.open(request)
    pay.close(request.order_id)
    late_id = sandbox.pay_late(request.order_id)
    assert pay.query(request.order_id).transaction_id == late_id and len(inbox.received) == 1
    assert pay.refund(a_refund(request)).state is RefundState.SUCCESS


def test_an_empty_merchant_account_means_later_not_never(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    wish = a_refund(paid(pay, sandbox, clock, 5013))
    with pytest.raises(Unavailable, match="NOT_ENOUGH"):
        pay.refund(wish)
    assert pay.refund(wish).state is RefundState.SUCCESS


def test_a_refund_whose_answer_was_lost_is_done_and_found(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    wish = a_refund(paid(pay, sandbox, clock, 5014))
    with pytest.raises(Unknown):
        pay.refund(wish)
    told = pay.query_refund(wish.refund_id)
    assert told is not None and told.state is RefundState.SUCCESS
    assert pay.refund(wish) == told


# --- outcomes of the vendor's bad days ---


@pytest.mark.parametrize(
    ("amount_fen", "outcome", "code", "opened"),
    [
        (5002, Unknown, "SYSTEM_ERROR", False),
        (5003, Unknown, "no_answer", True),
        (5011, Refused, "RULE_LIMIT", False),
        (5012, Unavailable, "FREQUENCY_LIMITED", False),
        (5015, Unknown, "answer_signature", True),
    ],
)
def test_a_prepay_that_goes_wrong_says_exactly_how_sure_it_is(
    pay: WeChatPayV3,
    sandbox: Sandbox,
    clock: FakeClock,
    amount_fen: int,
    outcome: type[Exception],
    code: str,
    opened: bool,
) -> None:
    request = a_payment(sandbox, clock, amount_fen)
    with pytest.raises(outcome) as raised:
        pay.open(request)
    assert raised.value.code == code  # type: ignore[attr-defined]
    assert bool(sandbox.trades()) is opened
    if outcome is not Refused:
        assert pay.open(request).startswith("wx")


def test_a_query_that_fails_once_is_unknown_then_right(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    request = paid(pay, sandbox, clock, 5016)
    with pytest.raises(Unknown, match="SYSTEM_ERROR"):
        pay.query(request.order_id)
    assert pay.query(request.order_id).state is TradeState.SUCCESS


def test_a_wrong_clock_means_later_and_never_no(sandbox: Sandbox, clock: FakeClock, pay: WeChatPayV3) -> None:
    late = FakeClock(clock.now() + timedelta(seconds=301))
    adapter = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), late)
    with pytest.raises(Unavailable, match="SIGN_ERROR"):
        adapter.query("ord_00000000000000000000000000")
    adapter.close_connections()


def test_the_wrong_merchant_key_or_serial_is_not_served(sandbox: Sandbox, clock: FakeClock) -> None:
    keys = sandbox.keys
    for changed in (
        {"merchant_private_key_pem": keys.platform_private_key_pem},
        {"merchant_serial": keys.platform_serial},
        {"merchant_id": "1900000001"},
    ):
        adapter = WeChatPayV3(pay_config(sandbox.base_url, keys, **changed), clock)
        with pytest.raises(Unavailable, match="SIGN_ERROR"):
            adapter.open(a_payment(sandbox, clock))
        adapter.close_connections()
    assert sandbox.trades() == []


def test_a_wechat_with_other_keys_is_not_believed(
    sandbox: Sandbox, clock: FakeClock, pay: WeChatPayV3
) -> None:
    keys = sandbox.keys
    other = load_private_key(keys.platform_private_key_pem).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    swapped = {keys.public_key_id: pem, keys.platform_serial: keys.platform_certificate_pem}
    adapter = WeChatPayV3(pay_config(sandbox.base_url, keys, wechatpay_keys=swapped), clock)
    with pytest.raises(Unknown, match="answer_signature"):
        adapter.open(a_payment(sandbox, clock))
    adapter.close_connections()


def test_state_survives_a_restart_of_wechat(tmp_path: Path, clock: FakeClock) -> None:
    with running_sandbox(tmp_path, clock=clock, delivery="manual") as first:
        adapter = WeChatPayV3(pay_config(first.base_url, first.keys), clock)
        request = paid(adapter, first, clock)
        adapter.close_connections()
    inbox = Inbox()
    with running_sandbox(tmp_path, clock=clock, delivery="manual", post=inbox.post) as second:
        adapter = WeChatPayV3(pay_config(second.base_url, second.keys), clock)
        assert adapter.query(request.order_id).state is TradeState.SUCCESS
        assert second.deliver() == [(request.order_id, "TRANSACTION.SUCCESS", 204)]
        adapter.close_connections()


# --- set-up ---


def test_constructing_touches_no_network_and_lists_every_fault(clock: FakeClock) -> None:
    keys = sandbox_keys()
    WeChatPayV3(pay_config("http://192.0.2.1:9", keys), clock)  # nobody lives there
    broken = pay_config(
        "http://192.0.2.1:9",
        keys,
        app_id="",
        apiv3_key="short",
        wechatpay_serial="PUB_KEY_ID_OTHER",
        notify_url="https://anxin.example/?a=1",
        merchant_private_key_pem="nonsense",
        wechatpay_keys={
            "ABC": keys.platform_certificate_pem,
            "DEF": keys.public_key_pem,
            "PUB_KEY_ID_1": "nonsense",
        },
    )
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is looked at below
        WeChatPayV3(broken, clock)
    for part in (
        "app_id",
        "APIv3",
        "PUB_KEY_ID_OTHER",
        "notify",
        "private key",
        "ABC",
        "DEF",
        "PUB_KEY_ID_1",
    ):
        assert part in str(refused.value)
    assert "nonsense" not in str(refused.value)


def test_a_configuration_printed_by_mistake_shows_no_secret() -> None:
    keys = sandbox_keys()
    text = repr(pay_config("http://127.0.0.1:9", keys)) + repr(keys)
    for secret in (keys.apiv3_key, keys.app_secret, keys.card_secret, "PRIVATE KEY"):
        assert secret not in text
