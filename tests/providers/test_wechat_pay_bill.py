"""Trade bills: whole or not at all, exact to the fen, and always the same day's and merchant's."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.config import REPOSITORY
from app.domain.clock import SHANGHAI, FakeClock
from app.ports import Bill, BillLine, RefundState, Refused, Unavailable, Unknown
from app.providers.sandbox.bill_format import BillRow, bill_file, decimal
from app.providers.wechat_pay import WeChatPayV3
from app.providers.wechat_pay_bill import BadBill, parse_bill, units, unpacked
from app.providers.wechat_pay_signing import authorization, load_private_key
from tests.providers.adapters import SHORT, a_refund, paid, pay_config
from tests.providers.fault_server import FaultServer, http_answer
from tests.providers.test_wechat_pay_faults import genuine
from tests.sandbox_server import START, Sandbox, sandbox_keys

DAY = date(2026, 11, 23)  # the day every sandbox starts on
MERCHANT = "1900000109"
PUBLISHED = REPOSITORY / "tests" / "data" / "vectors" / "php_bill.ALL.csv"


def next_morning(clock: FakeClock, at: str = "10:00:00") -> None:
    """Move to this time of the day after START's, in Shanghai."""
    moment = datetime.fromisoformat(f"2026-11-24 {at}").replace(tzinfo=SHANGHAI)
    clock.tick(seconds=(moment - clock.now()).total_seconds())


def bill_of(pay: WeChatPayV3, day: date = DAY) -> Bill:
    bill = pay.trade_bill(day)
    assert bill is not None
    return bill


# --- the format ---


def test_the_published_example_adds_up() -> None:
    raw = PUBLISHED.read_bytes()
    assert hashlib.sha1(raw).hexdigest() == "9bb6cd819be348f17a9cbcedddc8eb62fefbd790"
    lines = parse_bill(raw, "1921000401", date(2019, 2, 19))
    payments = [line for line in lines if line.refund_id is None]
    refunds = [line for line in lines if line.refund_id is not None]
    assert (len(payments), sum(line.amount_fen for line in payments)) == (31, 47)
    assert (len(refunds), sum(line.amount_fen for line in refunds)) == (14, 14)
    assert lines[0] == BillLine(
        at=datetime(2019, 2, 18, 21, 1, 46, tzinfo=UTC),
        transaction_id="4200000263201902167700134212",
        order_id="autotest_20190216081946_82335",
        amount_fen=1,
        state="SUCCESS",
        refund_id="REF4200000263201902167700963919",
        wechat_refund_id="50000709672019011908420787722",
    )


# A bill written by hand, with a column of tomorrow, commas inside values, and a fee given back.
BY_HAND = (
    "\ufeff交易时间,公众账号ID,商户号,新列,微信订单号,商户订单号,交易状态,应结订单金额,代金券金额,"
    "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款状态,商品名称,手续费,订单金额,申请退款金额\r\n"
    "`2026-11-23 00:00:00,`wx1,`1900000109,`a,b,`42001,`ord_1,`SUCCESS,`50.00,`0.00,"
    "`0,`0,`0.00,`0.00,`,`a,b`,c,`0.30666,`51.11,`0.00\r\n"
    "`2026-11-23 23:59:59,`wx1,`1900000109,`,`42001,`ord_1,`REFUND,`0.00,`0.00,"
    "`50001,`rfd_1,`1.0,`0.00,`PROCESSING,`,`-0.00600,`0.00,`1\r\n"
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n"
    "`2.0,`50.00,`1.00,`0.0,`0.30,`51.11,`1.00\r\n"
).encode()


