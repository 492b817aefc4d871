"""Which days are workdays: one TOML file a year, as the State Council announces it (docs/CITIES.md).

A make-up workday is a workday, a weekend is not (PRODUCT.md "Money"). What is not known is a day off, for
that gives the longer promise: a year without a file, and in a year not yet announced (`announced = false`)
every day the announcement might make one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from app.domain.tables import Table, load

FOLDER = Path(__file__).parent
ANNOUNCED_BY = 11  # the announcement for the next year comes in November at the latest
_SATURDAY, _DECEMBER = 5, 12
_LONGEST_HOLIDAY = timedelta(days=31)
_DAY = timedelta(days=1)


class FaultyCalendar(ValueError):
    """The calendar files are wrong; `faults` lists every fault of every file at once."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Year:
    """One year's file. It may also settle the last days of the December before."""

    year: int
    announced: bool
    off: frozenset[date]
    make_up: frozenset[date]


class Calendar:
    """The years that are known. Immutable."""

    def __init__(self, years: Iterable[Year]) -> None:
        self._years = {year.year: year for year in sorted(years, key=lambda year: year.year)}
        self._workdays: dict[date, bool] = {}
        for year in self._years.values():  # a later year has the last word on its New Year's holiday
            self._workdays.update(dict.fromkeys(year.off, False))
            self._workdays.update(dict.fromkeys(year.make_up, True))

    def is_workday(self, day: date) -> bool:
        """False for every day of a year without a file."""
        named = self._workdays.get(day)
        if named is not None:
            return named
        return day.year in self._years and day.weekday() < _SATURDAY

    def announced(self, year: int) -> bool:
        """Whether the year's calendar is the State Council's own, not our guess or none at all."""
        return year in self._years and self._years[year].announced

    def next_workday(self, day: date) -> date:
        """The first workday after `day`. Where the year has no file, the first Monday to Friday."""
        while True:
            day += _DAY
            if self.is_workday(day) or (day.year not in self._years and day.weekday() < _SATURDAY):
                return day

    def unannounced(self, today: date) -> tuple[int, ...]:
        """The years an operator must bring a calendar for by now: this one, and from November the next."""
        wanted = [today.year, today.year + 1] if today.month >= ANNOUNCED_BY else [today.year]
        return tuple(year for year in wanted if not self.announced(year))


@cache
def calendar(extra: Path | None = None) -> Calendar:
    """The shipped years; those in the folder `extra` are added, or replace them year by year.

    Raise FaultyCalendar with all faults of all files.
    """
    years: dict[int, Year] = {}
    faults: list[str] = []
    for folder in (FOLDER, extra):
        if folder is not None:
            years.update(_years(folder, faults))
    if faults:
        raise FaultyCalendar(faults)
    return Calendar(years.values())


def _years(folder: Path, faults: list[str]) -> Mapping[int, Year]:
    if not folder.is_dir():
        faults.append(f"{folder}: no such folder")
        return {}
    found: dict[int, Year] = {}
    for path in sorted(folder.glob("*.toml")):
        raw = load(path, faults)
        if raw is not None:
            year = _year(Table(path.name, raw, faults), path.stem)
            found[year.year] = year
    return found


def _year(table: Table, stem: str) -> Year:
    number = table.whole("year", 2000, 2199)
    if table.has("year") and str(number) != stem:
        table.fault(f"year is {number}, not the file's own")
    announced = table.flag("announced")
    table.text("source")
    off: set[date] = set()
    for one in table.tables("off"):
        days = _holiday(one, number)
        if not off.isdisjoint(days):
            one.fault("overlaps another holiday")
        off |= days
    make_up = table.days("make_up")
    for day in make_up:
        if day.weekday() < _SATURDAY:
            table.fault(f"make_up has {day}, which is no Saturday or Sunday")
        if day in off:
            table.fault(f"make_up has {day}, which is also off")
        if not _belongs(day, number):
            table.fault(f"make_up has {day}, which is not of {number}")
    table.end()
    return Year(number, announced, frozenset(off), frozenset(make_up))


def _holiday(table: Table, year: int) -> set[date]:
    table.text("name")
    first, last = table.day("first"), table.day("last")
    table.end()
    if first is None or last is None:
        return set()
    if not (_belongs(first, year) and _belongs(last, year)):
        table.fault(f"{first} to {last} is not of {year}")
        return set()
    if not first <= last < first + _LONGEST_HOLIDAY:
        table.fault(f"{first} to {last} is no holiday of 1 to {_LONGEST_HOLIDAY.days} days")
        return set()
    return {first + index * _DAY for index in range((last - first).days + 1)}


def _belongs(day: date, year: int) -> bool:
    """New Year's holiday may begin, and its make-up day may lie, in the December before."""
    return day.year == year or (day.year == year - 1 and day.month == _DECEMBER)
