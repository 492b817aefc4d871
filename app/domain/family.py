"""What a relative may do, and up to which sums: pure rules (PRODUCT.md "Family", notes/domain.md 4.1).

The sums are our defaults; an elder may only lower them. A relative and a card that are young have a low cap,
and all relatives together have one on the card, so that a cap cannot be split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.identity import COOLING

AGREED = timedelta(days=180)  # then the elder is asked again
ASK_AGAIN = timedelta(days=30)  # before the end, so that help does not break off


class Role(StrEnum):
    """What an elder lets one relative do. None includes another."""

    PAY = "pay"  # top up the elder's cards with their own money, and be asked to
    BALANCE = "balance"  # see what is on the cards
    ALERTS = "alerts"  # be told of unusual payments, and hold one for a while
    ASSIST = "assist"  # see the elder's screen while the elder allows it


@dataclass(frozen=True, slots=True)
class Caps:
    """Most fen in one payment, one Shanghai day and one Shanghai month; inclusive."""

    single_fen: int
    day_fen: int
    month_fen: int


RELATIVE_CAPS = Caps(50_000, 100_000, 300_000)  # WeChat's 亲属卡 began with 3000 yuan a month
YOUNG_FEN = 20_000  # all together while the tie or the card is younger than COOLING (UPI Circle's 24 hours)
CARD_CAPS = Caps(50_000, 200_000, 500_000)  # all relatives together, onto one card


@dataclass(frozen=True, slots=True)
class Spent:
    """What payments that are made, or may still be made, come to. `recent_fen`: within the last COOLING, so
    that a midnight makes nothing old enough."""

    recent_fen: int
    day_fen: int
    month_fen: int


@dataclass(frozen=True, slots=True)
class OverCap:
    """Which cap would be passed, and what is still possible under it (fen, never negative)."""

    which: str  # single | day | month | card_day | card_month | young_tie | young_card
    left_fen: int


def own_caps(own: tuple[int | None, int | None, int | None]) -> Caps:
    """The house's caps, or the elder's where they are lower."""
    house = (RELATIVE_CAPS.single_fen, RELATIVE_CAPS.day_fen, RELATIVE_CAPS.month_fen)
    return Caps(*(most if mine is None else min(mine, most) for mine, most in zip(own, house, strict=True)))


def over_cap(
    amount_fen: int,
    caps: Caps,
    by_relative: Spent,
    onto_card: Spent,
    tie_age: timedelta,
    card_age: timedelta,
) -> OverCap | None:
    """The first cap this payment would pass, the tightest first; None when it passes none.

    `by_relative`: what this relative paid for this elder. `onto_card`: what all relatives paid onto the card.
    """
    limits = [
        ("young_tie", YOUNG_FEN - by_relative.recent_fen) if tie_age < COOLING else None,
        ("young_card", YOUNG_FEN - onto_card.recent_fen) if card_age < COOLING else None,
        ("single", min(caps.single_fen, CARD_CAPS.single_fen)),
        ("day", caps.day_fen - by_relative.day_fen),
        ("month", caps.month_fen - by_relative.month_fen),
        ("card_day", CARD_CAPS.day_fen - onto_card.day_fen),
        ("card_month", CARD_CAPS.month_fen - onto_card.month_fen),
    ]
    passed = [OverCap(which, max(0, left)) for which, left in filter(None, limits) if amount_fen > left]
    return min(passed, key=lambda each: each.left_fen, default=None)


def ask_again(agreed_until: datetime | None, now: datetime) -> bool:
    """Whether it is time to ask the elder to agree once more: the last 30 days, and ever after."""
    return agreed_until is not None and agreed_until - now <= ASK_AGAIN


_SAYABLE = re.compile(r"[\u4e00-\u9fff0-9，、；：]{2,60}")


def sayable(reason: str) -> str | None:
    """An operator's reason as the people concerned will hear it: 2 to 60 characters that can be read aloud;
    None for anything else."""
    kept = "".join(reason.split()).rstrip("。")
    return kept if _SAYABLE.fullmatch(kept) else None
