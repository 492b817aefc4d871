"""Every day after ten: WeChat's bills, the card system's file and our ledger, until they tell the same."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from app.domain.orders import SUSPENSE
from app.flows import reconcile as flow
from app.flows.reconcile import TooEarly
from app.flows.reconcile_books import Silent
from app.ports import PaymentRequest
from app.store import ledger, reconciled_days
from app.store.cases import Case
from tests.flows.reconciling import (
    MONDAY,
    REFUSING,
    TUESDAY,
    alarms,
    bookkeeping,
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
from tests.world import GOOD_CARD, World

HANGZHOU_CARD = "3104880100000000001"
CREDITS = "card_credits"


def closed(world: World, day: Any = MONDAY) -> bool:
    with world.deps.database.read() as tx:
        found = reconciled_days.find(tx, day)
    return found is not None and found.state == reconciled_days.CLOSED


def accounts(world: World) -> dict[str, int]:
    with world.deps.database.read() as tx:
        found = ledger.balance(tx)
    assert found.ok, found
    return found.accounts


def answers(case: Case) -> list[tuple[str, str]]:
    """What was asked outside about the order of a case, and answered."""
    return [(told["asked"], told["answer"]) for told in case.evidence["queries"]]


def stray_payment(world: World, amount_fen: int = 5005) -> str:
    """Somebody pays for an order we know nothing of, and WeChat's notice never comes."""
    pay_port = world.deps.pays["primary"]
    openid = world.sandbox.openid("a stranger")
    now = world.clock.now()
    ends = now + timedelta(hours=1)
    prepay_id = pay_port.open(PaymentRequest("ord_OF_NOBODY", amount_fen, "card", openid, ends))
    assert world.sandbox.pay(pay_port.pay_parameters(prepay_id, now)) == "requestPayment:ok"
    (trade,) = [row for row in world.sandbox.trades() if row["order_id"] == "ord_OF_NOBODY"]
    return str(trade["transaction_id"])


# --- a day that balances ----------------------------------------------------------------------------


def test_a_day_on_which_everything_agrees_closes_at_ten_the_next_morning(world: World) -> None:
    paid(world, 5000)
    paid(world, 6000, REFUSING)  # paid, refused by the card system, and sent home
    result = reconcile(world)
    assert result.report["state"] == "closed" and closed(world) and of_day(world) == []
    assert classes(result) == {"matched": (3, 5000, 3, 5000)}
    assert classes(result, "cards") == {"matched": (1, -5000, 1, -5000)}
    assert classes(result, "standby") == {}
    assert world.balanced()


def test_a_day_without_any_trade_closes_although_there_is_no_statement(world: World) -> None:
    result = reconcile(world)
    assert result.report["state"] == "closed" and open_cases(world) == []
    assert result.report["books"]["primary"]["statement"] is False


def test_the_bill_is_kept_as_it_came_with_its_checksum_for_the_service_only(world: World) -> None:
    paid(world)
    folder = reconcile(world).folder
    raw = (folder / "wechat_primary.csv").read_bytes()
    checksum, name = (folder / "wechat_primary.csv.sha1").read_text().split()
    assert hashlib.sha1(raw).hexdigest() == checksum and name == "wechat_primary.csv"
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == 4
    assert (folder / "wechat_primary.csv").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_report_is_written_twice_once_for_programs_and_once_for_people(world: World) -> None:
    order_id = paid(world)
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    result = reconcile(world)
    assert json.loads((result.folder / "report.json").read_text()) == result.report
    page = (result.folder / "report.md").read_text()
    assert "2026-11-23: open, 1 to resolve" in page and "missing_theirs 对方缺" in page
    assert order_id in page and GOOD_CARD not in page + json.dumps(result.report)


