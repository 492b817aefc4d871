"""The real house for tests: sandbox, granian and worker as processes on free ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.house import House, running


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_house(folder: Path, **extra_env: str) -> Iterator[House]:
    """Start everything, migrated and answering; nothing is left afterwards."""
    house = House(folder / "house", free_port(), free_port(), extra_env)
    with running(house) as started:
        yield started
