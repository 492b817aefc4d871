"""Money that cannot reach the card goes home, and every place tells the same truth at every step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.money import yuan_short
from app.domain.orders import State
from app.flows import settle
from app.store import cases, ledger, orders, outbox
from tests.world import Phone, World

REFUSING, SLOW, LOSING = "3104870300000000009", "3104870300000000010", "3104870300000000011"
ANONYMOUS, BLOCKED = "3104870300000000007", "3104870300000000008"


def paid(world: World, amount_fen: int = 5000, card: str = REFUSING) -> tuple[Phone, str]:
    """Somebody who has just paid, and the order."""
    elder = world.elder(card=card)
    elder.accept_receipts()
    page = elder.confirm(elder.open_order(amount_fen))
    assert elder.pay(page) == "requestPayment:ok"
    return elder, page["order"]["id"]


def told(elder: Phone, order_id: str) -> dict[str, Any]:
    """The order's page, after checking that history and conversation tell the same of it."""
    page = elder.order(order_id)
    listed = elder.ok("GET", "/api/v1/orders")
    (line,) = [order for order in listed["orders"] if order["id"] == order_id]
    assert line == page["order"]
    yuan = f"{yuan_short(page['order']['amount_fen'])}元"
    spoken = elder.tap("history")["screen"]
    assert spoken["body"] == listed["screen"]["body"] and yuan in spoken["body"][0]["text"]
    assert WORDS[page["order"]["truth"]] in spoken["body"][0]["text"]
    return page


WORDS = {
    "not_paid": "还没有付款",
    "paid": "正在充到卡上",
    "credited": "已经充到卡上",
    "going_back": "钱正在退回",
    "returned": "钱已经退回",
    "closed": "没有付款",
}


def receipts(world: World, order_id: str) -> list[dict[str, Any]]:
    return [message for message in world.sandbox.messages() if order_id in str(message["data"])]


def entries(world: World, order_id: str) -> dict[str, int]:
    """What the order left on each account."""
    left: dict[str, int] = {}
    with world.deps.database.read() as tx:
        for _event, account, amount_fen in ledger.entries_of(tx, order_id):
            left[account] = left.get(account, 0) + amount_fen
    return left


def work_until_quiet(world: World) -> None:
    """Let minutes pass until the worker has nothing that is due."""
    for _ in range(40):
        if world.work(minutes=1) == 0:
            return
    raise AssertionError("the outbox never came to rest")


def test_a_refused_credit_goes_home_and_says_so_at_every_step(world: World) -> None:
    elder, order_id = paid(world, 5008)  # a refund that takes five seconds
    before = elder.balance_fen()
    page = told(elder, order_id)
    assert page["order"]["truth"] == "paid" and "还没有到账" in page["screen"]["say"]
    assert world.balanced() and entries(world, order_id) == {"wechat": 5008, "in_transit": -5008}

    world.work()
    page = told(elder, order_id)
    assert page["order"]["truth"] == "going_back" and "正在退回您的微信" in page["screen"]["say"]
    assert page["screen"]["next"] == "done" and "到账" not in page["screen"]["say"]
    assert world.balanced() and entries(world, order_id) == {"wechat": 5008, "in_transit": -5008}
    assert receipts(world, order_id) == []

    world.work(minutes=2)
    page = told(elder, order_id)
    assert page["order"]["truth"] == "returned" and "已经退回您的微信" in page["screen"]["say"]
    assert elder.balance_fen() == before and world.balanced()
    assert entries(world, order_id) == {"wechat": 0, "in_transit": 0}
    work_until_quiet(world)
    (receipt,) = receipts(world, order_id)
    assert "已退款" in str(receipt["data"])


