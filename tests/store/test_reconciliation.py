"""Our book of a day, differences in suspense, and the fence around a day, on both databases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.clock import SHANGHAI, FakeClock
from app.domain.differences import Facts, Standing, reference
from app.domain.orders import LOSSES, SUSPENSE, WECHAT, Event
from app.domain.reconciliation import Class, Finding, Row, RowKind
from app.store import cards, differences, ledger, orders, reconciled_days, reconciliation, refunds
from app.store.database import Database
from app.store.differences import Difference
from app.store.reconciled_days import Superseded
from tests.builders import VAULT, an_order, card_number

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
LAST_MOMENT = datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=SHANGHAI)


def paid(database: Database, clock: FakeClock, at: datetime, transaction_id: str = "4200") -> str:
    """An order of fifty yuan that was paid at this moment."""
    order = an_order(database, clock)
    changes = {"transaction_id": transaction_id, "paid_at": at, "pay_channel": "primary"}
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
        orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now(), changes)
    return order.id


def payment(order_id: str, number: str = "4200", fen: int = 5000) -> Row:
    return Row(RowKind.PAYMENT, number, order_id, order_id, fen, LAST_MOMENT)


def opened(database: Database, clock: FakeClock, **changes: Any) -> Difference:
    row = payment("ord_x")
    values: dict[str, Any] = {
        "kind": Class.MISSING_OURS.value,
        "reference": reference(MONDAY, "primary", "payment:4200"),
        "source": differences.WECHAT_BILL,
        "day": MONDAY,
        "account": WECHAT,
        "amount_fen": 5000,
        "detail": Facts.of(Finding(Class.MISSING_OURS, None, row), False).text(),
        "due_on": TUESDAY,
        "now": clock.now(),
        "order_id": "ord_x",
        "pay_channel": "primary",
    }
    with database.write() as tx:
        found = differences.open_once(tx, **{**values, **changes})
    assert found is not None
    return found


# --- our book -----------------------------------------------------------------------------------------


def test_our_book_holds_what_was_paid_on_the_shanghai_day_and_nothing_else(
    database: Database, clock: FakeClock
) -> None:
    midnight = LAST_MOMENT + timedelta(microseconds=1)
    ids = [paid(database, clock, at, str(n)) for n, at in enumerate((LAST_MOMENT, midnight))]
    with reconciliation.snapshot(database) as tx:
        monday = list(reconciliation.money(tx, "primary", MONDAY))
        tuesday = list(reconciliation.money(tx, "primary", TUESDAY))
        assert list(reconciliation.money(tx, "standby", MONDAY)) == []
    assert [row.order_id for row in monday] == ids[:1] and [row.order_id for row in tuesday] == ids[1:]
    assert monday == [Row(RowKind.PAYMENT, "0", ids[0], ids[0], 5000, LAST_MOMENT, True, WECHAT)]


def test_a_stray_payment_is_in_our_book_unless_wechat_says_it_never_was(
    database: Database, clock: FakeClock
) -> None:
    stray = opened(
        database, clock, kind="unknown_order", source=differences.NOTICE, transaction_id="42", reference="r"
    )
    with reconciliation.snapshot(database) as tx:
        assert [row.number for row in reconciliation.money(tx, "primary", MONDAY)] == ["42"]
    with database.write() as tx:
        differences.resolve(tx, stray, differences.NEVER_PAID, clock.now())
    with reconciliation.snapshot(database) as tx:
        assert list(reconciliation.money(tx, "primary", MONDAY)) == []


def test_what_we_know_of_a_payment_is_its_day_and_only_if_everything_fits(
    database: Database, clock: FakeClock
) -> None:
    order_id = paid(database, clock, LAST_MOMENT)
    same, other_amount = payment(order_id), payment(order_id, fen=4999)
    other_order, unheard_of = payment("ord_other"), payment(order_id, number="4201")
    rows = [same, other_amount, other_order, unheard_of]
    with database.read() as tx:
        monday = reconciliation.standings(tx, "primary", MONDAY, rows)
        tuesday = reconciliation.standings(tx, "primary", TUESDAY, rows)
        standby = reconciliation.standings(tx, "standby", MONDAY, rows)
    assert monday[same] is Standing.THAT_DAY and tuesday[same] is Standing.ANOTHER_DAY
    assert {monday[row] for row in rows[1:]} == {Standing.ABSENT} == set(standby.values())


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        (refunds.ASKED, Standing.ON_ITS_WAY),
        (refunds.ABNORMAL, Standing.ON_ITS_WAY),
        (refunds.CLOSED, Standing.NOT_DONE),
        (refunds.REFUSED, Standing.NOT_DONE),
        (refunds.SUCCESS, Standing.THAT_DAY),
    ],
)
def test_what_we_know_of_a_refund_follows_its_state(
    database: Database, clock: FakeClock, state: str, standing: Standing
) -> None:
    order_id = paid(database, clock, LAST_MOMENT)
    with database.write() as tx:
        attempt = refunds.current(
            tx,
            subject=order_id,
            now=clock.now(),
            order_id=order_id,
            transaction_id=None,
            pay_channel="primary",
            refund_fen=5000,
            total_fen=5000,
        )
        refunds.end(tx, attempt.id, state, LAST_MOMENT)
    row = Row(RowKind.REFUND, attempt.id, order_id, order_id, -5000, LAST_MOMENT)
    with database.read() as tx:
        assert reconciliation.standings(tx, "primary", MONDAY, [row]) == {row: standing}


@pytest.mark.parametrize(
    ("events", "fen", "standing"),
    [
        ((Event.PAYMENT_RECEIVED,), -5000, Standing.ON_ITS_WAY),
        (
            (Event.PAYMENT_RECEIVED,),
            -4000,
            Standing.ON_ITS_WAY,
        ),  # a part: the delivery books what was credited
        ((Event.PAYMENT_RECEIVED, Event.CREDITED), -5000, Standing.THAT_DAY),
        ((Event.PAYMENT_RECEIVED, Event.CREDITED), -4000, Standing.ABSENT),
        ((Event.PAYMENT_RECEIVED, Event.DELIVERY_REFUSED), -5000, Standing.ABSENT),
    ],
)
def test_what_we_know_of_a_credit_follows_the_order(
    database: Database, clock: FakeClock, events: tuple[Event, ...], fen: int, standing: Standing
) -> None:
    order = an_order(database, clock)
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
        for event in events:
            changes = {"credited_at": LAST_MOMENT} if event is Event.CREDITED else None
            order, _ = orders.advance(tx, order, event, clock.now(), changes)
        number = card_number(VAULT, order.card_id, cards.get(tx, order.card_id).card_number)
    row = Row(RowKind.CREDIT, order.id, number, order.id, fen, LAST_MOMENT)
    other_card = row._replace(about="3104870399999999999")
    with database.read() as tx:
        found = reconciliation.standings(tx, None, MONDAY, [row, other_card], partial(card_number, VAULT))
        of_any_card = reconciliation.standings(tx, None, MONDAY, [row._replace(about="")])
    assert found == {row: standing, other_card: Standing.ABSENT}
    assert set(of_any_card.values()) == {standing}


# --- differences --------------------------------------------------------------------------------------


def test_an_open_difference_is_in_suspense_and_a_resolved_one_is_not(
    database: Database, clock: FakeClock
) -> None:
    one = opened(database, clock)
    with database.read() as tx:
        assert ledger.balance(tx).accounts == {WECHAT: 5000, SUSPENSE: -5000}
        assert differences.count_open(tx, MONDAY) == 1 and ledger.balance(tx).ok
    with database.write() as tx:
        assert differences.resolve(tx, one, "written_off", clock.now(), LOSSES)
        assert not differences.resolve(tx, one, "written_off", clock.now(), LOSSES)
    with database.read() as tx:
        assert ledger.balance(tx).accounts == {WECHAT: 5000, SUSPENSE: 0, LOSSES: -5000}
        assert differences.count_open(tx, MONDAY) == 0 and differences.compared(tx) == []


def test_suspense_without_its_difference_is_noticed(database: Database, clock: FakeClock) -> None:
    opened(database, clock)
    with database.write() as tx:
        tx.exec_driver_sql("UPDATE differences SET state = 'resolved'")
    with database.read() as tx:
        found = ledger.balance(tx)
    assert found.total_fen == 0 and found.adrift_fen == -5000 and not found.ok


def test_finding_a_difference_again_opens_none(database: Database, clock: FakeClock) -> None:
    opened(database, clock)
    with pytest.raises(AssertionError):
        opened(database, clock)
    with database.read() as tx:
        assert len(differences.of_day(tx, MONDAY)) == 1


def test_only_an_open_difference_is_called_something_else(database: Database, clock: FakeClock) -> None:
    one = opened(database, clock)
    with database.write() as tx:
        assert differences.reclassify(tx, one, "cutoff_shift")
        differences.resolve(tx, one, "agreed", clock.now())
        assert not differences.reclassify(tx, one, "missing_ours")
        assert differences.get(tx, one.id).kind == "cutoff_shift"


def test_differences_of_other_days_are_found_by_their_orders(database: Database, clock: FakeClock) -> None:
    one = opened(database, clock)
    opened(database, clock, kind="second_payment", source=differences.NOTICE, reference="primary:42")
    with database.read() as tx:
        assert differences.of_orders(tx, ["ord_x", "ord_y"], other_than=TUESDAY) == [one]
        assert differences.of_orders(tx, ["ord_x"], other_than=MONDAY) == []
        assert differences.of_orders(tx, [], other_than=TUESDAY) == []


def test_numbers_of_any_length_make_different_references() -> None:
    long = ["x" * 128, "x" * 127 + "y"]
    found = {reference(MONDAY, "standby", f"refund:{number}") for number in long}
    assert len(found) == 2 and all(len(one) <= 96 for one in found)


def test_facts_come_back_as_they_were_kept() -> None:
    row = Row(RowKind.REFUND, "rfd_1", "ord_1", "ord_1", -5000, LAST_MOMENT)
    facts = Facts.of(Finding(Class.STATUS, row, row._replace(counts=False)), True)
    assert Facts.read(facts.text()) == facts and (facts.ours_fen, facts.theirs_fen) == (-5000, 0)


# --- days ---------------------------------------------------------------------------------------------


def test_the_newest_run_of_a_day_is_the_only_one_that_may_write(database: Database, clock: FakeClock) -> None:
    with database.write() as tx:
        first = reconciled_days.begin(tx, MONDAY, clock.now())
        reconciled_days.hold(tx, first)
    with database.write() as tx:
        second = reconciled_days.begin(tx, MONDAY, clock.tick(minutes=1))
    assert (first.runs, second.runs) == (1, 2) and first.first_run_at == second.first_run_at
    with pytest.raises(Superseded), database.write() as tx:
        reconciled_days.write(tx, first, {"complete": True})
    with database.write() as tx:
        reconciled_days.write(tx, second, {"complete": True})
    with database.read() as tx:
        found = reconciled_days.find(tx, MONDAY)
    assert found is not None and found.complete and found.state == reconciled_days.OPEN


def test_a_day_is_closed_once_and_is_then_no_longer_among_the_open(
    database: Database, clock: FakeClock
) -> None:
    with database.write() as tx:
        for day in (TUESDAY, MONDAY):
            reconciled_days.begin(tx, day, clock.now())
        assert reconciled_days.close(tx, MONDAY, clock.now())
        assert not reconciled_days.close(tx, MONDAY, clock.tick(minutes=1))
    with database.read() as tx:
        assert [day.day for day in reconciled_days.open_days(tx)] == [TUESDAY]
        assert reconciled_days.newest(tx) == TUESDAY
        assert reconciled_days.find(tx, date(2026, 1, 1)) is None
