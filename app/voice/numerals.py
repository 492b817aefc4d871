"""Spoken numbers and sums of money, one character at a time.

`step` takes a state and the next character and gives the next state, or None where Chinese does not go
on like that; `lattice` takes them over what was heard and over what it sounds like.
Numbers are integers, sums are fen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

DIALECTS = Path(__file__).parent / "dialects"
WAN = 10_000
_NOTHING_YET = 10**9
MOST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Numerals:
    """The number words of one dialect."""

    digits: Mapping[str, int]
    units: Mapping[str, int]
    tens: Mapping[str, int]
    written: Mapping[str, str]
    expressions: Mapping[str, int]
    likelihood: Mapping[str, float]
    speech: Mapping[str, str]
    yuan: str
    jiao: str
    fen: str
    half: str
    point: str
    closing: str
    vague: str
    written_only: str

    @property
    def characters(self) -> str:
        """Every character a sum can contain."""
        money = self.yuan + self.jiao + self.fen + self.half + self.point + self.closing
        return "".join(dict.fromkeys([*self.digits, *self.units, *self.tens, *money]))


@cache
def numerals(dialect: str = "mandarin") -> Numerals:
    """Read once."""
    with (DIALECTS / dialect / "numerals.toml").open("rb") as file:
        data: dict[str, Any] = tomllib.load(file)
    return Numerals(**{name: data[name] for name in data if name != "money"}, **data["money"])


@dataclass(frozen=True, slots=True)
class Number:
    """A number being read. `unit` is the smallest unit so far; `digit` waits for its unit.

    `spelt` holds the digits while they are read out one by one (一五零), None once a unit came.
    """

    total: int = 0  # whole 万
    section: int = 0
    unit: int = _NOTHING_YET
    digit: int | None = None
    zero: bool = False
    spelt: tuple[int, ...] | None = ()

    def value(self) -> int | None:
        """The number if it could end here. 一百五 is 150, 一百零五 is 105, 一五零 is 150."""
        if self.spelt is not None and len(self.spelt) > 1:
            return self._spelt_value()
        if self.digit is None:
            return None if self.zero or self.unit == _NOTHING_YET else self.total + self.section
        tail = self.digit
        if self.colloquial:
            tail *= self.unit // 10
        return self.total + self.section + tail

    @property
    def colloquial(self) -> bool:
        """The last digit stands for the next smaller unit, which was left out: 一百五, 一千二."""
        return self.digit is not None and not self.zero and 100 <= self.unit <= WAN

    def _spelt_value(self) -> int | None:
        digits = self.spelt or ()
        if digits[0] == 0 or (len(digits) == 2 and digits[1] != 0):
            return None  # 五五 is said by nobody; 五零 is
        return int("".join(map(str, digits)))

    def step(self, character: str, words: Numerals) -> Number | None:
        """The number with one more character, or None."""
        if character in words.tens:
            if self.digit is not None or self.unit <= 10 or self.spelt:
                return None
            tens = self.section + words.tens[character]
            return replace(self, section=tens, unit=10, zero=False, spelt=None)
        if character in words.units:
            return self._unit(words.units[character])
        if character in words.digits:
            return self._digit(words.digits[character])
        return None

    def _digit(self, digit: int) -> Number | None:
        if self.spelt is not None:
            if len(self.spelt) >= MOST_DIGITS:
                return None
            return Number(digit=digit or None, spelt=(*self.spelt, digit))
        if self.digit is not None:
            return None
        if digit == 0:
            return None if self.zero or self.unit < 100 else replace(self, zero=True)
        return None if self.unit < 10 else replace(self, digit=digit)

    def _unit(self, unit: int) -> Number | None:
        if self.spelt is not None and (len(self.spelt) > 1 or self.spelt == (0,)):
            return None
        if unit == WAN:
            return self._wan()
        if unit >= self.unit or (self.zero and unit * 10 >= self.unit):
            return None
        digit = self.digit
        if digit is None:
            # 十五, 一百十五 and 百五 leave the 一 out; 一千百 does not exist.
            if unit > 100 or (unit == 100 and self.unit != _NOTHING_YET):
                return None
            digit = 1
        section = self.section + digit * unit
        return Number(self.total, section, unit, None, zero=False, spelt=None)

    def _wan(self) -> Number | None:
        ahead = self.section + (self.digit or 0)
        if self.total or not ahead or self.colloquial or (self.zero and self.digit is None):
            return None
        return Number(total=ahead * WAN, unit=WAN, spelt=None)


class Part(IntEnum):
    """How far a sum has been read."""

    NUMBER = 0
    DECIMAL = 1  # after 点
    YUAN = 2  # after 块
    JIAO_DIGIT = 3  # 三块五
    YUAN_ZERO = 4  # 三块零
    JIAO = 5  # after 毛
    FEN_DIGIT = 6
    DONE = 7
    CLOSED = 8  # after 钱 or 整


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of money being read. `fen` is what is certain so far; `with_unit` once 块, 毛 or 分 was said."""

    part: Part = Part.NUMBER
    number: Number = Number()
    fen: int = 0
    digit: int = 0
    decimals: int = 0
    with_unit: bool = False

    def amount_fen(self) -> int | None:
        """The sum if it could end here."""
        if self.part is Part.NUMBER:
            value = self.number.value()
            return None if value is None else value * 100
        if self.part is Part.DECIMAL:
            return self.fen if self.decimals else None
        if self.part is Part.YUAN_ZERO:
            return None
        tail = {Part.JIAO_DIGIT: 10, Part.FEN_DIGIT: 1}.get(self.part, 0)
        return self.fen + self.digit * tail

    def step(self, character: str, words: Numerals) -> Sum | None:
        """The sum with one more character, or None."""
        if character in words.closing:
            return self._close(character, words)
        if self.part is Part.NUMBER:
            return self._number(character, words)
        if self.part is Part.DECIMAL:
            return self._decimal(character, words)
        return self._after_yuan(character, words)

    def _close(self, character: str, words: Numerals) -> Sum | None:
        if self.part is Part.CLOSED:
            return self if character == words.closing[-1] else None  # 块钱整, not 钱钱
        amount = self.amount_fen()
        if amount is None:
            return None
        return Sum(Part.CLOSED, fen=amount, with_unit=self.with_unit)

    def _number(self, character: str, words: Numerals) -> Sum | None:
        value = self.number.value()
        if value is not None:
            if character in words.yuan:
                return Sum(Part.YUAN, fen=value * 100, with_unit=True)
            if character in words.jiao:
                return Sum(Part.JIAO, fen=value * 10, with_unit=True)
            if character in words.fen:
                return Sum(Part.DONE, fen=value, with_unit=True)
            if character in words.point:
                return Sum(Part.DECIMAL, fen=value * 100)
        elif self.number.spelt == (0,) and character in words.point:
            return Sum(Part.DECIMAL)
        longer = self.number.step(character, words)
        return None if longer is None else replace(self, number=longer)

    def _decimal(self, character: str, words: Numerals) -> Sum | None:
        if character in words.digits and self.decimals < 2:
            worth = (10, 1)[self.decimals] * words.digits[character]
            return replace(self, fen=self.fen + worth, decimals=self.decimals + 1)
        if character in words.yuan and self.decimals:
            return Sum(Part.DONE, fen=self.fen, with_unit=True)
        return None

    def _after_yuan(self, character: str, words: Numerals) -> Sum | None:
        digit = words.digits.get(character)
        if self.part is Part.YUAN and character in words.half:
            return Sum(Part.DONE, fen=self.fen + 50, with_unit=True)
        if self.part is Part.YUAN and digit is not None:
            return replace(self, part=Part.JIAO_DIGIT if digit else Part.YUAN_ZERO, digit=digit)
        if self.part is Part.YUAN_ZERO and digit:
            return replace(self, part=Part.FEN_DIGIT, digit=digit)
        if self.part is Part.JIAO and digit:
            return replace(self, part=Part.FEN_DIGIT, digit=digit)
        if self.part in (Part.JIAO_DIGIT, Part.FEN_DIGIT) and self.digit:
            return self._small_unit(character, words)
        return None

    def _small_unit(self, character: str, words: Numerals) -> Sum | None:
        if character in words.jiao and self.fen % 100 == 0:
            return Sum(Part.JIAO, fen=self.fen + self.digit * 10, with_unit=True)
        if character in words.fen and self.part is Part.FEN_DIGIT:
            return Sum(Part.DONE, fen=self.fen + self.digit, with_unit=True)
        return None
