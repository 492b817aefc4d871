"""Huey is the clock and the worker, nothing more: its queue carries hints to look at the outbox.

A lost hint costs at most one tick of the sweep (a minute); a doubled one finds nothing to do.
"""

from __future__ import annotations

import logging
from pathlib import Path

from huey import SqliteHuey, crontab

from app.flows.deps import Deps
from app.jobs.outbox import drain
from app.jobs.sweep import sweep

log = logging.getLogger(__name__)

FARTHEST_HINT_SECONDS = 90.0  # later work is found by the sweep's minute


class Hints:
    """The hint queue, in its own small SQLite file. Losing it loses nothing."""

    def __init__(self, data_dir: Path) -> None:
        self._queue = SqliteHuey(name="anxin", filename=str(data_dir / "hints.db"), results=False, cache_mb=1)
        self._deps: Deps | None = None
        self._look = self._queue.task(name="look_at_the_outbox")(self._drain)

    def _drain(self) -> None:
        assert self._deps is not None, "only the worker takes hints"
        drain(self._deps)

    def nudge(self, after_seconds: float = 0.0) -> None:
        """Ask the worker to look at the outbox, now or in a while. Never raises."""
        if after_seconds > FARTHEST_HINT_SECONDS:
            return
        try:
            if after_seconds > 0:
                self._look.schedule(delay=after_seconds)
            else:
                self._look()
        except Exception:  # a full disk or a locked hint file must not fail a paid order
            log.warning("hint not queued", exc_info=True)

    def serve(self, deps: Deps, workers: int = 2) -> None:
        """Take hints and the clock's minutes until SIGTERM or SIGINT.

        Starts with a sweep, so that a crash leaves no debts.
        """
        self._deps = deps

        def every_minute() -> None:
            sweep(deps)
            drain(deps)

        self._queue.periodic_task(crontab(minute="*"), name="sweep")(every_minute)
        every_minute()
        consumer = self._queue.create_consumer(
            workers=workers, periodic=True, initial_delay=0.05, max_delay=0.5
        )
        consumer.run()
