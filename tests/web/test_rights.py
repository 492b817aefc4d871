"""Consent, export and erasure over HTTP, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from app.domain.clock import FakeClock
from app.domain.consents import Purpose, texts
from app.flows import rights
from app.store import models, personal_tables
from tests.builders import card_number
from tests.conftest import DATABASES, database_url
from tests.world import GOOD_CARD, Phone, World, a_key, running_world

ERASE, CONSENTS = "/api/v1/me/erase", "/api/v1/me/consents"
SECRETS = ("session_id", "device_key", "template", "id_number_lookup", "code", "nonce", "client_key")


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, request.param, tmp_path), clock) as found:
        yield found


def rows(world: World, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with world.deps.database.read() as tx:
        return [tuple(row) for row in tx.execute(text(sql), values)]


def numbers(world: World) -> list[str]:
    """The numbers of all cards that have one."""
    found = rows(world, "SELECT id, card_number FROM cards WHERE card_number IS NOT NULL")
    return [card_number(world.deps.vault, card_id, sealed) for card_id, sealed in found]


def insert(world: World, table: str, **values: Any) -> None:
    with world.deps.database.write() as tx:
        tx.execute(models.metadata.tables[table].insert(), values)


def user_of(world: World, phone: Phone) -> str:
    session = phone.token.rpartition(".")[0]
    return str(rows(world, "SELECT user_id FROM sessions WHERE id = :id", id=session)[0][0])


def give(phone: Phone, purpose: str) -> dict[str, Any]:
    body = {"purpose": purpose, "version": texts()[Purpose(purpose)].version}
    return phone.ok("POST", CONSENTS, body)["consent"]


def enrol(world: World, user_id: str) -> None:
    """A face template as the enrolment leaves it."""
    now = world.clock.now()
    sealed = world.deps.vault.seal(b"\0" * 512, f"face_templates.template:{user_id}")
    values = {"model_id": "dlib", "template": sealed, "enrolled_at": now}
    insert(world, "face_templates", user_id=user_id, expires_at=now + timedelta(days=180), **values)


def name(world: World, user_id: str) -> None:
    """A real name as the binding leaves it."""
    plain = {"name": "王秀英", "id_number": "110101194912310029", "phone": "13800000216"}
    sealed = {
        column: world.deps.vault.seal(value.encode(), f"real_names.{column}:{user_id}")
        for column, value in plain.items()
    }
    insert(world, "real_names", user_id=user_id, named_at=world.clock.now(), **sealed)


def top_up(world: World, phone: Phone) -> dict[str, Any]:
    order = phone.open_order()
    phone.pay(phone.confirm(order))
    world.work()
    assert phone.order(order["id"])["order"]["state"] == "completed"
    return order


# --- export ---


def test_the_export_holds_everything_of_the_person_and_no_secret(world: World) -> None:
    phone = world.elder()
    order = top_up(world, phone)
    user_id = user_of(world, phone)
    give(phone, "face")
    enrol(world, user_id)
    name(world, user_id)
    found = phone.ok("GET", "/api/v1/me/export")
    data = found["data"]
    assert found["user_id"] == user_id and data["users"][0]["id"] == user_id
    assert data["cards"][0]["card_number"] == "*" * 15 + GOOD_CARD[-4:]
    assert [each["id"] for each in data["orders"]] == [order["id"]]
    assert {each["event"] for each in data["order_events"]} >= {"opened", "payment_received", "credited"}
    assert set(data["face_templates"][0]) == {"enrolled_at", "expires_at"}
    assert data["real_names"][0]["name"] == "王**"
    assert data["real_names"][0]["phone"] == "*******0216"
    assert data["consents"][0]["act"] == "given" and data["sessions"][0]["public_id"].startswith("ses_")
    told = json.dumps(found, ensure_ascii=False)
    session, _, signature = phone.token.rpartition(".")
    for secret in (session, signature, GOOD_CARD, "110101194912310029", "13800000216", "王秀英"):
        assert secret not in told
    assert not any(f'"{column}"' in told for column in SECRETS)


def test_nobody_elses_data_is_in_an_export(world: World) -> None:
    mine, theirs = world.elder("wang"), world.elder("li", "3104870300000000002")
    top_up(world, theirs)
    theirs_id = user_of(world, theirs)
    told = json.dumps(mine.ok("GET", "/api/v1/me/export"))
    assert theirs_id not in told and "ord_" not in told


def test_an_export_is_asked_for_ten_times_a_day_at_most(world: World) -> None:
    phone = world.phone()
    for _each in range(rights.EXPORTS_A_DAY):
        phone.ok("GET", "/api/v1/me/export")
    status, body = phone.get("/api/v1/me/export")
    assert (status, body["code"]) == (429, "too_many_tries") and "十四个小时以后" in body["say"]
    assert world.phone("li").ok("GET", "/api/v1/me/export")
    world.clock.tick(hours=14)  # a Shanghai midnight
    assert phone.ok("GET", "/api/v1/me/export")


# --- erasure ---


def ask(phone: Phone) -> str:
    answer = phone.ok("POST", ERASE, {})
    assert not answer["erased"] and "法律" in answer["screen"]["say"]
    assert f"erase:{answer['token']}" in [choice["id"] for choice in answer["screen"]["choices"]]
    return str(answer["token"])


def test_erasure_asks_first_and_then_leaves_only_what_the_law_needs(world: World) -> None:
    phone = world.elder()
    order = top_up(world, phone)
    phone.ok("POST", "/api/v1/subscriptions", {"accepted": ["receipt"]})
    give(phone, "face")
    user_id = user_of(world, phone)
    enrol(world, user_id)
    name(world, user_id)
    token = ask(phone)
    assert rows(world, "SELECT count(*) FROM face_templates") == [(1,)]  # asking deletes nothing
    done = phone.ok("POST", ERASE, {"token": token})
    assert done["erased"] and "卡里的钱还在卡上" in done["screen"]["say"]
    assert phone.get("/api/v1/orders")[0] == 401
    for table, entry in personal_tables.TABLES.items():
        if entry.erasure is personal_tables.Erasure.DELETE:
            assert rows(world, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert rows(world, "SELECT id, state, user_id, payer_openid FROM orders") == [
        (order["id"], "completed", user_id, "")
    ]
    assert rows(world, "SELECT act FROM consents") == [("given",)]
    assert world.balanced()


def test_the_cards_number_is_masked_once_no_reconciliation_needs_it(world: World) -> None:
    phone = world.elder()
    phone.ok("POST", "/api/v1/cards", {"card_number": "3104870300000000002", "nickname": "买菜卡"})
    top_up(world, phone)
    phone.ok("POST", ERASE, {"token": ask(phone)})
    assert numbers(world) == [GOOD_CARD]  # the unused is gone
    assert rows(world, "SELECT nickname FROM cards") == [(None,)]
    world.clock.tick(days=6, hours=23)
    world.sweep()
    assert numbers(world) == [GOOD_CARD]
    world.clock.tick(hours=2)
    world.sweep()
    world.sweep()
    left = "SELECT card_number, card_number_lookup, prefix, last_four FROM cards"
    assert rows(world, left) == [(None, None, "31048703", "0001")]
    assert world.balanced()


def test_who_comes_back_after_erasure_is_somebody_new(world: World) -> None:
    phone = world.elder()
    top_up(world, phone)
    before = user_of(world, phone)
    phone.ok("POST", ERASE, {"token": ask(phone)})
    again = world.elder()
    assert user_of(world, again) != before
    assert again.ok("GET", "/api/v1/orders")["orders"] == []
    top_up(world, again)


@pytest.mark.parametrize("ends", ["unpaid", "paid"])
def test_nothing_is_erased_while_money_is_on_its_way(world: World, ends: str) -> None:
    phone = world.elder()
    token = ask(phone)
    page = phone.confirm(phone.open_order())
    if ends == "paid":
        phone.pay(page)
    for body in ({}, {"token": token}):
        status, answer = phone.post(ERASE, body)
        assert (status, answer["code"], answer["next"]) == (409, "erase_money_moving", "wait")
    assert phone.ok("GET", "/api/v1/cards")["cards"]
    if ends == "paid":
        world.work()
    else:
        world.work(minutes=16)
        world.sweep()
    phone.ok("POST", ERASE, {"token": ask(phone)})
    assert phone.get("/api/v1/cards")[0] == 401 and world.balanced()


def test_a_top_up_that_was_not_confirmed_is_cancelled_with_the_erasure(world: World) -> None:
    phone = world.elder()
    order = phone.open_order()
    phone.ok("POST", ERASE, {"token": ask(phone)})
    assert rows(world, "SELECT id, state FROM orders") == [(order["id"], "cancelled")]


def test_the_answer_counts_in_its_own_session_and_for_ten_minutes(world: World) -> None:
    phone, elsewhere, stranger = world.phone("wang"), world.phone("wang"), world.phone("li")
    token = ask(phone)
    until, _, signature = token.partition(".")
    forged = [f"{int(until) + 60}.{signature}", "9" * 90, "", ".", f"²{until}.{signature}", f"{until}.é"]
    for other, told in [(elsewhere, token), (stranger, token), *((phone, each) for each in forged)]:
        status, body = other.post(ERASE, {"token": told})
        assert (status, body["code"]) == (409, "erase_token_invalid"), told
    world.clock.tick(minutes=10)
    assert phone.post(ERASE, {"token": token})[1]["code"] == "erase_token_invalid"
    assert rows(world, "SELECT count(*) FROM users WHERE erased_at IS NOT NULL") == [(0,)]


def test_erasure_leaves_what_belongs_to_others(world: World) -> None:
    elder, other = world.elder("wang"), world.elder("li", "3104870300000000002")
    top_up(world, elder)
    top_up(world, other)
    elder.ok("POST", ERASE, {"token": ask(elder)})
    assert len(other.ok("GET", "/api/v1/orders")["orders"]) == 1
    assert rows(world, "SELECT count(*) FROM orders WHERE payer_openid = ''") == [(1,)]
    assert other.tap("history")["screen"]["say"] and other.ok("GET", "/api/v1/cards")["cards"]


# --- at the counter ---


def run(world: World, *words: str) -> Result:
    with world.app.app_context():
        return world.app.test_cli_runner().invoke(args=["privacy", *words])


def test_an_operator_exports_and_erases_by_command(world: World) -> None:
    phone = world.elder()
    top_up(world, phone)
    user_id = user_of(world, phone)
    shown = run(world, "export", user_id, "--json")
    assert shown.exit_code == 0 and json.loads(shown.output)["user_id"] == user_id
    assert "orders" in run(world, "export", user_id).output
    refused = run(world, "erase", user_id)
    assert refused.exit_code == 2 and "--yes" in refused.output
    assert run(world, "erase", user_id, "--yes").exit_code == 0
    assert phone.get("/api/v1/cards")[0] == 401
    for command in (["erase", user_id, "--yes"], ["export", "usr_nobody"]):
        assert run(world, *command).exit_code == 2
    assert world.balanced()


def test_the_command_deletes_nothing_while_money_is_on_its_way(world: World) -> None:
    phone = world.elder()
    phone.pay(phone.confirm(phone.open_order()))
    done = run(world, "erase", user_of(world, phone), "--yes")
    assert done.exit_code == 1 and "erase_money_moving" in done.output
    assert phone.post("/api/v1/conversation/turns", {"client_key": a_key(), "choice": "home"})[0] == 200


def test_the_sweep_forgets_what_is_kept_for_a_time_only_and_not_before(world: World) -> None:
    phone = world.phone()
    user_id = user_of(world, phone)
    phone.tap("home")
    enrol(world, user_id)
    insert(world, "frames_seen", user_id=user_id, frame="f" * 64, at=world.clock.now())
    tables = ("face_templates", "frames_seen", "sessions", "turns")

    def left() -> list[str]:
        world.sweep()
        return [name for name in tables if rows(world, f"SELECT count(*) FROM {name}") != [(0,)]]

    world.clock.tick(days=7, seconds=-1)
    assert left() == list(tables)
    world.clock.tick(seconds=1)
    assert left() == ["face_templates", "frames_seen", "sessions"]
    world.clock.tick(days=173, seconds=-1)
    assert left() == ["face_templates", "frames_seen", "sessions"]
    world.clock.tick(seconds=1)
    assert left() == ["sessions"]
    world.clock.tick(days=world.deps.settings.session_days)
    assert left() == []
