"""A card is bound once, whatever lookup key a process writes with, on both databases."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from app.domain.clock import FakeClock
from app.errors import AppError
from app.flows import card_numbers
from app.ports import CardFacts, CardMode
from app.providers.vault import Sm4Vault
from app.store import cards
from app.store.cards import Card
from app.store.database import Database
from app.store.models import metadata
from tests.builders import VAULT, a_card, a_person, card_number

NUMBER = "3104870300000000001"
KEYS = [("k1", "00112233445566778899aabbccddeeff")]
OLD, NEW = ("l1", "l" * 32), ("l2", "m" * 32)
OLD_FIRST, NEW_FIRST = Sm4Vault(KEYS, [OLD, NEW]), Sm4Vault(KEYS, [NEW, OLD])


def bind(database: Database, clock: FakeClock, user_id: str, vault: Sm4Vault, number: str = NUMBER) -> Card:
    facts = CardFacts(number, "guangzhou", CardMode.ACCOUNT, True, 0)
    sealed = card_numbers.seal(vault, number)
    with database.write() as tx:
        return cards.bind(tx, user_id, facts, sealed, None, clock.now())


def test_a_bound_card_shows_its_ends_and_hides_its_number(database: Database, clock: FakeClock) -> None:
    user_id = a_person(database, clock)
    card = bind(database, clock, user_id, VAULT)
    with database.read() as tx:
        assert cards.get_for(tx, user_id, card.id) == card == cards.get(tx, card.id)
        row = tx.execute(select(metadata.tables["cards"])).mappings().one()
    assert (card.prefix, card.last_four) == ("31048703", "0001")
    assert card_number(VAULT, card.id, card.card_number) == NUMBER
    assert not any(NUMBER in str(value) for value in row.values())


def test_the_same_number_of_two_people_looks_different_but_is_found_alike(
    database: Database, clock: FakeClock
) -> None:
    first, second = (bind(database, clock, a_person(database, clock), VAULT) for _ in range(2))
    assert first.id != second.id and first.card_number != second.card_number
    with database.read() as tx:
        lookups = set(tx.execute(select(metadata.tables["cards"].c.card_number_lookup)).scalars())
    assert lookups == {VAULT.lookup(NUMBER, "cards.card_number")}


def test_ten_processes_under_two_lookup_keys_bind_one_card(database: Database, clock: FakeClock) -> None:
    user_id = a_person(database, clock)
    start = threading.Barrier(10)
    bound: list[str] = []

    def process(vault: Sm4Vault) -> None:
        start.wait()
        bound.append(bind(database, clock, user_id, vault).id)

    threads = [threading.Thread(target=process, args=((OLD_FIRST, NEW_FIRST)[at % 2],)) for at in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bound) == 10 and len(set(bound)) == 1
    with database.read() as tx:
        assert len(cards.of_user(tx, user_id)) == 1


def test_the_sixth_card_is_refused_and_a_bound_one_is_not(database: Database, clock: FakeClock) -> None:
    user_id = a_person(database, clock)
    first = bind(database, clock, user_id, OLD_FIRST)
    for _ in range(cards.MOST_CARDS - 1):
        a_card(database, clock, user_id)
    with pytest.raises(AppError) as refused:
        bind(database, clock, user_id, NEW_FIRST, "3104870300000000009")
    assert refused.value.code == "too_many_cards"
    assert bind(database, clock, user_id, NEW_FIRST) == first
