"""WeChat's notices over HTTP: only genuine ones count, each counts once, and none waits for slow work."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import text

from app.store import differences, notices
from tests.world import Phone, World

CALLBACK = "/api/v1/callbacks/wechat-pay"


def payable(world: World, amount_fen: int = 5000) -> tuple[Phone, dict[str, Any]]:
    """Somebody before the payment sheet; the page holds the payment parameters."""
    elder = world.elder()
    return elder, elder.confirm(elder.open_order(amount_fen))


def truth(elder: Phone, page: dict[str, Any]) -> str:
    return str(elder.order(page["order"]["id"])["order"]["truth"])


def kept(world: World, order_id: str) -> list[tuple[str, str]]:
    with world.deps.database.read() as tx:
        return notices.of_order(tx, order_id)


def alarms(world: World) -> list[tuple[str, str]]:
    with world.deps.database.read() as tx:
        rows = tx.execute(text("SELECT kind, subject FROM alarms ORDER BY opened_at, kind"))
        return [(row.kind, row.subject) for row in rows]


def sealed(world: World, page: dict[str, Any], **changes: Any) -> tuple[dict[str, str], bytes]:
    """A genuine notice that this order was paid, ready to be sent by hand."""
    inside = world.sandbox.server.sandbox
    trade = inside.world.store.row("SELECT * FROM trades WHERE order_id = ?", page["order"]["id"])
    assert trade is not None
    paid = trade | {"state": "SUCCESS", "paid_at": inside.world.now(), "transaction_id": "4" * 28}
    told = inside.trades.transaction(paid) | changes
    notice_id = f"notice-{page['order']['id']}"
    return inside.notices.sealed(notice_id, "TRANSACTION.SUCCESS", told, inside.world.keys.public_key_id)


def post(world: World, headers: dict[str, str], body: bytes) -> requests.Response:
    return requests.post(world.base_url + CALLBACK, data=body, headers=headers, timeout=10)


def assert_nothing_came_of_it(world: World, elder: Phone, page: dict[str, Any]) -> None:
    assert truth(elder, page) == "not_paid" and kept(world, page["order"]["id"]) == []
    assert alarms(world) == [] and world.balanced()


# --- the door ---


TURNED_AWAY = (
    "forged unknown_serial probe stale future tampered truncated not_json wrong_key unsigned unknown_event"
    " no_amount"
)


def test_what_is_not_provably_wechats_is_turned_away_and_changes_nothing(world: World) -> None:
    elder, page = payable(world)
    for fault in TURNED_AWAY.split():
        assert world.sandbox.send_notice(page["order"]["id"], fault) == 401, fault
        assert_nothing_came_of_it(world, elder, page)
    assert elder.pay(page) == "requestPayment:ok" and truth(elder, page) == "paid"


def test_a_notice_is_fresh_for_three_hundred_seconds(world: World) -> None:
    inside = world.sandbox.server.sandbox
    for seconds, taken in ((300, True), (301, False), (-300, True), (-301, False)):
        elder, page = payable(world)
        _, body = sealed(world, page, transaction_id=f"{seconds + 1000:028}")
        then = world.clock.now() - timedelta(seconds=seconds)
        headers = inside.notices.signed(body, inside.world.keys.public_key_id, then)
        assert post(world, headers, body).status_code == (204 if taken else 401), seconds
        assert truth(elder, page) == ("paid" if taken else "not_paid"), seconds


def test_bytes_that_are_no_notice_are_turned_away_even_when_they_are_signed(world: World) -> None:
    inside = world.sandbox.server.sandbox
    for body in (b"", b"{}", b"[]", b"\xff\xfe", b"{" * 9_000, b"[" * 60_000):
        answer = post(world, {"Content-Type": "application/json"}, body)
        assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
        signed = inside.notices.signed(body, inside.world.keys.public_key_id, world.clock.now())
        assert post(world, signed, body).status_code == 401, body[:9]


def test_an_oversized_notice_is_refused_however_well_it_is_signed(world: World) -> None:
    body = b'{"id": "' + b"x" * 70_000 + b'"}'
    inside = world.sandbox.server.sandbox
    signed = inside.notices.signed(body, inside.world.keys.public_key_id, world.clock.now())
    assert post(world, signed, body).status_code == 413


def test_the_signature_is_over_the_bytes_as_they_came_not_as_they_mean(world: World) -> None:
    elder, page = payable(world)
    headers, body = sealed(world, page)
    meant_the_same = json.dumps(json.loads(body), ensure_ascii=False, indent=1).encode()
    assert post(world, headers, meant_the_same).status_code == 401
    assert truth(elder, page) == "not_paid"
    assert post(world, headers, body).status_code == 204
    assert truth(elder, page) == "paid"


def test_a_notice_without_a_content_type_is_still_a_notice(world: World) -> None:
    elder, page = payable(world)
    headers, body = sealed(world, page)
    assert post(world, headers | {"Content-Type": "text/plain"}, body).status_code == 204
    assert truth(elder, page) == "paid"


def test_a_signature_header_of_nonsense_is_turned_away(world: World) -> None:
    elder, page = payable(world)
    headers, body = sealed(world, page)
    for name in ("Wechatpay-Signature", "Wechatpay-Nonce", "Wechatpay-Serial", "Wechatpay-Timestamp"):
        for bad in ("", "x" * 5_000, "\u00ff\u00fe", "1e9", "-1", "٣"):
            bent = headers | {name: bad.encode().decode("latin-1")}
            assert post(world, bent, body).status_code == 401, (name, bad)
    assert_nothing_came_of_it(world, elder, page)


# --- the books ---


def test_both_kinds_of_wechats_keys_are_known_side_by_side(world: World) -> None:
    inside = world.sandbox.server.sandbox
    for serial in (inside.world.keys.public_key_id, inside.world.keys.platform_serial):
        elder, page = payable(world)
        _, body = sealed(world, page, transaction_id=f"{serial[-28:]:0>28}")
        headers = inside.notices.signed(body, serial, world.clock.now())
        assert post(world, headers, body).status_code == 204
        assert truth(elder, page) == "paid"


def test_a_replayed_notice_books_once(world: World) -> None:
    elder, page = payable(world)
    before = elder.balance_fen()
    headers, body = sealed(world, page)
    assert [post(world, headers, body).status_code for _ in range(10)] == [204] * 10
    assert kept(world, page["order"]["id"]) == [("TRANSACTION.SUCCESS", "accepted")]
    for _ in range(3):
        world.work()
        post(world, headers, body)
    assert elder.balance_fen() == before + 5000 and world.balanced() and alarms(world) == []


def test_the_same_notice_ten_times_at_once_books_once(world: World) -> None:
    elder, page = payable(world)
    before = elder.balance_fen()
    headers, body = sealed(world, page)
    with ThreadPoolExecutor(10) as crowd:
        answers = list(crowd.map(lambda _: post(world, headers, body).status_code, range(10)))
    assert answers == [204] * 10
    assert kept(world, page["order"]["id"]) == [("TRANSACTION.SUCCESS", "accepted")]
    world.work()
    assert elder.balance_fen() == before + 5000 and world.balanced() and alarms(world) == []


def test_the_notice_and_the_phones_question_at_once_book_once(world: World) -> None:
    elder, page = payable(world, 5006)  # the sandbox holds its own notice back
    assert elder.pay(page) == "requestPayment:ok"
    inside = world.sandbox.server.sandbox
    trade = inside.world.store.row("SELECT * FROM trades WHERE order_id = ?", page["order"]["id"])
    assert trade is not None
    headers, body = sealed(world, page, transaction_id=trade["transaction_id"])
    path = f"/api/v1/orders/{page['order']['id']}/payment-result"
    with ThreadPoolExecutor(8) as crowd:
        told = [crowd.submit(post, world, headers, body) for _ in range(4)]
        asked = [crowd.submit(elder.post, path, {"result": "ok"}) for _ in range(4)]
        assert [answer.result().status_code for answer in told] == [204] * 4
        assert [answer.result()[0] for answer in asked] == [200] * 4
    world.work()
    assert truth(elder, page) == "credited" and world.balanced() and alarms(world) == []
    assert world.sandbox.release() == 1  # and now the notice that was held: nothing new
    assert truth(elder, page) == "credited" and world.balanced() and alarms(world) == []


def test_a_notice_that_comes_twice_credits_once(world: World) -> None:
    elder, page = payable(world, 5004)
    before = elder.balance_fen()
    assert elder.pay(page) == "requestPayment:ok"
    world.work()
    assert [row["answered"] for row in world.sandbox.notices()] == [204, 204]
    assert elder.balance_fen() == before + 5004 and world.balanced()


QUARANTINED = {
    "unknown_order": "unknown_order",
    "wrong_amount": "wrong_amount",
    "wrong_currency": "wrong_currency",
    "wrong_merchant": "wrong_merchant",
    "wrong_app": "wrong_merchant",
}


@pytest.mark.parametrize("fault", QUARANTINED)
def test_a_genuine_notice_that_does_not_fit_our_books_is_kept_aside_and_credits_nothing(
    world: World, fault: str
) -> None:
    elder, page = payable(world)
    before = elder.balance_fen()
    for _ in range(2):  # accepted, so that WeChat stops; one alarm, however often it comes
        assert world.sandbox.send_notice(page["order"]["id"], fault) == 204
    assert truth(elder, page) == "not_paid" and elder.balance_fen() == before
    found = [kind for kind, _subject in alarms(world)]
    assert set(found) == {QUARANTINED[fault]} and world.balanced()
    world.work(minutes=1)
    assert elder.balance_fen() == before


def test_open_alarms_are_counted_for_the_operator(world: World) -> None:
    _elder, page = payable(world)
    world.sandbox.send_notice(page["order"]["id"], "unknown_order")
    counted = requests.get(world.base_url + "/metrics", timeout=10).text
    assert "anxin_alarms_open 1.0" in counted


@pytest.mark.parametrize("amount_fen", [5007, 5018, 5020], ids=["amount", "merchant", "currency"])
def test_after_a_wrong_notice_the_question_to_wechat_still_finds_the_payment(
    world: World, amount_fen: int
) -> None:
    elder, page = payable(world, amount_fen)
    before = elder.balance_fen()
    assert elder.pay(page) == "requestPayment:ok"
    assert truth(elder, page) == "not_paid" and len(alarms(world)) == 1
    told = elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/payment-result", {"result": "ok"})
    assert told["order"]["truth"] == "paid"
    world.work()
    assert elder.balance_fen() == before + amount_fen and world.balanced()


def test_money_whose_prepay_answer_we_never_stored_is_booked(world: World) -> None:
    elder = world.elder()
    order = elder.open_order(5003)
    path = f"/api/v1/orders/{order['id']}/confirm"
    status, body = elder.post(path, {"read_back": order["read_back"]})
    assert (status, body["code"]) == (503, "payment_unavailable") and "没有动您的钱" in body["say"]
    page = elder.order(order["id"])
    headers, told = sealed(world, page)  # the trade exists at WeChat; we know of no prepay
    assert post(world, headers, told).status_code == 204
    assert truth(elder, page) == "paid" and world.balanced()


def test_after_a_lost_prepay_answer_confirming_again_goes_on_to_the_payment(world: World) -> None:
    elder = world.elder()
    order = elder.open_order(5003)
    elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    page = elder.confirm(order)
    assert elder.pay(page) == "requestPayment:ok" and truth(elder, page) == "paid"


def test_a_notice_that_overtakes_the_prepay_answer_is_booked_and_not_asked_to_be_paid_again(
    world: World,
) -> None:
    elder = world.elder()
    order = elder.open_order(5019)
    shown = elder.confirm(order)
    now = elder.order(order["id"])
    assert now["order"]["truth"] == "paid" and now["screen"]["next"] == "wait"
    again = elder.confirm(order)
    for page in (shown, again):
        assert page["screen"]["next"] == "wait" and page["screen"]["payment"] is None
    world.work()
    assert truth(elder, page={"order": order}) == "credited" and world.balanced()


def test_late_money_for_a_cancelled_order_goes_home(world: World) -> None:
    elder, page = payable(world)
    before = elder.balance_fen()
    headers, body = sealed(world, page)
    elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/cancel")
    inside = world.sandbox.server.sandbox
    with inside.world.store.write() as tx:  # WeChat took it in the very moment of closing
        tx.execute(
            "UPDATE trades SET state = 'SUCCESS', paid_at = ?, transaction_id = ? WHERE order_id = ?",
            (inside.world.now(), "4" * 28, page["order"]["id"]),
        )
    assert post(world, headers, body).status_code == 204
    assert truth(elder, page) == "going_back"
    world.work()
    assert truth(elder, page) == "returned" and elder.balance_fen() == before and world.balanced()
    assert [refund["state"] for refund in world.sandbox.refunds()] == ["SUCCESS"]


def test_money_that_was_paid_in_time_counts_although_the_notice_comes_after_the_end(world: World) -> None:
    elder, page = payable(world, 5006)
    before = elder.balance_fen()
    assert elder.pay(page) == "requestPayment:ok"
    world.clock.tick(minutes=16)
    world.sweep()  # its time is over: WeChat is asked before it is closed
    assert truth(elder, page) == "paid"
    assert world.sandbox.release() == 1
    world.work()
    assert elder.balance_fen() == before + 5006 and world.balanced()


def test_a_second_payment_wechat_knows_nothing_of_is_an_alarm_and_moves_nothing(world: World) -> None:
    elder, page = payable(world)
    before = elder.balance_fen()
    assert elder.pay(page) == "requestPayment:ok"
    headers, body = sealed(world, page, transaction_id="9" * 28)
    assert post(world, headers, body).status_code == 204
    world.work()
    assert elder.balance_fen() == before + 5000 and world.balanced()
    assert alarms(world) == [("second_payment", "9" * 28)]
    with world.deps.database.read() as tx:
        assert differences.unresolved(tx) == [] and world.sandbox.refunds() == []


def test_one_transaction_pays_one_order(world: World) -> None:
    elder, first = payable(world)
    second = elder.confirm(elder.open_order())
    for page in (first, second):
        headers, body = sealed(world, page, transaction_id="7" * 28)
        assert post(world, headers, body).status_code == 204
    assert [truth(elder, first), truth(elder, second)] == ["paid", "not_paid"]
    assert alarms(world) == [("transaction_reused", second["order"]["id"])] and world.balanced()


def test_a_notice_is_answered_before_anything_slow_happens(world: World) -> None:
    elder, page = payable(world, 5000)
    before = elder.balance_fen()
    headers, body = sealed(world, page)
    started = time.monotonic()
    assert post(world, headers, body).status_code == 204
    assert time.monotonic() - started < 2  # WeChat waits five seconds
    assert truth(elder, page) == "paid" and world.sandbox.credits() == []
    assert elder.balance_fen() == before
    world.work()
    assert len(world.sandbox.credits()) == 1 and elder.balance_fen() == before + 5000


def test_a_notice_is_taken_while_the_card_system_and_wechat_are_away(world: World) -> None:
    elder, page = payable(world)
    headers, body = sealed(world, page)
    world.sandbox.server.close()  # nobody answers outside any more
    assert post(world, headers, body).status_code == 204
    assert truth(elder, page) == "paid" and world.balanced()


def test_a_refund_notice_for_an_order_that_was_never_refunded_is_an_alarm(world: World) -> None:
    elder, page = payable(world)
    assert elder.pay(page) == "requestPayment:ok"
    world.work()
    order_id = page["order"]["id"]
    inside = world.sandbox.server.sandbox
    told = refund_told(world, order_id, f"rfd_{order_id.partition('_')[2]}")
    headers, body = inside.notices.sealed("notice-r", "REFUND.SUCCESS", told, inside.world.keys.public_key_id)
    assert post(world, headers, body).status_code == 204
    assert truth(elder, page) == "credited" and world.balanced()
    assert alarms(world) == [("unknown_refund", told["out_refund_no"])]


def refund_told(world: World, order_id: str, refund_id: str) -> dict[str, Any]:
    moment = (world.clock.now() + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S+08:00")
    return {
        "mchid": world.deps.settings.wechat.merchant.merchant_id,
        "out_trade_no": order_id,
        "transaction_id": "4" * 28,
        "out_refund_no": refund_id,
        "refund_id": "5" * 28,
        "refund_status": "SUCCESS",
        "success_time": moment,
        "user_received_account": "零钱",
        "amount": {"total": 5000, "refund": 5000, "payer_total": 5000, "payer_refund": 5000},
    }
