"""One world a module and database: bad input leaves nothing behind, so the tests may share it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.clock import FakeClock
from app.providers.barcode import ZxingBarcodes
from tests.conftest import DATABASES, MORNING, database_url
from tests.world import World, running_world


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    url = database_url(request, request.param, folder)
    with running_world(folder, url, FakeClock(MORNING)) as found:
        yield found
        assert found.balanced()
        assert isinstance(found.deps.barcodes, ZxingBarcodes)
        found.deps.barcodes.close()
