"""Factors of identity and what counts when: pure rules (PRODUCT.md "Identity", notes/face.md 6 and 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from enum import StrEnum

CHECK_WINDOW = timedelta(minutes=30)  # nobody is hurried: a relative may have to be asked
CHALLENGE_WINDOW = timedelta(seconds=90)
CODE_WINDOW = timedelta(minutes=5)
DESK_CODE_WINDOW = timedelta(minutes=15)
INVITE_WINDOW = timedelta(hours=24)
CODE_TRIES = 3
FACE_TRIES = 3  # that did not match, for one order
FACE_TRIES_A_DAY = 5
FACE_RETRIES = 10  # bad light, a missed turn: free, but not without end
ENROLMENT = timedelta(days=180)
COOLING = timedelta(hours=24)  # a phone number or a relative younger than this proves nothing
MOST_RELATIVES = 3


class Factor(StrEnum):
    """What can be proven, each at most once for one order."""

    FACE = "face"  # our own engine: never enough alone
    REMOTE_FACE = "remote_face"  # WeChat's check against the identity card
    FINGERPRINT = "fingerprint"
    SMS = "sms"
    RELATIVE = "relative"
    DESK = "desk"
    BANK_CARD = "bank_card"


Way = frozenset[Factor]
F = Factor
# Any one of these is enough. The face stands beside an equal way without one, always.
MEDIUM_WAYS: tuple[Way, ...] = tuple(
    frozenset({factor}) for factor in (F.SMS, F.RELATIVE, F.FINGERPRINT, F.REMOTE_FACE, F.DESK)
)
LARGE_WAYS: tuple[Way, ...] = (
    frozenset({F.FACE, F.SMS}),
    frozenset({F.FACE, F.FINGERPRINT}),
    frozenset({F.FACE, F.RELATIVE}),
    frozenset({F.REMOTE_FACE}),
    frozenset({F.SMS, F.RELATIVE}),
    frozenset({F.DESK}),
)
# A city's first-use check before an everyday sum: one factor is enough, and the face has equals.
FACE_ENTRY_WAYS: tuple[Way, ...] = tuple(
    frozenset({factor}) for factor in (F.FACE, F.REMOTE_FACE, F.SMS, F.RELATIVE, F.DESK)
)
BANK_ENTRY_WAYS: tuple[Way, ...] = (frozenset({F.BANK_CARD}), frozenset({F.DESK}))


def both(one: Iterable[Way], other: Iterable[Way]) -> tuple[Way, ...]:
    """The ways that satisfy two requirements at once, without those that ask for more than another."""
    other = tuple(other)
    joined = dict.fromkeys(first | second for first in one for second in other)
    return tuple(way for way in joined if not any(less < way for less in joined))


def satisfied(ways: Iterable[Collection[str]], proven: Collection[str]) -> bool:
    """Whether everything of some way is proven."""
    return any(set(way) <= set(proven) for way in ways)


def still_needed(ways: Iterable[Collection[str]], proven: Collection[str]) -> tuple[Factor, ...]:
    """Every factor that would still help, in the order of the ways; nothing already proven."""
    return tuple(dict.fromkeys(F(each) for way in ways for each in _ordered(way) if each not in proven))


def _ordered(way: Collection[str]) -> list[str]:
    return [factor.value for factor in F if factor.value in way]


def binding(user_id: str, order_id: str, amount_fen: int, card_id: str, device_id: str | None = None) -> str:
    """What a code or a challenge is bound to: change any of it and it proves nothing. 64 hex digits."""
    text = "|".join([user_id, order_id, str(amount_fen), card_id, device_id or ""])
    return hashlib.sha256(text.encode()).hexdigest()


# --- identity numbers (GB 11643-1999: 17 digits and a check character by ISO 7064 MOD 11-2) ----------

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
OLDEST = 130


def clean_id_number(text: str, today: date) -> str | None:
    """The number without blanks, X in capitals; None when no such number can exist.

    Checked: shape, check character, a birthday that was, and no older than anybody.
    """
    number = "".join(text.split()).upper()
    digits = number[:17]
    if len(number) != 18 or not (digits.isascii() and digits.isdigit()) or number[0] == "0":
        return None
    if (
        _CHECKS[sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11]
        != number[17]
    ):
        return None
    born = birthday(number)
    return number if born is not None and born <= today and today.year - born.year <= OLDEST else None


def birthday(id_number: str) -> date | None:
    """The day in a number; None when there was no such day."""
    try:
        return date(int(id_number[6:10]), int(id_number[10:12]), int(id_number[12:14]))
    except ValueError:
        return None


def clean_phone(text: str) -> str | None:
    """A mainland mobile number, eleven digits; None for anything else."""
    number = "".join(text.split()).replace("-", "").removeprefix("+86")
    fits = (
        len(number) == 11 and number.isascii() and number.isdigit() and number[0] == "1" and number[1] >= "3"
    )
    return number if fits else None


def clean_name(text: str) -> str | None:
    """A person's name, 2 to 30 characters of letters and the middle dot; None for anything else."""
    name = "".join(text.split())
    fits = 2 <= len(name) <= 30 and all(char.isalpha() or char == "·" for char in name)
    return name if fits else None


def clean_bank_card(text: str) -> str | None:
    """A bank card's number, 12 to 19 digits with a right check digit (Luhn, ISO/IEC 7812-1); else None."""
    number = "".join(text.split())
    if not (12 <= len(number) <= 19 and number.isascii() and number.isdigit()):
        return None
    doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(number))]
    return number if sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0 else None


def masked(text: str, first: int, last: int) -> str:
    """`text` with all but its first and last characters as stars; nothing is shown of a short one."""
    if len(text) <= first + last:
        return "*" * len(text)
    return text[:first] + "*" * (len(text) - first - last) + text[len(text) - last :]
