"""How a handler of the outbox ends: its work is done, or it is to be tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Done:
    """The row needs no more work."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Later:
    """Try the row again, after the ladder's time or `after`. `expected`: waiting is how it should be, so
    however often it happens, no alarm rings."""

    error: str
    after: timedelta | None = None
    expected: bool = False


Verdict = Done | Later
