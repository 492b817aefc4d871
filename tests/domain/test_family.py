"""Caps of a relative: the tightest speaks first, exactly the cap passes, and youth is counted in hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.family import (
    CARD_CAPS,
    RELATIVE_CAPS,
    YOUNG_FEN,
    Caps,
    OverCap,
    Spent,
    ask_again,
    over_cap,
    own_caps,
    sayable,
)

NOTHING = Spent(0, 0, 0)
OLD, YOUNG = timedelta(hours=24), timedelta(hours=24, microseconds=-1)


def over(
    amount_fen: int,
    mine: Spent = NOTHING,
    card: Spent = NOTHING,
    tie_age: timedelta = OLD,
    card_age: timedelta = OLD,
    caps: Caps = RELATIVE_CAPS,
) -> OverCap | None:
    return over_cap(amount_fen, caps, mine, card, tie_age, card_age)


@pytest.mark.parametrize(
    ("which", "mine", "card", "left"),
    [
        ("single", NOTHING, NOTHING, 50_000),
        ("day", Spent(0, 70_000, 70_000), NOTHING, 30_000),
        ("month", Spent(0, 0, 280_000), NOTHING, 20_000),
        ("card_day", NOTHING, Spent(0, 190_000, 190_000), 10_000),
        ("card_month", NOTHING, Spent(0, 0, 495_000), 5_000),
    ],
)
def test_exactly_what_is_left_passes_and_one_fen_more_does_not(
    which: str, mine: Spent, card: Spent, left: int
) -> None:
    assert over(left, mine, card) is None
    assert over(left + 1, mine, card) == OverCap(which, left)


def test_the_first_day_of_a_tie_or_a_card_is_counted_over_24_hours() -> None:
    assert over(YOUNG_FEN + 1, tie_age=YOUNG) == OverCap("young_tie", YOUNG_FEN)
    assert over(YOUNG_FEN + 1, card_age=YOUNG) == OverCap("young_card", YOUNG_FEN)
    yesterday = Spent(YOUNG_FEN, 0, YOUNG_FEN)  # before midnight, and still within a day
    assert over(1, mine=yesterday, tie_age=YOUNG) == OverCap("young_tie", 0)
    assert over(1, card=yesterday, card_age=YOUNG) == OverCap("young_card", 0)
    assert over(1, mine=yesterday, card_age=YOUNG) is None and over(50_000, mine=yesterday) is None


def test_an_elder_may_only_lower_a_cap() -> None:
    assert own_caps((None, 10_000, 10**9)) == Caps(RELATIVE_CAPS.single_fen, 10_000, RELATIVE_CAPS.month_fen)


@given(
    st.integers(1, 600_000),
    *[st.builds(Spent, *[st.integers(0, 600_000)] * 3)] * 2,
    *[st.integers(0, 48).map(lambda hours: timedelta(hours=hours))] * 2,
)
def test_what_is_said_to_be_left_is_left(
    amount_fen: int, mine: Spent, card: Spent, tie_age: timedelta, card_age: timedelta
) -> None:
    passed = over(amount_fen, mine, card, tie_age, card_age)
    if passed is not None:
        assert 0 <= passed.left_fen < amount_fen
        assert passed.left_fen == 0 or over(passed.left_fen, mine, card, tie_age, card_age) is None
    else:
        assert mine.day_fen + amount_fen <= RELATIVE_CAPS.day_fen
        assert card.month_fen + amount_fen <= CARD_CAPS.month_fen


def test_the_elder_is_asked_again_from_thirty_days_before_the_end() -> None:
    end = datetime(2026, 12, 31, tzinfo=UTC)
    assert not ask_again(None, end) and not ask_again(end, end - timedelta(days=30, microseconds=1))
    assert ask_again(end, end - timedelta(days=30)) and ask_again(end, end + timedelta(days=1))


@pytest.mark.parametrize("told", ["fraud", "有人报告 case 7", "一", "长" * 61, "", "好，\n<b>"])
def test_a_reason_that_cannot_be_read_aloud_is_none(told: str) -> None:
    assert sayable(told) is None


def test_a_reason_is_kept_without_blanks_and_its_full_stop() -> None:
    assert sayable(" 家里人报告，正在查。 ") == "家里人报告，正在查"
