"""An elder asks the family to pay: the rules of whose turn it is (PRODUCT.md "Family"). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum

TURN = timedelta(minutes=30)  # unanswered for so long, the next relative is asked too
A_DAY = 5  # requests an elder may make on one Shanghai day
LOOK_AGAIN = timedelta(minutes=1)  # how soon it is noticed that an accepted request was paid, or lapsed


class State(StrEnum):
    """Where a request stands. Money is told by its order, never by this."""

    ASKING = "asking"
    ACCEPTED = "accepted"  # somebody said yes; their order may still be paid
    PAID = "paid"
    DECLINED = "declined"  # everybody said no
    UNANSWERED = "unanswered"  # nobody is left to ask, and not everybody said no
    WITHDRAWN = "withdrawn"


OPEN = frozenset({State.ASKING, State.ACCEPTED})


class Answer(StrEnum):
    """What one relative said. Each answers once."""

    YES = "yes"
    NO = "no"
    LAPSED = "lapsed"  # a yes that was not paid in time


class Reason(StrEnum):
    """Why not: four to choose from, each a phrase `reason_<reason>` told to the elder."""

    CALL_FIRST = "call_first"
    TOO_MUCH = "too_much"
    NOT_NOW = "not_now"
    ENOUGH = "enough"


def in_turn(chosen: str, others: Iterable[str]) -> list[str]:
    """Who is asked, in which order: the chosen one first, then the others as they come."""
    return [chosen, *(each for each in others if each != chosen)]


def ended_as(answers: Sequence[str | None]) -> State:
    """How a request ends when nobody is left to ask: declined only if everybody who was asked said no."""
    return State.DECLINED if answers and set(answers) == {Answer.NO} else State.UNANSWERED
