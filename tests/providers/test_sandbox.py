"""The sandbox itself: as strict as the real ones, honest about retries, and hard to kill."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from wechatpayv3 import WeChatPay as OtherClient
from wechatpayv3 import WeChatPayType

from app.domain.clock import FakeClock, SystemClock
from app.ports import PaymentRequest, TradeState
from app.providers.sandbox.keys import KEYS_FILE, load_or_create_keys
from app.providers.sandbox.notices import RETRY_SECONDS
from app.providers.wechat_pay import WeChatPayV3
from app.providers.wechat_pay_signing import authorization, load_private_key
from tests.providers.adapters import NOTIFY_URL, a_payment, a_refund, paid, pay_config
from tests.providers.conftest import Inbox
from tests.sandbox_server import Sandbox, running_sandbox, sandbox_keys

GOOD_CARD = "3104870300000000001"
REPOSITORY = Path(__file__).parent.parent.parent


# --- strictness ---


def call(sandbox: Sandbox, clock: FakeClock, **changes: Any) -> requests.Response:
    """A close request, signed by hand; `changes` bend one part of it."""
    keys = sandbox.keys
    target = "/v3/pay/transactions/out-trade-no/ord_000001/close"
    body = json.dumps({"mchid": keys.merchant_id}).encode()
    signed = {
        "method": "POST",
        "target": target,
        "timestamp": int(clock.now().timestamp()),
        "nonce": "abc123",
        "body": body,
    } | changes.pop("signed", {})
    header = authorization(
        load_private_key(keys.merchant_private_key_pem), keys.merchant_id, keys.merchant_serial, **signed
    )
    headers = {
        "Authorization": header,
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "test",
    } | changes.pop("headers", {})
    return requests.post(
        sandbox.base_url + target, data=changes.pop("sent", body), headers=headers, timeout=5
    )


def test_a_request_signed_by_hand_is_served_and_a_replay_is_not(sandbox: Sandbox, clock: FakeClock) -> None:
    assert call(sandbox, clock).json()["code"] == "ORDER_NOT_EXIST"
    again = call(sandbox, clock)
    assert (again.status_code, again.json()["code"]) == (401, "SIGN_ERROR")


@pytest.mark.parametrize(
    "changes",
    [
        {"sent": b'{"mchid":"1"}'},
        {"signed": {"method": "GET"}},
        {"signed": {"target": "/v3/pay/transactions/out-trade-no/ord_000002/close"}},
        {"signed": {"timestamp": 1}},
        {"signed": {"nonce": ""}},
        {"headers": {"Authorization": ""}},
        {"headers": {"Authorization": "WECHATPAY2-SHA256-RSA2048 mchid=1"}},
        {"headers": {"Authorization": "Bearer x"}},
    ],
)
def test_a_badly_signed_request_is_a_sign_error(
    sandbox: Sandbox, clock: FakeClock, changes: dict[str, Any]
) -> None:
    answer = call(sandbox, clock, **changes)
    assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"User-Agent": ""},
        {"Wechatpay-Serial": "PUB_KEY_ID_OF_NOBODY"},
        {"Content-Type": "text/plain"},
    ],
)
def test_missing_or_wrong_headers_are_a_parameter_error(
    sandbox: Sandbox, clock: FakeClock, headers: dict[str, str]
) -> None:
    answer = call(sandbox, clock, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")


def prepay(sandbox: Sandbox, clock: FakeClock, nonce: str, **changes: Any) -> requests.Response:
    """POST jsapi with a body bent as told (None removes a member)."""
    keys = sandbox.keys
    body: dict[str, Any] = {
        "appid": keys.app_id,
        "mchid": keys.merchant_id,
        "description": "x",
        "out_trade_no": "ord_000001",
        "notify_url": NOTIFY_URL,
        "amount": {"total": 5000, "currency": "CNY"},
        "payer": {"openid": sandbox.openid("amy")},
    } | changes
    raw = json.dumps({name: value for name, value in body.items() if value != "absent"}).encode()
    target = "/v3/pay/transactions/jsapi"
    header = authorization(
        load_private_key(keys.merchant_private_key_pem),
        keys.merchant_id,
        keys.merchant_serial,
        method="POST",
        target=target,
        timestamp=int(clock.now().timestamp()),
        nonce=nonce,
        body=raw,
    )
    headers = {
        "Authorization": header,
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "t",
    }
    return requests.post(sandbox.base_url + target, data=raw, headers=headers, timeout=5)


@pytest.mark.parametrize(
    "change",
    [
        {"appid": "wx0"},
        {"mchid": "1"},
        {"attach": None},
        {"limit_pay": ["no_credit"]},
        {"description": ""},
        {"description": "x" * 128},
        {"out_trade_no": "ord/1234"},
        {"notify_url": "https://anxin.example/?x=1"},
        {"notify_url": "http://anxin.example/callback"},
        {"amount": {"total": 50.5, "currency": "CNY"}},
        {"amount": {"total": "5000", "currency": "CNY"}},
        {"amount": {"total": 5000, "currency": "USD"}},
        {"payer": {}},
        {"payer": "absent"},
        {"time_expire": "2026-11-23T11:00:00"},
    ],
)
def test_a_prepay_is_checked_member_by_member(
    sandbox: Sandbox, clock: FakeClock, change: dict[str, Any]
) -> None:
    answer = prepay(sandbox, clock, "n1", **change)
    assert (answer.status_code, answer.json()["code"]) == (400, "PARAM_ERROR")
    assert prepay(sandbox, clock, "n2").status_code == 200


def test_the_phone_side_says_what_is_wrong_with_a_request(sandbox: Sandbox) -> None:
    for path, body in (
        ("/phone/login", {}),
        ("/phone/login", {"person": "x" * 65}),
        ("/phone/login", {"person": "\ud800"}),
        ("/phone/pay", {"payment": {"timeStamp": 1}}),
        ("/phone/pay", {"payment": {}, "action": "steal"}),
        ("/phone/subscribe", {"person": "amy", "template_ids": [1]}),
        ("/sandbox/notices/send", {"order_id": "x", "fault": "no such fault"}),
        ("/sandbox/notices/send", {"order_id": "x", "fault": "forged"}),
        ("/sandbox/outages", {"who": "primary", "mode": "broken"}),
        ("/sandbox/outages", {"who": "everybody", "mode": "none"}),
        ("/sandbox/trades/pay-again", {"order_id": "x"}),
        ("/sandbox/trades/pay-late", {"order_id": 1}),
        ("/sandbox/trades/pay-late", {"order_id": "x", "merchant": "third"}),
        ("/sandbox/refunds/settle", {"refund_id": "x"}),
        ("/sandbox/cards/set", {"card_number": "1"}),
        ("/sandbox/cards/set", {"card_number": GOOD_CARD, "balance_fen": -1}),
        ("/sandbox/cards/set", {"card_number": GOOD_CARD, "balance_fen": True}),
        ("/sandbox/cards/set", {"card_number": GOOD_CARD, "registered": 1}),
        ("/sandbox/cards/set", {"card_number": GOOD_CARD, "behaviour": "rude"}),
    ):
        answer = requests.post(sandbox.base_url + path, json=body, timeout=5)
        assert answer.status_code == 400 and answer.json()["error"]
    assert requests.get(sandbox.base_url + "/sandbox/secrets", timeout=5).status_code == 404
    assert requests.get(sandbox.base_url + "/healthz", timeout=5).json() == {"ok": True}


# --- another client, written by others ---


@pytest.fixture
def other(sandbox: Sandbox) -> OtherClient:
    """wechatpayv3 in public-key mode, turned to the sandbox."""
    keys = sandbox.keys
    client = OtherClient(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=keys.merchant_id,
        private_key=keys.merchant_private_key_pem,
        cert_serial_no=keys.merchant_serial,
        apiv3_key=keys.apiv3_key,
        appid=keys.app_id,
        notify_url=NOTIFY_URL,
        public_key=keys.public_key_pem,
        public_key_id=keys.public_key_id,
    )
    client._core._gate_way = sandbox.base_url  # it has no parameter for this
    return client


def test_another_client_is_served_and_understands_our_answers_and_notices(
    tmp_path: Path, other: OtherClient
) -> None:
    inbox = Inbox()
    # That library trusts the machine's clock, so this sandbox runs on it too.
    with running_sandbox(
        tmp_path / "now", clock=SystemClock(), post=inbox.post, notice_keys="public_key"
    ) as sandbox:
        other._core._gate_way = sandbox.base_url
        payer = {"openid": sandbox.openid("amy")}
        code, text = other.pay("羊城通充值", "ord_000001", {"total": 5000, "currency": "CNY"}, payer=payer)
        assert code == 200, text
        prepay_id = json.loads(text)["prepay_id"]
        timestamp, nonce = str(int(time.time())), "593BEC0C930BF1AFEB40B4A08C8FB242"
        package = f"prepay_id={prepay_id}"
        sheet = {
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": other.sign([sandbox.keys.app_id, timestamp, nonce, package]),
        }
        assert sandbox.pay(sheet) == "requestPayment:ok"
        code, text = other.query(out_trade_no="ord_000001")
        assert code == 200 and json.loads(text)["trade_state"] == "SUCCESS"
        _url, headers, body = inbox.received[0]
        told = other.callback(headers, body.decode())
        assert told["event_type"] == "TRANSACTION.SUCCESS"
        assert told["resource"]["amount"]["total"] == 5000
        code, text = other.refund(
            out_refund_no="rfd_1",
            out_trade_no="ord_000001",
            amount={"refund": 5000, "total": 5000, "currency": "CNY"},
        )
        assert code == 200 and json.loads(text)["status"] == "SUCCESS"
        code, text = other.close("ord_000001")
        assert code == 400 and json.loads(text)["code"] == "ORDER_PAID"


# --- notices ---


def paid_order(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, amount_fen: int = 5000) -> str:
    return paid(pay, sandbox, clock, amount_fen).order_id


def test_a_notice_is_sent_until_it_is_taken_on_the_documented_schedule(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    inbox.statuses = [500] * 100
    order_id = paid_order(pay, sandbox, clock)
    assert sum(RETRY_SECONDS) == 24 * 3600 + 4 * 60
    for sent, wait in enumerate(RETRY_SECONDS, start=1):
        assert len(inbox.received) == sent
        clock.tick(seconds=wait - 1)
        assert sandbox.deliver() == []
        clock.tick(seconds=1)
        assert sandbox.deliver() == [(order_id, "TRANSACTION.SUCCESS", 500)]
    clock.tick(days=30)
    assert sandbox.deliver() == []
    assert sandbox.notices()[0]["state"] == "given_up"


def test_only_200_and_204_take_a_notice(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    inbox.statuses = [302, 401, None, 204]
    paid_order(pay, sandbox, clock)
    for _ in range(3):
        clock.tick(seconds=30)
        sandbox.deliver()
    (notice,) = sandbox.notices()
    assert notice["delivered"] and notice["attempts"] == 4


def test_magic_amounts_choose_how_notices_arrive(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    paid_order(pay, sandbox, clock, 5004)
    assert len(inbox.received) == 2
    twice = [json.loads(body)["id"] for _url, _headers, body in inbox.received]
    assert twice[0] == twice[1]
    paid_order(pay, sandbox, clock, 5005)
    held = paid_order(pay, sandbox, clock, 5006)
    clock.tick(days=2)
    assert sandbox.deliver() == [] and len(inbox.received) == 2
    assert sandbox.release(held) == 1
    assert len(inbox.received) == 3


def test_a_refused_payment_takes_nothing(pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock) -> None:
    request = a_payment(sandbox, clock, 5001)
    parameters = pay.pay_parameters(pay.open(request), clock.now())
    assert sandbox.pay(parameters) == "requestPayment:fail payment refused"
    assert pay.query(request.order_id).state is TradeState.NOTPAY and sandbox.notices() == []


def test_a_notice_can_come_before_the_prepay_is_answered(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, inbox: Inbox
) -> None:
    request = a_payment(sandbox, clock, 5019)
    pay.open(request)  # nobody taps "pay": the money and its notice are there when this returns
    assert len(inbox.received) == 1 and pay.query(request.order_id).state is TradeState.SUCCESS


def test_notices_go_to_the_local_base_with_the_path_of_their_address(
    tmp_path: Path, clock: FakeClock
) -> None:
    inbox = Inbox()
    with running_sandbox(tmp_path, "http://127.0.0.1:8000/", clock=clock, post=inbox.post) as sandbox:
        pay = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), clock)
        paid_order(pay, sandbox, clock)
        pay.close_connections()
    assert inbox.received[0][0] == "http://127.0.0.1:8000/api/v1/callbacks/wechat-pay"


def test_in_the_background_notices_follow_the_clock_by_themselves(tmp_path: Path, clock: FakeClock) -> None:
    inbox = Inbox(statuses=[500])
    with running_sandbox(
        tmp_path, clock=clock, post=inbox.post, delivery="background", refund_seconds=60
    ) as sandbox:
        pay = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), clock)
        request = a_payment(sandbox, clock, 5008)
        sandbox.pay(pay.pay_parameters(pay.open(request), clock.now()))
        pay.refund(a_refund(request))
        wait_for(lambda: len(inbox.received) == 1)
        clock.tick(seconds=15)
        wait_for(lambda: len(inbox.received) == 2)
        clock.tick(seconds=45)
        wait_for(lambda: len(inbox.received) == 3)
        pay.close_connections()


def wait_for(condition: Any, seconds: float = 10) -> None:
    """Poll, because another thread or process does the work."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


