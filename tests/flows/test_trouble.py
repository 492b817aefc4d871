"""When a payment goes wrong: what the person is told, where the money is, and who is called."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import text

from app.domain.orders import SUSPENSE
from app.jobs.outbox import drain
from app.store import cases, differences
from tests.flows.troubles import accounts, cases_of, paid, paying, quiet, told
from tests.world import GOOD_CARD, World

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
