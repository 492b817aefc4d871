"""Heavy work in processes of its own: bounded queue, time-out that kills, restarts, low priority.

Pebble does the process keeping. Workers are spawned, not forked (a web worker has threads, and
CTranslate2 does not survive a fork), and they are started at first use, so that the pool may be made
before a server forks its own workers.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from app.errors import AppError

T = TypeVar("T")
_log = logging.getLogger(__name__)

# Beyond the time for its own work, a task may wait for a worker to start and load its model.
START_SECONDS = 60.0
_WATCH_SECONDS = 1.0
# Every library that would start a thread for each core.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CT2_INTRA_THREADS")


class WorkerPool:
    """`workers` processes behind a queue of `queue_limit` more tasks. Safe for threads."""

    def __init__(
        self,
        *,
        workers: int,
        queue_limit: int,
        timeout_seconds: float,
        busy_code: str,
        broken_code: str,
        prepare: Callable[..., None] | None = None,
        prepare_args: tuple[Any, ...] = (),
        headroom_bytes: int,
        nice: int = 10,
        tasks_per_worker: int = 0,
    ) -> None:
        """`prepare(*prepare_args)` runs once in each new worker. `busy_code` and `broken_code` are the
        AppErrors for a full queue and for a worker that died or overran. `headroom_bytes`: address space a
        task may take beyond what a prepared worker has. `tasks_per_worker` 0: no limit."""
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._busy_code = busy_code
        self._broken_code = broken_code
        self._begin = (prepare, prepare_args, headroom_bytes, nice)
        self._tasks_per_worker = tasks_per_worker
        self._places = threading.BoundedSemaphore(workers + queue_limit)
        self._longest_wait = START_SECONDS + timeout_seconds * (queue_limit + 1)
        self._changing = threading.Lock()
        self._pool: ProcessPool | None = None
        self._closed = False
        # A web worker is itself a multiprocessing child: at its end it would wait for ours for ever.
        self._at_exit: Finalize | None = None

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run `function(*args)` in a worker; both must be importable and picklable.

        Raise the AppError it raised, or AppError busy_code, or broken_code for everything else (logged).
        """
        if not self._places.acquire(blocking=False):
            raise AppError(self._busy_code)
        try:
            return self._run(function, args)
        finally:
            self._places.release()

    def start(self) -> None:
        """Start the worker processes now instead of at the first task."""
        self._running()

    def close(self) -> None:
        """Kill the workers, whatever they are doing; idempotent."""
        with self._changing:
            self._closed = True
            pool, self._pool = self._pool, None
            if self._at_exit is not None:
                self._at_exit.cancel()
        if pool is not None:
            _stop(pool)

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        pool = self._running()
        try:
            future = pool.schedule(function, args=args, timeout=self._timeout_seconds)
        except RuntimeError as fault:  # it broke or was closed a moment ago
            self._discard(pool)
            raise AppError(self._broken_code) from fault
        try:
            result: T = future.result(timeout=self._longest_wait)
        except FutureTimeout as fault:
            if not future.done():  # not the task's own time-out: no worker ever took it
                future.cancel()  # type: ignore[no-untyped-call]
                self._discard(pool)
            raise AppError(self._broken_code) from fault
        except (ProcessExpired, BrokenProcessPool, CancelledError) as fault:
            raise AppError(self._broken_code) from fault
        except AppError:
            raise
        except Exception as fault:  # a library met something nobody foresaw: ours to look into, not a 500
            _log.exception("%s failed in a worker", function.__name__)
            raise AppError(self._broken_code) from fault
        return result

    def _running(self) -> ProcessPool:
        with self._changing:
            if self._closed:
                raise AppError(self._broken_code)
            if self._pool is not None and not self._pool.active:
                # An idle worker that is killed takes Pebble's whole pool with it: make a new one.
                _stop(self._pool)
                self._pool = None
            if self._at_exit is None:
                self._at_exit = Finalize(None, self.close, exitpriority=100)
            if self._pool is None:
                self._pool = ProcessPool(
                    max_workers=self._workers,
                    max_tasks=self._tasks_per_worker,
                    initializer=begin_worker,
                    initargs=(os.getpid(), *self._begin),
                    context=multiprocessing.get_context("spawn"),
                )
                self._pool.schedule(_nothing)  # Pebble starts its processes at the first task
            return self._pool

    def _discard(self, pool: ProcessPool) -> None:
        """Throw a pool away that can no longer work; the next task starts another."""
        with self._changing:
            if self._pool is pool:
                self._pool = None
        _stop(pool)


def _stop(pool: ProcessPool) -> None:
    with contextlib.suppress(RuntimeError, OSError):
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _nothing() -> None:
    return None


def begin_worker(
    parent: int,
    prepare: Callable[..., None] | None,
    prepare_args: tuple[Any, ...],
    headroom_bytes: int,
    nice: int,
) -> None:
    """First thing in a worker: one thread a library, low priority, bounded memory, an end with the parent."""
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    os.nice(nice)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    if prepare is not None:
        prepare(*prepare_args)
    _limit_memory(headroom_bytes)


def _limit_memory(headroom_bytes: int) -> None:
    """Three kilobytes of hostile WAV make FFmpeg ask for two gigabytes: let that fail, here only."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux: the operator's container is the limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + headroom_bytes, hard))


def _leave_with(parent: int) -> None:
    """A server killed with -9 says goodbye to nobody: its workers notice that they were adopted."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(0)
