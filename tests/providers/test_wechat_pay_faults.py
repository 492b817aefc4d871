"""When the network breaks: certainly not sent is Unavailable, perhaps sent is Unknown. Never a no."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.domain.clock import FakeClock
from app.ports import BatchLine, OutsideError, PaymentRequest, RefundRequest, Refused, Unavailable, Unknown
from app.providers.card_system_gateway import CardSystemGateway
from app.providers.http import LARGEST_ANSWER_BYTES, Timeouts
from app.providers.wechat_pay import WeChatPayV3
from app.providers.wechat_pay_signing import answer_message, load_private_key, sign
from tests.providers.adapters import SHORT, gateway_config, pay_config
from tests.providers.fault_server import FaultServer, closed_port, http_answer
from tests.sandbox_server import START, Sandbox, sandbox_keys

ORDER = "ord_01JD0000000000000000000000"
PAYMENT = PaymentRequest(ORDER, 5000, "x", "o-openid", START.replace(hour=3))
REFUND = RefundRequest("rfd_1", ORDER, 5000, 5000, "x")

PAY_CALLS: dict[str, Callable[[WeChatPayV3], Any]] = {
    "open": lambda pay: pay.open(PAYMENT),
    "query": lambda pay: pay.query(ORDER),
    "close": lambda pay: pay.close(ORDER),
    "refund": lambda pay: pay.refund(REFUND),
    "query_refund": lambda pay: pay.query_refund("rfd_1"),
    "trade_bill": lambda pay: pay.trade_bill(START.date()),
}
CARD_CALLS: dict[str, Callable[[CardSystemGateway], Any]] = {
    "find": lambda cards: cards.find("3104870300000000001"),
    "credit": lambda cards: cards.credit(ORDER, "3104870300000000001", 5000),
    "query": lambda cards: cards.query(ORDER),
    "submit_batch": lambda cards: cards.submit_batch("bat_1", [BatchLine(ORDER, "3104", 5000)]),
    "batch_result": lambda cards: cards.batch_result("bat_1"),
    "credits_of": lambda cards: cards.credits_of(START.date()),
}


@pytest.fixture
def pay(fault_server: FaultServer, clock: FakeClock) -> Iterator[WeChatPayV3]:
    adapter = WeChatPayV3(pay_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    yield adapter
    adapter.close_connections()


@pytest.fixture
def cards(fault_server: FaultServer, clock: FakeClock) -> Iterator[CardSystemGateway]:
    config = gateway_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT, file_timeouts=SHORT)
    adapter = CardSystemGateway(config, clock)
    yield adapter
    adapter.close_connections()


def outcome_of(call: Callable[[Any], Any], adapter: object) -> OutsideError:
    with pytest.raises(OutsideError) as ended:
        call(adapter)
    return ended.value


BROKEN = ["reset", "close", "hang", "half", "drip"]


@pytest.mark.parametrize("then", BROKEN)
@pytest.mark.parametrize("call", sorted(PAY_CALLS))
def test_a_payment_call_that_breaks_after_sending_is_unknown(
    pay: WeChatPayV3, fault_server: FaultServer, call: str, then: str
) -> None:
    fault_server.then = then
    ended = outcome_of(PAY_CALLS[call], pay)
    assert type(ended) is Unknown and ended.code == "no_answer"
    assert len(fault_server.requests) == 1  # and nothing was sent twice behind our back


@pytest.mark.parametrize("then", BROKEN)
@pytest.mark.parametrize("call", sorted(CARD_CALLS))
def test_a_card_call_that_breaks_after_sending_is_unknown(
    cards: CardSystemGateway, fault_server: FaultServer, call: str, then: str
) -> None:
    fault_server.then = then
    ended = outcome_of(CARD_CALLS[call], cards)
    assert type(ended) is Unknown and ended.code == "no_answer"
    assert len(fault_server.requests) == 1


@pytest.mark.parametrize("address", ["closed port", "http://no-such-host.invalid"])
def test_what_could_not_be_sent_is_unavailable(clock: FakeClock, address: str) -> None:
    base_url = closed_port() if address == "closed port" else address
    pay = WeChatPayV3(pay_config(base_url, sandbox_keys(), timeouts=SHORT), clock)
    cards = CardSystemGateway(gateway_config(base_url, sandbox_keys(), timeouts=SHORT), clock)
    for call in PAY_CALLS.values():
        assert type(outcome_of(call, pay)) is Unavailable
    for card_call in CARD_CALLS.values():
        assert type(outcome_of(card_call, cards)) is Unavailable


def test_when_the_first_address_cannot_be_reached_the_standby_serves(
    sandbox: Sandbox, clock: FakeClock
) -> None:
    config = pay_config(closed_port(), sandbox.keys, standby_url=sandbox.base_url)
    pay = WeChatPayV3(config, clock)
    assert pay.query_refund("rfd_1") is None
    pay.close_connections()


def test_an_address_that_was_sent_to_is_never_followed_by_the_standby(
    sandbox: Sandbox, fault_server: FaultServer, clock: FakeClock
) -> None:
    config = pay_config(fault_server.base_url, sandbox.keys, standby_url=sandbox.base_url, timeouts=SHORT)
    pay = WeChatPayV3(config, clock)
    assert type(outcome_of(PAY_CALLS["query_refund"], pay)) is Unknown
    pay.close_connections()


def genuine(body: bytes, status: int = 200, **changed: str) -> bytes:
    """An answer WeChat could have signed."""
    keys, timestamp = sandbox_keys(), str(int(START.timestamp()))
    key = load_private_key(keys.public_key_private_key_pem)
    headers = {
        "Wechatpay_Timestamp": timestamp,
        "Wechatpay_Nonce": "nonce",
        "Wechatpay_Serial": keys.public_key_id,
        "Wechatpay_Signature": sign(key, answer_message(timestamp, "nonce", body)),
    }
    return http_answer(status, body, **(headers | changed))


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (http_answer(200, b'{"prepay_id":"wx1"}'), Unknown, "answer_header_missing"),
        (genuine(b'{"prepay_id":"wx1"}', Wechatpay_Signature="AAAA"), Unknown, "answer_signature"),
        (genuine(b'{"prepay_id":"wx1"}', Wechatpay_Timestamp="1"), Unknown, "answer_stale"),
        (genuine(b'{"prepay_id":""}'), Unknown, "answer_shape"),
        (genuine(b"<html>"), Unknown, "answer_shape"),
        (genuine(b""), Unknown, "answer_shape"),
        (genuine(b'{"prepay_id":"wx1"}', 202), Unknown, "http_202"),
        (http_answer(302, b"", Location="http://127.0.0.1:9/"), Unknown, "http_302"),
        (http_answer(200, b" " * (LARGEST_ANSWER_BYTES + 1)), Unknown, "no_answer"),
        (http_answer(500, b'{"code":"ORDER_PAID","message":""}'), Unknown, "ORDER_PAID"),
        (http_answer(502, b"<html>bad gateway</html>"), Unknown, "http_502"),
        (http_answer(403, b"<html>a proxy says no</html>"), Unknown, "http_403"),
        (http_answer(404, b'{"message":"no code"}'), Unknown, "http_404"),
        (http_answer(400, b'{"code":"SOMETHING_NEW","message":""}'), Unknown, "SOMETHING_NEW"),
        (http_answer(429, b'{"code":"SOMETHING_NEW","message":""}'), Unavailable, "SOMETHING_NEW"),
        (http_answer(429, b""), Unavailable, "http_429"),
        (http_answer(403, b'{"code":"NO_AUTH","message":""}'), Refused, "NO_AUTH"),
        (http_answer(403, b'{"code":"ACCOUNT_ERROR","message":""}'), Refused, "ACCOUNT_ERROR"),
        (genuine(b'{"code":"NO_AUTH","message":""}', 403), Refused, "NO_AUTH"),
        (
            genuine(b'{"code":"NO_AUTH","message":""}', 403, Wechatpay_Signature="AAAA"),
            Unknown,
            "answer_signature",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "answer"),
)
def test_what_an_answer_means_for_opening_a_payment(
    pay: WeChatPayV3,
    fault_server: FaultServer,
    answer: bytes,
    outcome: type[OutsideError],
    code: str,
) -> None:
    fault_server.then = answer
    ended = outcome_of(PAY_CALLS["open"], pay)
    assert (type(ended), ended.code) == (outcome, code)


def test_an_empty_answer_is_signed_too(pay: WeChatPayV3, fault_server: FaultServer) -> None:
    fault_server.then = genuine(b"", 204)
    pay.close(ORDER)
    fault_server.then = http_answer(204, b"")
    assert outcome_of(PAY_CALLS["close"], pay).code == "answer_header_missing"
    fault_server.then = genuine(b"", 204, Wechatpay_Nonce="another")
    assert outcome_of(PAY_CALLS["close"], pay).code == "answer_signature"


def test_a_genuine_answer_about_something_else_is_unknown(
    pay: WeChatPayV3, fault_server: FaultServer
) -> None:
    keys = sandbox_keys()
    other = f'{{"mchid":"{keys.merchant_id}","out_trade_no":"ord_other","trade_state":"SUCCESS"}}'
    fault_server.then = genuine(other.encode())
    assert outcome_of(PAY_CALLS["query"], pay).code == "answer_mismatch"
    fault_server.then = genuine(
        f'{{"mchid":"{keys.merchant_id}","out_trade_no":"{ORDER}","trade_state":"NEW_STATE"}}'.encode()
    )
    assert outcome_of(PAY_CALLS["query"], pay).code == "answer_mismatch"
    fault_server.then = genuine(
        b'{"refund_id":"50","out_refund_no":"rfd_1","out_trade_no":"ord_other","status":"SUCCESS",'
        b'"amount":{"refund":5000,"total":5000}}'
    )
    assert outcome_of(PAY_CALLS["refund"], pay).code == "answer_mismatch"


def test_empty_members_of_an_unpaid_trade_are_nothing(pay: WeChatPayV3, fault_server: FaultServer) -> None:
    fault_server.then = genuine(
        f'{{"mchid":"{sandbox_keys().merchant_id}","out_trade_no":"{ORDER}","trade_state":"NOTPAY",'
        '"transaction_id":"","success_time":"","attach":"","payer":{"openid":""},'
        '"amount":{"total":5000}}'.encode()
    )
    told = pay.query(ORDER)
    assert (told.transaction_id, told.paid_at, told.payer_openid, told.amount_fen) == (None, None, None, 5000)


def test_an_order_id_cannot_leave_its_place_in_the_address(
    pay: WeChatPayV3, fault_server: FaultServer
) -> None:
    outcome_of(lambda adapter: adapter.query("X/close?mchid=9&"), pay)
    first_line = fault_server.requests[0].split(b"\r\n")[0].decode()
    mchid = sandbox_keys().merchant_id
    assert first_line == (
        f"GET /v3/pay/transactions/out-trade-no/X%2Fclose%3Fmchid%3D9%26?mchid={mchid} HTTP/1.1"
    )
    for bad in ("", ".", ".."):
        with pytest.raises(ValueError, match="path"):
            pay.query(bad)


def test_a_request_carries_what_wechat_demands_and_no_more(
    pay: WeChatPayV3, fault_server: FaultServer
) -> None:
    outcome_of(PAY_CALLS["open"], pay)
    head, _, body = fault_server.requests[0].partition(b"\r\n\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names == {
        b"host",
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"connection",
        b"content-length",
        b"content-type",
        b"user-agent",
        b"wechatpay-serial",
    }
    keys = sandbox_keys()
    assert body.decode() == (
        f'{{"appid":"{keys.app_id}","mchid":"{keys.merchant_id}","description":"x",'
        f'"out_trade_no":"{ORDER}","time_expire":"2026-11-23T11:00:00+08:00",'
        '"notify_url":"https://anxin.example/api/v1/callbacks/wechat-pay",'
        '"amount":{"total":5000,"currency":"CNY"},"payer":{"openid":"o-openid"}}'
    )


def test_a_proxy_of_the_environment_is_not_used(
    pay: WeChatPayV3, fault_server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    monkeypatch.setenv("http_proxy", closed_port())
    assert type(outcome_of(PAY_CALLS["query"], pay)) is Unknown and len(fault_server.requests) == 1


def test_an_address_that_is_none_is_refused_at_once(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="address"):
        WeChatPayV3(pay_config("ftp://example", sandbox_keys()), clock)


def test_a_server_that_cannot_be_reached_in_time_was_not_sent_to(clock: FakeClock) -> None:
    # A listener whose queue is full answers no further connection: connecting itself times out.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            timeouts = Timeouts(connect_seconds=0.3, read_seconds=0.3)
            config = pay_config(f"http://127.0.0.1:{address[1]}", sandbox_keys(), timeouts=timeouts)
            assert type(outcome_of(PAY_CALLS["refund"], WeChatPayV3(config, clock))) is Unavailable
        finally:
            for one in waiting:
                one.close()
