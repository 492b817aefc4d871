"""Hints to the worker: queued across processes, scheduled when later, never a reason to fail."""

from __future__ import annotations

import shutil
from pathlib import Path

from huey import SqliteHuey

from app.jobs.worker import FARTHEST_HINT_SECONDS, Hints


def seen_by_the_worker(folder: Path) -> int:
    """How many hints another process finds."""
    return SqliteHuey(name="anxin", filename=str(folder / "hints.db")).pending_count()


def test_a_hint_reaches_the_worker_through_a_file(tmp_path: Path) -> None:
    hints = Hints(tmp_path)
    assert seen_by_the_worker(tmp_path) == 0
    hints.nudge()
    assert seen_by_the_worker(tmp_path) == 1


def test_a_hint_for_later_is_queued_and_one_for_much_later_is_left_to_the_sweep(
    tmp_path: Path,
) -> None:
    hints = Hints(tmp_path)
    hints.nudge(after_seconds=5)
    assert seen_by_the_worker(tmp_path) == 1
    hints.nudge(after_seconds=FARTHEST_HINT_SECONDS + 1)
    assert seen_by_the_worker(tmp_path) == 1


def test_a_hint_that_cannot_be_queued_fails_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    hints = Hints(folder)
    shutil.rmtree(folder)
    hints.nudge()
    hints.nudge(after_seconds=1)
