"""Sealing every personal column again under the newest key, beside the running service.

In small steps: read a batch, open and seal it with no transaction open, write it in one transaction.
Each value is written only where it is still the one that was read, so what anybody writes meanwhile
stays; it is looked at in the next pass. Stopped in the middle, a repetition goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.ports import Vault, VaultFault
from app.store import sealed
from app.store.database import Database
from app.store.sealed import SEALED, SealedColumn, SealedValue

BATCH = 200  # rows of one transaction: other writers wait 2 ms on SQLite, 8 ms on PostgreSQL (measured)
PASSES = 5  # over one column, while others write into it

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many values of one column stand under each key id; `outdated` of them not under the newest."""

    column: str
    by_key_id: dict[str, int]
    outdated: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done. `unreadable` names the places of what opens under no key we have: it is left alone."""

    resealed: int
    overtaken: int
    unreadable: tuple[str, ...]
    left: int  # values that are still not under the newest key

    @property
    def complete(self) -> bool:
        return self.left == 0


def standing(database: Database, vault: Vault) -> list[Standing]:
    """Every sealed column, counted. Nothing is opened."""
    found = []
    for column in SEALED:
        with database.read() as tx:
            counts = sealed.count_by_key_id(tx, column)
        outdated = sum(counts[key_id] for key_id in _outdated(vault, counts))
        found.append(Standing(column.name, counts, outdated))
    return found


def rotate(database: Database, vault: Vault, advance: Advance = lambda _number: None) -> Rotation:
    """Seal everything under the newest key. `advance` is told how many values were dealt with."""
    resealed = overtaken = 0
    unreadable: dict[str, None] = {}
    for column in SEALED:
        for _ in range(PASSES):
            done, missed = _one_pass(database, vault, column, unreadable, advance)
            resealed, overtaken = resealed + done, overtaken + missed
            if not missed:
                break
    left = sum(each.outdated for each in standing(database, vault))
    return Rotation(resealed, overtaken, tuple(unreadable), left)


def _one_pass(
    database: Database, vault: Vault, column: SealedColumn, unreadable: dict[str, None], advance: Advance
) -> tuple[int, int]:
    """How many values were sealed again, and how many somebody else wrote in between."""
    with database.read() as tx:
        outdated = _outdated(vault, sealed.count_by_key_id(tx, column))
    resealed = overtaken = 0
    after: tuple[str, ...] | None = None
    while outdated:
        with database.read() as tx:
            batch = sealed.under(tx, column, outdated, after, BATCH)
        if not batch:
            break
        fresh = _sealed_again(vault, column, batch, unreadable)
        with database.write() as tx:
            written = sealed.replace(tx, column, fresh)
        resealed, overtaken = resealed + written, overtaken + len(fresh) - written
        advance(len(batch) - len(fresh) + written)
        after = batch[-1].key
    return resealed, overtaken


def _sealed_again(
    vault: Vault, column: SealedColumn, batch: list[SealedValue], unreadable: dict[str, None]
) -> list[tuple[SealedValue, str]]:
    fresh = []
    for value in batch:
        context = column.context(*value.key)
        try:
            fresh.append((value, vault.seal(vault.open(value.sealed, context), context)))
        except VaultFault:
            unreadable[context] = None  # a second pass may meet it again
    return fresh


def _outdated(vault: Vault, counts: dict[str, int]) -> list[str]:
    """Whether a key is the newest shows by its id alone."""
    return [key_id for key_id in counts if not vault.current(f"{key_id}:")]
