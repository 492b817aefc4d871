"""The worker's tests go through the whole small world, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.clock import FakeClock
from tests.conftest import DATABASES, database_url
from tests.world import World, running_world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    """One small world on each database."""
    with running_world(tmp_path, database_url(request, request.param, tmp_path), clock) as found:
        yield found
