"""Numbers of people, and which factors are enough together."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import identity
from app.domain.identity import BANK_ENTRY_WAYS, LARGE_WAYS, Factor, both, satisfied, still_needed

TODAY = date(2026, 11, 25)
GOOD = "440106195003120111"


@pytest.mark.parametrize(
    "text",
    [
        "440106195003120112",  # another check character
        "44010619500312011",
        "4401061950031201111",
        "440106195002300117",  # no such day
        "440106202703120110",  # not born yet
        "440106185003120114",  # nobody is that old
        "040106195003120111",
        "４40106195003120111",
        "",
    ],
)
def test_a_number_that_cannot_exist_is_refused(text: str) -> None:
    assert identity.clean_id_number(text, TODAY) is None


def test_blanks_and_a_small_x_are_forgiven() -> None:
    assert identity.clean_id_number(" 440106 19500312 0111 ", TODAY) == GOOD
    assert identity.clean_id_number("11010519491231002x", TODAY) == "11010519491231002X"


@given(at=st.integers(0, 16), digit=st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_noticed(at: int, digit: str) -> None:
    changed = GOOD[:at] + digit + GOOD[at + 1 :]
    assert (identity.clean_id_number(changed, TODAY) is None) == (changed != GOOD)


@given(at=st.integers(0, 16))
def test_two_neighbours_exchanged_are_always_noticed(at: int) -> None:
    changed = GOOD[:at] + GOOD[at + 1] + GOOD[at] + GOOD[at + 2 :]
    assert (identity.clean_id_number(changed, TODAY) is None) == (changed != GOOD)


@pytest.mark.parametrize("text", ["139 0000 0001", "+8613900000001", "139-0000-0001"])
def test_a_phone_number_is_known_however_it_is_written(text: str) -> None:
    assert identity.clean_phone(text) == "13900000001"


@pytest.mark.parametrize("text", ["1390000000", "139000000011", "23900000001", "12900000001", "１3900000001"])
def test_what_is_no_mobile_number_is_refused(text: str) -> None:
    assert identity.clean_phone(text) is None


def test_a_bank_card_has_its_check_digit() -> None:
    assert identity.clean_bank_card("6222 0210 0000 0000 017") == "6222021000000000017"
    assert identity.clean_bank_card("6222021000000000018") is None


@given(text=st.text(max_size=30), first=st.integers(0, 4), last=st.integers(0, 4))
def test_a_masked_text_shows_no_more_than_its_ends(text: str, first: int, last: int) -> None:
    shown = identity.masked(text, first, last)
    assert len(shown) == len(text)
    hidden = max(0, len(text) - first - last)
    assert shown[first : first + hidden] == "*" * hidden or shown == "*" * len(text)


FACTORS = st.frozensets(st.sampled_from(list(Factor)))
WAYS = st.lists(FACTORS.filter(bool), min_size=1, max_size=4)


@given(one=WAYS, other=WAYS, proven=FACTORS)
def test_two_requirements_together_are_met_exactly_when_each_is(
    one: list[frozenset[Factor]], other: list[frozenset[Factor]], proven: frozenset[Factor]
) -> None:
    joined = both(one, other)
    assert satisfied(joined, proven) == (satisfied(one, proven) and satisfied(other, proven))


@given(ways=WAYS, proven=FACTORS)
def test_what_is_still_needed_is_never_what_is_proven(
    ways: list[frozenset[Factor]], proven: frozenset[Factor]
) -> None:
    needed = still_needed(ways, proven)
    assert not set(needed) & proven and len(set(needed)) == len(needed)
    assert satisfied(ways, proven | set(needed))


def test_a_large_first_payment_in_wenzhou_needs_the_bank_card_or_the_desk() -> None:
    ways = both(LARGE_WAYS, BANK_ENTRY_WAYS)
    assert frozenset({Factor.DESK}) in ways
    assert all(Factor.BANK_CARD in way for way in ways if Factor.DESK not in way)
