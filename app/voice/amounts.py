"""How we say sums of money and rows of digits; a test's law: what we say, we understand as the same fen."""

from __future__ import annotations

from functools import lru_cache

from app.voice.normalise import spoken_number
from app.voice.numerals import numerals

MOST_FEN = 10**10  # a hundred million yuan: beyond it the words for our numbers end


@lru_cache(maxsize=2048)  # on every screen with money
def spoken_amount(amount_fen: int) -> str:
    """A sum as it is said: 5000 五十元, 3050 三十元五角, 20000 两百元, 205 两元零五分, 0 零元.

    Raise ValueError below zero or from 10**10 fen.
    """
    if not 0 <= amount_fen < MOST_FEN:
        raise ValueError(f"not a sum we can say: {amount_fen}")
    speech = numerals().speech
    yuan, rest = divmod(amount_fen, 100)
    jiao, fen = divmod(rest, 10)
    said = _counted(yuan) + speech["yuan"] if yuan or not rest else ""
    if jiao:
        said += (speech["digits"][jiao] if said else _counted(jiao)) + speech["jiao"]
    elif fen and yuan:
        said += speech["digits"][0]
    if fen:
        said += (speech["digits"][fen] if said else _counted(fen)) + speech["fen"]
    return said


def spoken_yuan(amount_fen: int) -> str:
    """A sum before 元, for a sentence that says 元 itself: 5000 五十, 3050 三十点五, 205 二点零五.

    Raise ValueError below zero or from 10**10 fen.
    """
    if not 0 <= amount_fen < MOST_FEN:
        raise ValueError(f"not a sum we can say: {amount_fen}")
    yuan, rest = divmod(amount_fen, 100)
    if not rest:
        return _counted(yuan)
    return spoken_number(yuan) + numerals().speech["point"] + _digits(f"{rest:02d}".rstrip("0"))


def spoken_count(number: int) -> str:
    """How many, before a measure word: 1 一, 2 两, 12 十二. A whole number from 0 to 10**8."""
    return _counted(number)


def _counted(number: int) -> str:
    """Counting money one says 两 for two, two hundred, two thousand: but 二十, and 十二."""
    speech = numerals().speech
    digits, two, ten = speech["digits"], speech["two"], speech["ten"]
    if number == 2:
        return two
    said = spoken_number(number)
    for unit in speech["two_before"]:
        said = said.replace(digits[2] + unit, two + unit)
    # 十二万 and 二十二万 keep their 二.
    return said.replace(ten + two, ten + digits[2])


@lru_cache(maxsize=2048)
def spoken_digits(digits: str) -> str:
    """A card's or telephone's digits as they are said: "0216" 零二幺六. Anything else is left out."""
    return _digits("".join(character for character in digits if character in "0123456789")).replace(
        numerals().speech["digits"][1], numerals().speech["one_in_a_row"]
    )


def _digits(number: str) -> str:
    return "".join(numerals().speech["digits"][int(digit)] for digit in number)
