"""Huey is the clock and the worker, nothing more: its queue carries hints to look at the outbox.

A lost hint costs at most one tick of the sweep (a minute); a doubled one finds nothing to do.
"""

from __future__ import annotations

import fcntl
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huey import SqliteHuey, crontab

from app.flows.deps import Deps
from app.jobs.outbox import drain
from app.jobs.reconcile import reconcile_due
from app.jobs.sweep import sweep
from app.store import outbox

log = logging.getLogger(__name__)

FARTHEST_HINT_SECONDS = 90.0  # later work is found by the sweep's minute


class AnotherWorkerRuns(Exception):
    """A worker already serves this data folder."""


class Hints:
    """The hint queue, in its own small SQLite file. Losing it loses nothing."""

    def __init__(self, data_dir: Path) -> None:
        self._lock_file = data_dir / "worker.lock"
        self._name = f"{socket.gethostname()}:{data_dir}"[-96:]
        self._queue = SqliteHuey(name="anxin", filename=str(data_dir / "hints.db"), results=False, cache_mb=1)
        self._deps: Deps | None = None
        self._look = self._queue.task(name="look_at_the_outbox")(self._drain)

    def _drain(self) -> None:
        assert self._deps is not None, "only the worker takes hints"
        drain(self._deps, worker=self._name)

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

        Starts with what a worker of this folder left behind when it died, and a sweep, so that a crash
        leaves no debts. Raise AnotherWorkerRuns while one does.
        """
        with self._alone():
            self._deps = deps
            with deps.database.write() as tx:
                left = outbox.release(tx, self._name, deps.clock.now())
            if left:
                log.warning("work of a worker that died is taken up", extra={"rows": left})
            self._queue.periodic_task(crontab(minute="*"), name="sweep")(self._every_minute)
            self._queue.periodic_task(crontab(minute="*"), name="reconcile")(self._reconcile)
            self._every_minute()
            self._queue.create_consumer(
                workers=workers, periodic=True, initial_delay=0.05, max_delay=0.5
            ).run()

    def _every_minute(self) -> None:
        assert self._deps is not None, "only the worker keeps the clock"
        sweep(self._deps)
        drain(self._deps, worker=self._name)

    def _reconcile(self) -> None:
        """Apart from the sweep: a large bill must not keep anybody's money waiting."""
        assert self._deps is not None, "only the worker keeps the clock"
        reconcile_due(self._deps)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock_file.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                raise AnotherWorkerRuns(str(self._lock_file)) from held
            yield  # closing the file releases the lock, also when the process is killed
