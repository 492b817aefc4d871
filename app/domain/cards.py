"""Card numbers: shape, masking, and which city issued them.

T-Union numbers are 19 digits starting with 31; the first 8 (the IIN) name the issuer. There is no Luhn
rule: 0 of 4 public sample numbers pass it (notes/domain.md 3.1), so the card system is the judge.
"""

from __future__ import annotations

import re
import unicodedata

_SEPARATORS = re.compile(r"[\s\-_.·]+")
_FULL_WIDTH = {0xFF10 + digit: str(digit) for digit in range(10)}  # NFKC would also accept "²" for 2
NICKNAME_LENGTH = 12
PREFIX_LENGTH = 8


def clean_card_number(text: str) -> str | None:
    """The 19 digits of a typed or scanned number (full-width digits and separators allowed), or None."""
    digits = _SEPARATORS.sub("", text.translate(_FULL_WIDTH))
    if len(digits) == 20 and digits.startswith("0"):  # ten BCD bytes as some readers print them
        digits = digits[1:]
    if len(digits) == 19 and digits.isascii() and digits.isdigit() and digits.startswith("31"):
        return digits
    return None


def prefix(card_number: str) -> str:
    """The digits that name the issuer, and nobody's card."""
    return card_number[:PREFIX_LENGTH]


def last_four(card_number: str) -> str:
    return card_number[-4:]


def clean_nickname(text: str | None) -> str | None:
    """A nickname fit to be read aloud: letters, digits and hanzi, at most 12; None when nothing is left."""
    if text is None:
        return None
    kept = "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())
    return kept[:NICKNAME_LENGTH] or None
