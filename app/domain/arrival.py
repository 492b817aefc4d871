"""When the money will be on the card: the city's mode first, then the clock (PRODUCT.md "Money").

Real time: seconds, holidays included. Batch: at most twelve hours. Standard, by the Asia/Shanghai clock at
payment success: on a workday before 16:00 at once, from 16:00 in one to two hours, on other days in two to
six. Each window holds its first moment and not its last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from app.domain.calendar import Calendar, calendar
from app.domain.cities import BATCH_PROMISE, City, Clearing
from app.domain.clock import SHANGHAI

AT_ONCE = timedelta(seconds=60)
EVENING = (timedelta(hours=1), timedelta(hours=2))
DAY_OFF = (timedelta(hours=2), timedelta(hours=6))
EVENING_BEGINS = time(16)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Promise:
    """Not before `earliest`, on the card by `by`: broken from the next moment on.

    `words` and `paid_words` name the phrases (keys of the replies) that the elder hears before and after
    paying. Those of before are rules, so they stay true when the clock goes on before the payment.
    """

    earliest: datetime
    by: datetime
    words: str

    @property
    def paid_words(self) -> str:
        return f"{self.words}_paid"


def promise(
    city: City, paid_at: datetime, days: Calendar | None = None, issuer: City | None = None
) -> Promise:
    """The promise for a payment that succeeded at `paid_at` (aware).

    `days` is the calendar in force, by default the shipped one. A card of another city (`issuer`) has to
    go through both cities' clearing, so the later promise counts.
    """
    days = days or calendar()
    own = _of_city(city, paid_at, days)
    if issuer is None or issuer.name == city.name:
        return own
    return max(own, _of_city(issuer, paid_at, days), key=lambda each: each.by)


def batch_cutoff(city: City, paid_at: datetime) -> datetime | None:
    """The cut-off of the batch that takes this payment, always after `paid_at`; None without batches.

    A payment in the very moment of a cut-off waits for the next one.
    """
    if city.batch is None:
        return None
    moment = paid_at.astimezone(SHANGHAI)
    for day in (moment.date(), moment.date() + timedelta(days=1)):
        for cut_off in city.batch.cut_offs:
            found = datetime.combine(day, cut_off, SHANGHAI)
            if found > moment:
                return found.astimezone(paid_at.tzinfo)
    raise AssertionError("a batch has a cut-off every day")


def last_cutoff(city: City, now: datetime) -> datetime | None:
    """The latest cut-off that is not in the future; None without batches."""
    if city.batch is None:
        return None
    moment = now.astimezone(SHANGHAI)
    days = (moment.date() - timedelta(days=1), moment.date())
    past = [datetime.combine(day, cut_off, SHANGHAI) for day in days for cut_off in city.batch.cut_offs]
    return max(each for each in past if each <= moment).astimezone(UTC)


def _of_city(city: City, paid_at: datetime, days: Calendar) -> Promise:
    if city.clearing is Clearing.REALTIME:
        return Promise(paid_at, paid_at + AT_ONCE, "promise_seconds")
    cut_off = batch_cutoff(city, paid_at)
    if cut_off is not None:
        return Promise(cut_off, paid_at + BATCH_PROMISE, "promise_batch")
    return _by_the_clock(paid_at, days)


def _by_the_clock(paid_at: datetime, days: Calendar) -> Promise:
    moment = paid_at.astimezone(SHANGHAI)
    if not days.is_workday(moment.date()):
        # On a Wednesday that is off only because nobody announced its year, no word of a day off.
        known = days.announced(moment.year) or moment.weekday() >= _SATURDAY
        words = "promise_day_off" if known else "promise_hours"
        return Promise(paid_at + DAY_OFF[0], paid_at + DAY_OFF[1], words)
    if moment.time() < EVENING_BEGINS:
        return Promise(paid_at, paid_at + AT_ONCE, "promise_at_once")
    return Promise(paid_at + EVENING[0], paid_at + EVENING[1], "promise_evening")
