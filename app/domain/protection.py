"""Whether somebody may be steering the person who pays: calm questions, and what a relative may do about it.

Not the proof of identity (`app.domain.risk`): the person is who they say, and may still be told what to do
by a stranger on the telephone (notes/domain.md 4.1). Pure: everything looked at is in `Seen`. One signal
alone is everyday life and asks nothing; nor does a small sum. Every reason is the key of a phrase
`protect_<reason>` in the replies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from app.domain.identity import COOLING
from app.domain.risk import NIGHT, SMALL_FEN, staircase

DUPLICATE_WITHIN = timedelta(minutes=10)
COOL_OFF = timedelta(hours=2)  # after "somebody told me to", for large sums onto that card
RELATIVES_LOOK = timedelta(minutes=30)  # so long an order waits for a relative to call
HOLD_AT_MOST = timedelta(hours=24)
HOLD_ALONE = timedelta(hours=2)  # where no second relative could release it: a holder may be the abuser
HOLDS_A_DAY = 3  # of one relative, for one elder, in one Shanghai day
NEAR_PERCENT = 90  # of a threshold: just under it, inclusive
NEAR_TIMES = 2  # payments of one day just under it, this one among them
MANY_CARDS = 3  # different cards of one day, this one among them
UNUSUAL_TIMES = 3  # so many times what was the most so far
USUAL_DAYS, USUAL_PAYMENTS = timedelta(days=90), 3  # fewer payments than that tell no habit


class Kind(StrEnum):
    """What is asked before an order is confirmed, each at most once for one order."""

    DUPLICATE = "duplicate"
    TOLD_TO = "told_to"


class Said(StrEnum):
    """What a person can answer."""

    OWN = "own"
    TOLD = "told"
    RELATIVES = "relatives"  # not the last word: the order waits for a relative to call
    AGAIN = "again"
    STOP = "stop"


ANSWERS: dict[Kind, tuple[Said, ...]] = {
    Kind.TOLD_TO: (Said.OWN, Said.TOLD, Said.RELATIVES),
    Kind.DUPLICATE: (Said.AGAIN, Said.STOP),
}
GOES_ON = frozenset({Said.OWN, Said.AGAIN})
FALSE_ALARM, JUSTIFIED = "false_alarm", "justified"


class HoldReason(StrEnum):
    """Why a relative holds a payment; the elder hears `hold_<reason>` of the replies."""

    NOT_KNOWN = "not_known"
    STRANGER = "stranger"
    WRONG_CARD = "wrong_card"
    TOO_MUCH = "too_much"


class Level(StrEnum):
    NONE = "none"
    ASK = "ask"
    ASK_AND_ALERT = "ask_and_alert"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known when a person confirms an order for a card of their own.

    `today_fen`: what this person paid, or may still pay, on this Shanghai day before, oldest first.
    `cards_today` counts this order's card too. `own_name` is None for somebody who told us none, `holder`
    where the card's issuer does not say; `usual_fen` is None where there is no habit yet.
    """

    amount_fen: int
    today_fen: Sequence[int]
    cards_today: int
    hour: int
    card_age: timedelta
    first_card: bool
    own_name: str | None
    holder: str | None
    usual_fen: int | None
    threshold_fen: int


@dataclass(frozen=True, slots=True)
class Decision:
    """`reasons` are the heaviest first."""

    level: Level
    reasons: tuple[str, ...] = ()


# How much a signal weighs. Two light ones ask; a heavy one with another also tells the relatives.
_WEIGHTS = {
    "strangers_card": 2,
    "near_limit": 2,
    "staircase": 2,
    "many_cards": 1,
    "unusual_sum": 1,
    "new_card": 1,
    "night": 1,
}
_ALERT_FROM = 3


def protect(seen: Seen) -> Decision:
    """Whether to ask before this payment, and whether the relatives hear of it."""
    if seen.amount_fen <= SMALL_FEN:
        return Decision(Level.NONE)
    reasons = _signals(seen)
    if len(reasons) < 2:
        return Decision(Level.NONE)
    weight = sum(_WEIGHTS[reason] for reason in reasons)
    return Decision(Level.ASK_AND_ALERT if weight >= _ALERT_FROM else Level.ASK, reasons)


def _signals(seen: Seen) -> tuple[str, ...]:
    young = seen.card_age < COOLING
    strangers = young and _strangers(seen)
    speaks = {
        "strangers_card": strangers,
        "near_limit": _near_limit(seen),
        "staircase": staircase([*seen.today_fen, seen.amount_fen]),
        "many_cards": seen.cards_today >= MANY_CARDS,
        "unusual_sum": seen.usual_fen is not None and seen.amount_fen >= UNUSUAL_TIMES * seen.usual_fen,
        "new_card": young and not strangers,
        "night": seen.hour in NIGHT,
    }
    return tuple(name for name in _WEIGHTS if speaks[name])


def _strangers(seen: Seen) -> bool:
    """By the names where both are known; else every card but a person's first one may be a stranger's."""
    if seen.own_name and seen.holder:
        return not holder_fits(seen.holder, seen.own_name)
    return not seen.first_card


def holder_fits(masked: str, name: str) -> bool:
    """Whether a masked name ("王*英") can be this one. A star stands for one character or more."""
    pattern = "".join(".+" if part == "*" else re.escape(part) for part in masked)
    return re.fullmatch(pattern, name) is not None


def _near_limit(seen: Seen) -> bool:
    def near(fen: int) -> bool:
        return NEAR_PERCENT * seen.threshold_fen <= 100 * fen < 100 * seen.threshold_fen

    return near(seen.amount_fen) and sum(map(near, [*seen.today_fen, seen.amount_fen])) >= NEAR_TIMES


def hold_for(guardians: int) -> timedelta:
    """How long a hold lasts at most. `guardians`: the relatives with that role, its holder among them."""
    return HOLD_AT_MOST if guardians >= 2 else HOLD_ALONE
