"""Replacing a lookup key: every lookup is made again from what is sealed, whoever writes meanwhile."""

from __future__ import annotations

import threading

from sqlalchemy import select, update

from app.domain.clock import FakeClock
from app.flows import card_numbers, rotate_keys
from app.ports import Vault
from app.providers.vault import Sm4Vault
from app.store.database import Database
from app.store.models import metadata
from tests.builders import a_card, a_person, card_number

KEYS = [("k1", "00112233445566778899aabbccddeeff")]  # those of builders.VAULT
OLD, NEW = ("l1", "l" * 32), ("l2", "m" * 32)
LATE, DURING, AFTER = (Sm4Vault(KEYS, keys) for keys in ([OLD, NEW], [NEW, OLD], [NEW]))
CARDS = metadata.tables["cards"]


def bound(database: Database, clock: FakeClock, number: int) -> list[str]:
    return [a_card(database, clock, a_person(database, clock)).id for _ in range(number)]


def assert_found(database: Database, vault: Vault) -> int:
    """Every lookup is the newest of this vault, of the number beside it. How many there are."""
    with database.read() as tx:
        rows = tx.execute(select(CARDS).where(CARDS.c.card_number.is_not(None))).all()
    for row in rows:
        number = card_number(vault, row.id, row.card_number)
        assert row.card_number_lookup == vault.lookup(number, "cards.card_number")
    return len(rows)


def test_every_lookup_is_made_again_and_a_repetition_changes_nothing(
    database: Database, clock: FakeClock
) -> None:
    bound(database, clock, 210)  # more than one batch
    told: list[int] = []
    done = rotate_keys.rotate(database, DURING, told.append)
    assert (done.resealed, done.overtaken, done.left) == (210, 0, 0) and sum(told) == 210
    assert assert_found(database, AFTER) == 210
    assert rotate_keys.rotate(database, DURING).resealed == 0


def test_a_number_that_went_meanwhile_does_not_come_back(database: Database, clock: FakeClock) -> None:
    first, second = bound(database, clock, 2)
    with database.write() as tx:
        gone = update(CARDS).where(CARDS.c.id == first)
        tx.execute(gone.values(card_number=None, card_number_lookup=None))
    done = rotate_keys.rotate(database, DURING)
    assert (done.resealed, done.left) == (1, 0) and assert_found(database, AFTER) == 1
    with database.read() as tx:
        row = tx.execute(select(CARDS).where(CARDS.c.id == first)).one()
    assert (row.card_number, row.card_number_lookup, len(row.last_four)) == (None, None, 4)


def test_what_does_not_open_keeps_its_lookup_and_is_named(database: Database, clock: FakeClock) -> None:
    first, second = bound(database, clock, 2)
    with database.write() as tx:
        tx.execute(update(CARDS).where(CARDS.c.id == first).values(card_number="k1:AAAA"))
    done = rotate_keys.rotate(database, DURING)
    assert done.unreadable == (f"cards.card_number:{first}",) and (done.resealed, done.left) == (1, 1)


def test_processes_that_write_under_both_keys_beside_a_rotation_lose_nothing(
    database: Database, clock: FakeClock
) -> None:
    cards = bound(database, clock, 40)
    stop = threading.Event()
    written: dict[str, str] = {}

    def write() -> None:
        turn = 0
        while not stop.is_set():
            card_id, vault = cards[turn % len(cards)], (LATE, DURING)[turn % 2]
            number = f"31048703{turn:011d}"
            values = {
                "card_number": vault.seal(number.encode(), f"cards.card_number:{card_id}"),
                "card_number_lookup": vault.lookup(number, "cards.card_number"),
            }
            with database.write() as tx:
                tx.execute(update(CARDS).where(CARDS.c.id == card_id).values(values))
            written[card_id] = number
            turn += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rotate_keys.rotate(database, DURING)
    finally:
        stop.set()
        writer.join()
    assert rotate_keys.rotate(database, DURING).complete and written
    assert assert_found(database, AFTER) == 40
    with database.read() as tx:
        for row in tx.execute(select(CARDS).where(CARDS.c.id.in_(written))):
            assert card_number(AFTER, row.id, row.card_number) == written[row.id]


def test_a_sealed_number_is_found_under_every_key_there_is() -> None:
    number = "3104870300000000001"
    assert set(card_numbers.seal(LATE, number).lookups) == set(card_numbers.seal(DURING, number).lookups)
