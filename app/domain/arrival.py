"""When the money will be on the card: the city's own mode first (PRODUCT.md "Money").

Guangzhou clears in real time, holidays included. The windows of mode "standard" and the batch promise
need the holiday calendar and come with the cities that use them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.cities import City, Clearing

REALTIME_PROMISE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Promise:
    """`by` is the latest moment; `words` names the phrase the elder hears (a key of the replies)."""

    by: datetime
    words: str


def promise(city: City, paid_at: datetime) -> Promise:
    """The promise for a payment that succeeded at `paid_at` (aware). ValueError for a mode not built."""
    if city.clearing is Clearing.REALTIME:
        return Promise(paid_at + REALTIME_PROMISE, "promise_seconds")
    raise ValueError(f"{city.name}: clearing mode {city.clearing} has no promise yet")