@pytest.mark.parametrize("order_in", ["open", "closed"])
def test_a_second_run_changes_nothing_but_the_run_counter(world: World, order_in: str) -> None:
    order_id = paid(world)
    if order_in == "open":
        in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    first = reconcile(world)
    before, page = bookkeeping(world), (first.folder / "report.md").read_text()
    world.clock.tick(hours=3)
    second = reconcile(world)
    assert first.report["state"] == order_in and second.report["runs"] == 2
    assert second.report == {**first.report, "runs": 2}
    assert (second.folder / "report.md").read_text() == page.replace("Run 1.", "Run 2.")
    assert bookkeeping(world) == before


# --- when there is nothing to read -------------------------------------------------------------------


@pytest.mark.parametrize(("day", "at"), [(MONDAY, "23:59"), (TUESDAY, "09:59:59")])
def test_a_day_is_not_reconciled_before_ten_on_the_next(world: World, day: Any, at: str) -> None:
    go_to(world, day, at)
    with pytest.raises(TooEarly, match="2026-11-24 10:00"):
        flow.reconcile(world.deps, MONDAY)
    with world.deps.database.read() as tx:
        assert reconciled_days.find(tx, MONDAY) is None


@pytest.mark.parametrize("fault", ["creating", "wrong_hash", "wrong_summary", "truncated", "expired_link"])
def test_while_the_bill_is_not_to_be_had_nothing_is_opened_and_the_day_stays_open(
    world: World, fault: str
) -> None:
    order_id = paid(world)
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    world.sandbox.bill_fault(MONDAY, fault)
    with pytest.raises(Silent, match="primary"):
        reconcile(world)
    assert of_day(world) == [] and open_cases(world) == [] and not closed(world)
    world.sandbox.bill_fault(MONDAY, "none")
    assert reconcile(world).report["open"] == 1


@pytest.mark.parametrize("mode", ["refuses", "silent"])
@pytest.mark.parametrize("who", ["primary", "standby", "cards"])
def test_a_side_that_is_silent_keeps_the_day_open(world: World, who: str, mode: str) -> None:
    paid(world)
    go_to(world, TUESDAY)
    world.sandbox.outage(who, mode)
    with pytest.raises(Silent) as silence:
        reconcile(world)
    assert silence.value.book == who and of_day(world) == []
    world.sandbox.outage(who, "none")
    assert reconcile(world).report["state"] == "closed"


def test_a_silent_side_later_does_not_take_back_what_was_found(world: World) -> None:
    order_id = paid(world)
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    found = reconcile(world).report
    world.sandbox.outage("cards", "refuses")
    with pytest.raises(Silent):
        reconcile(world)
    world.sandbox.outage("cards", "none")
    assert reconcile(world).report == {**found, "runs": 3}


def test_a_bill_that_changed_is_not_believed(world: World) -> None:
    order_id = paid(world)
    in_their_book(world, f"DELETE FROM {CREDITS} WHERE order_id = ?", order_id)
    folder = reconcile(world).folder
    (folder / "wechat_primary.csv.sha1").write_text("0" * 40 + "  wechat_primary.csv\n")
    with pytest.raises(Silent, match="bill_changed"):
        reconcile(world)
    assert "bill_changed" in alarms(world) and not closed(world)


# --- money they show and we do not --------------------------------------------------------------------


def test_a_payment_nobody_told_us_of_is_booked_from_the_bill_and_reaches_the_card(world: World) -> None:
    elder, order_id = pay(world, 5005)  # WeChat's notice never comes, and no worker asks
    before = elder.balance_fen()
    result = reconcile(world)
    assert classes(result)["missing_ours"] == (0, 0, 1, 5005)
    assert the_difference(world).resolution == "accepted" and closed(world)
    assert accounts(world)[SUSPENSE] == 0
    quiet(world)
    assert elder.log_in().order(order_id)["order"]["truth"] == "credited"
    assert elder.balance_fen() == before + 5005 and world.balanced()
    again = reconcile(world)
    assert again.report == {**result.report, "runs": 2}


