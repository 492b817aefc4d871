"""When a payment goes wrong: what the person is told, where the money is, and who is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock, as_utc
from app.domain.orders import SUSPENSE, WECHAT_STANDBY
from app.flows.channels import FAILURES_TO_OPEN
from app.jobs.outbox import drain
from app.store import cases, differences, ledger
from app.store.cases import Case
from tests.conftest import DATABASES, database_url
from tests.world import GOOD_CARD, Phone, World, running_world

LANZHOU_CARD = "3104900000000000001"


@pytest.fixture(params=DATABASES)
def batch_world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Any:
    """Lanzhou: everything goes in end-of-day files."""
    url = database_url(request, request.param, tmp_path)
    with running_world(tmp_path, url, clock, CITY="lanzhou") as found:
        yield found


def paying(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> tuple[Phone, dict[str, Any]]:
    """Somebody before an open payment sheet, subscribed to three messages."""
    elder = world.elder(card=card)
    for _ in range(3):
        elder.accept_receipts()
    return elder, elder.confirm(elder.open_order(amount_fen))


def paid(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> tuple[Phone, str]:
    elder, page = paying(world, amount_fen, card)
    assert elder.pay(page) == "requestPayment:ok"
    return elder, page["order"]["id"]


def quiet(world: World, **step: float) -> None:
    """Let time pass until the worker has nothing due any more."""
    for _ in range(60):
        world.sweep()
        if world.work(**(step or {"minutes": 1})) == 0:
            return
    raise AssertionError("the outbox never came to rest")


def told(world: World) -> list[str]:
    """The words of every message that was sent."""
    return [str(message["data"]["phrase5"]) for message in world.sandbox.messages()]


def cases_of(world: World, order_id: str) -> list[Case]:
    with world.deps.database.read() as tx:
        return cases.of_order(tx, order_id)


def accounts(world: World) -> dict[str, int]:
    with world.deps.database.read() as tx:
        return ledger.balance(tx).accounts


# --- two payments for one order ---------------------------------------------------------------------


def test_a_second_payment_for_one_order_goes_home_by_itself_and_the_first_stays(world: World) -> None:
    elder, order_id = paid(world)
    world.work()
    second = world.sandbox.pay_again(order_id)
    with world.deps.database.read() as tx:
        (stray,) = differences.unresolved(tx)
    assert (stray.kind, stray.transaction_id, stray.amount_fen) == ("second_payment", second, 5000)
    assert accounts(world)[SUSPENSE] == -5000 and world.balanced()
    world.work(seconds=1)
    assert accounts(world)[SUSPENSE] == 0 and world.balanced()
    (refund,) = world.sandbox.refunds()
    assert (refund["transaction_id"], refund["refund_fen"], refund["state"]) == (second, 5000, "SUCCESS")
    assert elder.order(order_id)["order"]["truth"] == "credited" and len(world.sandbox.credits()) == 1
    world.work(seconds=1)
    assert told(world) == ["充值成功", "多付已退"]


def test_a_message_whose_template_is_wrong_calls_an_operator_and_keeps_the_persons_consent(
    world: World,
) -> None:
    _elder, order_id = paid(world)
    settings = world.deps.settings
    wrong = replace(settings, wechat=replace(settings.wechat, receipt_template="an-old-template"))
    drain(replace(world.deps, settings=wrong))
    assert told(world) == [] and left(world) == 3
    assert ("message_refused", "40037") in alarms(world)
    assert world.balanced() and len(world.sandbox.credits()) == 1 and order_id


def test_when_what_was_accepted_in_wechat_is_used_up_our_count_follows(world: World) -> None:
    paid(world)
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute("UPDATE subscriptions SET credits = 0")
    world.work()
    assert told(world) == [] and left(world) == 0 and alarms(world) == []


def left(world: World) -> int:
    """How many messages we believe may still be sent."""
    with world.deps.database.read() as tx:
        return int(tx.execute(text("SELECT sum(credits) FROM subscriptions")).scalar_one())


def alarms(world: World) -> list[tuple[str, str]]:
    with world.deps.database.read() as tx:
        return [(row.kind, row.subject) for row in tx.execute(text("SELECT kind, subject FROM alarms"))]


def test_the_second_payment_of_an_order_that_already_goes_home_goes_home_too(world: World) -> None:
    _elder, order_id = paid(world, 5031)
    world.work()
    world.sandbox.pay_again(order_id)
    quiet(world)
    assert sorted(refund["refund_fen"] for refund in world.sandbox.refunds()) == [5031, 5031]
    assert world.sandbox.credits() == [] and world.balanced() and accounts(world)["wechat"] == 0


# --- late money, and money nobody can ask about ------------------------------------------------------


def test_money_for_an_order_that_was_cancelled_goes_home(world: World) -> None:
    elder, page = paying(world)
    order_id = page["order"]["id"]
    elder.ok("POST", f"/api/v1/orders/{order_id}/cancel")
    world.work()
    world.sandbox.pay_late(order_id)
    assert elder.order(order_id)["order"]["truth"] == "going_back"
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "returned" and world.balanced()
    assert told(world) == ["没有付款", "已退款"]


def test_half_an_hour_without_certainty_is_a_case_and_ends_when_wechat_answers(world: World) -> None:
    elder, page = paying(world, 5005)  # WeChat tells us nothing by itself
    order_id = page["order"]["id"]
    assert elder.pay(page) == "requestPayment:ok"
    world.sandbox.outage("primary", "silent")
    for _ in range(29):
        world.work(minutes=1)
        world.sweep()
    assert cases_of(world, order_id) == []
    assert elder.order(order_id)["order"]["truth"] == "not_paid"
    world.work(minutes=1)
    (case,) = cases_of(world, order_id)
    assert (case.kind, case.level) == ("payment_uncertain", 2) and case.evidence["queries"]
    world.sandbox.outage("primary", "none")
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    (case,) = cases_of(world, order_id)
    assert case.resolved_at is not None


def test_a_plan_that_is_not_written_in_two_hours_calls_again_once(world: World) -> None:
    _elder, order_id = paid(world, 5009, "3104870300000000009")
    for _ in range(3):
        world.work(minutes=1)
    (case,) = cases_of(world, order_id)
    world.clock.tick(seconds=(case.plan_due_at - world.clock.now()).total_seconds() - 1)
    assert world.sweep()["overdue_plans"] == 0
    world.clock.tick(seconds=1)
    assert world.sweep()["overdue_plans"] == 1 and world.sweep()["overdue_plans"] == 0
    with world.deps.database.write() as tx:
        assert cases.plan(tx, case.id, "pay it back in cash at the desk", world.clock.now())
        assert not cases.plan(tx, case.id, "another plan", world.clock.now())
    (case,) = cases_of(world, order_id)
    assert case.planned_at != case.resolved_at and case.resolved_at is None


# --- the card is fuller than it was ------------------------------------------------------------------


def test_what_no_longer_fits_on_the_card_goes_home_and_the_rest_arrives(world: World) -> None:
    elder, order_id = paid(world, 10_000)
    world.sandbox.set_card(GOOD_CARD, balance_fen=496_000)  # filled up at a desk meanwhile
    quiet(world, seconds=10)
    page = elder.order(order_id)
    assert page["order"]["truth"] == "credited_in_part" and page["order"]["state"] == "completed"
    assert "四十元到了" in page["screen"]["say"] and "六十元已经退回" in page["screen"]["say"]
    assert world.sandbox.card(GOOD_CARD)["balance_fen"] == 500_000
    (refund,) = world.sandbox.refunds()
    assert (refund["refund_fen"], refund["state"]) == (6000, "SUCCESS")
    assert accounts(world) == {"wechat": 4000, "in_transit": 0, "card_system": -4000}
    assert world.balanced() and told(world) == ["部分到账"]


def test_a_card_that_became_full_takes_nothing_and_everything_goes_home(world: World) -> None:
    elder, order_id = paid(world, 10_000)
    world.sandbox.set_card(GOOD_CARD, balance_fen=500_000)
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "returned" and world.balanced()
    assert world.sandbox.credits() == [] and told(world) == ["已退款"]


def test_a_card_that_fills_up_while_the_part_is_on_its_way_still_ends(world: World) -> None:
    elder, order_id = paid(world, 10_000)
    world.sandbox.set_card(GOOD_CARD, balance_fen=496_000)
    world.work()  # decides on forty yuan
    world.sandbox.set_card(GOOD_CARD, balance_fen=499_000)
    quiet(world, seconds=10)
    assert elder.order(order_id)["order"]["truth"] == "credited_in_part" and world.balanced()
    assert world.sandbox.card(GOOD_CARD)["balance_fen"] == 500_000
    assert [refund["refund_fen"] for refund in world.sandbox.refunds()] == [9000]


# --- a promise that is broken ------------------------------------------------------------------------


def test_a_broken_promise_is_told_once_and_becomes_a_case(world: World) -> None:
    elder, order_id = paid(world)
    world.sandbox.outage("cards", "refuses")
    world.work(seconds=60)
    assert "比答应的晚了" not in elder.order(order_id)["screen"]["say"] and told(world) == []
    for _ in range(5):
        world.work(minutes=1)
        world.sweep()
    page = elder.order(order_id)
    assert page["order"]["truth"] == "paid" and "比我们答应的晚了" in page["screen"]["say"]
    assert told(world) == ["到账会晚"]
    (case,) = cases_of(world, order_id)
    assert (case.kind, case.level) == ("promise_broken", 2)
    world.sandbox.outage("cards", "none")
    quiet(world)
    assert told(world) == ["到账会晚", "充值成功"] and world.balanced()
    (case,) = cases_of(world, order_id)
    assert case.resolved_at is not None


# --- end-of-day files --------------------------------------------------------------------------------


def test_a_batch_city_credits_by_its_file_after_the_cut_off(batch_world: World) -> None:
    world = batch_world  # ten in the morning; the next cut-off is at half past three
    elder, order_id = paid(world, card=LANZHOU_CARD)
    before = world.sandbox.card(LANZHOU_CARD)["balance_fen"]
    promised = elder.order(order_id)["order"]["promised_at"]
    assert promised == (world.clock.now() + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.work()
    world.sweep()
    assert world.sandbox.credits() == [] and world.sandbox.batches() == []
    world.clock.tick(hours=5, minutes=29)
    assert world.sweep()["batches"] == 0
    world.clock.tick(minutes=1)
    assert world.sweep()["batches"] == 1 and world.sweep()["batches"] == 0
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert world.sandbox.card(LANZHOU_CARD)["balance_fen"] == before + 5000
    assert len(world.sandbox.batches()) == 1 and told(world) == ["充值成功"]


def test_a_line_the_file_refuses_goes_home_and_the_others_arrive(batch_world: World) -> None:
    world = batch_world
    elder, good = paid(world, 5000, LANZHOU_CARD)
    page = elder.confirm(elder.open_order(5031))
    assert elder.pay(page) == "requestPayment:ok"
    world.clock.tick(hours=6)
    quiet(world)
    assert elder.order(good)["order"]["truth"] == "credited"
    assert elder.order(page["order"]["id"])["order"]["truth"] == "returned" and world.balanced()


def test_a_file_that_is_never_answered_breaks_the_promise_at_twelve_hours(batch_world: World) -> None:
    world = batch_world
    elder, order_id = paid(world, card=LANZHOU_CARD)
    paid_at = world.clock.now()
    world.sandbox.stall_batches()
    while world.clock.now() < paid_at + timedelta(hours=12):
        world.work(minutes=30)
        world.sweep()
    assert cases_of(world, order_id) == [] and told(world) == []
    world.work(seconds=1)
    world.work(seconds=1)
    (case,) = cases_of(world, order_id)
    assert case.kind == "promise_broken" and told(world) == ["到账会晚"]
    assert as_utc(case.opened_at) == paid_at + timedelta(hours=12, seconds=1)
    world.sandbox.stall_batches(False)
    quiet(world)
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert len(world.sandbox.credits()) == 1


# --- an outage, and the standby channel --------------------------------------------------------------


def silence(world: World) -> list[tuple[Phone, str]]:
    """Enough people whose payment cannot be opened for the breaker to open."""
    world.sandbox.outage("primary", "silent")
    stranded = []
    for number in range(FAILURES_TO_OPEN):
        elder = world.elder()
        order = elder.open_order(5100 + 100 * number)
        status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
        assert (status, body["code"]) == (503, "payment_unavailable") and "没有动您的钱" in body["say"]
        stranded.append((elder, order["id"]))
    return stranded


def test_an_outage_sends_new_orders_to_the_standby_channel_and_unknown_ones_nowhere(world: World) -> None:
    stranded = silence(world)
    elder, order_id = paid(world)
    merchants = {trade["order_id"]: trade["merchant_id"] for trade in world.sandbox.trades()}
    assert merchants[order_id] == world.sandbox.keys.standby.merchant_id
    world.work()
    assert elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert accounts(world)[WECHAT_STANDBY] == 5000
    other, lost = stranded[0]
    order = other.order(lost)["order"]
    status, _body = other.post(f"/api/v1/orders/{lost}/confirm", {"read_back": order["read_back"]})
    assert status == 503
    assert all(trade["order_id"] != lost for trade in world.sandbox.trades())
    with world.deps.database.read() as tx:
        (case,) = [case for case in cases.unresolved(tx) if case.kind == "channel_outage"]
    assert case.level == 3 and case.plan and case.planned_at is not None
    assert case.plan_due_at == case.opened_at + timedelta(minutes=15)


def test_after_the_outage_new_orders_take_the_primary_channel_again(world: World) -> None:
    silence(world)
    paid(world)
    world.sandbox.outage("primary", "none")
    breaker = world.deps.breakers["primary"]
    breaker.half_open()  # what a minute of real time does
    _elder, order_id = paid(world)
    merchants = {trade["order_id"]: trade["merchant_id"] for trade in world.sandbox.trades()}
    assert merchants[order_id] == world.sandbox.keys.merchant_id
    with world.deps.database.read() as tx:
        assert [case for case in cases.unresolved(tx) if case.kind == "channel_outage"] == []
    quiet(world)
    assert world.balanced()


def test_a_payment_that_certainly_was_not_opened_may_take_the_other_channel(world: World) -> None:
    world.sandbox.outage("primary", "refuses")
    elder = world.elder()
    order = elder.open_order()
    path = f"/api/v1/orders/{order['id']}/confirm"
    for _ in range(FAILURES_TO_OPEN):
        assert elder.post(path, {"read_back": order["read_back"]})[0] == 503
    assert elder.pay(elder.confirm(order)) == "requestPayment:ok"
    world.work()
    assert elder.order(order["id"])["order"]["truth"] == "credited" and world.balanced()
    assert accounts(world)[WECHAT_STANDBY] == 5000


def test_the_refund_of_a_standby_order_comes_from_the_standby_merchant(world: World) -> None:
    silence(world)
    _elder, _order_id = paid(world, 5031)
    for _ in range(5):
        world.work(seconds=10)
    (refund,) = world.sandbox.refunds()
    assert refund["merchant_id"] == world.sandbox.keys.standby.merchant_id
    assert accounts(world)[WECHAT_STANDBY] == 0 and world.balanced()


def test_a_notice_for_the_standby_merchant_at_the_primarys_door_is_refused(world: World) -> None:
    silence(world)
    elder, page = paying(world)
    assert elder.pay(page) == "requestPayment:ok"
    with world.sandbox.server.sandbox.world.store.write() as tx:
        tx.execute("UPDATE notices SET url = replace(url, '/standby', ''), state = 'due', attempts = 0")
    world.sandbox.deliver()
    with world.deps.database.read() as tx:
        taken = tx.execute(text("SELECT count(*) FROM notices")).scalar()
    assert taken == 1 and world.balanced()
