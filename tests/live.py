"""The real house for tests: sandbox, granian and worker as processes on free ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.house import House, free_port, running

__all__ = ["free_port", "running_house"]


@contextmanager
def running_house(folder: Path, **extra_env: str) -> Iterator[House]:
    """Start everything, migrated and answering; nothing is left afterwards."""
    house = House(folder / "house", free_port(), free_port(), extra_env)
    with running(house) as started:
        yield started
