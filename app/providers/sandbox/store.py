"""The sandbox's durable state: one SQLite file, so that killing any process loses nothing.

Every write is one BEGIN IMMEDIATE transaction, which also serialises writers: that is what makes
"exactly once" true here under concurrency. Moments are UTC seconds since 1970; money is fen.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.providers.sandbox.schema import prepare


class Store:
    """Opens a short connection a transaction: cheap here, and safe in every thread."""

    def __init__(self, path: Path, merchant_id: str) -> None:
        """`merchant_id` owns what a store from before the second merchant holds."""
        self._path = path
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                prepare(connection, merchant_id)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        # What a killed process wrote is safe in the system's cache; only power loss could take the last
        # moments of a *sandbox*, and waiting for the disk on every request would slow every test.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back by any exception."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """All rows of one query, outside any transaction of the caller; one dict fills :named places."""
        connection = self._connect()
        given = values[0] if values and isinstance(values[0], dict) else values
        try:
            return [dict(row) for row in connection.execute(sql, given)]
        finally:
            connection.close()

    def row(self, sql: str, *values: object) -> dict[str, Any] | None:
        """The first row, or None."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def first_time(self, key: str) -> bool:
        """True exactly once for each key, for ever: faults that happen on the first attempt only."""
        with self.write() as tx:
            return tx.execute("INSERT OR IGNORE INTO marks VALUES (?)", (key,)).rowcount == 1


def use_nonce(tx: sqlite3.Connection, side: str, nonce: str, now: float, keep_seconds: int) -> bool:
    """Whether this nonce is new for `side`; remembers it for `keep_seconds`."""
    tx.execute("DELETE FROM nonces WHERE seen_at < ?", (now - keep_seconds,))
    return tx.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (nonce, side, now)).rowcount == 1


def canonical(value: Any) -> str:
    """JSON with sorted keys, to compare two requests by meaning."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
