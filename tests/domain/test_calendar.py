"""Which days are workdays: the announced 2026, the provisional 2027, and years nobody knows."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.calendar import FaultyCalendar, calendar

DAY = timedelta(days=1)
MAKE_UP = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")
HOLIDAYS = {  # the State Council's notice of 4 November 2025
    "New Year": ("2026-01-01", "2026-01-03"),
    "Spring Festival": ("2026-02-15", "2026-02-23"),
    "Qingming": ("2026-04-04", "2026-04-06"),
    "Labour Day": ("2026-05-01", "2026-05-05"),
    "Dragon Boat": ("2026-06-19", "2026-06-21"),
    "Mid-Autumn": ("2026-09-25", "2026-09-27"),
    "National Day": ("2026-10-01", "2026-10-07"),
}
STATUTORY_2027 = {  # first and last statutory day, and the most days in a row that may be off
    "New Year": ("2027-01-01", "2027-01-01", 4),
    "Spring Festival": ("2027-02-05", "2027-02-08", 10),
    "Qingming": ("2027-04-05", "2027-04-05", 4),
    "Labour Day": ("2027-05-01", "2027-05-02", 6),
    "Dragon Boat": ("2027-06-09", "2027-06-09", 4),
    "Mid-Autumn": ("2027-09-15", "2027-09-15", 4),
    "National Day": ("2027-10-01", "2027-10-03", 9),
}
GOOD = 'year = 2027\nannounced = true\nsource = "a notice"\nmake_up = [2027-02-20]\n'
SPRING = '[[off]]\nname = "Spring Festival"\nfirst = 2027-02-05\nlast = 2027-02-12\n'


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize("name", HOLIDAYS)
def test_a_holiday_of_2026_is_off_from_its_first_day_to_its_last(name: str) -> None:
    first, last = map(day, HOLIDAYS[name])
    while first <= last:
        assert not calendar().is_workday(first)
        first += DAY


@pytest.mark.parametrize("text", MAKE_UP)
def test_a_make_up_saturday_or_sunday_of_2026_is_a_workday(text: str) -> None:
    assert day(text).weekday() >= 5 and calendar().is_workday(day(text))


def test_every_other_day_of_2026_is_a_workday_from_monday_to_friday() -> None:
    named = {day(text) for text in MAKE_UP}
    for first, last in HOLIDAYS.values():
        named |= {day(first) + index * DAY for index in range((day(last) - day(first)).days + 1)}
    days = [date(2026, 1, 1) + index * DAY for index in range(365)]
    for each in days:
        if each not in named:
            assert calendar().is_workday(each) is (each.weekday() < 5), each
    assert sum(map(calendar().is_workday, days)) == 248


def test_2026_is_announced_and_2027_and_unknown_years_are_not() -> None:
    assert [year for year in range(2020, 2035) if calendar().announced(year)] == [2026]


@pytest.mark.parametrize("name", STATUTORY_2027)
def test_2027_is_off_wherever_its_announcement_may_put_a_holiday(name: str) -> None:
    first, last, most = STATUTORY_2027[name]
    for begins in range(most):
        start = day(last) - begins * DAY
        if start <= day(first) and start.year == 2027:
            assert not any(calendar().is_workday(start + index * DAY) for index in range(most)), start


def test_2027_has_no_make_up_workday_yet_and_otherwise_works_from_monday_to_friday() -> None:
    days = [date(2027, 1, 1) + index * DAY for index in range(365)]
    workdays = [each for each in days if calendar().is_workday(each)]
    assert all(each.weekday() < 5 for each in workdays) and len(workdays) > 200
    assert calendar().is_workday(date(2027, 1, 5)) and calendar().is_workday(date(2027, 12, 31))


@given(st.dates(date(1990, 1, 1), date(2025, 12, 31)) | st.dates(date(2028, 1, 1), date(2100, 1, 1)))
def test_in_a_year_without_a_file_every_day_is_off(unknown: date) -> None:
    assert not calendar().is_workday(unknown)


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("2026-11-20", "2026-11-23"),  # over a weekend
        ("2026-02-13", "2026-02-14"),  # a make-up Saturday before Spring Festival
        ("2026-02-14", "2026-02-24"),  # over the whole festival
        ("2026-02-27", "2026-02-28"),
        ("2026-09-19", "2026-09-20"),  # a make-up Sunday
        ("2026-09-30", "2026-10-08"),
        ("2026-12-31", "2027-01-05"),  # over a New Year not yet announced
        ("2027-12-31", "2028-01-03"),  # into a year without a file: Monday
        ("2031-05-01", "2031-05-02"),
        ("2031-05-02", "2031-05-05"),
    ],
)
def test_the_next_workday_is_the_first_one_after(text: str, following: str) -> None:
    assert calendar().next_workday(day(text)) == day(following)


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_there_is_always_a_next_workday_within_three_weeks(today: date) -> None:
    following = calendar().next_workday(today)
    assert today < following <= today + 21 * DAY


@pytest.mark.parametrize(
    ("today", "missing"),
    [
        ("2026-10-31", ()),
        ("2026-11-01", (2027,)),
        ("2026-12-31", (2027,)),
        ("2027-01-01", (2027,)),
        ("2027-11-01", (2027, 2028)),
        ("2028-10-31", (2028,)),
    ],
)
def test_a_calendar_is_asked_for_from_november_on(today: str, missing: tuple[int, ...]) -> None:
    assert calendar().unannounced(day(today)) == missing


# --- an installation's own years ---


def test_an_announced_year_replaces_the_provisional_one_and_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "2027.toml").write_text(GOOD + SPRING)
    found = calendar(tmp_path)
    assert found.announced(2027) and found.announced(2026)
    assert found.is_workday(day("2027-02-04")) and found.is_workday(day("2027-02-20"))
    assert not found.is_workday(day("2027-02-05")) and not calendar().is_workday(day("2027-02-04"))
    assert found.unannounced(day("2026-12-01")) == ()


def test_a_year_may_settle_the_last_days_of_the_december_before(tmp_path: Path) -> None:
    """As the calendar of 2019 did: 31 December 2018 was off, and 29 December, a Saturday, a workday."""
    (tmp_path / "2019.toml").write_text(
        'year = 2019\nannounced = true\nsource = "a notice"\nmake_up = [2018-12-29]\n'
        '[[off]]\nname = "New Year"\nfirst = 2018-12-30\nlast = 2019-01-01\n'
    )
    found = calendar(tmp_path)
    assert found.is_workday(day("2018-12-29")) and not found.is_workday(day("2018-12-31"))
    assert not found.is_workday(day("2018-12-28"))  # 2018 itself has no file


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("year = ", "2027.toml: not TOML"),
        ("", "2027.toml: year is missing"),
        (GOOD.replace("2027\n", "2026\n", 1) + SPRING, "2027.toml: year is 2026, not the file's own"),
        (GOOD.replace("year = 2027", "year = 12") + SPRING, "2027.toml: year is 12, not 2000..2199"),
        (GOOD.replace("true", '"yes"') + SPRING, "2027.toml: announced is 'yes', not true or false"),
        (GOOD.replace("announced = true\n", "") + SPRING, "2027.toml: announced is missing"),
        (GOOD.replace('"a notice"', '""') + SPRING, "2027.toml: source is empty"),
        (GOOD + "x = 1\n" + SPRING, "2027.toml: unknown key 'x'"),
        (GOOD, "2027.toml: off is missing"),
        (GOOD + SPRING + "y = 1", "2027.toml: off 1: unknown key 'y'"),
        (GOOD + SPRING + SPRING, "2027.toml: off 2: overlaps another holiday"),
        (GOOD + SPRING.replace("2027-02-12", "2027-02-04"), "off 1: 2027-02-05 to 2027-02-04 is no holiday"),
        (GOOD + SPRING.replace("2027-02-12", "2027-03-08"), "is no holiday of 1 to 31 days"),
        (GOOD + SPRING.replace("2027-02-12", "2028-01-01"), "2027-02-05 to 2028-01-01 is not of 2027"),
        (GOOD + SPRING.replace("2027-02-05", "2026-11-30"), "2026-11-30 to 2027-02-12 is not of 2027"),
        (GOOD + SPRING.replace("2027-02-12", '"2027-02-12"'), "last is '2027-02-12', not a date"),
        (GOOD + SPRING.replace("2027-02-12", "2027-02-12T00:00:00"), "not a date"),
        (GOOD.replace("2027-02-20", "2027-02-19") + SPRING, "2027-02-19, which is no Saturday or Sunday"),
        (GOOD.replace("2027-02-20", "2027-02-06") + SPRING, "make_up has 2027-02-06, which is also off"),
        (GOOD.replace("2027-02-20", "2028-02-19") + SPRING, "make_up has 2028-02-19, which is not of 2027"),
        (GOOD.replace("2027-02-20", "2027-02-20, 2027-02-20") + SPRING, "make_up has 2027-02-20 twice"),
        (GOOD.replace("2027-02-20", "1") + SPRING, "make_up has 1, not a date"),
    ],
)
def test_a_faulty_year_is_refused_with_its_faults(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "2027.toml").write_text(content)
    with pytest.raises(FaultyCalendar) as refused:
        calendar(tmp_path)
    assert any(told in fault for fault in refused.value.faults), refused.value.faults
    assert all(fault in str(refused.value) for fault in refused.value.faults)


def test_the_faults_of_all_years_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "2027.toml").write_text(GOOD.replace("2027-02-20", "2027-02-19"))
    (tmp_path / "2028.toml").write_text("announced = 1")
    with pytest.raises(FaultyCalendar) as refused:
        calendar(tmp_path)
    assert len([fault for fault in refused.value.faults if fault.startswith("2027.toml")]) == 2
    assert len([fault for fault in refused.value.faults if fault.startswith("2028.toml")]) == 4


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FaultyCalendar, match="no such folder"):
        calendar(tmp_path / "nowhere")
