"""What reconciliation makes of money one book lacks, of other amounts, of midnight and of the card system."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.domain.clock import FakeClock, iso
from app.domain.orders import SUSPENSE
from app.flows import reconcile as flow
from app.flows.differences import Decision, decide
from app.ports import RefundRequest
from tests.conftest import database_url
from tests.flows.reconciling import (
    MONDAY,
    REFUSING,
    TUESDAY,
    WEDNESDAY,
    alarms,
    classes,
    go_to,
    in_their_book,
    of_day,
    open_cases,
    paid,
    pay,
    quiet,
    reconcile,
    the_difference,
)
from tests.flows.test_reconciliation import CREDITS, HANGZHOU_CARD, accounts, answers, closed
from tests.world import GOOD_CARD, World, running_world


def test_a_payment_the_bill_lacks_is_asked_about_waits_and_is_a_case_when_overdue(world: World) -> None:
    order_id = paid(world)
    paid(world, 6000)
    world.sandbox.bill_fault(MONDAY, "missing_row", order_id=order_id)
    result = reconcile(world)
    assert classes(result) == {"matched": (1, 6000, 1, 6000), "missing_theirs": (1, 5000, 0, 0)}
    one = the_difference(world)
    assert (one.amount_fen, one.due_on, one.state) == (-5000, WEDNESDAY, "open")
    assert open_cases(world) == [] and accounts(world)[SUSPENSE] == 5000
    reconcile(world, TUESDAY)
    assert open_cases(world) == [] and "difference_overdue" not in alarms(world)
    reconcile(world, WEDNESDAY)  # the books of T+2 do not explain it either
    (case,) = open_cases(world)
    assert (case.kind, case.subject, case.level) == ("difference", one.id, 2)
    assert iso(case.plan_due_at) == "2026-11-26T04:00:00Z"  # two hours later
    assert ("payment", "SUCCESS") in answers(case)
    assert "difference_overdue" in alarms(world) and not closed(world)


def test_a_case_found_on_a_saturday_waits_for_monday(world: World) -> None:
    friday = date(2026, 11, 27)
    go_to(world, friday, "12:00")
    order_id = paid(world)
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    reconcile(world, friday)
    (case,) = open_cases(world)
    assert iso(case.plan_due_at) == "2026-11-30T04:00:00Z"


def test_a_payment_that_wechat_itself_denies_is_a_case_at_once(world: World) -> None:
    order_id = paid(world)
    paid(world, 6000)
    in_their_book(
        world,
        "UPDATE trades SET state = 'NOTPAY', paid_at = NULL, transaction_id = NULL WHERE order_id = ?",
        order_id,
    )
    reconcile(world)
    (case,) = open_cases(world)
    assert ("payment", "NOTPAY") in answers(case)


def test_a_missing_statement_is_one_case_and_its_rows_are_marked(world: World) -> None:
    order_id = paid(world)
    world.sandbox.bill_fault(MONDAY, "missing_row", order_id=order_id)  # the only one: no statement exists
    result = reconcile(world)
    assert result.report["books"]["primary"]["statement"] is False
    assert '"no_statement": true' in the_difference(world).detail
    (case,) = open_cases(world)
    assert (case.kind, case.subject) == ("statement_missing", "2026-11-23:primary")
    for day in (TUESDAY, WEDNESDAY):
        reconcile(world, day)
    assert len(open_cases(world)) == 1 and not closed(world)


# --- amounts, duplicates, states ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "found", "amount_fen"), [("amount_changed", "amount", 1), ("duplicate_row", "duplicate", 5000)]
)
def test_another_amount_or_a_second_row_is_a_case_at_once_and_closes_when_a_person_decides(
    world: World, fault: str, found: str, amount_fen: int
) -> None:
    order_id = paid(world)
    world.sandbox.bill_fault(MONDAY, fault, order_id=order_id)
    reconcile(world)
    one = the_difference(world)
    assert (one.kind, one.amount_fen, one.state) == (found, amount_fen, "open")
    (case,) = open_cases(world)
    assert case.evidence["difference"]["theirs_fen"] == (5001 if found == "amount" else 5000)
    assert case.evidence["events"] and case.evidence["entries"]
    decide(world.deps, one.id, Decision.WRITTEN_OFF, "WeChat keeps to its bill")
    assert open_cases(world) == []
    assert flow.go_on(world.deps, world.clock.now()) == [MONDAY]
    assert accounts(world)["losses"] == -amount_fen and accounts(world)[SUSPENSE] == 0


def test_a_decision_is_made_once(world: World) -> None:
    order_id = paid(world)
    world.sandbox.bill_fault(MONDAY, "amount_changed", order_id=order_id)
    reconcile(world)
    one = the_difference(world)
    decide(world.deps, one.id, Decision.REVERSED, "WeChat put it right")
    with pytest.raises(ValueError, match="resolved already: reversed"):
        decide(world.deps, one.id, Decision.WRITTEN_OFF, "again")
    with pytest.raises(LookupError):
        decide(world.deps, "dif_none", Decision.REVERSED, "nothing")
    assert accounts(world)["wechat"] == 5000


def test_a_refund_the_bill_calls_closed_is_settled_by_asking(world: World) -> None:
    paid(world, 5000, REFUSING)
    (refund,) = world.sandbox.refunds()
    world.sandbox.bill_fault(MONDAY, "state_changed", refund_id=refund["refund_id"], state="CLOSED")
    result = reconcile(world)
    assert classes(result)["status"] == (1, -5000, 1, 0)
    assert the_difference(world).resolution == "settled_by_query" and closed(world)


def test_a_refund_that_is_still_under_way_waits_in_suspense_until_it_arrives(world: World) -> None:
    pay(world, 5009, REFUSING)  # ABNORMAL until a person settles it
    quiet(world)
    result = reconcile(world)
    assert classes(result)["status"] == (0, 0, 1, -5009) and not closed(world)
    assert the_difference(world).kind == "status" and accounts(world)[SUSPENSE] == 5009
    world.sandbox.settle_refund(world.sandbox.refunds()[0]["refund_id"])
    flow.go_on(world.deps, world.clock.now())  # it arrived on Tuesday
    assert the_difference(world).kind == "cutoff_shift"
    reconcile(world, TUESDAY)
    assert the_difference(world).resolution == "matched:2026-11-24"
    assert closed(world) and closed(world, TUESDAY) and accounts(world)[SUSPENSE] == 0
    assert world.balanced()


def test_a_refund_made_by_hand_at_wechat_is_a_case(world: World) -> None:
    order_id = paid(world)
    world.deps.pays["primary"].refund(RefundRequest("by-hand-1", order_id, 1000, 5000, "a kindness"))
    reconcile(world)
    one = the_difference(world)
    assert (one.kind, one.amount_fen) == ("missing_ours", -1000)
    assert [case.kind for case in open_cases(world)] == ["difference"]


# --- midnight ---------------------------------------------------------------------------------------------


def test_a_payment_the_bill_shows_on_the_next_day_waits_for_that_day(world: World) -> None:
    go_to(world, MONDAY, "23:58")
    order_id = paid(world)
    world.sandbox.bill_fault(MONDAY, "shifted_row", order_id=order_id)
    result = reconcile(world)
    assert classes(result) == {"cutoff_shift": (1, 5000, 0, 0)} and not closed(world)
    result = reconcile(world, TUESDAY)
    assert classes(result) == {"cutoff_shift": (0, 0, 1, 5000)} and of_day(world, TUESDAY) == []
    assert the_difference(world).resolution == "matched:2026-11-24"
    assert closed(world) and closed(world, TUESDAY) and accounts(world)[SUSPENSE] == 0


@pytest.mark.parametrize("first", [MONDAY, TUESDAY])
def test_the_days_of_a_shift_may_be_reconciled_in_any_order(world: World, first: Any) -> None:
    order_id = paid(world)  # at noon: nothing hints at midnight
    paid(world, 6000)
    world.sandbox.bill_fault(MONDAY, "shifted_row", order_id=order_id)
    go_to(world, WEDNESDAY)
    reconcile(world, first)
    reconcile(world, TUESDAY if first == MONDAY else MONDAY)
    assert closed(world) and closed(world, TUESDAY) and accounts(world)[SUSPENSE] == 0
    assert [reconcile(world, day).report["runs"] for day in (MONDAY, TUESDAY)] == [2, 2]


def test_a_shift_no_other_day_explains_becomes_missing_after_t_plus_two(world: World) -> None:
    go_to(world, MONDAY, "23:58")
    paid(world, 6000)
    order_id = paid(world)
    world.sandbox.bill_fault(MONDAY, "missing_row", order_id=order_id)
    for day in (MONDAY, TUESDAY):
        reconcile(world, day)
        assert the_difference(world).kind == "cutoff_shift" and open_cases(world) == []
    reconcile(world, WEDNESDAY)
    assert the_difference(world).kind == "missing_theirs" and len(open_cases(world)) == 1


def test_a_credit_we_learned_of_after_midnight_closes_both_days(world: World) -> None:
    go_to(world, MONDAY, "23:59:50")
    pay(world, 5033)  # the credit is done, and its answer is lost
    world.work()
    go_to(world, TUESDAY, "00:00:10")
    quiet(world)
    result = reconcile(world)
    assert classes(result, "cards") == {"cutoff_shift": (0, 0, 1, -5033)}
    reconcile(world, TUESDAY)
    assert closed(world) and closed(world, TUESDAY) and len(world.sandbox.credits()) == 1


# --- the card system ----------------------------------------------------------------------------------------


def test_a_credit_the_card_system_lacks_is_a_case_and_never_credited_again(world: World) -> None:
    order_id = paid(world)
    before = world.sandbox.card(GOOD_CARD)["balance_fen"]
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    result = reconcile(world)
    assert classes(result, "cards") == {"missing_theirs": (1, -5000, 0, 0)}
    (case,) = open_cases(world)
    assert case.subject == the_difference(world).id and case.order_id == order_id
    assert ("credit", "never_seen") in answers(case)
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        reconcile(world, day)
        quiet(world)
    assert world.sandbox.credits() == [] and world.sandbox.card(GOOD_CARD)["balance_fen"] == before


@pytest.mark.parametrize(
    ("sql", "found", "amount_fen"),
    [
        (f"UPDATE {CREDITS} SET amount_fen = 4000 WHERE order_id = ?", "amount", 1000),
        (f"UPDATE {CREDITS} SET order_id = 'ord_OF_NOBODY' WHERE order_id = ?", "missing_ours", -5000),
        (
            f"UPDATE {CREDITS} SET card_number = '3104870300000000002' WHERE order_id = ?",
            "missing_ours",
            -5000,
        ),
    ],
    ids=["amount", "unknown order", "another card"],
)
def test_what_else_the_card_system_tells_differently_is_a_case(
    world: World, sql: str, found: str, amount_fen: int
) -> None:
    order_id = paid(world)
    in_their_book(world, sql, order_id)
    reconcile(world)
    one = next(one for one in of_day(world) if one.kind == found)
    assert one.amount_fen == amount_fen
    assert one.id in {case.subject for case in open_cases(world)}
    assert world.balanced() and accounts(world)["card_system"] + 5000 == sum(
        one.amount_fen for one in of_day(world)
    )


def test_a_paid_order_whose_credit_only_they_know_of_is_delivered_not_doubled(world: World) -> None:
    _elder, order_id = pay(world, 5033)
    world.work()  # done there, and the answer lost
    reconcile(world)
    one = the_difference(world)
    assert one.kind == "status" and one.order_id == order_id and one.state == "open"
    quiet(world)
    reconcile(world, TUESDAY)
    assert closed(world) and len(world.sandbox.credits()) == 1
    assert of_day(world)[0].resolution == "matched:2026-11-24"


def test_a_card_of_another_city_is_owed_to_that_city(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock, CITY="shanghai") as world:
        order_id = paid(world, 5000, HANGZHOU_CARD)
        in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
        reconcile(world)
        assert the_difference(world).account == "inter_city"
        assert accounts(world)["inter_city"] == 0


# --- two merchants ------------------------------------------------------------------------------------------


def test_the_standby_merchant_has_a_book_of_its_own(world: World) -> None:
    world.sandbox.outage("primary", "refuses")
    phone = world.elder()
    for number in range(6):
        order = phone.open_order(5500 - 100 * number)
        status, page = phone.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
        if status < 300:
            break
    assert phone.pay(page) == "requestPayment:ok"
    world.sandbox.outage("primary", "none")
    quiet(world)
    world.sandbox.bill_fault(MONDAY, "amount_changed", order_id=page["order"]["id"], merchant="standby")
    result = reconcile(world)
    assert classes(result, "standby") == {"amount": (1, 5000, 1, 5001)}
    assert the_difference(world).account == "wechat_standby"
