"""How much proof a payment needs, and why, in words the person can hear (PRODUCT.md "Identity").

Pure: everything it looks at is in `Signals`. A payment is large by its amount or by the day's total; a
smaller one above `SMALL_FEN` is medium when two signals speak at once, because one alone is everyday life.
Small payments are never asked anything but what the city asks once. Every reason is the key of a phrase
`risk_<reason>` in the replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from app.domain.cities import City, IdentityRule
from app.domain.identity import BANK_ENTRY_WAYS, COOLING, FACE_ENTRY_WAYS, LARGE_WAYS, MEDIUM_WAYS, Way, both

SMALL_FEN = 20_000  # our default: up to here nobody is asked, whatever else is new
NIGHT = range(5)  # hours, Asia/Shanghai (notes/domain.md 4.1)
STAIRS = 3  # payments of one day, each larger than the one before


class Level(StrEnum):
    NONE = "none"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From these sums on, inclusive, a payment is large."""

    single_fen: int
    day_fen: int


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known when a person confirms. Without a relative `relative_age` is None; a phone that does not
    say which it is (`device_age` None) is as new as any: leaving its name out must not help anybody.

    `today_fen`: the sums paid on this Shanghai day before, oldest first, by this person or onto this card.
    """

    amount_fen: int
    today_fen: Sequence[int]
    hour: int
    card_age: timedelta
    device_age: timedelta | None
    relative_age: timedelta | None
    first_in_city: bool
    entry_proven: bool


@dataclass(frozen=True, slots=True)
class Risk:
    """`ways` is empty when nothing is asked; any one of them is enough. `reasons` are the heaviest first."""

    level: Level
    reasons: tuple[str, ...]
    ways: tuple[Way, ...]
    proves_entry: bool = False


def thresholds(city: City, own: Thresholds | None) -> Thresholds:
    """The city's, or the person's own where they are lower: nobody can raise them."""
    if own is None:
        return Thresholds(city.large.single_fen, city.large.day_fen)
    return Thresholds(min(own.single_fen, city.large.single_fen), min(own.day_fen, city.large.day_fen))


def assess(city: City, limits: Thresholds, seen: Signals) -> Risk:
    """What this payment needs."""
    level, reasons, ways = _by_amount(limits, seen)
    if level is Level.NONE and seen.amount_fen > SMALL_FEN:
        signals = _signals(seen)
        if len(signals) >= 2:
            level, reasons, ways = Level.MEDIUM, signals, MEDIUM_WAYS
    entry = _entry_ways(city, seen)
    if entry:
        ways = both(ways, entry) if ways else entry
        reasons = (*reasons, f"entry_{city.entry.identity.value}")
    return Risk(level, reasons, ways, proves_entry=bool(entry))


def _by_amount(limits: Thresholds, seen: Signals) -> tuple[Level, tuple[str, ...], tuple[Way, ...]]:
    if seen.amount_fen >= limits.single_fen:
        return Level.LARGE, ("large", *_signals(seen)), LARGE_WAYS
    if sum(seen.today_fen) + seen.amount_fen >= limits.day_fen:
        return Level.LARGE, ("day_total", *_signals(seen)), LARGE_WAYS
    return Level.NONE, (), ()


def _signals(seen: Signals) -> tuple[str, ...]:
    """What is unusual, the weightiest first."""
    speaks = {
        "staircase": staircase([*seen.today_fen, seen.amount_fen]),
        "new_relative": _young(seen.relative_age),
        "new_device": seen.device_age is None or _young(seen.device_age),
        "new_card": _young(seen.card_age),
        "night": seen.hour in NIGHT,
        "first_in_city": seen.first_in_city,
    }
    return tuple(name for name, speaking in speaks.items() if speaking)


def _young(age: timedelta | None) -> bool:
    return age is not None and age < COOLING


def staircase(sums: Sequence[int]) -> bool:
    """The last three sums rise: how strangers test before they take."""
    last = sums[-STAIRS:]
    return len(last) == STAIRS and all(one < other for one, other in zip(last, last[1:], strict=False))


def _entry_ways(city: City, seen: Signals) -> tuple[Way, ...]:
    if seen.entry_proven:
        return ()
    return {
        IdentityRule.FACE_FIRST_USE: FACE_ENTRY_WAYS,
        IdentityRule.BANK_CARD_FIRST_USE: BANK_ENTRY_WAYS,
    }.get(city.entry.identity, ())
