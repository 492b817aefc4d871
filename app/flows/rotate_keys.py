"""Sealing every personal column again under the newest key, and making its lookup again with the newest of
those, beside the running service.

In small steps: read a batch, open and seal it with no transaction open, write it in one transaction.
Each value is written only where it is still the one that was read, so what anybody writes meanwhile
stays; it is looked at in the next pass. Stopped in the middle, a repetition goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.ports import Vault, VaultFault
from app.store import sealed
from app.store.database import Database
from app.store.sealed import HASHED, SEALED, SealedColumn, SealedValue

BATCH = 200  # rows of one transaction: other writers wait 2 ms on SQLite, 8 ms on PostgreSQL (measured)
PASSES = 5  # over one column, while others write into it

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many values of one column stand under each key id; `outdated` of them not under the newest. The
    column is sealed, or holds lookups, which have keys of their own. Only what is `rotated` needs its key:
    the rest moves when it is used."""

    column: str
    lookup: bool
    rotated: bool
    by_key_id: dict[str, int]
    outdated: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done. `unreadable` names the places of what opens under no key we have: it is left alone."""

    resealed: int
    overtaken: int
    unreadable: tuple[str, ...]
    left: int  # values, or lookups, that are still not under the newest key

    @property
    def complete(self) -> bool:
        return self.left == 0


def standing(database: Database, vault: Vault) -> list[Standing]:
    """Every sealed column and every column of lookups, counted. Nothing is opened."""
    found = []
    for column in SEALED:
        found.append(_standing(database, vault, column.table, column.column, lookup=False))
        if column.lookup is not None:
            found.append(_standing(database, vault, column.table, column.lookup, lookup=True))
    hashed = [_standing(database, vault, table, column, lookup=True) for table, column in HASHED]
    return found + [replace(each, rotated=False) for each in hashed]


def outdated(database: Database, vault: Vault) -> int:
    """How many values and lookups a rotation has to bring under the newest keys."""
    return sum(each.outdated for each in standing(database, vault) if each.rotated)


def _standing(database: Database, vault: Vault, table: str, column: str, *, lookup: bool) -> Standing:
    with database.read() as tx:
        counts = sealed.count_by_key_id(tx, table, column)
    current = vault.current_lookup if lookup else vault.current
    behind = sum(number for key_id, number in counts.items() if not current(f"{key_id}:"))
    return Standing(f"{table}.{column}", lookup, True, counts, behind)


def rotate(database: Database, vault: Vault, advance: Advance = lambda _number: None) -> Rotation:
    """Bring everything under the newest keys. `advance` is told how many values were dealt with."""
    resealed = overtaken = 0
    unreadable: dict[str, None] = {}
    for column in SEALED:
        for _ in range(PASSES):
            done, missed = _one_pass(database, vault, column, unreadable, advance)
            resealed, overtaken = resealed + done, overtaken + missed
            if not missed:
                break
    return Rotation(resealed, overtaken, tuple(unreadable), outdated(database, vault))


def _one_pass(
    database: Database, vault: Vault, column: SealedColumn, unreadable: dict[str, None], advance: Advance
) -> tuple[int, int]:
    """How many values were sealed again, and how many somebody else wrote in between."""
    seals, lookups = _outdated_ids(database, vault, column)
    resealed = overtaken = 0
    after: tuple[str, ...] | None = None
    while seals or lookups:
        with database.read() as tx:
            batch = sealed.under(tx, column, seals, lookups, after, BATCH)
        if not batch:
            break
        fresh = _made_again(vault, column, batch, unreadable)
        with database.write() as tx:
            written = sealed.replace(tx, column, fresh)
        resealed, overtaken = resealed + written, overtaken + len(fresh) - written
        advance(len(batch) - len(fresh) + written)
        after = batch[-1].key
    return resealed, overtaken


def _made_again(
    vault: Vault, column: SealedColumn, batch: list[SealedValue], unreadable: dict[str, None]
) -> list[tuple[SealedValue, SealedValue]]:
    """Each value that opens, and what it becomes."""
    fresh = []
    for value in batch:
        context = column.context(*value.key)
        try:
            plain = vault.open(value.sealed, context)
        except VaultFault:
            unreadable[context] = None  # a second pass may meet it again
            continue
        lookup = None if value.lookup is None else vault.lookup(plain.decode(), column.name)
        fresh.append((value, SealedValue(value.key, vault.seal(plain, context), lookup)))
    return fresh


def _outdated_ids(database: Database, vault: Vault, column: SealedColumn) -> tuple[list[str], list[str]]:
    """The key ids, of seals and of lookups, that are not the newest ones: their ids alone show it."""
    with database.read() as tx:
        seals = sealed.count_by_key_id(tx, column.table, column.column)
        lookups = sealed.count_by_key_id(tx, column.table, column.lookup) if column.lookup else {}
    return (
        [key_id for key_id in seals if not vault.current(f"{key_id}:")],
        [key_id for key_id in lookups if not vault.current_lookup(f"{key_id}:")],
    )
