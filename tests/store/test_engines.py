"""Connections that died while nobody used them are replaced before somebody does."""

from __future__ import annotations

import time

import psycopg
from sqlalchemy import text

from app.store.database import Database
from app.store.engines import RESTED_SECONDS
from tests import postgres

_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def test_a_connection_kept_at_hand_that_died_meanwhile_is_not_used(postgres_server: postgres.Server) -> None:
    url = postgres_server.fresh_database()
    database = Database(url)
    try:
        for door in (database.read, database.write_one, database.write):
            with door() as tx:
                tx.execute(text("SELECT 1"))
        time.sleep(1.1 * RESTED_SECONDS)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as another:
            another.execute(_OTHERS)
        for door in (database.read, database.write_one, database.write):
            with door() as tx:
                assert tx.execute(text("SELECT 1")).scalar_one() == 1
    finally:
        database.close()
