"""Consent: given, read, taken back, and what depended on it gone in the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.domain.clock import FakeClock
from app.domain.consents import Purpose, texts
from app.errors import AppError
from app.flows import consents
from tests.conftest import DATABASES, database_url
from tests.web.test_rights import CONSENTS, enrol, give, insert, rows, user_of
from tests.world import World, running_world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, request.param, tmp_path), clock) as found:
        yield found


def test_nobody_has_agreed_to_anything_at_first_and_every_text_can_be_read(world: World) -> None:
    page = world.phone().ok("GET", CONSENTS)
    assert [found["purpose"] for found in page["consents"]] == list(Purpose)
    assert not any(found["given"] or found["outdated"] for found in page["consents"])
    assert page["screen"]["say"] and len(page["screen"]["body"]) == len(Purpose)


def test_a_consent_is_given_read_and_taken_back(world: World) -> None:
    phone = world.phone()
    assert give(phone, "face")["given"]
    assert [found["given"] for found in phone.ok("GET", CONSENTS)["consents"]].count(True) == 1
    taken = phone.ok("DELETE", f"{CONSENTS}/face")
    assert not taken["consent"]["given"] and "收回" in taken["screen"]["say"]
    acts = rows(world, "SELECT number, act, version FROM consents ORDER BY number")
    version = texts()[Purpose.FACE].version
    assert acts == [(1, "given", version), (2, "withdrawn", version)]


def test_agreeing_or_taking_back_twice_is_once(world: World) -> None:
    phone = world.phone()
    for _twice in range(2):
        give(phone, "voice")
    for _twice in range(2):
        phone.ok("DELETE", f"{CONSENTS}/voice")
    phone.ok("DELETE", f"{CONSENTS}/contacts")  # never given
    assert rows(world, "SELECT purpose, act FROM consents ORDER BY number") == [
        ("voice", "given"),
        ("voice", "withdrawn"),
    ]


def test_the_ledger_of_consents_cannot_be_edited(world: World) -> None:
    give(world.phone(), "voice")
    for edit in ("UPDATE consents SET version = 9", "DELETE FROM consents"):
        with pytest.raises(DBAPIError), world.deps.database.write() as tx:
            tx.execute(text(edit))


def test_a_text_that_is_not_in_force_cannot_be_agreed_to(world: World) -> None:
    phone = world.phone()
    status, body = phone.post(CONSENTS, {"purpose": "face", "version": 99})
    assert (status, body["code"]) == (409, "consent_outdated")
    status, body = phone.post(CONSENTS, {"purpose": "everything", "version": 1})
    assert (status, body["code"]) == (404, "consent_unknown")
    assert rows(world, "SELECT count(*) FROM consents") == [(0,)]


def test_a_consent_to_an_older_text_does_not_count(world: World) -> None:
    phone = world.phone()
    user_id = user_of(world, phone)
    values = {"id": "con_1", "purpose": "face", "number": 1, "version": 0, "act": "given"}
    insert(world, "consents", user_id=user_id, at=world.clock.now(), channel="h5", **values)
    (face,) = [each for each in phone.ok("GET", CONSENTS)["consents"] if each["purpose"] == "face"]
    assert (face["given"], face["outdated"]) == (False, True)
    with world.deps.database.read() as tx, pytest.raises(AppError, match="consent_missing"):
        consents.required(tx, user_id, Purpose.FACE)
    give(phone, "face")
    with world.deps.database.read() as tx:
        consents.required(tx, user_id, Purpose.FACE)


def test_taking_back_the_face_deletes_the_template_at_once_and_nobody_elses(world: World) -> None:
    phone, other = world.phone("wang"), world.phone("li")
    for each in (phone, other):
        give(each, "face")
        enrol(world, user_of(world, each))
    phone.ok("DELETE", f"{CONSENTS}/face")
    assert rows(world, "SELECT user_id FROM face_templates") == [(user_of(world, other),)]