def test_money_that_arrived_is_told_the_same_everywhere(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    assert told(elder, order["id"])["order"]["truth"] == "not_paid"
    page = elder.confirm(order)
    assert told(elder, order["id"])["order"]["truth"] == "not_paid"
    elder.pay(page)
    assert told(elder, order["id"])["order"]["truth"] == "paid"
    world.work()
    done = told(elder, order["id"])["order"]
    assert done["truth"] == "credited" and done["paid_at"] <= done["credited_at"] <= done["promised_at"]


def test_a_cancelled_order_is_told_the_same_everywhere(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    elder.ok("POST", f"/api/v1/orders/{order['id']}/cancel")
    assert told(elder, order["id"])["order"]["truth"] == "closed"
    assert entries(world, order["id"]) == {}


@pytest.mark.parametrize("amount_fen", [5031, 5000], ids=["by the amount", "by the card"])
def test_a_refused_credit_is_refunded_in_full_once(world: World, amount_fen: int) -> None:
    card = REFUSING if amount_fen == 5000 else "3104870300000000001"
    elder, order_id = paid(world, amount_fen, card)
    before = elder.balance_fen()
    for _ in range(3):
        world.work(minutes=1)
        world.sweep()
    assert told(elder, order_id)["order"]["truth"] == "returned" and elder.balance_fen() == before
    assert [(refund["refund_fen"], refund["state"]) for refund in world.sandbox.refunds()] == [
        (amount_fen, "SUCCESS")
    ]
    assert world.sandbox.credits() == [] and world.balanced() and len(receipts(world, order_id)) == 1


def test_a_refund_whose_way_home_is_gone_stays_going_back_and_calls_a_person(world: World) -> None:
    elder, order_id = paid(world, 5009)
    for _ in range(3):
        world.work(minutes=2)
    page = told(elder, order_id)
    assert page["order"]["truth"] == "going_back" and "agent" in str(page["screen"]["choices"])
    assert "refund_abnormal" in alarms(world) and world.balanced() and receipts(world, order_id) == []
    with world.deps.database.read() as tx:
        (case,) = cases.of_order(tx, order_id)
    assert (case.level, case.kind) == (2, "refund_abnormal")
    assert case.plan_due_at == case.opened_at + timedelta(hours=2) and case.resolved_at is None
    assert [event["event"] for event in case.evidence["events"]][-1] == "delivery_refused"
    assert {"payment", "credit", "refund"} >= {query["asked"] for query in case.evidence["queries"]} != set()
    assert len(world.sandbox.refunds()) == 1


def test_a_refund_that_wechat_closed_is_asked_again_under_a_new_number_and_comes_once(world: World) -> None:
    elder, order_id = paid(world, 5010)
    work_until_quiet(world)
    assert told(elder, order_id)["order"]["truth"] == "returned" and world.balanced()
    number = "rfd_" + order_id[4:]
    made = {refund["refund_id"]: refund["state"] for refund in world.sandbox.refunds()}
    assert made == {number: "CLOSED", f"{number}_2": "SUCCESS"} and len(receipts(world, order_id)) == 1


def alarms(world: World) -> set[str]:
    with world.deps.database.read() as tx:
        return {row.kind for row in tx.execute(text("SELECT kind FROM alarms"))}


@pytest.mark.parametrize("amount_fen", [5013, 5014], ids=["not enough at first", "answer lost"])
def test_a_refund_is_repeated_under_its_one_number_until_it_is_done(world: World, amount_fen: int) -> None:
    elder, order_id = paid(world, amount_fen)
    world.work()
    for _ in range(4):
        world.work(minutes=31)
    assert told(elder, order_id)["order"]["truth"] == "returned" and world.balanced()
    assert [refund["refund_id"] for refund in world.sandbox.refunds()] == ["rfd_" + order_id[4:]]


@pytest.mark.parametrize(
    ("amount_fen", "card"),
    [(5032, None), (5033, None), (5034, None), (5000, SLOW), (5000, LOSING)],
    ids=[
        "away once",
        "answer lost once",
        "a 500 once",
        "a card away at first",
        "a card whose answer is lost",
    ],
)
def test_a_credit_without_an_answer_is_asked_again_under_its_one_number_and_made_once(
    world: World, amount_fen: int, card: str | None
) -> None:
    number = card or "3104870300000000001"
    elder, order_id = paid(world, amount_fen, number)
    before = world.sandbox.card(number)["balance_fen"]
    world.work()
    assert told(elder, order_id)["order"]["truth"] == "paid" and world.balanced()
    world.work(seconds=3)
    assert told(elder, order_id)["order"]["truth"] == "credited" and world.balanced()
    assert [(made["order_id"], made["amount_fen"]) for made in world.sandbox.credits()] == [
        (order_id, amount_fen)
    ]
    assert world.sandbox.card(number)["balance_fen"] == before + amount_fen


def test_a_receipt_is_sent_once_however_often_the_worker_runs(world: World) -> None:
    elder, order_id = paid(world, 5000, "3104870300000000001")
    elder.accept_receipts()  # there is credit for a second one
    for _ in range(5):
        world.work(seconds=30)
        world.sweep()
    assert len(receipts(world, order_id)) == 1
    with world.deps.database.write() as tx:  # even if somebody makes the finished work due again
        outbox.reopen(tx, outbox.Topic.DELIVER, order_id, world.clock.now())
        outbox.add(tx, outbox.Topic.RECEIPT, order_id, world.clock.now())
    world.work(seconds=1)
    assert len(receipts(world, order_id)) == 1 and len(world.sandbox.credits()) == 1
    assert told(elder, order_id)["order"]["truth"] == "credited" and world.balanced()


def test_without_a_subscription_no_receipt_is_sent_and_nothing_waits(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    work_until_quiet(world)
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited"
    assert world.sandbox.messages() == []


def test_a_person_who_refused_in_wechat_what_we_thought_was_accepted_loses_no_money(world: World) -> None:
    elder = world.elder()
    elder.ok("POST", "/api/v1/subscriptions", {"accepted": ["receipt", "something old"]})
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    work_until_quiet(world)
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()
    assert world.sandbox.messages() == []


def test_a_blocked_card_cannot_be_bound(world: World) -> None:
    status, body = world.phone().post("/api/v1/cards", {"card_number": BLOCKED})
    assert (status, body["code"]) == (422, "card_blocked") and "没有动您的钱" in body["say"]


def test_a_card_blocked_after_it_was_bound_is_found_before_any_money_moves(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    block(world, "3104870300000000001")
    status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "card_blocked") and "没有动您的钱" in body["say"]
    assert told(elder, order["id"])["order"]["truth"] == "not_paid" and world.sandbox.trades() == []


def test_a_card_blocked_between_payment_and_credit_sends_the_money_home(world: World) -> None:
    elder, order_id = paid(world, 5000, "3104870300000000001")
    block(world, "3104870300000000001")
    work_until_quiet(world)
    assert told(elder, order_id)["order"]["truth"] == "returned" and world.balanced()
    assert world.sandbox.credits() == [] and len(receipts(world, order_id)) == 1


def block(world: World, number: str) -> None:
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute("UPDATE cards SET behaviour = 'blocked' WHERE card_number = ?", (number,))


def test_an_anonymous_card_takes_no_more_than_its_ceiling_and_says_what_still_fits(world: World) -> None:
    elder = world.elder(card=ANONYMOUS)
    order = elder.open_order()
    status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "balance_ceiling")
    assert "1000元" in body["say"] and "40元" in body["say"] and "没有动您的钱" in body["say"]
    assert world.sandbox.trades() == [] and world.balanced()


@pytest.mark.parametrize("amount_fen", [5002, 5012, 5015], ids=["a 500", "a 429", "a bad signature"])
def test_when_wechat_does_not_open_the_payment_confirming_again_does(world: World, amount_fen: int) -> None:
    elder = world.elder()
    order = elder.open_order(amount_fen)
    path = f"/api/v1/orders/{order['id']}/confirm"
    status, body = elder.post(path, {"read_back": order["read_back"]})
    assert (status, body["code"]) == (503, "payment_unavailable") and "没有动您的钱" in body["say"]
    assert elder.pay(elder.confirm(order)) == "requestPayment:ok"
    world.work()
    assert told(elder, order["id"])["order"]["truth"] == "credited" and world.balanced()


def test_a_payment_wechat_refuses_to_open_ends_the_order_and_takes_nothing(world: World) -> None:
    elder = world.elder()
    order = elder.open_order(5011)
    status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "payment_refused") and "没有动您的钱" in body["say"]
    assert told(elder, order["id"])["order"]["truth"] == "closed" and world.balanced()


def test_a_payment_sheet_that_fails_takes_nothing_and_may_be_opened_again(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5001))
    assert elder.pay(page).startswith("requestPayment:fail")
    path = f"/api/v1/orders/{page['order']['id']}/payment-result"
    failed = elder.ok("POST", path, {"result": "failed"})
    assert failed["order"]["truth"] == "not_paid" and "没有动您的钱" in failed["screen"]["say"]


