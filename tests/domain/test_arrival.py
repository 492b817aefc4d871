"""When the money will be there: the city's mode first, then the Asia/Shanghai clock at payment success."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.arrival import Promise, batch_cutoff, promise
from app.domain.calendar import Calendar, Year, calendar
from app.domain.cities import Clearing, cities
from app.domain.clock import SHANGHAI
from app.voice import replies

AT_ONCE = (timedelta(0), timedelta(seconds=60), "promise_at_once")
EVENING = (timedelta(hours=1), timedelta(hours=2), "promise_evening")
DAY_OFF = (timedelta(hours=2), timedelta(hours=6), "promise_day_off")
HOURS = (timedelta(hours=2), timedelta(hours=6), "promise_hours")
MAKE_UP = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")
DAYS_2027 = [date(2027, 1, 1) + timedelta(days=index) for index in range(365)]
STATUTORY_2027 = [  # first and last statutory day, and the most days in a row
    (date(2027, 1, 1), date(2027, 1, 1), 4),
    (date(2027, 2, 5), date(2027, 2, 8), 10),
    (date(2027, 4, 5), date(2027, 4, 5), 4),
    (date(2027, 5, 1), date(2027, 5, 2), 6),
    (date(2027, 6, 9), date(2027, 6, 9), 4),
    (date(2027, 9, 15), date(2027, 9, 15), 4),
    (date(2027, 10, 1), date(2027, 10, 3), 9),
]
STANDARD = sorted(name for name, city in cities().items() if city.clearing is Clearing.STANDARD)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def window(text: str, city: str = "chengdu") -> tuple[timedelta, timedelta, str]:
    paid_at = moment(text)
    kept = promise(cities()[city], paid_at)
    return kept.earliest - paid_at, kept.by - paid_at, kept.words


@pytest.mark.parametrize(
    ("paid_at", "expected"),
    [
        # an ordinary Monday, each boundary and the moment before it
        ("2026-11-23T00:00:00", AT_ONCE),
        ("2026-11-23T15:59:59.999", AT_ONCE),
        ("2026-11-23T15:59:59.999999", AT_ONCE),
        ("2026-11-23T16:00:00", EVENING),
        ("2026-11-23T23:59:59.999", EVENING),
        ("2026-11-24T00:00:00", AT_ONCE),
        # into a weekend and out of it
        ("2026-11-20T23:59:59.999", EVENING),
        ("2026-11-21T00:00:00", DAY_OFF),
        ("2026-11-21T15:59:59.999", DAY_OFF),
        ("2026-11-22T16:00:00", DAY_OFF),
        ("2026-11-22T23:59:59.999", DAY_OFF),
        ("2026-11-23T00:00:00.001", AT_ONCE),
        # Spring Festival 2026: its eve is a make-up Saturday
        ("2026-02-13T10:00:00", AT_ONCE),
        ("2026-02-14T15:59:59.999", AT_ONCE),
        ("2026-02-14T23:59:59.999", EVENING),
        ("2026-02-15T00:00:00", DAY_OFF),
        ("2026-02-16T12:00:00", DAY_OFF),
        ("2026-02-17T12:00:00", DAY_OFF),
        ("2026-02-23T23:59:59.999", DAY_OFF),
        ("2026-02-24T00:00:00", AT_ONCE),
        # National Day and its eve, a Wednesday
        ("2026-09-30T23:59:59.999", EVENING),
        ("2026-10-01T00:00:00", DAY_OFF),
        ("2026-10-07T23:59:59.999", DAY_OFF),
        ("2026-10-08T00:00:00", AT_ONCE),
        # from an announced year into one that is not
        ("2026-12-31T15:59:59.999", AT_ONCE),
        ("2026-12-31T16:00:00", EVENING),
        ("2026-12-31T23:59:59.999", EVENING),
        ("2027-01-01T00:00:00", HOURS),
        ("2027-01-02T00:00:00", DAY_OFF),  # a Saturday is off in any year
        ("2027-01-04T12:00:00", HOURS),
        ("2027-01-05T15:59:59.999", AT_ONCE),
        ("2027-01-05T16:00:00", EVENING),
        ("2027-02-06T12:00:00", DAY_OFF),
        ("2027-12-31T16:00:00", EVENING),
        # a year without a file
        ("2028-01-03T12:00:00", HOURS),
        ("2028-01-08T12:00:00", DAY_OFF),
        ("2025-06-04T10:00:00", HOURS),
    ],
)
def test_the_standard_promise_goes_by_the_clock(
    paid_at: str, expected: tuple[timedelta, timedelta, str]
) -> None:
    assert window(paid_at) == expected


@pytest.mark.parametrize("day", MAKE_UP)
def test_a_make_up_workday_is_a_workday(day: str) -> None:
    assert window(f"{day}T00:00:00") == window(f"{day}T15:59:59.999") == AT_ONCE
    assert window(f"{day}T16:00:00") == window(f"{day}T23:59:59.999") == EVENING


@pytest.mark.parametrize("name", STANDARD)
def test_every_standard_city_keeps_the_same_clock(name: str) -> None:
    assert window("2026-11-23T15:59:59.999", name) == AT_ONCE
    assert window("2026-11-23T16:00:00", name) == EVENING
    assert window("2026-11-22T16:00:00", name) == DAY_OFF


def test_it_is_shanghais_clock_that_counts_wherever_the_moment_was_read() -> None:
    in_utc = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # midnight, and Saturday, in Shanghai
    assert promise(cities()["wuhan"], in_utc).words == "promise_day_off"
    assert promise(cities()["wuhan"], in_utc - timedelta(microseconds=1)).words == "promise_evening"


def test_an_announced_year_changes_its_promises(tmp_path: Path) -> None:
    (tmp_path / "2027.toml").write_text(
        'year = 2027\nannounced = true\nsource = "a notice"\nmake_up = [2027-01-09]\n'
        '[[off]]\nname = "New Year"\nfirst = 2027-01-01\nlast = 2027-01-03\n'
    )
    city, days = cities()["wuhan"], calendar(tmp_path)
    assert promise(city, moment("2027-01-04T12:00"), days).words == "promise_at_once"
    assert promise(city, moment("2027-01-09T12:00"), days).words == "promise_at_once"
    assert promise(city, moment("2027-01-01T12:00"), days).words == "promise_day_off"
    assert promise(city, moment("2027-01-04T12:00")).words == "promise_hours"


# --- real time and batches ---


@pytest.mark.parametrize("paid_at", ["2026-02-17T03:00", "2026-11-21T23:59:59.999", "2026-11-23T16:00"])
def test_guangzhou_credits_in_seconds_on_holidays_too(paid_at: str) -> None:
    assert window(paid_at, "guangzhou") == (timedelta(0), timedelta(seconds=60), "promise_seconds")


@pytest.mark.parametrize(
    ("paid_at", "cut_off"),
    [
        ("2026-11-20T00:00", "2026-11-20T07:30"),
        ("2026-11-20T07:29:59.999", "2026-11-20T07:30"),
        ("2026-11-20T07:30", "2026-11-20T15:30"),
        ("2026-11-20T20:00", "2026-11-20T23:00"),
        ("2026-11-20T22:59:59.999", "2026-11-20T23:00"),
        ("2026-11-20T23:00", "2026-11-21T07:30"),
        ("2026-12-31T23:30", "2027-01-01T07:30"),
        ("2026-02-17T12:00", "2026-02-17T15:30"),  # holidays have their batches
    ],
)
def test_a_payment_goes_into_the_first_batch_that_is_cut_off_after_it(paid_at: str, cut_off: str) -> None:
    lanzhou = cities()["lanzhou"]
    assert batch_cutoff(lanzhou, moment(paid_at)) == moment(cut_off)
    kept = promise(lanzhou, moment(paid_at))
    assert kept == Promise(moment(cut_off), moment(paid_at) + timedelta(hours=12), "promise_batch")


def test_other_cities_have_no_batches() -> None:
    assert [name for name, city in cities().items() if batch_cutoff(city, moment("2026-11-20T20:00"))] == [
        "lanzhou"
    ]


@given(MOMENTS)
@example(moment("2026-11-20T23:00"))
@example(moment("2026-11-20T22:59:59.999999"))
def test_a_batch_is_done_within_the_twelve_hours_that_were_promised(paid_at: datetime) -> None:
    lanzhou = cities()["lanzhou"]
    cut_off = batch_cutoff(lanzhou, paid_at)
    assert lanzhou.batch is not None and cut_off is not None
    assert paid_at < cut_off and cut_off + lanzhou.batch.processing <= paid_at + timedelta(hours=12)
    assert promise(lanzhou, paid_at).by == paid_at + timedelta(hours=12)


# --- laws of every promise ---


@given(st.sampled_from(sorted(cities())), MOMENTS)
def test_a_promise_lies_ahead_of_the_payment_within_twelve_hours(name: str, paid_at: datetime) -> None:
    kept = promise(cities()[name], paid_at)
    assert paid_at <= kept.earliest <= kept.by and paid_at < kept.by <= paid_at + timedelta(hours=12)


@given(st.sampled_from(sorted(cities())), st.sampled_from(sorted(cities())), MOMENTS)
def test_a_card_of_another_city_is_promised_the_later_of_both(
    here: str, issuer: str, paid_at: datetime
) -> None:
    both = promise(cities()[here], paid_at, issuer=cities()[issuer])
    each = (promise(cities()[here], paid_at), promise(cities()[issuer], paid_at))
    assert both in each and both.by == max(one.by for one in each)


@st.composite
def announcements(draw: st.DrawFn) -> Calendar:
    """A calendar of 2027 as the State Council might announce it: no holiday longer than any before by more
    than a day, each holding its statutory days, and make-up workdays on any free weekend days."""
    off: set[date] = set()
    for first, last, most in STATUTORY_2027:
        length = draw(st.integers((last - first).days + 1, most))
        back = draw(st.integers((last - first).days, length - 1))
        begins = max(last - timedelta(days=back), date(2027, 1, 1))
        off |= {begins + timedelta(days=index) for index in range(length)}
    weekends = [day for day in DAYS_2027 if day.weekday() >= 5 and day not in off]
    make_up = draw(st.sets(st.sampled_from(weekends), max_size=12))
    return Calendar([Year(2027, True, frozenset(off), frozenset(make_up))])


@given(announcements(), st.datetimes(datetime(2027, 1, 1), datetime(2027, 12, 31, 23, 59)))
def test_before_2027_is_announced_no_promise_is_shorter_than_afterwards(
    announced: Calendar, local: datetime
) -> None:
    city, paid_at = cities()["wuhan"], local.replace(tzinfo=SHANGHAI)
    assert promise(city, paid_at).by >= promise(city, paid_at, announced).by


def spoken(kept: Promise) -> tuple[str, str]:
    return replies.phrase(kept.words), replies.phrase(kept.paid_words)


@given(st.sampled_from(sorted(cities())), MOMENTS)
def test_every_promise_can_be_said_before_and_after_paying(name: str, paid_at: datetime) -> None:
    for said in spoken(promise(cities()[name], paid_at)):
        assert said.endswith("。") and "到账" in said and "已经" not in said


@pytest.mark.parametrize(
    ("city", "paid_at", "heard"),
    [
        ("guangzhou", "2026-02-17T12:00", "几秒钟"),
        ("lanzhou", "2026-11-20T20:00", "最多十二个小时"),
        ("wuhan", "2026-11-23T15:59:59.999", "马上"),
        ("wuhan", "2026-11-23T16:00", "下午四点以后付的款，一到两个小时到账"),
        ("wuhan", "2026-11-22T16:00", "休息日付的款，两到六个小时到账"),
        ("wuhan", "2027-01-04T12:00", "两到六个小时到账"),
    ],
)
def test_the_elder_hears_how_long_it_takes(city: str, paid_at: str, heard: str) -> None:
    assert all(heard in said for said in spoken(promise(cities()[city], moment(paid_at))))
