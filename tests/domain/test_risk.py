"""How much proof a payment needs: exact to the fen, explained, never more for a small sum."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cities import City, cities
from app.domain.identity import COOLING, Factor, satisfied
from app.domain.risk import SMALL_FEN, Level, Risk, Signals, Thresholds, assess, thresholds
from app.voice import replies

CALM = Signals(
    amount_fen=5_000,
    today_fen=(),
    hour=10,
    card_age=timedelta(days=30),
    device_age=timedelta(days=30),
    relative_age=None,
    first_in_city=False,
    entry_proven=True,
)
CITY = cities()["guangzhou"]


def judged(city: City = CITY, own: Thresholds | None = None, **changes: object) -> Risk:
    return assess(city, thresholds(city, own), replace(CALM, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount_fen", "level"), [(99_999, Level.NONE), (100_000, Level.LARGE), (100_001, Level.LARGE)]
)
def test_a_thousand_yuan_is_large_and_a_fen_less_is_not(amount_fen: int, level: Level) -> None:
    assert judged(amount_fen=amount_fen).level is level


@pytest.mark.parametrize(("before", "level"), [((99_999,), Level.NONE), ((100_000,), Level.LARGE)])
def test_the_days_sum_counts_with_this_payment(before: tuple[int, ...], level: Level) -> None:
    found = judged(amount_fen=99_999, today_fen=(*before, 1))
    assert found.level is level
    assert level is Level.NONE or found.reasons[0] == "day_total"


def test_one_unusual_thing_is_everyday_life_and_two_ask_for_a_code() -> None:
    one = judged(amount_fen=50_000, hour=2)
    two = judged(amount_fen=50_000, hour=2, device_age=timedelta(hours=23))
    assert one.level is Level.NONE and one.ways == ()
    assert two.level is Level.MEDIUM and two.reasons == ("new_device", "night")
    assert satisfied([set(way) for way in two.ways], {Factor.SMS})


def test_a_phone_that_does_not_say_which_it_is_counts_as_new() -> None:
    assert judged(amount_fen=50_000, device_age=None, hour=2).reasons == ("new_device", "night")


def test_sums_that_rise_like_stairs_are_seen() -> None:
    found = judged(amount_fen=60_000, today_fen=(5_000, 30_000), hour=3)
    assert found.reasons == ("staircase", "night")
    assert judged(amount_fen=60_000, today_fen=(30_000, 5_000), hour=3).level is Level.NONE


@pytest.mark.parametrize("age", [COOLING - timedelta(seconds=1), COOLING])
def test_a_thing_is_new_for_a_day(age: timedelta) -> None:
    found = judged(amount_fen=50_000, card_age=age, hour=1)
    assert (found.level is Level.MEDIUM) == (age < COOLING)


ANY = st.builds(
    Signals,
    amount_fen=st.integers(1, 500_000),
    today_fen=st.lists(st.integers(1, 200_000), max_size=5).map(tuple),
    hour=st.integers(0, 23),
    card_age=st.timedeltas(timedelta(0), timedelta(days=3)),
    device_age=st.none() | st.timedeltas(timedelta(0), timedelta(days=3)),
    relative_age=st.none() | st.timedeltas(timedelta(0), timedelta(days=3)),
    first_in_city=st.booleans(),
    entry_proven=st.booleans(),
)


@given(seen=ANY, name=st.sampled_from(sorted(cities())))
def test_the_rule_holds_for_everything(seen: Signals, name: str) -> None:
    city = cities()[name]
    limits = thresholds(city, None)
    found = assess(city, limits, seen)
    day = sum(seen.today_fen) + seen.amount_fen
    large = seen.amount_fen >= limits.single_fen or day >= limits.day_fen
    assert (found.level is Level.LARGE) == large
    assert bool(found.ways) == (found.level is not Level.NONE or found.proves_entry)
    assert bool(found.reasons) == bool(found.ways), "whoever is asked hears why"
    for reason in found.reasons:
        assert replies.phrase(f"risk_{reason}")
    if found.ways:
        faceless = [way for way in found.ways if not way & {Factor.FACE, Factor.REMOTE_FACE}]
        assert faceless, "the face is never the only way"
    if found.level is not Level.NONE:
        assert frozenset({Factor.FACE}) not in found.ways, "and never enough alone"
    if seen.amount_fen <= SMALL_FEN and day < limits.day_fen and not found.proves_entry:
        assert not found.ways, "small payments are never asked"


@given(seen=ANY, single=st.integers(1, 500_000), more=st.integers(0, 500_000))
def test_an_own_threshold_only_ever_asks_more(seen: Signals, single: int, more: int) -> None:
    own = Thresholds(single, single + more)
    usual = assess(CITY, thresholds(CITY, None), seen)
    stricter = assess(CITY, thresholds(CITY, own), seen)
    assert usual.level is not Level.LARGE or stricter.level is Level.LARGE