def test_columns_are_found_by_name_and_commas_survive() -> None:
    lines = parse_bill(BY_HAND, MERCHANT, DAY)
    assert lines == (
        BillLine(datetime(2026, 11, 22, 16, 0, tzinfo=UTC), "42001", "ord_1", 5111, "SUCCESS"),
        BillLine(
            datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC),
            "42001",
            "ord_1",
            100,
            "PROCESSING",
            "rfd_1",
            "50001",
        ),
    )
    assert parse_bill(BY_HAND.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"), MERCHANT, DAY) == lines


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("`51.11", "`51.12", "sum_ordered"),
        ("`51.11", "`51.111", "amount"),
        ("`51.11", "`51,11", "amount"),
        ("`51.11", "`-51.11", "amount"),
        ("`51.11", "`五十", "amount"),
        ("`51.11", "`5e1", "amount"),
        ("`51.11", "`", "amount"),
        ("`50.00,`0.00,`0", "`50.01,`0.00,`0", "sum_settled"),
        ("`1\r\n", "`1.01\r\n", "sum_refund_asked"),
        ("`1.0,", "`1.1,", "sum_refunded"),
        ("`0.30666", "`0.32000", "sum_fee"),
        ("`0.30666", "`0.306666", "amount"),
        ("`0.00,`PROCESSING", "`0.01,`PROCESSING", "sum_coupon_refunded"),
        ("`2.0", "`3.0", "count"),
        ("`2.0", "`2.5", "count"),
        ("`2.0", "`two", "amount"),
        ("1900000109,`a", "1900000110,`a", "merchant"),
        ("2026-11-23 00", "2026-11-22 00", "day"),
        ("23:59:59", "24:00:00", "day"),
        ("23:59:59", "23:59", "day"),
        ("`REFUND", "`REVOKED", "row"),
        ("`SUCCESS", "`REFUND", "row"),
        ("`rfd_1", "`", "row"),
        ("`ord_1,`SUCCESS", "`" + "x" * 129 + ",`SUCCESS", "row"),
        ("`PROCESSING", "`", "row"),
        ("交易状态", "交易的状态", "columns"),
        ("新列", "交易状态", "columns"),
        ("总交易单数", "交易单数", "columns"),
        ("总交易单数", "`总交易单数", "row"),
        ("`2.0,", "2.0,", "summary_missing"),
        ("`2.0,", "`2.0,`1,", "summary_missing"),
        ("`1.00\r\n", "`1.00\r\nmore\r\n", "after_summary"),
    ],
)
def test_what_does_not_add_up_is_no_bill(old: str, new: str, reason: str) -> None:
    text = BY_HAND.decode()
    assert old in text
    with pytest.raises(BadBill) as bad:
        parse_bill(text.replace(old, new, 1).encode(), MERCHANT, DAY)
    assert bad.value.reason == reason


@pytest.mark.parametrize("raw", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"<html>", b"\xff\xfe", b"`" * 99, b","])
def test_what_is_no_bill_at_all_is_said_so(raw: bytes) -> None:
    with pytest.raises(BadBill):
        parse_bill(raw, MERCHANT, DAY)


def test_a_bill_without_rows_is_a_bill() -> None:
    assert parse_bill(bill_file([]), MERCHANT, DAY) == ()


@pytest.mark.parametrize(
    ("text", "digits", "value"),
    [("0.00", 2, 0), ("1", 2, 100), ("1.5", 2, 150), ("0.0", 2, 0), ("1.50000", 2, 150), ("-0.00001", 5, -1)],
)
def test_a_decimal_text_is_read_exactly(text: str, digits: int, value: int) -> None:
    assert units(text, digits) == value


@given(st.integers(-(10**14), 10**14), st.sampled_from([2, 5]))
def test_every_amount_comes_back_as_it_went(value: int, digits: int) -> None:
    if abs(value) < 10 ** (12 + digits):
        assert units(decimal(value, digits), digits) == value


# --- what our sandbox writes, the adapter reads ---

IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-|*", min_size=6, max_size=32)
NUMBERS = st.integers(1, 10**27).map(str)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="`\r\n"), max_size=40)
TIMES = st.integers(0, 86_399).map(
    lambda second: (datetime(2026, 11, 23) + timedelta(seconds=second)).isoformat(" ")
)
ROWS = st.builds(
    BillRow,
    at=TIMES,
    app_id=st.just("wx1"),
    merchant_id=st.just(MERCHANT),
    transaction_id=NUMBERS,
    order_id=IDS,
    openid=IDS,
    amount_fen=st.integers(1, 5_000_00),
    description=TEXTS,
    attach=TEXTS,
)
REFUNDS = st.builds(
    lambda row, refund_id, number, state: BillRow(
        **{name: getattr(row, name) for name in row.__slots__}
        | {"refund_id": refund_id, "wechat_refund_id": number, "refund_state": state}
    ),
    ROWS,
    IDS,
    NUMBERS,
    st.sampled_from(list(RefundState)).map(str),
)
unhurried = settings(deadline=None, max_examples=100)


