"""A lookup key is replaced beside the running service: nobody's card, phone, device or code is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock
from app.flows import rotate_keys
from tests.conftest import DATABASES, database_url
from tests.world import World, running_world

OLD, NEW = f"l1={'l' * 40}", f"l2={'m' * 40}"
STEPS = (f"{OLD} {NEW}", f"{NEW} {OLD}")  # all know the new key, then all write with it


class House:
    """One installation that is restarted with other lookup keys."""

    def __init__(self, folder: Path, url: str, clock: FakeClock) -> None:
        self._folder, self._url, self._clock = folder, url, clock

    @contextmanager
    def running(self, keys: str) -> Iterator[World]:
        with running_world(self._folder, self._url, self._clock, LOOKUP_KEYS=keys) as world:
            yield world


@pytest.fixture(params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> House:
    return House(tmp_path, database_url(request, request.param, tmp_path), clock)


def count(world: World, table: str) -> int:
    with world.deps.database.read() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def key_ids(world: World, table: str, column: str) -> set[str]:
    with world.deps.database.read() as tx:
        found = tx.execute(text(f"SELECT {column} FROM {table}")).scalars()
        return {lookup.partition(":")[0] for lookup in found}


def test_cards_and_devices_are_found_at_every_step(house: House) -> None:
    with house.running(OLD) as world:
        card_id = world.elder().cards[0]
    for keys in STEPS:
        with house.running(keys) as world:
            assert world.elder().cards == [card_id]
            assert (count(world, "cards"), count(world, "devices")) == (1, 1)
    with house.running(STEPS[1]) as world:
        assert rotate_keys.outdated(world.deps.database, world.deps.vault) == 1
        assert rotate_keys.rotate(world.deps.database, world.deps.vault).complete
        assert (
            key_ids(world, "cards", "card_number_lookup") == {"l2"} == key_ids(world, "devices", "device_key")
        )
    with house.running(NEW) as world:
        phone = world.elder()
        assert phone.cards == [card_id] and (count(world, "cards"), count(world, "devices")) == (1, 1)
        assert phone.balance_fen() >= 0  # its number still opens


def test_a_process_that_was_not_restarted_yet_writes_what_the_others_find(house: House) -> None:
    with house.running(STEPS[0]) as late, house.running(STEPS[1]) as early:
        card_id = early.elder("wang").cards[0]
        assert late.elder("wang").cards == [card_id]
        card_id = late.elder("li", "3104870300000000002").cards[0]
        assert early.elder("li", "3104870300000000002").cards == [card_id]
        assert (count(early, "cards"), count(early, "devices")) == (2, 2)


def test_a_code_from_before_is_still_taken(house: House) -> None:
    with house.running(OLD) as world:
        code = world.elder("wang").ok("POST", "/api/v1/relatives/invites")["code"]
    with house.running(f"{NEW} {OLD}") as world:
        relative = world.phone("li")
        status, _answer = relative.post("/api/v1/relatives/accept", {"code": "00000000"})
        assert status >= 400
        relative.ok("POST", "/api/v1/relatives/accept", {"code": code})


def test_a_device_that_stayed_away_until_the_old_key_was_gone_counts_as_new(house: House) -> None:
    with house.running(OLD) as world:
        world.phone()
    with house.running(NEW) as world:
        world.phone()
        assert key_ids(world, "devices", "device_key") == {"l1", "l2"}
        standing = rotate_keys.standing(world.deps.database, world.deps.vault)
        (devices,) = [each for each in standing if each.column == "devices.device_key"]
        assert devices.by_key_id == {"l1": 1, "l2": 1} and not devices.rotated
        assert rotate_keys.outdated(world.deps.database, world.deps.vault) == 0
