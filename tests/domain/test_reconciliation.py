"""Two books compared: every row in exactly one class, and the classes' sums are the books' sums."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar import calendar
from app.domain.clock import SHANGHAI
from app.domain.differences import (
    Standing,
    Step,
    due_on,
    is_overdue,
    knowing,
    next_step,
    overdue_class,
    plan_due_at,
    ready_at,
)
from app.domain.reconciliation import (
    Class,
    Comparison,
    Finding,
    Row,
    RowKind,
    compare,
    span,
    tally,
)

DAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
START, END = span(DAY)


def payment(
    number: str = "4200", fen: int = 5000, at: datetime = NOON, about: str = "ord_1", counts: bool = True
) -> Row:
    return Row(RowKind.PAYMENT, number, about, about, fen, at, counts)


def refund(number: str = "rfd_1", fen: int = -5000, counts: bool = True) -> Row:
    return Row(RowKind.REFUND, number, "ord_1", "ord_1", fen, NOON, counts)


def classes(found: Comparison) -> list[Class]:
    return [finding.found for finding in found.findings]


# --- the classes, one by one ----------------------------------------------------------------------


def test_what_both_books_show_alike_is_matched() -> None:
    found = compare(DAY, [payment(), refund()], [refund(), payment()])
    assert found.findings == []
    assert (found.matched.ours_count, found.matched.ours_fen) == (2, 0)


def test_money_they_show_and_we_do_not_is_long() -> None:
    (finding,) = compare(DAY, [], [payment()]).findings
    assert finding.found is Class.MISSING_OURS and finding.amount_fen == 5000


def test_money_we_show_and_they_do_not_is_short() -> None:
    (finding,) = compare(DAY, [payment()], []).findings
    assert finding.found is Class.MISSING_THEIRS and finding.amount_fen == -5000


def test_a_refund_only_they_show_is_short_because_it_took_money_away() -> None:
    (finding,) = compare(DAY, [], [refund()]).findings
    assert finding.found is Class.MISSING_OURS and finding.amount_fen == -5000


def test_different_amounts_of_one_payment_differ_by_what_ours_lacks() -> None:
    (finding,) = compare(DAY, [payment(fen=5000)], [payment(fen=4999)]).findings
    assert finding.found is Class.AMOUNT and finding.amount_fen == -1


def test_a_refund_only_one_book_counts_is_a_matter_of_status() -> None:
    (finding,) = compare(DAY, [refund()], [refund(counts=False)]).findings
    assert finding.found is Class.STATUS and finding.amount_fen == 5000


def test_what_moved_nothing_and_stands_in_one_book_only_is_no_difference() -> None:
    found = compare(DAY, [], [refund(counts=False)])
    assert found.findings == [] and (found.matched.theirs_count, found.matched.theirs_fen) == (1, 0)


def test_the_second_row_of_one_payment_is_a_duplicate() -> None:
    found = compare(DAY, [payment()], [payment(), payment()])
    (finding,) = found.findings
    assert finding.found is Class.DUPLICATE and finding.amount_fen == 5000 and finding.copy == 2
    assert found.matched.theirs_count == 1


def test_a_duplicate_of_a_payment_we_do_not_have_is_one_missing_and_one_duplicate() -> None:
    assert classes(compare(DAY, [], [payment(), payment()])) == [Class.MISSING_OURS, Class.DUPLICATE]


def test_of_two_rows_the_one_that_agrees_is_the_payment_and_the_other_the_duplicate() -> None:
    (finding,) = compare(DAY, [payment(fen=200)], [payment(fen=100), payment(fen=200)]).findings
    assert finding.found is Class.DUPLICATE and finding.amount_fen == 100


def test_one_transaction_about_two_orders_is_missing_on_both_sides() -> None:
    found = compare(DAY, [payment(about="ord_1")], [payment(about="ord_2")])
    assert sorted(classes(found)) == [Class.MISSING_OURS, Class.MISSING_THEIRS]
    assert len({(finding.found, finding.name) for finding in found.findings}) == 2


def test_payments_refunds_and_credits_may_share_a_number() -> None:
    same = [Row(kind, "x", "", "x", 1, NOON) for kind in RowKind]
    assert compare(DAY, same, same).findings == []


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (START, Class.CUTOFF_SHIFT),
        (START + timedelta(minutes=5, microseconds=-1), Class.CUTOFF_SHIFT),
        (START + timedelta(minutes=5), Class.MISSING_THEIRS),
        (END - timedelta(minutes=5, microseconds=1), Class.MISSING_THEIRS),
        (END - timedelta(minutes=5), Class.CUTOFF_SHIFT),
        (END - timedelta(microseconds=1), Class.CUTOFF_SHIFT),
    ],
)
def test_within_five_minutes_of_midnight_a_row_of_ours_may_stand_in_another_day(
    at: datetime, found: Class
) -> None:
    assert classes(compare(DAY, [payment(at=at)], [])) == [found]
    # Our own book can be read on every day, so theirs are never guessed about.
    assert classes(compare(DAY, [], [payment(at=at)])) == [Class.MISSING_OURS]


def test_a_day_is_shanghais_and_has_24_hours() -> None:
    assert datetime(2026, 11, 22, 16, tzinfo=UTC) == START and timedelta(days=1) == END - START


def test_what_was_watched_and_agrees_by_now_has_caught_up() -> None:
    found = compare(DAY, [payment(), payment("4201")], [payment(), payment("4201")], {"payment:4200"})
    (caught_up,) = found.caught_up
    assert caught_up.name == "payment:4200" and found.matched.ours_count == 1


def test_no_name_of_a_difference_holds_a_card_number() -> None:
    credit = Row(RowKind.CREDIT, "ord_1", "3104870300000000001", "ord_1", -5000, NOON)
    (finding,) = compare(DAY, [], [credit]).findings
    assert finding.name == "credit:ord_1"


# --- laws -----------------------------------------------------------------------------------------

moments = st.integers(0, 86_399).map(lambda second: START + timedelta(seconds=second))
rows = st.builds(
    Row,
    st.sampled_from(RowKind),
    st.sampled_from("abcd"),
    st.sampled_from(("", "x")),
    st.just("ord_1"),
    st.integers(-3, 3).filter(bool),
    moments,
    st.booleans(),
)
books = st.lists(rows, max_size=12)


def rows_of(found: Comparison) -> tuple[int, int, int, int]:
    total = [0, 0, 0, 0]
    for one in tally(found.matched, found.findings).values():
        total[0] += one.ours_count
        total[1] += one.ours_fen
        total[2] += one.theirs_count
        total[3] += one.theirs_fen
    return total[0], total[1], total[2], total[3]


@given(books, books)
def test_every_row_is_in_one_class_and_the_classes_add_up_to_both_books(
    ours: list[Row], theirs: list[Row]
) -> None:
    found = compare(DAY, ours, theirs)
    assert rows_of(found) == (
        len(ours),
        sum(row.effect_fen for row in ours),
        len(theirs),
        sum(row.effect_fen for row in theirs),
    )
    assert sum(finding.amount_fen for finding in found.findings) == sum(
        row.effect_fen for row in theirs
    ) - sum(row.effect_fen for row in ours)


@given(books, books, st.randoms(use_true_random=False))
def test_the_order_of_rows_means_nothing(ours: list[Row], theirs: list[Row], shuffle: st.DataObject) -> None:
    first = compare(DAY, ours, theirs)
    assert compare(DAY, ours, theirs) == first
    shuffled = [list(ours), list(theirs)]
    for book in shuffled:
        shuffle.shuffle(book)  # type: ignore[attr-defined]
    assert compare(DAY, *shuffled) == first


@given(books, books)
def test_no_two_differences_have_the_same_class_and_name(ours: list[Row], theirs: list[Row]) -> None:
    found = compare(DAY, ours, theirs).findings
    assert len({(finding.found, finding.name) for finding in found}) == len(found)


@given(books)
def test_a_book_compared_with_itself_gives_only_matches(book: list[Row]) -> None:
    found = compare(DAY, book, book)
    assert found.findings == [] and found.matched.ours_count == len(book)


@given(books, books)
def test_the_books_seen_from_the_other_side_differ_by_the_opposite_amount(
    ours: list[Row], theirs: list[Row]
) -> None:
    here, there = compare(DAY, ours, theirs), compare(DAY, theirs, ours)
    assert sum(finding.amount_fen for finding in here.findings) == -sum(
        finding.amount_fen for finding in there.findings
    )
    assert here.matched.ours_fen == there.matched.theirs_fen


@given(books, books)
def test_watching_a_name_only_moves_its_match_aside(ours: list[Row], theirs: list[Row]) -> None:
    plain = compare(DAY, ours, theirs)
    watched = compare(DAY, ours, theirs, {f"{kind}:{number}" for kind in RowKind for number in "abcd"})
    assert watched.findings == plain.findings
    aside = sum(finding.theirs is not None for finding in watched.caught_up)
    assert watched.matched.theirs_count + aside == plain.matched.theirs_count


# --- what becomes of a difference -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("standing", "found"),
    [
        (Standing.ABSENT, Class.MISSING_OURS),
        (Standing.ON_ITS_WAY, Class.STATUS),
        (Standing.NOT_DONE, Class.STATUS),
        (Standing.ANOTHER_DAY, Class.CUTOFF_SHIFT),
        (Standing.THAT_DAY, Class.MISSING_OURS),
    ],
)
def test_what_our_book_knows_of_a_row_decides_its_class(standing: Standing, found: Class) -> None:
    missing = Finding(Class.MISSING_OURS, None, payment())
    assert knowing(missing, standing).found is found
    duplicate = missing._replace(found=Class.DUPLICATE)
    assert knowing(duplicate, standing) == duplicate


def test_only_payments_are_ever_booked_and_never_a_credit() -> None:
    for found, kind, overdue in product(Class, RowKind, (False, True)):
        if next_step(found, kind, overdue) is Step.BOOK:
            assert kind is RowKind.PAYMENT and found is Class.MISSING_OURS


@pytest.mark.parametrize("kind", RowKind)
def test_no_rule_for_amounts_and_duplicates_so_a_person_looks_at_once(kind: RowKind) -> None:
    assert next_step(Class.AMOUNT, kind, False) is Step.CASE
    assert next_step(Class.DUPLICATE, kind, False) is Step.CASE


def test_a_shift_waits_and_becomes_missing_when_it_is_overdue() -> None:
    assert next_step(Class.CUTOFF_SHIFT, RowKind.PAYMENT, False) is Step.WAIT
    assert overdue_class(Class.CUTOFF_SHIFT, 5000, RowKind.PAYMENT) is Class.MISSING_OURS
    assert overdue_class(Class.CUTOFF_SHIFT, -5000, RowKind.PAYMENT) is Class.MISSING_THEIRS
    assert overdue_class(Class.CUTOFF_SHIFT, -5000, RowKind.CREDIT) is Class.MISSING_OURS
    assert overdue_class(Class.CUTOFF_SHIFT, 5000, RowKind.REFUND) is Class.MISSING_THEIRS
    assert overdue_class(Class.AMOUNT, 1, RowKind.REFUND) is Class.AMOUNT


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (date(2026, 11, 23), date(2026, 11, 25)),  # Monday: Wednesday
        (date(2026, 11, 26), date(2026, 11, 30)),  # Thursday: the Saturday is off, Monday
        (date(2026, 2, 12), date(2026, 2, 14)),  # the make-up Saturday before Spring Festival counts
        (date(2026, 2, 13), date(2026, 2, 24)),  # the first workday after Spring Festival
    ],
)
def test_a_difference_is_due_on_the_first_workday_from_t_plus_two(day: date, due: date) -> None:
    assert due_on(day, calendar()) == due


def test_a_difference_is_overdue_once_the_books_of_its_last_day_can_be_read() -> None:
    due = date(2026, 11, 25)
    assert not is_overdue(due, datetime(2026, 11, 26, 9, 59, 59, tzinfo=SHANGHAI))
    assert is_overdue(due, datetime(2026, 11, 26, 10, 0, tzinfo=SHANGHAI))


def test_a_day_can_be_reconciled_from_ten_on_the_next() -> None:
    assert ready_at(DAY) == datetime(2026, 11, 24, 10, 0, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 11, 24, 10, 0), datetime(2026, 11, 24, 12, 0)),
        (datetime(2026, 2, 14, 10, 0), datetime(2026, 2, 14, 12, 0)),  # a make-up Saturday
        (datetime(2026, 11, 28, 10, 0), datetime(2026, 11, 30, 12, 0)),  # a Saturday
        (datetime(2026, 2, 17, 23, 0), datetime(2026, 2, 24, 12, 0)),  # Spring Festival
    ],
)
def test_a_plan_is_due_in_two_hours_or_after_the_days_off(now: datetime, due: datetime) -> None:
    assert plan_due_at(now.replace(tzinfo=SHANGHAI), calendar()) == due.replace(tzinfo=SHANGHAI)
