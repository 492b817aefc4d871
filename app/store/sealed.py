"""Every sealed column, in one list, and how one is sealed again without losing what others write meanwhile.

A column that is not in the list keeps its old key for ever: whoever seals a new one adds it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, case, func, literal, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from app.store.models import metadata


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of texts "keyid:base64", each bound to "table.column:key" (several keys joined by colons)."""

    table: str
    key: tuple[str, ...]  # the primary key's columns
    column: str

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    def context(self, *key: str) -> str:
        """What a value in this row is bound to (`app.ports.Vault.seal`)."""
        return f"{self.name}:{':'.join(key)}"


SEALED = (
    SealedColumn("face_templates", ("user_id",), "template"),
    SealedColumn("motion_traces", ("user_id", "challenge_id"), "trace"),
    SealedColumn("real_names", ("user_id",), "name"),
    SealedColumn("real_names", ("user_id",), "id_number"),
    SealedColumn("real_names", ("user_id",), "phone"),
    SealedColumn("real_names", ("user_id",), "bank_card"),
)


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One value, and the row it stands in."""

    key: tuple[str, ...]
    sealed: str


def count_by_key_id(tx: Connection, column: SealedColumn) -> dict[str, int]:
    """How many values stand under each key id; under "" what has none. Reads the whole column."""
    value = metadata.tables[column.table].c[column.column]
    key_id = _key_id(tx, value).label("key_id")
    counted = select(key_id, func.count()).where(value.is_not(None)).group_by(key_id)
    return {row[0]: row[1] for row in tx.execute(counted)}


def under(
    tx: Connection, column: SealedColumn, key_ids: Sequence[str], after: tuple[str, ...] | None, limit: int
) -> list[SealedValue]:
    """At most `limit` values under one of these key ids, in the order of their rows, from behind `after`."""
    table = metadata.tables[column.table]
    value = table.c[column.column]
    key = [table.c[name] for name in column.key]
    asked = and_(value.is_not(None), _key_id(tx, value).in_(key_ids))
    if after is not None:
        asked = and_(asked, tuple_(*key) > tuple_(*(literal(part) for part in after)))
    found = tx.execute(select(*key, value).where(asked).order_by(*key).limit(limit))
    return [SealedValue(tuple(row[:-1]), row[-1]) for row in found]


def replace(tx: Connection, column: SealedColumn, fresh: Sequence[tuple[SealedValue, str]]) -> int:
    """Write the new text of each value unless the value is another one by now, or gone. How many were
    written: which ones does not matter, because who was passed over is found again by its key id."""
    if not fresh:
        return 0
    table = metadata.tables[column.table]
    same_row = and_(*(table.c[name] == bindparam(f"key_{name}") for name in column.key))
    still = table.c[column.column] == bindparam("was")
    statement = update(table).where(same_row, still).values({column.column: bindparam("becomes")})
    keys = [f"key_{name}" for name in column.key]
    rows = [
        {**dict(zip(keys, value.key, strict=True)), "was": value.sealed, "becomes": text}
        for value, text in fresh
    ]
    return tx.execute(statement, rows).rowcount  # of all together: both drivers add them up


def _key_id(tx: Connection, value: ColumnElement[str]) -> ColumnElement[str]:
    """What stands before the first colon, "" without one. A LIKE would not tell k_ from k1, nor K from k."""
    find = func.strpos if tx.dialect.name == "postgresql" else func.instr
    colon = find(value, ":")
    return case((colon > 1, func.substr(value, 1, colon - 1)), else_="")
