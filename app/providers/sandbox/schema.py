"""The tables of the sandbox's store, and how a store from before the second merchant becomes one of today."""

from __future__ import annotations

import sqlite3

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS outages (who TEXT PRIMARY KEY, mode TEXT NOT NULL);

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
  seq INTEGER PRIMARY KEY, merchant_id TEXT NOT NULL, order_id TEXT NOT NULL, request TEXT NOT NULL,
  amount_fen INTEGER NOT NULL, openid TEXT NOT NULL, notify_url TEXT NOT NULL, expires_at REAL,
  state TEXT NOT NULL, transaction_id TEXT UNIQUE, paid_at REAL, attach TEXT NOT NULL,
  again INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS trades_by_order ON trades (merchant_id, order_id) WHERE again = 0;
CREATE INDEX IF NOT EXISTS trades_by_day ON trades (merchant_id, paid_at);
CREATE TABLE IF NOT EXISTS prepays (
  prepay_id TEXT PRIMARY KEY, merchant_id TEXT NOT NULL, order_id TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
  seq INTEGER PRIMARY KEY, merchant_id TEXT NOT NULL, refund_id TEXT NOT NULL, request TEXT NOT NULL,
  trade_seq INTEGER NOT NULL REFERENCES trades, order_id TEXT NOT NULL,
  wechat_refund_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, refund_fen INTEGER NOT NULL,
  notify_url TEXT, created_at REAL NOT NULL, done_at REAL, due_at REAL, UNIQUE (merchant_id, refund_id));
CREATE INDEX IF NOT EXISTS refunds_by_trade ON refunds (trade_seq);
CREATE INDEX IF NOT EXISTS refunds_by_day ON refunds (merchant_id, created_at);
CREATE TABLE IF NOT EXISTS notices (
  seq INTEGER PRIMARY KEY, merchant_id TEXT NOT NULL, notice_id TEXT NOT NULL, order_id TEXT NOT NULL,
  url TEXT NOT NULL, event_type TEXT NOT NULL, resource TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL, answered INTEGER, sent TEXT);
CREATE INDEX IF NOT EXISTS notices_due ON notices (state, due_at);
CREATE TABLE IF NOT EXISTS bills (
  merchant_id TEXT NOT NULL, day TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (merchant_id, day));
CREATE TABLE IF NOT EXISTS bill_faults (
  seq INTEGER PRIMARY KEY, merchant_id TEXT NOT NULL, day TEXT NOT NULL, fault TEXT NOT NULL,
  details TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bill_links (
  token TEXT PRIMARY KEY, merchant_id TEXT NOT NULL, day TEXT NOT NULL, plain INTEGER NOT NULL,
  expires_at REAL NOT NULL);

CREATE TABLE IF NOT EXISTS cards (
  card_number TEXT PRIMARY KEY, city TEXT NOT NULL, mode TEXT NOT NULL, registered INTEGER NOT NULL,
  balance_fen INTEGER NOT NULL, holder_masked TEXT, behaviour TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS card_credits (
  order_id TEXT PRIMARY KEY, card_number TEXT NOT NULL, amount_fen INTEGER NOT NULL, state TEXT NOT NULL,
  reference TEXT NOT NULL UNIQUE, balance_fen INTEGER NOT NULL, credited_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS card_credits_by_day ON card_credits (credited_at);
CREATE TABLE IF NOT EXISTS card_batches (
  batch_id TEXT PRIMARY KEY, lines TEXT NOT NULL, received_at REAL NOT NULL, due_at REAL, done_at REAL,
  result TEXT);
CREATE INDEX IF NOT EXISTS card_batches_due ON card_batches (due_at);

CREATE TABLE IF NOT EXISTS face_checks (
  verify_id TEXT PRIMARY KEY, sequence TEXT NOT NULL UNIQUE, openid TEXT NOT NULL, cert_hash TEXT NOT NULL,
  expires_at REAL NOT NULL, success INTEGER NOT NULL, verify_ret INTEGER);
CREATE TABLE IF NOT EXISTS texts (
  seq INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, request TEXT NOT NULL, phone TEXT NOT NULL,
  template TEXT NOT NULL, facts TEXT NOT NULL, text TEXT NOT NULL, sent_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS bank_checks (
  request_id TEXT PRIMARY KEY, request_digest TEXT NOT NULL, agrees INTEGER NOT NULL);
"""

# What version 1 held for its only merchant (:merchant_id), moved into the tables of version 2.
_OLD_TABLES = ("trades", "prepays", "refunds", "notices")
_UPGRADE = """
INSERT INTO trades (merchant_id, order_id, request, amount_fen, openid, notify_url, expires_at, state,
    transaction_id, paid_at, attach)
  SELECT :merchant_id, order_id, request, amount_fen, openid, notify_url, expires_at, state,
    transaction_id, paid_at, attach FROM trades_old ORDER BY rowid;
INSERT INTO prepays SELECT prepay_id, :merchant_id, order_id, expires_at FROM prepays_old;
INSERT INTO refunds (merchant_id, refund_id, request, trade_seq, order_id, wechat_refund_id, state,
    refund_fen, notify_url, created_at, done_at, due_at)
  SELECT :merchant_id, r.refund_id, r.request, t.seq, r.order_id, r.wechat_refund_id, r.state,
    r.refund_fen, r.notify_url, r.created_at, r.done_at, r.due_at
    FROM refunds_old r JOIN trades t USING (order_id) ORDER BY r.rowid;
INSERT INTO notices SELECT seq, :merchant_id, notice_id, order_id, url, event_type, resource, state,
    attempts, due_at, answered, sent FROM notices_old
"""


def prepare(tx: sqlite3.Connection, merchant_id: str) -> None:
    """Make the tables; bring a store of version 1 along."""
    version = tx.execute("PRAGMA user_version").fetchone()[0]
    old = version == 0 and tx.execute("SELECT 1 FROM sqlite_master WHERE name = 'trades'").fetchone()
    if old:
        for index in ("refunds_by_order", "notices_due"):
            tx.execute(f"DROP INDEX {index}")
        for table in _OLD_TABLES:
            tx.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    for statement in _SCHEMA.split(";"):
        tx.execute(statement)
    if old:
        for statement in _UPGRADE.split(";"):
            tx.execute(statement, {"merchant_id": merchant_id})
        for table in _OLD_TABLES:
            tx.execute(f"DROP TABLE {table}_old")
    tx.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
