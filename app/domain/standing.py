"""A relative's wish that repeats, and when it makes a proposal (PRODUCT.md "Family"). Pure; our own numbers.

A standing order pays nothing: WeChat takes no money by itself. Each time it is due it puts a proposal before
the relative, who says yes with one tap. Days are Asia/Shanghai; proposals are made from nine in the morning
on, so that nobody's phone rings at night.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from app.domain.clock import SHANGHAI, business_day

MORNING = time(9)
ANSWER_WITHIN = timedelta(days=3)  # unanswered for so long, a proposal is over
LATE_AT_MOST = timedelta(days=3)  # a worker that stood still proposes what was due so long ago, not more
LEAST_THRESHOLD_FEN, MOST_THRESHOLD_FEN = 100, 50_000


class Kind(StrEnum):
    MONTHLY = "monthly"  # 每月一号给妈充一百
    LOW_BALANCE = "low_balance"  # 余额低于二十就充五十


class Answer(StrEnum):
    """The state of a proposal."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"


def due_in(month: date, day_of_month: int) -> date:
    """That day of the month of `month`; its last day where it has no such day."""
    return month.replace(day=min(day_of_month, monthrange(month.year, month.month)[1]))


def last_due(today: date, day_of_month: int) -> date:
    """The newest due day up to today: of this month, or of the one before."""
    this = due_in(today, day_of_month)
    return this if this <= today else due_in(today.replace(day=1) - timedelta(days=1), day_of_month)


def monthly_due(now: datetime, day_of_month: int, made_at: datetime) -> date | None:
    """The due day a proposal is made for at `now`; None when there is none. One before the standing order
    was made, or too long ago, is no due day."""
    today = business_day(now)
    due = last_due(today, day_of_month)
    return due if due >= business_day(made_at) and today - due <= LATE_AT_MOST else None


def next_morning(now: datetime) -> datetime:
    """The next nine o'clock after `now`, in UTC."""
    day = business_day(now)
    morning = datetime.combine(day, MORNING, SHANGHAI)
    if morning <= now:
        morning = datetime.combine(day + timedelta(days=1), MORNING, SHANGHAI)
    return morning.astimezone(UTC)
