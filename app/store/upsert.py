"""INSERT … ON CONFLICT on both databases: how a repeat becomes a no-op."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def dialect_insert(tx: Connection, table: Table) -> Any:
    """An insert that knows ON CONFLICT, in the words of this connection's database."""
    build = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    return build(table)


def insert_once(tx: Connection, table: Table, unique: tuple[str, ...], values: dict[str, Any]) -> bool:
    """Insert unless a row with the same `unique` columns is there. True when the row is new.

    Asked by RETURNING: the row count of an insert is not reliable on every driver.
    """
    statement = dialect_insert(tx, table).on_conflict_do_nothing(index_elements=unique)
    return tx.execute(statement.returning(table.c[unique[0]]), values).first() is not None
