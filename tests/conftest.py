"""What every room's tests share: a clock that moves when told, and both databases, migrated for real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock
from app.store.database import Database
from tests import postgres, proof
from tests.schema import migrate

DATABASES = ("sqlite", "postgresql")
MORNING = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # Monday, ten in the morning in Shanghai


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what could not run, with its reason (CI requires the list to be empty), and what was proven."""
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.section("did not run")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"{report.nodeid}: {reason}")
    terminalreporter.write_line(f"did not run: {len(skipped)}")
    proof.show(terminalreporter)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """One of two parallel processes ended."""
    proof.take_over(node.config, getattr(node, "workeroutput", {}))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    proof.hand_over(session.config)
    if hasattr(session.config, "workeroutput"):
        return  # the process that prints the summary decides
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == 0 and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    with postgres.running(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated database: every store test runs on SQLite and on a real PostgreSQL."""
    url = database_url(request, request.param, tmp_path)
    found = Database(url)
    with found.read() as tx:
        tx.execute(text("SELECT 1"))
    yield found
    found.close()


def database_url(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> str:
    """The address of a fresh, migrated database of this kind."""
    if kind == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        path = tmp_path / "anxin.db"
        path.write_bytes(template.read_bytes())
        return f"sqlite:///{path}"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.fresh_database()
