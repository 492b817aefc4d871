"""Reading data files so that every fault of every file is found at once, and none is a traceback."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_KINDS = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    date: "a date",
}
_LONGEST_SHOWN = 40


def load(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """A TOML file as it stands, or None with its fault noted."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as fault:
        faults.append(f"{path.name}: {fault.strerror}")
    except UnicodeDecodeError:
        faults.append(f"{path.name}: not UTF-8")
    except tomllib.TOMLDecodeError as fault:
        faults.append(f"{path.name}: not TOML: {fault}")
    except RecursionError:
        faults.append(f"{path.name}: not TOML: nested too deeply")
    return None


def shown(value: object) -> str:
    """A faulty value, short enough for one line."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


class Table:
    """One table of a file, read key by key.

    Each reader answers the value, or notes a fault and answers a harmless stand-in, so that reading goes
    on; whoever reads throws the result away when there are faults. `end` notes the keys nobody asked for.
    """

    def __init__(self, where: str, raw: Mapping[str, Any], faults: list[str]) -> None:
        self.where = where
        self._raw = raw
        self._faults = faults
        self._asked: set[str] = set()

    def fault(self, told: str) -> None:
        self._faults.append(f"{self.where}: {told}")

    def has(self, key: str) -> bool:
        return key in self._raw

    def _take(self, key: str, kind: type[T], default: T | None, stand_in: T) -> T:
        self._asked.add(key)
        if key not in self._raw:
            if default is not None:
                return default
            self.fault(f"{key} is missing")
            return stand_in
        value = self._raw[key]
        if type(value) is not kind:  # exactly: true is no number, a moment is no date
            self.fault(f"{key} is {shown(value)}, not {_KINDS[kind]}")
            return stand_in
        return value

    def text(self, key: str, pattern: str | None = None, told: str = "") -> str:
        """A text that is not blank. With `pattern`, all of it must match; `told` says what it should be."""
        value = self._take(key, str, None, "")
        if value and (value.strip() != value or not value.isprintable()):
            self.fault(f"{key} is {shown(value)}, not a plain line of text")
        elif value and pattern and not re.fullmatch(pattern, value):
            self.fault(f"{key} is {shown(value)}, not {told}")
        elif not value and self._raw.get(key) == "":
            self.fault(f"{key} is empty")
        return value

    def whole(
        self, key: str, least: int, most: int, default: int | None = None, stand_in: int | None = None
    ) -> int:
        """A whole number, bounds inclusive. The stand-in is `least` unless another is named."""
        harmless = least if stand_in is None else stand_in
        value = self._take(key, int, default, harmless)
        if not least <= value <= most:
            self.fault(f"{key} is {shown(value)}, not {least}..{most}")
            return harmless
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        return self._take(key, bool, default, False)

    def day(self, key: str) -> date | None:
        value = self._take(key, date, None, date.min)
        return None if value == date.min else value

    def one_of(self, key: str, names: type[E], default: E | None = None) -> E | None:
        """A member of `names`; None when it is none of them."""
        value = self._take(key, str, default.value if default else None, "")
        return self._member(key, value, names) if value or self._raw.get(key) == "" else None

    def _member(self, key: str, value: object, names: type[E]) -> E | None:
        if isinstance(value, str) and value in set(names):
            return names(value)
        self.fault(f"{key} is {shown(value)}, not one of {', '.join(names)}")
        return None

    def each_of(self, key: str, names: type[E], least: int = 1) -> tuple[E, ...]:
        """Different members of `names`, in the order written; at least `least` of them."""
        found = [self._member(key, value, names) for value in self._take(key, list, None, [])]
        kept = tuple(dict.fromkeys(member for member in found if member is not None))
        if len(kept) < sum(member is not None for member in found):
            self.fault(f"{key} names one twice")
        if len(found) < least and self._is(key, list):
            self.fault(f"{key} names none")
        return kept

    def texts(self, key: str, pattern: str, told: str, least: int = 1) -> tuple[str, ...]:
        """Different texts that match, in the order written; at least `least` of them."""
        kept: list[str] = []
        found = self._take(key, list, None if least else [], [])
        for value in found:
            if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
                self.fault(f"{key} has {shown(value)}, not {told}")
            elif value in kept:
                self.fault(f"{key} has {shown(value)} twice")
            else:
                kept.append(value)
        if len(found) < least and self._is(key, list):
            self.fault(f"{key} has none")
        return tuple(kept)

    def days(self, key: str) -> tuple[date, ...]:
        """Different dates, in the order written. Absent is none."""
        kept: list[date] = []
        for value in self._take(key, list, [], []):
            if type(value) is not date:
                self.fault(f"{key} has {shown(value)}, not a date")
            elif value in kept:
                self.fault(f"{key} has {value} twice")
            else:
                kept.append(value)
        return tuple(kept)

    def _is(self, key: str, kind: type) -> bool:
        return type(self._raw.get(key)) is kind

    def table(self, key: str, needed: bool = True) -> Table:
        """The table `key`. Of one that is absent or no table, only that is told, not every key it lacks."""
        value = self._take(key, dict, None if needed else {}, {})
        return Table(f"{self.where}: {key}", value, self._faults if self._is(key, dict) else [])

    def tables(self, key: str, needed: bool = True) -> list[Table]:
        """The tables of a list, numbered from one in what is told of them."""
        found = []
        for number, value in enumerate(self._take(key, list, None if needed else [], []), start=1):
            if type(value) is dict:
                found.append(Table(f"{self.where}: {key} {number}", value, self._faults))
            else:
                self.fault(f"{key} {number} is {shown(value)}, not a table")
        return found

    def end(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._raw:
            if key not in self._asked:
                self.fault(f"unknown key {shown(key)}")
