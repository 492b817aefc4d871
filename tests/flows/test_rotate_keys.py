"""Replacing a key of the vault: everything stays readable, nothing others write meanwhile is lost."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, select, update

from app.config import REPOSITORY
from app.domain.clock import FakeClock
from app.flows import rotate_keys
from app.ports import Vault, VaultFault
from app.providers.vault import Sm4Vault
from app.store import challenges
from app.store.database import Database
from app.store.models import metadata
from app.store.models.base import LOOKUP
from app.store.sealed import HASHED, SEALED
from tests.builders import a_person

OLD = ("k1", "00112233445566778899aabbccddeeff")
NEW = ("k2", "ffeeddccbbaa99887766554433221100")
LOOKUPS = [("l1", "l" * 32)]
BEFORE, DURING, AFTER = (Sm4Vault(keys, LOOKUPS) for keys in ([OLD], [NEW, OLD], [NEW]))

NAMES = metadata.tables["real_names"]
TEMPLATES = metadata.tables["face_templates"]
COLUMNS = ("name", "id_number", "phone", "bank_card")


def people_sealed_under(vault: Vault, database: Database, clock: FakeClock, number: int) -> list[str]:
    """This many persons with a template and a real name; every third has no bank card."""
    found = [a_person(database, clock) for _ in range(number)]
    with database.write() as tx:
        for place, user_id in enumerate(found):
            values = {column: sealed(vault, column, user_id) for column in COLUMNS}
            if place % 3 == 0:
                values["bank_card"] = None
            tx.execute(insert(NAMES).values(user_id=user_id, **values))
            template = vault.seal(plain("template", user_id), f"face_templates.template:{user_id}")
            tx.execute(
                insert(TEMPLATES).values(
                    user_id=user_id,
                    model_id="model",
                    template=template,
                    enrolled_at=clock.now(),
                    expires_at=clock.now(),
                )
            )
    return found


def plain(column: str, user_id: str) -> bytes:
    return f"{column} of {user_id}".encode()


def sealed(vault: Vault, column: str, user_id: str) -> str:
    return vault.seal(plain(column, user_id), f"real_names.{column}:{user_id}")


def everything_opens(vault: Vault, database: Database) -> int:
    """How many values there are; VaultFault if any does not open in its place."""
    opened = 0
    with database.read() as tx:
        for row in tx.execute(select(NAMES)).mappings():
            for column in COLUMNS:
                if row[column] is not None:
                    place = f"real_names.{column}:{row['user_id']}"
                    assert vault.open(row[column], place) == plain(column, row["user_id"])
                    opened += 1
        for row in tx.execute(select(TEMPLATES)).mappings():
            place = f"face_templates.template:{row['user_id']}"
            assert vault.open(row["template"], place) == plain("template", row["user_id"])
            opened += 1
    return opened


class Interrupting:
    """The new vault, in whose middle something else happens: others work while we seal."""

    def __init__(self, at: int, happening: Callable[[], None]) -> None:
        self._at, self._happening, self._seals = at, happening, 0

    def seal(self, plain: bytes, context: str) -> str:
        self._seals += 1
        if self._seals == self._at:
            self._happening()
        return DURING.seal(plain, context)

    def open(self, sealed: str, context: str) -> bytes:
        return DURING.open(sealed, context)

    def current(self, sealed: str) -> bool:
        return DURING.current(sealed)

    def lookup(self, text: str, purpose: str) -> str:
        return DURING.lookup(text, purpose)

    def lookups(self, text: str, purpose: str) -> tuple[str, ...]:
        return DURING.lookups(text, purpose)

    def current_lookup(self, lookup: str) -> bool:
        return DURING.current_lookup(lookup)


def test_after_a_rotation_the_old_key_may_go(database: Database, clock: FakeClock) -> None:
    people_sealed_under(BEFORE, database, clock, 450)  # more than two batches
    assert everything_opens(BEFORE, database) == everything_opens(DURING, database) == 450 * 5 - 150
    told: list[int] = []
    done = rotate_keys.rotate(database, DURING, told.append)
    assert (done.resealed, done.overtaken, done.unreadable, done.left) == (2100, 0, (), 0)
    assert sum(told) == 2100 and len(told) >= 11  # a bar that moves
    assert everything_opens(AFTER, database) == everything_opens(DURING, database) == 2100
    with pytest.raises(VaultFault):
        everything_opens(BEFORE, database)


def test_several_sealed_rows_of_one_person_stay_each_in_its_place(
    database: Database, clock: FakeClock
) -> None:
    user_id = a_person(database, clock)
    films = [f"chl_{number}" for number in range(3)]
    with database.write() as tx:
        for film in films:
            sealed_one = BEFORE.seal(film.encode(), f"motion_traces.trace:{user_id}:{film}")
            challenges.keep_trace(tx, user_id, film, sealed_one, clock.now(), 1)
    assert rotate_keys.rotate(database, DURING).resealed == len(films)
    with database.read() as tx:
        kept = {row.challenge_id: row.trace for row in tx.execute(select(metadata.tables["motion_traces"]))}
    opened = {film: AFTER.open(kept[film], f"motion_traces.trace:{user_id}:{film}") for film in films}
    assert opened == {film: film.encode() for film in films}


def test_repeating_a_rotation_changes_nothing(database: Database, clock: FakeClock) -> None:
    people_sealed_under(BEFORE, database, clock, 5)
    rotate_keys.rotate(database, DURING)
    before = rows(database)
    again = rotate_keys.rotate(database, DURING)
    assert again.resealed == 0 and again.complete and rows(database) == before


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.read() as tx:
        return [
            tuple(row)
            for table in (NAMES, TEMPLATES)
            for row in tx.execute(select(table).order_by(table.c[0]))
        ]


def test_a_rotation_that_is_stopped_goes_on_where_it_was(database: Database, clock: FakeClock) -> None:
    people_sealed_under(BEFORE, database, clock, 300)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate_keys.rotate(database, Interrupting(at=550, happening=stop))
    assert everything_opens(DURING, database) == 1400
    left = rotate_keys.outdated(database, DURING)
    assert left == 1400 - 500  # the templates, and the first batch of names
    done = rotate_keys.rotate(database, DURING)
    assert done.resealed == left and done.complete
    assert everything_opens(AFTER, database) == 1400


@pytest.mark.parametrize("writer", [DURING, BEFORE], ids=["with_the_new_key", "with_the_old_key"])
def test_what_somebody_writes_meanwhile_is_kept(database: Database, clock: FakeClock, writer: Vault) -> None:
    """Also a process that was not restarted yet and still seals under the old key."""
    first, second, third, *_ = people_sealed_under(BEFORE, database, clock, 3)

    def somebody_writes() -> None:
        place = f"real_names.phone:{first}"
        with database.write() as tx:
            tx.execute(
                update(NAMES)
                .where(NAMES.c.user_id == first)
                .values(phone=writer.seal(b"a new number", place))
            )
            tx.execute(update(NAMES).where(NAMES.c.user_id == second).values(phone=None))
            tx.execute(delete(NAMES).where(NAMES.c.user_id == third))

    # Three templates, three names and three id numbers were sealed: now come the phones.
    done = rotate_keys.rotate(database, Interrupting(at=10, happening=somebody_writes))
    with database.read() as tx:
        kept = {row.user_id: row.phone for row in tx.execute(select(NAMES))}
    assert set(kept) == {first, second} and kept[second] is None
    assert AFTER.open(kept[first], f"real_names.phone:{first}") == b"a new number"
    assert done.overtaken == 3 and done.complete


def test_writers_beside_a_rotation_lose_nothing(database: Database, clock: FakeClock) -> None:
    found = people_sealed_under(BEFORE, database, clock, 60)
    stop = threading.Event()
    written: dict[str, bytes] = {}

    def write() -> None:
        turn = 0
        while not stop.is_set():
            user_id = found[turn % len(found)]
            text = f"number {turn}".encode()
            with database.write() as tx:
                place = f"real_names.phone:{user_id}"
                tx.execute(
                    update(NAMES).where(NAMES.c.user_id == user_id).values(phone=DURING.seal(text, place))
                )
            written[user_id] = text
            turn += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = rotate_keys.rotate(database, DURING)
    finally:
        stop.set()
        writer.join()
    assert done.complete and written
    with database.read() as tx:
        for row in tx.execute(select(NAMES)):
            expected = written.get(row.user_id, plain("phone", row.user_id))
            assert AFTER.open(row.phone, f"real_names.phone:{row.user_id}") == expected


def test_what_opens_under_no_key_is_named_and_left_alone(database: Database, clock: FakeClock) -> None:
    first, second, third = people_sealed_under(BEFORE, database, clock, 3)
    foreign = Sm4Vault([("k0", "0f" * 8 + "a5" * 8)], LOOKUPS)
    broken = {
        first: foreign.seal(b"x", f"real_names.name:{first}"),
        second: sealed(BEFORE, "name", third),  # moved from another row
        third: "no colon in it",
    }
    with database.write() as tx:
        for user_id, text in broken.items():
            tx.execute(update(NAMES).where(NAMES.c.user_id == user_id).values(name=text))
    done = rotate_keys.rotate(database, DURING)
    assert sorted(done.unreadable) == sorted(f"real_names.name:{user_id}" for user_id in broken)
    assert done.left == 3 and not done.complete
    with database.read() as tx:
        assert {row.user_id: row.name for row in tx.execute(select(NAMES))} == broken
    names = next(each for each in rotate_keys.standing(database, DURING) if each.column == "real_names.name")
    assert names.by_key_id == {"k0": 1, "k1": 1, "": 1}


def test_the_list_names_columns_that_are_there_and_binds_each_value_to_its_row() -> None:
    for column in SEALED:
        table = metadata.tables[column.table]
        assert column.column in table.c and (column.lookup is None or column.lookup in table.c)
        assert tuple(key.name for key in table.primary_key) == column.key
        assert column.context("usr_1") == f"{column.table}.{column.column}:usr_1"
    assert len({column.name for column in SEALED}) == len(SEALED)


def test_every_column_of_lookups_is_in_the_list_or_over_before_its_key_is_taken_away() -> None:
    listed = {(each.table, each.lookup) for each in SEALED if each.lookup} | set(HASHED)
    short_lived = {("one_time_codes", "code"), ("one_time_codes", "bound_to"), ("rate_counters", "bucket")}
    short_lived.add(("help_tickets", "ticket"))
    found = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.c
        if getattr(column.type, "length", None) == LOOKUP.length
    }
    assert found == listed | short_lived


def test_every_place_the_source_seals_for_is_in_the_list() -> None:
    """A sealed column that nobody listed would keep its old key, unseen, until that key is thrown away."""
    written = re.compile(r"""f"(\w+)\.(\w+|\{\w+\}):\{""")
    found = {
        (table, column)
        for path in (REPOSITORY / "app").rglob("*.py")
        for table, column in written.findall(path.read_text())
        if table in metadata.tables
    }
    listed = {(each.table, each.column) for each in SEALED}
    tables = {each.table for each in SEALED}
    assert found, "nothing seals: the pattern is out of date"
    for table, column in found:
        assert (table, column) in listed or (column.startswith("{") and table in tables), (table, column)