def test_a_payment_nobody_told_us_of_is_found_by_asking(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5005))
    assert elder.pay(page) == "requestPayment:ok"
    assert told(elder, page["order"]["id"])["order"]["truth"] == "not_paid"
    world.work(minutes=1)
    assert told(elder, page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_confirming_again_after_paying_never_shows_the_payment_sheet_again(world: World) -> None:
    elder = world.elder()
    order = elder.open_order(5005)  # WeChat tells us nothing by itself
    assert elder.pay(elder.confirm(order)) == "requestPayment:ok"
    again = elder.confirm(order)
    assert again["order"]["truth"] == "paid" and again["screen"]["payment"] is None


def test_while_wechat_does_not_answer_nobody_is_told_that_no_money_moved(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5016))
    elder.pay(page)
    world.sandbox.server.close()
    for path, body in (("cancel", None), ("payment-result", {"result": "cancelled"})):
        order_id = page["order"]["id"]
        with world.deps.database.read() as tx:
            state = orders.get(tx, order_id).state
        status, answer = elder.post(f"/api/v1/orders/{order_id}/{path}", body)
        if state is State.AWAITING_PAYMENT:
            assert (status, answer["code"]) == (503, "payment_unavailable")
        else:
            assert answer.get("code") == "payment_already_made" or answer["order"]["truth"] == "paid"
    assert world.balanced()


