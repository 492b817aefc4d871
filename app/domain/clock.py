"""The only room where time is read. Stored moments are UTC; business days are Asia/Shanghai."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Timezone-aware UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the room


class FakeClock:
    """A clock that moves only when told: for demonstrations and for tests."""

    def __init__(self, start: datetime) -> None:
        """`start` must be timezone-aware; ValueError otherwise."""
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware moment")
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def tick(self, **duration: float) -> datetime:
        """Move on by a `timedelta(**duration)` and return the new moment."""
        self._now += timedelta(**duration)
        return self._now


def business_day(moment: datetime) -> date:
    """The Asia/Shanghai calendar day of an aware moment."""
    return moment.astimezone(SHANGHAI).date()


def day_start(moment: datetime) -> datetime:
    """When the Asia/Shanghai day of an aware moment began, in UTC."""
    return datetime.combine(business_day(moment), time(), SHANGHAI).astimezone(UTC)


def month_start(moment: datetime) -> datetime:
    """When its Asia/Shanghai month began, in UTC."""
    return datetime.combine(business_day(moment).replace(day=1), time(), SHANGHAI).astimezone(UTC)


def as_utc(moment: datetime) -> datetime:
    """Aware UTC; a naive value (SQLite returns those) is taken as the UTC it was stored as."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC to the second, or None."""
    if moment is None:
        return None
    return as_utc(moment).isoformat(timespec="seconds").replace("+00:00", "Z")
