"""A card's number is opened where it leaves the house, and stands whole in nothing that we keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock
from app.store.models import metadata
from tests.conftest import DATABASES, database_url
from tests.flows.reconciling import MONDAY, classes, of_day, open_cases, paid, quiet, reconcile
from tests.world import GOOD_CARD, World, running_world

LANZHOU_CARD = "3104900000000000001"
KEYS = "k1=00112233445566778899aabbccddeeff"
OTHER_KEYS = "k2=ffeeddccbbaa99887766554433221100"


def whole_numbers(world: World, number: str) -> list[str]:
    """Where the number stands in our tables and in our files, the sandbox's own left out."""
    found = []
    with world.deps.database.read() as tx:
        for name, table in metadata.tables.items():
            if any(number in str(value) for row in tx.execute(table.select()) for value in row):
                found.append(name)
    folder = world.deps.settings.data_dir
    for path in sorted(folder.rglob("*")):
        ours = path.is_file() and "sandbox" not in path.relative_to(folder).parts
        if ours and number.encode() in path.read_bytes():
            found.append(str(path.relative_to(folder)))
    return found


def test_no_table_and_no_file_holds_a_whole_number(world: World) -> None:
    paid(world)
    reconcile(world, MONDAY)
    assert classes(reconcile(world, MONDAY), "cards") == {"matched": (1, -5000, 1, -5000)}
    assert whole_numbers(world, GOOD_CARD) == []


@pytest.mark.parametrize("kind", DATABASES)
def test_a_file_of_a_batch_city_carries_opened_numbers_and_is_not_kept(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    url = database_url(request, kind, tmp_path)
    with running_world(tmp_path, url, clock, CITY="lanzhou") as world:
        paid(world, card=LANZHOU_CARD)
        world.clock.tick(hours=14)
        quiet(world, seconds=90)
        assert [credit["card_number"] for credit in world.sandbox.credits()] == [LANZHOU_CARD]
        assert whole_numbers(world, LANZHOU_CARD) == []


@pytest.mark.parametrize("kind", DATABASES)
def test_an_order_is_opened_and_shown_without_the_key_of_its_number(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> None:
    """The way of every order is short: it opens no seal until the card system is asked."""
    url = database_url(request, kind, tmp_path)
    with running_world(tmp_path, url, clock, VAULT_KEYS=KEYS) as world:
        card_id = world.elder().cards[0]
    with running_world(tmp_path, url, clock, VAULT_KEYS=OTHER_KEYS) as world:
        phone = world.phone()
        order = phone.open_order(card_id=card_id)
        shown = phone.order(order["id"])["order"]
        assert shown["state"] == "awaiting_confirmation" and "0001" in shown["card_label"]
        assert [each["id"] for each in phone.ok("GET", "/api/v1/orders")["orders"]] == [order["id"]]


def test_a_number_that_does_not_open_is_a_difference_and_the_day_goes_on(world: World) -> None:
    paid(world)
    broken = paid(world, card="3104870300000000002")
    with world.deps.database.write() as tx:
        tx.execute(text("UPDATE cards SET card_number = 'k0:AAAA' WHERE last_four = '0002'"))
    found = classes(reconcile(world), "cards")
    assert found.pop("matched") == (1, -5000, 1, -5000) and found
    assert {one.order_id for one in of_day(world)} == {broken}
    assert {one.id for one in of_day(world)} <= {case.subject for case in open_cases(world)}
