"""Sums of money between words and fen.

`parse_amount` reads exact text: what a person typed or what was surely heard. Guessing at misheard text
is `lattice`'s work. `spoken_amount` is what we say; reading it back gives the same fen (a test's law).
"""

from __future__ import annotations

from functools import lru_cache

from app.voice.normalise import normalise, spoken_number
from app.voice.numerals import Numerals, Sum, numerals
from app.voice.words import lexicon

MOST_FEN = 10**10  # a hundred million yuan: beyond it the words for our numbers end


def parse_amount(text: str) -> int | None:
    """The one sum of `text` in fen, or None where there is none, more than one, or no exact one.

    一百五 is 15000, 一百零五 10500, 三十块五 3050, 两百 20000, "150.5" 15050. After a correction
    (五十，不对，一百) the last sum counts. A negated sum, a range, a foreign currency or 零块 is None.
    """
    heard = normalise(text)
    lexical = lexicon()
    if any(word in heard for word in lexical.spoils_amount):
        return None
    start = max((heard.rfind(word) + len(word) for word in lexical.corrects if word in heard), default=0)
    found = set(_sums(heard[start:]))
    return found.pop() if len(found) == 1 else None


def _sums(text: str) -> list[int | None]:
    """Every sum of the text, longest first from the left; None stands for one that does not read."""
    words = numerals()
    found: list[int | None] = []
    at = 0
    while at < len(text):
        expression = max(
            (name for name in words.expressions if text.startswith(name, at)), key=len, default=""
        )
        if expression:
            found.append(words.expressions[expression])
            at += len(expression)
            continue
        end, amount_fen = _longest(text, at, words)
        if end > at:
            # 五五 is not five twice: nobody says a sum like that.
            cut = text[end - 1] in words.digits and text[end : end + 1] in words.digits
            found.append(None if cut else amount_fen or None)
        elif text[at] in words.digits or text[at] in words.units:
            found.append(None)
        at = max(end, at + 1)
    return found


def _longest(text: str, at: int, words: Numerals) -> tuple[int, int | None]:
    """Where the longest readable sum from `at` ends, and what it is; (at, None) when none starts here."""
    state: Sum | None = Sum()
    best: tuple[int, int | None] = (at, None)
    for end in range(at, len(text)):
        state = state.step(text[end], words) if state else None
        if state is None:
            break
        amount_fen = state.amount_fen()
        if amount_fen is not None:
            best = (end + 1, amount_fen)
    return best


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


def digits_amount(amount_fen: int) -> str:
    """A sum digit by digit, for reading back: 15000 一五零, 3050 三零点五."""
    speech = numerals().speech
    yuan, rest = divmod(amount_fen, 100)
    said = _digits(str(yuan))
    return said + speech["point"] + _digits(f"{rest:02d}".rstrip("0")) if rest else said


@lru_cache(maxsize=2048)
def spoken_digits(digits: str) -> str:
    """A card's or telephone's digits as they are said: "0216" 零二幺六. Anything else is left out."""
    return _digits("".join(character for character in digits if character in "0123456789")).replace(
        numerals().speech["digits"][1], numerals().speech["one_in_a_row"]
    )


def _digits(number: str) -> str:
    return "".join(numerals().speech["digits"][int(digit)] for digit in number)
