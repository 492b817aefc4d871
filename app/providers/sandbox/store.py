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

_SCHEMA = """
CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY);

CREATE TABLE IF NOT EXISTS people (openid TEXT PRIMARY KEY, person TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS login_codes (
  code TEXT PRIMARY KEY, person TEXT NOT NULL, expires_at REAL NOT NULL, used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS access_tokens (
  token TEXT PRIMARY KEY, renew_at REAL NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (
  openid TEXT NOT NULL, template_id TEXT NOT NULL, credits INTEGER NOT NULL,
  PRIMARY KEY (openid, template_id));
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY, openid TEXT NOT NULL, template_id TEXT NOT NULL, page TEXT NOT NULL,
  miniprogram_state TEXT NOT NULL, data TEXT NOT NULL, sent_at REAL NOT NULL);

CREATE TABLE IF NOT EXISTS nonces (
  nonce TEXT NOT NULL, side TEXT NOT NULL, seen_at REAL NOT NULL, PRIMARY KEY (side, nonce));
CREATE TABLE IF NOT EXISTS trades (
  order_id TEXT PRIMARY KEY, request TEXT NOT NULL, amount_fen INTEGER NOT NULL, openid TEXT NOT NULL,
  notify_url TEXT NOT NULL, expires_at REAL, state TEXT NOT NULL, transaction_id TEXT UNIQUE,
  paid_at REAL, attach TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS prepays (
  prepay_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
  refund_id TEXT PRIMARY KEY, request TEXT NOT NULL, order_id TEXT NOT NULL,
  wechat_refund_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, refund_fen INTEGER NOT NULL,
  notify_url TEXT, created_at REAL NOT NULL, done_at REAL, due_at REAL);
CREATE INDEX IF NOT EXISTS refunds_by_order ON refunds (order_id);
CREATE TABLE IF NOT EXISTS notices (
  seq INTEGER PRIMARY KEY, notice_id TEXT NOT NULL, order_id TEXT NOT NULL, url TEXT NOT NULL,
  event_type TEXT NOT NULL, resource TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  due_at REAL NOT NULL, answered INTEGER, sent TEXT);
CREATE INDEX IF NOT EXISTS notices_due ON notices (state, due_at);

CREATE TABLE IF NOT EXISTS cards (
  card_number TEXT PRIMARY KEY, city TEXT NOT NULL, mode TEXT NOT NULL, registered INTEGER NOT NULL,
  balance_fen INTEGER NOT NULL, holder_masked TEXT, behaviour TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS card_credits (
  order_id TEXT PRIMARY KEY, card_number TEXT NOT NULL, amount_fen INTEGER NOT NULL, state TEXT NOT NULL,
  reference TEXT NOT NULL UNIQUE, balance_fen INTEGER NOT NULL, credited_at REAL NOT NULL);
"""


class Store:
    """Opens a short connection a transaction: cheap here, and safe in every thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
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