def test_a_payment_for_an_order_that_was_cancelled_goes_home(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order(5005))
    order_id = page["order"]["id"]
    elder.ok("POST", f"/api/v1/orders/{order_id}/cancel")
    quiet(world)
    world.sandbox.pay_late(order_id)
    reconcile(world)
    assert the_difference(world).resolution == "late"
    quiet(world)
    assert elder.log_in().order(order_id)["order"]["truth"] == "returned"
    assert accounts(world)["wechat"] == 0


def test_money_without_any_order_goes_home_and_then_the_day_closes(world: World) -> None:
    transaction_id = stray_payment(world)
    reconcile(world)
    handed_over, stray = sorted(of_day(world), key=lambda one: one.kind)
    assert (handed_over.kind, handed_over.resolution) == ("missing_ours", "unknown_order")
    assert (stray.kind, stray.state, stray.transaction_id) == ("unknown_order", "open", transaction_id)
    assert not closed(world) and accounts(world)[SUSPENSE] == -5005
    quiet(world)
    flow.go_on(world.deps, world.clock.now())
    assert closed(world) and accounts(world)["wechat"] == 0
    (refund,) = world.sandbox.refunds()
    assert (refund["transaction_id"], refund["refund_fen"]) == (transaction_id, 5005)
    # The refund was asked for on Tuesday, and Tuesday's books agree on it.
    assert classes(reconcile(world, TUESDAY)) == {"matched": (1, -5005, 1, -5005)} and closed(world, TUESDAY)


def test_a_notice_that_comes_after_the_bill_sends_stray_money_home_once(world: World) -> None:
    stray_payment(world, 5006)  # the notice is held back
    reconcile(world)
    quiet(world)
    world.sandbox.release("ord_OF_NOBODY")
    quiet(world)
    assert len(world.sandbox.refunds()) == 1 and accounts(world)["wechat"] == 0


def test_a_row_wechat_itself_knows_nothing_of_is_withdrawn_with_its_money(world: World) -> None:
    world.sandbox.bill_fault(MONDAY, "extra_row")
    reconcile(world)
    quiet(world)
    flow.go_on(world.deps, world.clock.now())
    assert {one.resolution for one in of_day(world)} == {"unknown_order", "never_paid"}
    assert closed(world) and accounts(world)["wechat"] == 0


def test_a_second_payment_only_the_bill_tells_of_goes_home_and_the_first_stays(world: World) -> None:
    elder, order_id = pay(world, 5005)
    world.sweep()
    quiet(world)  # the query finds the first payment
    second = world.sandbox.pay_again(order_id)
    reconcile(world)
    assert {(one.kind, one.transaction_id) for one in of_day(world)} == {
        ("missing_ours", second),
        ("second_payment", second),
    }
    quiet(world)
    flow.go_on(world.deps, world.clock.now())
    assert closed(world) and elder.log_in().order(order_id)["order"]["truth"] == "credited"
    assert accounts(world)["wechat"] == 5005 and len(world.sandbox.credits()) == 1


def test_a_second_payment_that_was_told_and_returned_needs_no_difference_of_the_bill(world: World) -> None:
    order_id = paid(world)
    world.sandbox.pay_again(order_id)
    quiet(world)
    result = reconcile(world)
    assert [one.resolution for one in of_day(world)] == ["returned"] and closed(world)
    assert classes(result) == {"matched": (3, 5000, 3, 5000)}


def test_money_that_does_not_fit_its_order_is_a_case_and_moves_nothing(world: World) -> None:
    _elder, order_id = pay(world, 5005)
    world.sandbox.bill_fault(MONDAY, "amount_changed", order_id=order_id, amount_fen=4000)
    reconcile(world)
    one = the_difference(world)
    assert (one.kind, one.state, one.amount_fen) == ("missing_ours", "open", 4000)
    assert [case.subject for case in open_cases(world) if case.kind == "difference"] == [one.id]
    assert accounts(world)[SUSPENSE] == -4000 and not closed(world)
