"""Notices: what is WeChat's gets in, and nothing else does, whatever it looks like."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.clock import FakeClock
from app.ports import Notice, NoticeRejected, RefundState, TradeState
from app.providers.sandbox.faults import FAULTS
from app.providers.wechat_pay import LARGEST_NOTICE_BYTES, WeChatPayV3
from app.providers.wechat_pay_signing import SCHEMA, answer_message, load_private_key, seal, sign
from tests.providers.adapters import a_payment, a_refund, paid, pay_config
from tests.providers.conftest import Inbox
from tests.sandbox_server import START, Sandbox, sandbox_keys

unhurried = settings(deadline=None, max_examples=150)


def read(pay: WeChatPayV3, clock: FakeClock, inbox: Inbox, index: int = -1) -> Notice:
    url, headers, body = inbox.received[index]
    assert url == "https://anxin.example/api/v1/callbacks/wechat-pay"
    return pay.read_notice(headers, body, clock.now())


# --- genuine ones ---


def test_a_payment_notice_says_who_paid_what_for_which_order(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = paid(pay, sandbox, clock)
    notice = read(pay, clock, inbox)
    assert (notice.event_type, notice.currency) == ("TRANSACTION.SUCCESS", "CNY")
    assert (notice.merchant_id, notice.app_id) == (sandbox.keys.merchant_id, sandbox.keys.app_id)
    assert notice.refund is None and notice.payment == pay.query(request.order_id)


def test_a_refund_notice_says_what_went_home(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = paid(pay, sandbox, clock)
    refund = pay.refund(a_refund(request))
    notice = read(pay, clock, inbox)
    assert (notice.event_type, notice.app_id, notice.currency) == ("REFUND.SUCCESS", None, "CNY")
    assert notice.payment is None and notice.refund == refund


@pytest.mark.parametrize(
    ("amount_fen", "event", "state"),
    [
        (5009, "REFUND.ABNORMAL", RefundState.ABNORMAL),
        (5010, "REFUND.CLOSED", RefundState.CLOSED),
    ],
)
def test_a_refund_that_got_stuck_is_told_too(
    pay: WeChatPayV3,
    sandbox: Sandbox,
    clock: FakeClock,
    inbox: Inbox,
    amount_fen: int,
    event: str,
    state: RefundState,
) -> None:
    pay.refund(a_refund(paid(pay, sandbox, clock, amount_fen)))
    notice = read(pay, clock, inbox)
    assert notice.event_type == event and notice.refund is not None and notice.refund.state is state


def test_both_kinds_of_key_sign_side_by_side(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    for _ in range(4):
        paid(pay, sandbox, clock)
    serials = [headers["Wechatpay-Serial"] for _url, headers, _body in inbox.received]
    assert set(serials) == {sandbox.keys.public_key_id, sandbox.keys.platform_serial}
    assert len({read(pay, clock, inbox, index).id for index in range(4)}) == 4


def test_header_names_may_come_in_any_spelling(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    paid(pay, sandbox, clock)
    _url, headers, body = inbox.received[0]
    lower = {name.lower(): value for name, value in headers.items()}
    upper = {name.upper(): value for name, value in headers.items()}
    assert pay.read_notice(lower, body, clock.now()) == pay.read_notice(upper, body, clock.now())


def test_a_notice_without_a_signature_type_is_the_default_scheme(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    paid(pay, sandbox, clock)
    _url, headers, body = inbox.received[0]
    del headers["Wechatpay-Signature-Type"]
    assert pay.read_notice(headers, body, clock.now()).payment is not None


def test_the_window_can_be_set(sandbox: Sandbox, clock: FakeClock, inbox: Inbox) -> None:
    pay = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys, notice_window_seconds=900), clock)
    paid(pay, sandbox, clock)
    _url, headers, body = inbox.received[0]
    assert pay.read_notice(headers, body, clock.now() + timedelta(seconds=900)).payment is not None
    with pytest.raises(NoticeRejected, match="stale"):
        pay.read_notice(headers, body, clock.now() + timedelta(seconds=901))
    pay.close_connections()


# --- what only the order's books can judge gets through the adapter unchanged ---


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("wrong_amount", lambda notice: notice.payment.amount_fen == 1),
        ("wrong_currency", lambda notice: notice.currency == "HKD"),
        ("wrong_merchant", lambda notice: notice.merchant_id == "1900000001"),
        ("wrong_app", lambda notice: notice.app_id == "wx0000000000000000"),
        ("unknown_order", lambda notice: notice.payment.order_id == "ord_00000000000000000000000000"),
        ("none", lambda notice: notice.payment.state is TradeState.SUCCESS),
    ],
)
def test_genuine_notices_carry_what_the_flow_must_check(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox, fault: str, seen: Any
) -> None:
    sandbox.send_notice(paid(pay, sandbox, clock).order_id, fault)
    assert seen(read(pay, clock, inbox))


@pytest.mark.parametrize(
    ("amount_fen", "seen"),
    [
        (5007, lambda notice: notice.payment.amount_fen == 5006),
        (5018, lambda notice: notice.merchant_id == "1900000001"),
        (5020, lambda notice: notice.currency == "HKD"),
    ],
)
def test_magic_amounts_bend_the_notice_and_not_the_trade(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox, amount_fen: int, seen: Any
) -> None:
    request = paid(pay, sandbox, clock, amount_fen)
    assert seen(read(pay, clock, inbox))
    assert pay.query(request.order_id).amount_fen == amount_fen


# --- everything else stays out ---

REASONS = {
    "forged": "signature",
    "unknown_serial": "serial_unknown",
    "probe": "probe",
    "stale": "stale",
    "future": "stale",
    "tampered": "signature",
    "truncated": "json",
    "not_json": "json",
    "wrong_key": "decrypt",
    "unsigned": "header_missing",
    "unknown_event": "event_type",
    "no_amount": "shape",
}


@pytest.mark.parametrize("fault", sorted(REASONS))
def test_a_faulty_notice_is_rejected_with_its_reason(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox, fault: str
) -> None:
    request = a_payment(sandbox, clock)
    pay.open(request)  # not even paid: a forger would not mind
    sandbox.send_notice(request.order_id, fault)
    with pytest.raises(NoticeRejected) as rejected:
        read(pay, clock, inbox)
    assert rejected.value.reason == REASONS[fault]


def test_every_fault_the_sandbox_can_send_is_looked_at_here() -> None:
    passing = {
        "wrong_amount",
        "wrong_currency",
        "wrong_merchant",
        "wrong_app",
        "unknown_order",
        "none",
        "replay",
    }
    assert set(FAULTS) == set(REASONS) | passing


def test_a_replay_is_genuine_for_five_minutes_and_then_stale(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = paid(pay, sandbox, clock)
    sandbox.send_notice(request.order_id, "replay")
    assert inbox.received[0] == inbox.received[1]
    assert read(pay, clock, inbox, 0) == read(pay, clock, inbox, 1)  # the same id: the flow's inbox drops it
    clock.tick(seconds=301)
    sandbox.send_notice(request.order_id, "replay")
    with pytest.raises(NoticeRejected, match="stale"):
        read(pay, clock, inbox)


def test_a_retry_hours_later_is_signed_afresh_and_passes(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    inbox.statuses = [500, None]
    paid(pay, sandbox, clock)
    clock.tick(seconds=15)
    sandbox.deliver()
    clock.tick(hours=3)
    sandbox.deliver()
    assert len(inbox.received) == 3
    assert read(pay, clock, inbox).payment is not None


def test_an_oversized_body_is_not_even_hashed(pay: WeChatPayV3, clock: FakeClock) -> None:
    with pytest.raises(NoticeRejected, match="too_large"):
        pay.read_notice({}, b" " * (LARGEST_NOTICE_BYTES + 1), clock.now())
    with pytest.raises(NoticeRejected, match="header_missing"):
        pay.read_notice({}, b" " * LARGEST_NOTICE_BYTES, clock.now())


# --- whatever arrives, the answer is a Notice or NoticeRejected ---


@cache
def adapter() -> WeChatPayV3:
    return WeChatPayV3(pay_config("http://127.0.0.1:9", sandbox_keys()), FakeClock(START))


def verdict(headers: dict[str, str], body: bytes) -> str:
    """The reason of the rejection, or "taken". Any other exception fails the test."""
    try:
        adapter().read_notice(headers, body, START)
    except NoticeRejected as rejected:
        return rejected.reason
    return "taken"


def signed(body: bytes) -> dict[str, str]:
    timestamp = str(int(START.timestamp()))
    key = load_private_key(sandbox_keys().public_key_private_key_pem)
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": "nonce",
        "Wechatpay-Serial": sandbox_keys().public_key_id,
        "Wechatpay-Signature-Type": SCHEMA,
        "Wechatpay-Signature": sign(key, answer_message(timestamp, "nonce", body)),
    }


def enveloped(plaintext: bytes, event_type: str = "TRANSACTION.SUCCESS") -> bytes:
    sealed = seal(sandbox_keys().apiv3_key.encode(), plaintext, "abcdefghijkl", "transaction")
    resource = {
        name: getattr(sealed, name) for name in ("algorithm", "nonce", "ciphertext", "associated_data")
    }
    return json.dumps({"id": "n", "event_type": event_type, "resource": resource}).encode()


NAMES = st.sampled_from(
    [f"Wechatpay-{name}" for name in ("Timestamp", "Nonce", "Serial", "Signature", "Signature-Type")]
)
ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates too
VALUES = st.one_of(
    ANY_TEXT,
    st.just(sandbox_keys().public_key_id),
    st.just(str(int(START.timestamp()))),
    st.text("0123456789", max_size=6000),
    st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@unhurried
@given(headers=st.dictionaries(NAMES | ANY_TEXT, VALUES, max_size=7), body=st.binary(max_size=200))
def test_any_headers_and_any_bytes_are_rejected_quietly(headers: dict[str, str], body: bytes) -> None:
    assert verdict(headers, body) != "taken"


@unhurried
@given(body=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
@example(body=b"[" * 60_000)
@example(body=b'{"id":' + b"9" * 5000 + b"}")
@example(body=b'{"id":"\\ud800","event_type":"x","resource":{}}')
def test_any_genuinely_signed_bytes_are_rejected_quietly(body: bytes) -> None:
    assert verdict(signed(body), body) == "json"


PAYMENT: dict[str, Any] = {
    "mchid": "1",
    "appid": "wx1",
    "out_trade_no": "ord_1",
    "transaction_id": "42",
    "trade_state": "SUCCESS",
    "success_time": "2026-11-23T10:00:00+08:00",
    "payer": {"openid": "o"},
    "amount": {"total": 5000, "currency": "CNY"},
}


@unhurried
@given(plaintext=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_genuinely_sealed_bytes_are_rejected_quietly(plaintext: bytes) -> None:
    body = enveloped(plaintext)
    assert verdict(signed(body), body) == "shape"


@unhurried
@given(name=st.sampled_from(sorted(PAYMENT)), value=JSON)
def test_a_payment_with_one_member_replaced_is_taken_or_rejected(name: str, value: Any) -> None:
    body = enveloped(json.dumps(PAYMENT | {name: value}).encode())
    assert verdict(signed(body), body) in ("taken", "shape")


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": {"total": "5000", "currency": "CNY"}},
        {"amount": {"total": 5000.0, "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": {"total": -1, "currency": "CNY"}},
        {"amount": {"total": 10**30, "currency": "CNY"}},
        {"trade_state": "NOTPAY"},
        {"trade_state": "REFUND"},
        {"transaction_id": ""},
        {"mchid": None},
        {"success_time": "yesterday"},
        {"success_time": "2026-11-23T10:00:00"},
        {"out_trade_no": "x" * 200},
    ],
)
def test_money_is_an_integer_and_a_payment_notice_is_complete(changed: dict[str, Any]) -> None:
    body = enveloped(json.dumps(PAYMENT | changed).encode())
    assert verdict(signed(body), body) == "shape"


def test_an_event_and_its_content_must_agree() -> None:
    told = {
        "mchid": "1",
        "refund_id": "50",
        "out_refund_no": "rfd_1",
        "out_trade_no": "ord_1",
        "refund_status": "SUCCESS",
        "amount": {"refund": 1, "total": 1},
    }
    for event, reason in (
        ("REFUND.SUCCESS", "taken"),
        ("REFUND.CLOSED", "shape"),
        ("REFUND.X", "event_type"),
    ):
        body = enveloped(json.dumps(told).encode(), event)
        assert verdict(signed(body), body) == reason