# --- keys ---


def test_keys_are_made_once_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with ThreadPoolExecutor(4) as pool:  # the sandbox and our app may start at the same moment
        made = list(pool.map(lambda _: load_or_create_keys(folder), range(4)))
    assert len(set(made)) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {KEYS_FILE, ".lock"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_damaged_keys_are_reported_and_not_replaced(tmp_path: Path) -> None:
    sandbox_keys().save(tmp_path)
    path = tmp_path / KEYS_FILE
    path.write_text(path.read_text()[:500])
    with pytest.raises(ValueError, match="damaged"):
        load_or_create_keys(tmp_path)
    assert len(path.read_text()) == 500


def test_keys_from_before_the_second_merchant_get_one_and_stay(tmp_path: Path) -> None:
    sandbox_keys().save(tmp_path)
    path = tmp_path / KEYS_FILE
    old = json.loads(path.read_text())
    del old["standby"]
    path.write_text(json.dumps(old))
    grown = load_or_create_keys(tmp_path)
    assert replace(grown, standby=sandbox_keys().standby) == sandbox_keys()
    assert grown.standby.merchant_id != grown.merchant_id and load_or_create_keys(tmp_path) == grown


# --- a store from before the second merchant ---

OLD_STORE = """
CREATE TABLE trades (
  order_id TEXT PRIMARY KEY, request TEXT NOT NULL, amount_fen INTEGER NOT NULL, openid TEXT NOT NULL,
  notify_url TEXT NOT NULL, expires_at REAL, state TEXT NOT NULL, transaction_id TEXT UNIQUE,
  paid_at REAL, attach TEXT NOT NULL);
CREATE TABLE prepays (prepay_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE refunds (
  refund_id TEXT PRIMARY KEY, request TEXT NOT NULL, order_id TEXT NOT NULL,
  wechat_refund_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, refund_fen INTEGER NOT NULL,
  notify_url TEXT, created_at REAL NOT NULL, done_at REAL, due_at REAL);
CREATE INDEX refunds_by_order ON refunds (order_id);
CREATE TABLE notices (
  seq INTEGER PRIMARY KEY, notice_id TEXT NOT NULL, order_id TEXT NOT NULL, url TEXT NOT NULL,
  event_type TEXT NOT NULL, resource TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  due_at REAL NOT NULL, answered INTEGER, sent TEXT);
CREATE INDEX notices_due ON notices (state, due_at);
INSERT INTO trades VALUES
  ('ord_000001', '{}', 5000, 'o-amy', 'https://a.example/', NULL, 'REFUND', '42', 1.0, ''),
  ('ord_000002', '{}', 6000, 'o-amy', 'https://a.example/', NULL, 'NOTPAY', NULL, NULL, '');
INSERT INTO prepays VALUES ('wx1', 'ord_000002', 9e9);
INSERT INTO refunds VALUES ('rfd_1', '{}', 'ord_000001', '50', 'SUCCESS', 5000, NULL, 2.0, 3.0, NULL);
INSERT INTO notices VALUES
  (7, 'n', 'ord_000001', 'https://a.example/', 'X', '{}', 'taken', 1, 1.0, 204, NULL);
"""


def test_a_store_from_before_the_second_merchant_keeps_everything(tmp_path: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as old:
        old.executescript(OLD_STORE)
    for _ in range(2):  # the second start finds today's tables
        with running_sandbox(tmp_path, clock=clock, delivery="manual") as sandbox:
            pay = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), clock)
            assert pay.query("ord_000001").state is TradeState.REFUND
            assert pay.query("ord_000002").state is TradeState.NOTPAY
            refund = pay.query_refund("rfd_1")
            assert refund is not None and refund.order_id == "ord_000001"
            assert [row["merchant_id"] for row in sandbox.notices()] == [sandbox.keys.merchant_id]
            pay.close_connections()


