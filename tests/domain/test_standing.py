"""When a standing order is due: days of Shanghai, months of any length, and never long after."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import SHANGHAI, business_day, month_start
from app.domain.pay_requests import State, ended_as, in_turn
from app.domain.standing import LATE_AT_MOST, due_in, last_due, monthly_due, next_morning


def shanghai(*when: int) -> datetime:
    return datetime(*when, tzinfo=SHANGHAI).astimezone(UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("month", "day", "due"),
    [
        (date(2026, 12, 9), 1, date(2026, 12, 1)),
        (date(2026, 11, 9), 31, date(2026, 11, 30)),
        (date(2027, 2, 9), 30, date(2027, 2, 28)),
        (date(2028, 2, 9), 31, date(2028, 2, 29)),
        (date(2028, 2, 9), 29, date(2028, 2, 29)),
    ],
)
def test_a_shorter_month_has_its_last_day(month: date, day: int, due: date) -> None:
    assert due_in(month, day) == due


@given(st.dates(date(2026, 1, 1), date(2036, 12, 31)), st.integers(1, 31))
def test_the_last_due_day_is_the_newest_one_up_to_today(today: date, day: int) -> None:
    due = last_due(today, day)
    assert due <= today
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    later = [due_in(month, day) for month in (today, next_month)]
    assert all(other == due or other > today for other in later)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2036, 12, 31)), st.integers(1, 31))
def test_every_month_is_due_exactly_once(made: datetime, day: int) -> None:
    """Looked at each morning for more than a year, however long the months are."""
    made_at = made.replace(tzinfo=UTC)
    now, found = made_at, set()
    for _ in range(400):
        now = next_morning(now)
        due = monthly_due(now, day, made_at)
        if due is not None:
            found.add(due)
            assert timedelta() <= business_day(now) - due <= LATE_AT_MOST
    months = [(due.year, due.month) for due in found]
    assert len(months) == len(set(months)) and len(months) in (13, 14)


def test_what_was_due_before_it_was_made_or_too_long_ago_is_not() -> None:
    made = shanghai(2026, 12, 5, 12)
    assert monthly_due(shanghai(2026, 12, 6, 9), 1, made) is None
    assert monthly_due(shanghai(2026, 12, 6, 9), 5, made) == date(2026, 12, 5)
    assert monthly_due(shanghai(2027, 1, 4, 9), 1, made) == date(2027, 1, 1)
    assert monthly_due(shanghai(2027, 1, 5, 9), 1, made) is None


def test_the_next_morning_is_nine_in_shanghai() -> None:
    assert next_morning(shanghai(2026, 12, 1, 8, 59)) == shanghai(2026, 12, 1, 9)
    assert next_morning(shanghai(2026, 12, 1, 9)) == shanghai(2026, 12, 2, 9)
    assert next_morning(shanghai(2026, 12, 31, 23, 59)) == shanghai(2027, 1, 1, 9)
    assert month_start(shanghai(2027, 1, 1, 0, 0)) == shanghai(2027, 1, 1)


def test_the_chosen_one_is_asked_first_and_nobody_twice() -> None:
    assert in_turn("b", ["a", "b", "c"]) == ["b", "a", "c"]


def test_a_request_is_declined_only_when_everybody_said_no() -> None:
    assert ended_as(["no", "no"]) is State.DECLINED
    assert ended_as(["no", None]) is ended_as(["lapsed"]) is ended_as([]) is State.UNANSWERED
