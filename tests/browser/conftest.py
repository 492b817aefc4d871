"""The real house and a real browser. What is missing on this machine is said as the reason of a skip."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.house import House
from app.web import page
from tests.browser.audit import AXE
from tests.live import running_house

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all browser tests: every phone is another person, so they do not meet."""
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    if not page.built() or not AXE.is_file():
        pytest.skip("the page is not built here (Node 20+: make page)")
    with running_house(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def spoken_fifty() -> Path:
    """A person saying that they want to top up fifty yuan."""
    name = "jf_alpha_0.mp3"
    own = REPOSITORY / "tests" / "data" / "speech" / name
    shared = REPOSITORY.parent / "shared" / "data" / "voice" / "shippable" / name
    for found in (own, shared):
        if found.is_file():
            return found
    pytest.skip(f"no speech clip here (tests/data/speech/{name})")
