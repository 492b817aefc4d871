"""Written text as a recogniser gives it, made one kind of Chinese: simplified, no digits, no decoration.

Digits become the words they are read as, so that "150", "１５０" and 一百五十 are one and the same.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from opencc import OpenCC

from app.voice.numerals import WAN, numerals

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_MINUS = re.compile(r"(?<!\d)[-\u2212]\s*(?=[¥$]?\d)")
_LATIN = re.compile(r"[a-z]+", re.IGNORECASE)
# How recognisers spell a hum.
_HUM = re.compile(r"\b(?:n|m|ng|mm|hm|um|uh|ah|oh|en)(?![a-z])", re.IGNORECASE)
_BETWEEN_NUMBERS = re.compile(r"(?<=\d)\s+(?=\d)")
_PAUSES = frozenset(",。.!?;:、…~—\n")
# What every punctuation mark becomes. A sum never continues across it.
PAUSE = "，"
# One mark for everything that is neither Chinese nor a pause: it is a sound we cannot spell.
UNKNOWN = "\u25a1"
MOST_CHARACTERS = 80
_LONGEST_CARDINAL = 8


@cache
def _money_sign() -> re.Pattern[str]:
    """A sum with its sign before it and no unit of its own behind."""
    return re.compile(rf"[¥]\s*(\d[\d,]*(?:\.\d+)?)(?!\s*[{numerals().yuan}\d])")


@cache
def _simplify() -> OpenCC:
    return OpenCC("t2s")


def normalise(text: str) -> str:
    """Chinese characters, UNKNOWN and PAUSE marks only, at most 80 of them; no command is longer."""
    text = unicodedata.normalize("NFKC", text)
    text = _simplify().convert(text[: 4 * MOST_CHARACTERS])
    text = _BETWEEN_NUMBERS.sub(PAUSE, text)
    text = _MINUS.sub("负", text)
    text = _money_sign().sub(r"\1元", text)
    text = _NUMBER.sub(lambda match: read_digits(match[0]), text)
    text = _HUM.sub("嗯", text)
    text = _LATIN.sub(UNKNOWN, text)
    written = numerals().written
    kept: list[str] = []
    for character in text:
        character = written.get(character, character)
        if _is_chinese(character):
            kept.append(character)
        elif character in _PAUSES or character == PAUSE:
            if kept and kept[-1] != PAUSE:
                kept.append(PAUSE)
        elif unicodedata.category(character)[0] in "LNS":
            kept.append(UNKNOWN)
    return "".join(kept[:MOST_CHARACTERS]).rstrip(PAUSE)


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"


def read_digits(digits: str) -> str:
    """How a written number is read: "150" 一百五十, "100.5" 一百点五, "007" 零零七."""
    whole, _, decimals = digits.replace(",", "").partition(".")
    read = spoken_number(int(whole)) if _is_cardinal(whole) else _one_by_one(whole)
    decimals = decimals.rstrip("0")
    return read + numerals().speech["point"] + _one_by_one(decimals) if decimals else read


def _is_cardinal(whole: str) -> bool:
    return whole == "0" or (whole[0] != "0" and len(whole) <= _LONGEST_CARDINAL)


def _one_by_one(digits: str) -> str:
    names = numerals().speech["digits"]
    return "".join(names[int(digit)] for digit in digits)


def spoken_number(number: int) -> str:
    """A whole number below 10**8 in words: 110 一百一十, 15 十五, 1005 一千零五, 20300 二万零三百."""
    names, ten = numerals().speech["digits"], numerals().speech["ten"]
    wan, rest = divmod(number, WAN)
    words = spoken_number(wan) + numerals().speech["wan"] if wan else ""
    if wan and 0 < rest < 1000:
        words += names[0]
    zero = False
    started = bool(words)
    first = True
    for unit, value in _places():
        digit, rest = divmod(rest, value)
        if digit == 0:
            zero = zero or not first
            continue
        if zero:
            words += names[0]
            zero = False
        first = False
        # 十五, not 一十五, but 一百一十五.
        words += unit if unit == ten and digit == 1 and not words else names[digit] + unit
    return words if words or started else names[0]


@cache
def _places() -> tuple[tuple[str, int], ...]:
    """千, 百, 十 and the ones, from the largest."""
    units = [(unit, value) for unit, value in numerals().units.items() if value < WAN]
    return (*sorted(units, key=lambda place: -place[1]), ("", 1))