# --- a process of its own ---


@contextmanager
def process(data_dir: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sandbox process and its address. It is killed at the end if it still runs."""
    command = [sys.executable, "-m", "app.providers.sandbox", "--port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(
        [*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line.startswith("sandbox ready at http://127.0.0.1:"), line
            yield running, line.split()[-1]
        finally:
            if running.poll() is None:
                running.kill()


def test_killed_hard_it_goes_on_where_it_was(tmp_path: Path) -> None:
    sandbox_keys().save(tmp_path)
    clock = SystemClock()
    person, order_id = "amy", "ord_000001"
    with process(tmp_path) as (running, base_url):
        pay = WeChatPayV3(pay_config(base_url, sandbox_keys()), clock)
        code = requests.post(f"{base_url}/phone/login", json={"person": person}, timeout=5).json()["code"]
        keys = sandbox_keys()
        query = {"appid": keys.app_id, "secret": keys.app_secret, "js_code": code}
        openid = requests.get(f"{base_url}/sns/jscode2session", params=query, timeout=5).json()["openid"]
        request = a_payment_for(openid, order_id, clock)
        parameters = pay.pay_parameters(pay.open(request), clock.now())
        told = requests.post(f"{base_url}/phone/pay", json={"payment": parameters}, timeout=5).json()
        assert told == {"errMsg": "requestPayment:ok"}
        os.kill(running.pid, signal.SIGKILL)
        pay.close_connections()
    with process(tmp_path) as (running, base_url):
        pay = WeChatPayV3(pay_config(base_url, sandbox_keys()), clock)
        assert pay.query(order_id).state is TradeState.SUCCESS
        notices = requests.get(f"{base_url}/sandbox/notices", timeout=5).json()["notices"]
        assert [notice["order_id"] for notice in notices] == [order_id]
        pay.close_connections()
        running.terminate()
        assert running.wait(10) == 0
        assert running.stderr is not None and running.stderr.read() == ""


def a_payment_for(openid: str, order_id: str, clock: SystemClock) -> PaymentRequest:
    return PaymentRequest(order_id, 5000, "x", openid, clock.now() + timedelta(minutes=10))


def test_a_taken_port_is_said_plainly(tmp_path: Path, sandbox: Sandbox) -> None:
    port = sandbox.base_url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "app.providers.sandbox", "--port", port, "--data-dir", str(tmp_path / "x")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1 and f"port {port}" in done.stderr and "Traceback" not in done.stderr
