"""What becomes of the service when five times as many come as it can serve, and afterwards.

The load is orders being opened, with authentication, on PostgreSQL. The service has all cores but the load's
own, so that neither takes from the other, and one web worker for each of its cores. A round finds the peak (a
closed loop), then sends an open loop (bench.open_loop): at 70 % of the peak, at five times the peak, and at
70 % again without a pause. Good is a 2xx answer within a second of the moment it was due.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.house import WEB_THREADS, House, running_only
from app.config import Settings
from bench import load, open_loop
from bench.open_loop import Asked, arrivals
from bench.order_path import SESSION_KEY, orders_of, postgres, settle_people

PORT = 8096
GOOD_SECONDS = 1.0
CALM, OVERLOAD = 0.7, 5.0  # of the peak
PEAK_CONNECTIONS = 8  # for each core of the service; 4 and 16 reach no more
RECOVERED = 0.95  # of what is offered is good again
SLICE_SECONDS = 0.5
# What the shipped gate is measured against: room for everybody, in front of as many threads as can work.
UNGUARDED = {"ANXIN_REQUESTS_WAITING": "1000"}


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long each part of a round takes."""

    peak: float
    calm: float
    overload: float
    after: float

    @property
    def all(self) -> float:
        return self.calm + self.overload + self.after


LONG, SHORT = Seconds(5.0, 6.0, 6.0, 8.0), Seconds(3.0, 3.0, 4.0, 7.0)


def cores() -> tuple[set[int], set[int]]:
    """The service's, and the load's: the last quarter, at least one. On one core they share it."""
    mine = sorted(os.sched_getaffinity(0))
    loads = max(1, len(mine) // 4)
    return set(mine[:-loads] or mine), set(mine[-loads:])


@contextmanager
def on(chosen: set[int]) -> Iterator[None]:
    """What is started within runs on these cores, for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def round_of(make: load.Requests, seconds: Seconds, workers: int) -> dict[str, Any]:
    """One round against the service at PORT."""
    load.run(PORT, make, 4, 1.0)  # warm
    peak = load.run(PORT, make, PEAK_CONNECTIONS * workers, seconds.peak).per_second
    crowd = [seconds.calm + moment for moment in arrivals(OVERLOAD * peak, seconds.overload)]
    over = seconds.calm + seconds.overload
    after = [over + moment for moment in arrivals(CALM * peak, seconds.after)]
    found = open_loop.run(PORT, make(1000), [*arrivals(CALM * peak, seconds.calm), *crowd, *after])
    calm_part = [one for one in found.asked if one.due < seconds.calm]
    crowd_part = [one for one in found.asked if seconds.calm <= one.due < over]
    good = sum(_good(one) for one in crowd_part) / seconds.overload
    return {
        "peak_per_second": peak,
        "calm_p99_ms": 1000 * _p99(calm_part),
        "calm_failed": sum(not _good(one) for one in calm_part),
        "goodput_to_peak": good / peak,
        "overload_p99_ms": 1000 * _p99([one for one in crowd_part if _good(one)]),
        "overload_statuses": _statuses(crowd_part),
        "recovered_after_seconds": _recovered(found.asked, over, seconds),
        "generator_late_p99_ms": 1000 * open_loop.quantile(found.lateness, 0.99),
        "slices": _slices(found.asked, seconds.all),
    }


def _good(one: Asked) -> bool:
    return 200 <= one.status < 300 and one.seconds <= GOOD_SECONDS


def _p99(asked: list[Asked]) -> float:
    """Of everything that was asked: what was never answered well took longer than any limit."""
    return open_loop.quantile(
        [one.seconds if 200 <= one.status < 300 else open_loop.GIVE_UP_SECONDS for one in asked], 0.99
    )


def _statuses(asked: list[Asked]) -> dict[str, int]:
    found = sorted({one.status for one in asked})
    return {str(status): sum(one.status == status for one in asked) for status in found}


def _slices(asked: list[Asked], seconds: float) -> list[dict[str, float]]:
    """Offered and good a second over time, by when they were due."""
    many = int(seconds / SLICE_SECONDS)
    offered, good = [0] * many, [0] * many
    for one in asked:
        place = min(many - 1, int(one.due / SLICE_SECONDS))
        offered[place] += 1
        good[place] += _good(one)
    return [
        {"at": n * SLICE_SECONDS, "offered": offered[n] / SLICE_SECONDS, "good": good[n] / SLICE_SECONDS}
        for n in range(many)
    ]


def _recovered(asked: list[Asked], over: float, seconds: Seconds) -> float:
    """Seconds after the overload from which every slice is good again; those watched when none is."""
    slices = [one for one in _slices(asked, seconds.all) if one["at"] >= over - SLICE_SECONDS / 2]
    short = [one["at"] for one in slices if one["good"] < RECOVERED * one["offered"]]
    return max(short) + SLICE_SECONDS - over if short else 0.0


def measure(folder: Path, rounds: int, seconds: Seconds, step: Callable[[], None]) -> dict[str, Any]:
    """Rounds with the service as it ships, and one without its gate."""
    service, loads = cores()
    with on(service), postgres(folder) as address:
        env = {
            "ANXIN_DATABASE_URL": address,
            "ANXIN_SESSION_KEYS": SESSION_KEY,
            "ANXIN_LOG_LEVEL": "ERROR",
            "ANXIN_VOICE_MODELS": str(folder / "no-models"),
        }
        settings = Settings.from_env({**env, "ANXIN_DATA_DIR": str(folder / "house")})
        make = orders_of(settle_people(address, settings))

        def a_round(number: int, more: dict[str, str], threads: int = WEB_THREADS) -> dict[str, Any]:
            data = folder / f"house-{number}"
            house = House(data, PORT, PORT + 1, env | more, len(service), threads)
            with running_only(house, "server"), on(loads):
                found = round_of(make, seconds, len(service))
            step()
            return found

        found = [a_round(number, {}) for number in range(rounds)]
        without = a_round(rounds, UNGUARDED, threads=settings.requests_at_once)
    return {
        "cores": {"service": len(service), "load": len(loads), "shared": service == loads},
        "rounds": found,
        "without_gate": without,
        **{
            name: statistics.median(one[name] for one in found)
            for name in (
                "peak_per_second",
                "calm_p99_ms",
                "goodput_to_peak",
                "overload_p99_ms",
                "recovered_after_seconds",
                "generator_late_p99_ms",
            )
        },
    }