def test_cancelling_what_is_being_paid_at_that_moment_says_that_it_was_paid(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5017))
    status, body = elder.post(f"/api/v1/orders/{page['order']['id']}/cancel")
    assert (status, body["code"]) == (409, "payment_already_made") and "没有动" not in body["say"]
    assert told(elder, page["order"]["id"])["order"]["truth"] == "paid"
    world.work()
    assert told(elder, page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_cancelling_after_paying_says_that_it_was_paid(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    elder.pay(page)
    status, body = elder.post(f"/api/v1/orders/{page['order']['id']}/cancel")
    assert (status, body["code"]) == (409, "payment_already_made")
    world.work()
    done = elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/cancel")
    assert done["order"]["truth"] == "credited"  # over: it is shown as it is


def test_an_order_that_ended_while_it_was_being_expired_is_left_as_it_ended(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    with world.deps.database.read() as tx:
        as_the_sweep_read_it = orders.get(tx, order["id"])
    elder.ok("POST", f"/api/v1/orders/{order['id']}/cancel")
    now = world.clock.tick(minutes=11)
    assert settle.expire(world.deps, as_the_sweep_read_it, now).state is State.CANCELLED
    assert told(elder, order["id"])["order"]["state"] == "cancelled"


def test_a_late_confirmation_pays_nothing(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    world.clock.tick(minutes=10)
    late = elder.confirm(order)
    assert late["order"]["state"] == "expired" and "没有动您的钱" in late["screen"]["say"]
    assert world.sandbox.trades() == []
