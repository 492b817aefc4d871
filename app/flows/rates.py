"""How often a costly or guessable door may be tried, counted over all processes.

Our own small table and not the `limits` package: that keeps its counts in memory (one process) or in Redis,
Memcached, MongoDB or etcd, and a small city runs none of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain.clock import SHANGHAI
from app.errors import AppError
from app.flows.deps import Deps
from app.store import rates
from app.voice import replies
from app.voice.amounts import spoken_count

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def spend(deps: Deps, key: str, limit: int, window: timedelta) -> None:
    """Count one try of `key` ("login:address:…") and let at most `limit` of them pass in one window.

    Windows stand still (a day is a Shanghai day), so that two of them beside each other may let twice
    `limit` pass. AppError too_many_tries, with `after_seconds` among its facts, when they are used up; who
    is refused is not counted, so that waiting always helps. `key` is kept as a keyed hash only.
    """
    now = deps.clock.now()
    begin, end = window_of(now, window)
    bucket = deps.vault.lookup(key, "rate")
    with deps.database.write_one() as tx:
        allowed = rates.count(tx, bucket, limit, begin, end)
    if not allowed:
        rest = end - now
        raise AppError("too_many_tries", when=come_back(rest), after_seconds=_up(rest, timedelta(seconds=1)))


def window_of(now: datetime, window: timedelta) -> tuple[datetime, datetime]:
    """Begin and end of the window `now` is in; windows are laid from a Shanghai midnight on."""
    origin = datetime(2026, 1, 1, tzinfo=SHANGHAI).astimezone(UTC)
    begin = origin + (now - origin) // window * window
    return begin, begin + window


def come_back(rest: timedelta) -> str:
    """When to come again, as it is said; never too early."""
    if rest <= _HOUR:
        return replies.phrase("after_minutes", count=spoken_count(_up(rest, _MINUTE)))
    if rest < _DAY:
        return replies.phrase("after_hours", count=spoken_count(_up(rest, _HOUR)))
    return replies.phrase("after_days", count=spoken_count(_up(rest, _DAY)))


def _up(duration: timedelta, unit: timedelta) -> int:
    return max(1, -(-duration // unit))