@unhurried
@given(st.lists(ROWS | REFUNDS, max_size=12))
def test_what_the_sandbox_writes_the_adapter_reads(rows: list[BillRow]) -> None:
    raw = bill_file(rows)
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == len(rows) + 3
    assert unpacked(gzip.compress(raw), hashlib.sha1(raw).hexdigest()) == raw
    for row, line in zip(rows, parse_bill(raw, MERCHANT, DAY), strict=True):
        shown = (line.transaction_id, line.order_id, line.amount_fen, line.refund_id, line.wechat_refund_id)
        assert shown == (
            row.transaction_id,
            row.order_id,
            row.amount_fen,
            row.refund_id,
            row.wechat_refund_id,
        )
        assert line.at.astimezone(SHANGHAI).replace(tzinfo=None) == datetime.fromisoformat(row.at)
        assert line.state == ("SUCCESS" if row.refund_id is None else row.refund_state)


@unhurried
@given(st.lists(ROWS | REFUNDS, min_size=1, max_size=6), st.data())
def test_a_bill_that_lost_a_line_or_its_end_is_never_read(rows: list[BillRow], data: st.DataObject) -> None:
    lines = bill_file(rows).split(b"\r\n")[:-1]
    lost = data.draw(st.integers(0, len(lines) - 1))
    with pytest.raises(BadBill):
        parse_bill(b"\r\n".join(lines[:lost] + lines[lost + 1 :]), MERCHANT, DAY)
    with pytest.raises(BadBill):
        parse_bill(b"\r\n".join(lines[:lost]), MERCHANT, DAY)


@unhurried
@given(st.binary(max_size=300))
@example(gzip.compress(b""))
@example(gzip.compress(b"x" * 10) + b"more")
def test_any_bytes_are_unpacked_or_turned_away(file: bytes) -> None:
    with pytest.raises(BadBill):
        unpacked(file, "0" * 40)


# --- a day of trades at the sandbox ---


