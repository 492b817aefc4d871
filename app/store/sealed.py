"""Every sealed column, in one list, and how one is sealed again, and its lookup made again, without losing
what others write meanwhile.

A column that is not in the list keeps its old key for ever: whoever seals a new one adds it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from app.store.models import metadata


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of texts "keyid:base64", each bound to "table.column:key" (several keys joined by colons).

    `lookup` is the column beside it by which the plain text is found: `Vault.lookup` of it, for the purpose
    "table.column". Who writes the one writes the other.
    """

    table: str
    key: tuple[str, ...]  # the primary key's columns
    column: str
    lookup: str | None = None

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    def context(self, *key: str) -> str:
        """What a value in this row is bound to (`app.ports.Vault.seal`)."""
        return f"{self.name}:{':'.join(key)}"


SEALED = (
    SealedColumn("face_templates", ("user_id",), "template"),
    SealedColumn("real_names", ("user_id",), "name"),
    SealedColumn("real_names", ("user_id",), "id_number", "id_number_lookup"),
    SealedColumn("real_names", ("user_id",), "phone", "phone_lookup"),
    SealedColumn("real_names", ("user_id",), "bank_card", "bank_card_lookup"),
    SealedColumn("cards", ("id",), "card_number", "card_number_lookup"),
)
# Lookups (table, column) of what nobody keeps: each moves to the newest key when it is used next. Codes and
# counters of tries are not among them: they are over before a key is taken away.
HASHED = (("devices", "device_key"),)


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One value, its lookup, and the row they stand in."""

    key: tuple[str, ...]
    sealed: str
    lookup: str | None = None


def count_by_key_id(tx: Connection, table: str, column: str) -> dict[str, int]:
    """How many values of a sealed column, or of its lookups, stand under each key id; under "" what has none.
    Reads the whole column."""
    value = metadata.tables[table].c[column]
    key_id = _key_id(tx, value).label("key_id")
    counted = select(key_id, func.count()).where(value.is_not(None)).group_by(key_id)
    return {row[0]: row[1] for row in tx.execute(counted)}


def under(
    tx: Connection,
    column: SealedColumn,
    key_ids: Sequence[str],
    lookup_key_ids: Sequence[str],
    after: tuple[str, ...] | None,
    limit: int,
) -> list[SealedValue]:
    """At most `limit` values under one of these key ids, or whose lookup is under one of those, in the order
    of their rows, from behind `after`."""
    table = metadata.tables[column.table]
    value, key = table.c[column.column], [table.c[name] for name in column.key]
    lookup: ColumnElement[Any] = null() if column.lookup is None else table.c[column.lookup]
    behind = _key_id(tx, value).in_(key_ids)
    found_by = and_(lookup.is_not(None), _key_id(tx, lookup).in_(lookup_key_ids))
    asked = and_(value.is_not(None), or_(behind, found_by))
    if after is not None:
        asked = and_(asked, tuple_(*key) > tuple_(*(literal(part) for part in after)))
    found = tx.execute(select(*key, value, lookup).where(asked).order_by(*key).limit(limit))
    return [SealedValue(tuple(row[:-2]), row[-2], row[-1]) for row in found]


def replace(tx: Connection, column: SealedColumn, fresh: Sequence[tuple[SealedValue, SealedValue]]) -> int:
    """Write of each (old, new) value the new one unless it is another by now, or gone. How many were written:
    which ones does not matter, because who was passed over is found again by its key ids.

    Whether it is another shows by the sealed text: no plain text is sealed alike twice, and its lookup is
    written with it.
    """
    if not fresh:
        return 0
    table = metadata.tables[column.table]
    same_row = and_(*(table.c[name] == bindparam(f"key_{name}") for name in column.key))
    still = table.c[column.column] == bindparam("was")
    becomes: dict[str, Any] = {column.column: bindparam("sealed")}
    if column.lookup is not None:
        becomes[column.lookup] = bindparam("found_by")
    keys = [f"key_{name}" for name in column.key]
    rows: list[dict[str, Any]] = []
    for old, new in fresh:
        row = dict(zip(keys, old.key, strict=True)) | {"was": old.sealed, "sealed": new.sealed}
        rows.append(row if column.lookup is None else {**row, "found_by": new.lookup})
    statement = update(table).where(same_row, still).values(becomes)
    return tx.execute(statement, rows).rowcount  # of all together: both drivers add them up


def _key_id(tx: Connection, value: ColumnElement[str]) -> ColumnElement[str]:
    """What stands before the first colon, "" without one. A LIKE would not tell k_ from k1, nor K from k."""
    find = func.strpos if tx.dialect.name == "postgresql" else func.instr
    colon = find(value, ":")
    return case((colon > 1, func.substr(value, 1, colon - 1)), else_="")
