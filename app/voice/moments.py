"""When something happened, as it is said: 今天上午九点, 昨天下午两点, 十一月三号晚上八点."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.clock import SHANGHAI, business_day
from app.voice import replies
from app.voice.amounts import spoken_count
from app.voice.normalise import spoken_number
from app.voice.numerals import numerals

_DAY = timedelta(days=1)
# Until which hour (exclusive, Asia/Shanghai) a part of the day lasts: keys of phrases `part_<name>`.
_PARTS = ((5, "night"), (9, "early"), (12, "morning"), (13, "noon"), (18, "afternoon"), (24, "evening"))


def told_moment(at: datetime, now: datetime) -> str:
    """Day and hour of `at` as somebody would tell it at `now`; both aware."""
    hour = at.astimezone(SHANGHAI).hour
    part = next(name for until, name in _PARTS if hour < until)
    counted = spoken_number(hour) if hour == 0 else spoken_count(hour if hour <= 12 else hour - 12)
    return replies.phrase(
        "told_hour", day=told_day(at, now), part=replies.phrase(f"part_{part}"), hour=counted
    )


def told_day(at: datetime, now: datetime) -> str:
    """今天, 昨天, 十一月三号, or with the year when it is another one."""
    day, today = business_day(at), business_day(now)
    if day == today:
        return replies.phrase("day_today")
    if day == today - _DAY:
        return replies.phrase("day_yesterday")
    date = {"month": spoken_number(day.month), "day": spoken_number(day.day)}
    if day.year == today.year:
        return replies.phrase("day_of_year", **date)
    year = "".join(numerals().speech["digits"][int(digit)] for digit in str(day.year))
    return replies.phrase("day_of_another_year", year=year, **date)