def test_a_days_bill_holds_every_payment_and_refund_of_that_merchant(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    first = paid(pay, sandbox, clock)
    again_id = sandbox.pay_again(first.order_id)
    clock.tick(hours=1)
    closed, other = paid(pay, sandbox, clock, 6010), paid(standby, sandbox, clock, 7000)
    home = pay.refund(a_refund(first, 2000))
    stuck = pay.refund(a_refund(closed))
    next_morning(clock)
    bill = bill_of(pay)
    assert (bill.day, bill.sha1) == (DAY, hashlib.sha1(bill.raw).hexdigest())
    told = pay.query(first.order_id)
    assert bill.lines[:2] == (
        BillLine(START, str(told.transaction_id), first.order_id, 5000, "SUCCESS"),
        BillLine(START, again_id, first.order_id, 5000, "SUCCESS"),
    )
    assert bill.lines[3].at == START + timedelta(hours=1)
    assert [(line.refund_id, line.amount_fen, line.state) for line in bill.lines[2:]] == [
        (None, 6010, "SUCCESS"),
        (home.refund_id, 2000, "SUCCESS"),
        (stuck.refund_id, 6010, "CLOSED"),
    ]
    assert bill.lines[3].wechat_refund_id == home.wechat_refund_id
    assert [line.order_id for line in bill_of(standby).lines] == [other.order_id]


def test_a_bill_is_there_from_ten_the_next_morning_in_shanghai(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    paid(pay, sandbox, clock)
    with pytest.raises(Refused, match="PARAM_ERROR"):  # today's day is not over
        pay.trade_bill(DAY)
    next_morning(clock, "00:00:00")
    for at in ("00:00:01", "09:59:59"):
        next_morning(clock, at)
        with pytest.raises(Unavailable) as later:
            pay.trade_bill(DAY)
        assert later.value.code == "STATEMENT_CREATING"
    next_morning(clock, "10:00:00")
    assert len(bill_of(pay).lines) == 1
    with pytest.raises(Refused, match="PARAM_ERROR"):
        pay.trade_bill(DAY - timedelta(days=120))


def test_midnight_in_shanghai_parts_the_days(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=SHANGHAI)
    clock.tick(seconds=(midnight - clock.now()).total_seconds() - 0.001)
    before = paid(pay, sandbox, clock)
    clock.tick(seconds=0.001)
    after = paid(pay, sandbox, clock)
    clock.tick(hours=34)
    assert [line.order_id for line in bill_of(pay).lines] == [before.order_id]
    assert [line.order_id for line in bill_of(pay, DAY + timedelta(days=1)).lines] == [after.order_id]


def test_a_day_without_trades_has_no_bill(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    paid(pay, sandbox, clock)
    next_morning(clock)
    assert pay.trade_bill(DAY - timedelta(days=1)) is None and pay.trade_bill(DAY) is not None


def test_a_bill_never_changes_once_it_was_served(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    payment = paid(pay, sandbox, clock, 5009)
    refund = pay.refund(a_refund(payment))
    assert refund.state is RefundState.ABNORMAL
    next_morning(clock)
    first = bill_of(pay)
    sandbox.settle_refund(refund.refund_id)
    clock.tick(days=3)
    assert bill_of(pay) == first and first.lines[1].state == "ABNORMAL"
    answer = requests.post(
        sandbox.base_url + "/sandbox/bills/faults",
        json={"day": DAY.isoformat(), "fault": "missing_row"},
        timeout=5,
    )
    assert answer.status_code == 400 and "never changes" in answer.json()["error"]


# --- a bill that is wrong on its face ---


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        ("creating", Unavailable, "STATEMENT_CREATING"),
        ("wrong_hash", Unknown, "bill_sha1"),
        ("wrong_summary", Unknown, "bill_sum_ordered"),
        ("truncated", Unknown, "bill_gzip"),
        ("expired_link", Unavailable, "bill_link"),
    ],
)
def test_a_damaged_bill_is_no_bill_until_it_is_whole(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, fault: str, outcome: type[Exception], code: str
) -> None:
    paid(pay, sandbox, clock)
    next_morning(clock)
    sandbox.bill_fault(DAY, fault)
    for _ in range(2):
        with pytest.raises(outcome) as ended:
            pay.trade_bill(DAY)
        assert ended.value.code == code  # type: ignore[attr-defined]
    sandbox.bill_fault(DAY, "none")
    assert len(bill_of(pay).lines) == 1


@pytest.mark.parametrize("mode", ["refuses", "silent", "lost"])
def test_while_wechat_is_out_there_is_no_bill_and_no_harm(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, mode: str
) -> None:
    paid(pay, sandbox, clock)
    next_morning(clock)
    sandbox.outage("primary", mode)
    with pytest.raises(Unavailable if mode == "refuses" else Unknown):
        pay.trade_bill(DAY)
    sandbox.outage("primary", "none")
    assert len(bill_of(pay).lines) == 1


# --- a bill that is wrong and adds up: only comparing finds it ---


def test_rows_can_be_missing_added_changed_doubled_and_shifted(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    missing, changed, doubled, shifted, kept = (paid(pay, sandbox, clock) for _ in range(5))
    refund = pay.refund(a_refund(kept))
    sandbox.bill_fault(DAY, "missing_row", order_id=missing.order_id)
    sandbox.bill_fault(DAY, "amount_changed", order_id=changed.order_id, amount_fen=4999)
    sandbox.bill_fault(DAY, "duplicate_row", order_id=doubled.order_id)
    sandbox.bill_fault(DAY, "shifted_row", order_id=shifted.order_id)
    sandbox.bill_fault(DAY, "state_changed", refund_id=refund.refund_id, state="PROCESSING")
    extra = sandbox.bill_fault(DAY, "extra_row", amount_fen=8800)
    next_morning(clock)
    clock.tick(days=1)
    lines = bill_of(pay).lines
    payments = {(line.order_id, line.amount_fen) for line in lines if line.refund_id is None}
    assert payments == {
        (changed.order_id, 4999),
        (doubled.order_id, 5000),
        (kept.order_id, 5000),
        (extra["order_id"], 8800),
    }
    assert [line.order_id for line in lines].count(doubled.order_id) == 2
    assert [line.state for line in lines if line.refund_id] == ["PROCESSING"]
    assert [line.transaction_id for line in lines if line.order_id == extra["order_id"]] == [
        extra["transaction_id"]
    ]
    (late,) = bill_of(pay, DAY + timedelta(days=1)).lines
    assert (late.order_id, late.at) == (shifted.order_id, datetime(2026, 11, 23, 16, tzinfo=UTC))


def test_a_fault_stays_with_its_merchant_and_can_be_taken_back(
    pay: WeChatPayV3, standby: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    paid(pay, sandbox, clock)
    paid(standby, sandbox, clock)
    sandbox.bill_fault(DAY, "missing_row", merchant="standby")
    sandbox.bill_fault(DAY, "missing_row")
    sandbox.bill_fault(DAY, "none")
    next_morning(clock)
    assert len(bill_of(pay).lines) == 1 and standby.trade_bill(DAY) is None


@pytest.mark.parametrize(
    "told",
    [
        {"day": "yesterday", "fault": "creating"},
        {"day": "2026-11-23", "fault": "no such fault"},
        {"day": "2026-11-23", "fault": "missing_row", "order_id": "ord_of_nobody"},
        {"day": "2026-11-23", "fault": "missing_row", "refund_id": "rfd_of_nobody"},
        {"day": "2026-11-23", "fault": "extra_row", "amount_fen": 0},
        {"day": "2026-11-23", "fault": "state_changed"},
        {"day": "2026-11-23", "fault": "creating", "merchant": "third"},
    ],
)
def test_a_fault_that_makes_no_sense_is_said_so(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, told: dict[str, object]
) -> None:
    paid(pay, sandbox, clock)
    answer = requests.post(sandbox.base_url + "/sandbox/bills/faults", json=told, timeout=5)
    assert answer.status_code == 400 and answer.json()["error"]


# --- the link ---


def signed_get(sandbox: Sandbox, clock: FakeClock, target: str, nonce: str, standby: bool = False) -> bytes:
    """A signed GET by hand; the answer's body, whatever the status."""
    keys = sandbox.keys.standby if standby else sandbox.keys
    header = authorization(
        load_private_key(keys.merchant_private_key_pem),
        keys.merchant_id,
        keys.merchant_serial,
        method="GET",
        target=target,
        timestamp=int(clock.now().timestamp()),
        nonce=nonce,
        body=b"",
    )
    headers = {"Authorization": header, "Accept": "application/json", "User-Agent": "t"}
    return requests.get(sandbox.base_url + target, headers=headers, timeout=5).content


def test_a_link_lives_five_minutes_for_its_own_merchant_only(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock
) -> None:
    paid(pay, sandbox, clock)
    next_morning(clock)
    told = json.loads(signed_get(sandbox, clock, "/v3/bill/tradebill?bill_date=2026-11-23", "n1"))
    target = told["download_url"].removeprefix(sandbox.base_url)
    plain = signed_get(sandbox, clock, target, "n2")  # without tar_type the file is not packed
    assert hashlib.sha1(plain).hexdigest() == told["hash_value"] and plain == bill_of(pay).raw
    assert requests.get(told["download_url"], timeout=5).status_code == 401
    assert json.loads(signed_get(sandbox, clock, target, "n3", standby=True))["code"] == "INVALID_REQUEST"
    clock.tick(seconds=299)
    assert signed_get(sandbox, clock, target, "n4") == plain
    clock.tick(seconds=1)
    assert json.loads(signed_get(sandbox, clock, target, "n5"))["code"] == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "query",
    [
        "bill_type=ALL",
        "bill_date=23.11.2026",
        "bill_date=2026-11-23&bill_type=X",
        "bill_date=2026-11-23&tar_type=ZIP",
    ],
)
def test_a_question_that_wechat_does_not_understand_is_a_parameter_error(
    sandbox: Sandbox, clock: FakeClock, query: str
) -> None:
    next_morning(clock)
    answer = json.loads(signed_get(sandbox, clock, f"/v3/bill/tradebill?{query}", "n1"))
    assert answer["code"] == "PARAM_ERROR"


def linked(url: str, sha1: str = "0" * 40, hash_type: str = "SHA1") -> bytes:
    return genuine(json.dumps({"hash_type": hash_type, "hash_value": sha1, "download_url": url}).encode())


def test_what_we_sign_goes_nowhere_but_to_the_configured_address(
    fault_server: FaultServer, clock: FakeClock
) -> None:
    pay = WeChatPayV3(pay_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    raw = bill_file([])
    file = http_answer(200, gzip.compress(raw))
    link = linked("https://elsewhere.example/v3/billdownload/file?token=a%2Bb", hashlib.sha1(raw).hexdigest())
    fault_server.then = lambda request: link if b"tradebill" in request else file
    assert bill_of(pay).lines == ()
    assert fault_server.requests[1].startswith(b"GET /v3/billdownload/file?token=a%2Bb HTTP/1.1")
    pay.close_connections()


@pytest.mark.parametrize(
    "answer",
    [
        linked("https://elsewhere.example/v3/pay/transactions/jsapi"),
        linked("ftp://elsewhere.example/v3/billdownload/file"),
        linked("https://elsewhere.example/v3/billdownload/file?x=\\n"[:-2] + "a b"),
        linked("https://elsewhere.example/v3/billdownload/file", "short"),
        linked("https://elsewhere.example/v3/billdownload/file", hash_type="MD5"),
        genuine(b"{}"),
    ],
)
def test_a_link_that_is_none_is_not_followed(
    fault_server: FaultServer, clock: FakeClock, answer: bytes
) -> None:
    pay = WeChatPayV3(pay_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    fault_server.then = answer
    with pytest.raises(Unknown, match="answer_shape"):
        pay.trade_bill(DAY)
    assert len(fault_server.requests) == 1
    pay.close_connections()


@pytest.mark.parametrize("then", ["reset", "close", "hang", "half", "drip"])
def test_a_download_that_breaks_is_unknown(fault_server: FaultServer, clock: FakeClock, then: str) -> None:
    config = pay_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT, file_timeouts=SHORT)
    pay = WeChatPayV3(config, clock)
    link = linked("https://elsewhere.example/v3/billdownload/file?token=1")

    def answer(request: bytes) -> bytes:
        fault_server.then = then
        return link

    fault_server.then = answer
    with pytest.raises(Unknown, match="no_answer"):
        pay.trade_bill(DAY)
    assert len(fault_server.requests) == 2
    pay.close_connections()


# --- large ---

MEASURE = """
import re, sys, time
from datetime import date
from pathlib import Path
from app.providers.wechat_pay_bill import parse_bill, unpacked
file, start = Path(sys.argv[1]).read_bytes(), time.process_time()
raw = unpacked(file, sys.argv[2])
lines = parse_bill(raw, "1900000109", date(2026, 11, 23))
seconds = time.process_time() - start
peak_kib = re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace(chr(9), " "))[1]
print(len(lines), peak_kib, seconds)
"""


@pytest.mark.slow
def test_a_hundred_thousand_rows_fit_in_two_hundred_megabytes(tmp_path: Path) -> None:
    rows = (
        BillRow(
            at=f"2026-11-23 {n % 24:02d}:{n % 60:02d}:{n % 59:02d}",
            app_id="wx8397f8696b538317",
            merchant_id=MERCHANT,
            transaction_id=f"42000{n:023d}",
            order_id=f"ord_{n:026d}",
            openid=f"o{n:027d}",
            amount_fen=5000 + n % 4000,
            description="羊城通充值",
            attach="",
        )
        for n in range(100_000)
    )
    raw = bill_file(rows)
    path = tmp_path / "bill.gz"
    path.write_bytes(gzip.compress(raw, 1))
    command = [sys.executable, "-c", MEASURE, str(path), hashlib.sha1(raw).hexdigest()]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
    count, peak_kib, seconds = done.stdout.split()
    assert int(count) == 100_000 and int(peak_kib) < 200 * 1024, done.stdout
    assert float(seconds) < 20, done.stdout  # a second or two on a free core
