"""Logins and devices: what is listed, closing them, telling of a new device, how often one may try."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from app.domain.clock import FakeClock
from tests.conftest import DATABASES, database_url
from tests.web.asking import fault_of
from tests.world import Phone, World, running_world

KNOWN, STRANGE = "device-known-01", "device-strange-2"
LOGINS = 20  # a minute from one address
_codes = itertools.count(1)


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    url = database_url(request, request.param, tmp_path)
    with running_world(tmp_path, url, clock, LOGINS_PER_MINUTE=str(LOGINS)) as found:
        yield found


def log_in(world: World, person: str = "wang", device: str | None = None) -> Phone:
    """A login of this person from a device of that name."""
    phone = Phone(world.base_url, person)
    code = phone.ok("POST", "/sandbox/phone/login", {"person": person})["code"]
    told = {"code": code, "channel": "h5"} | ({} if device is None else {"device": device})
    phone.token = phone.ok("POST", "/api/v1/sessions", told)["token"]
    return phone


def logins(phone: Phone) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = phone.ok("GET", "/api/v1/me/sessions")["sessions"]
    return found


def accept_device_messages(phone: Phone) -> None:
    """Say yes to one message about new devices, in WeChat and to us."""
    templates = phone.ok("GET", "/api/v1/subscriptions")["templates"]
    (template_id,) = [each["template_id"] for each in templates if each["name"] == "device"]
    phone.ok("POST", "/sandbox/phone/subscribe", {"person": phone.person, "template_ids": [template_id]})
    phone.ok("POST", "/api/v1/subscriptions", {"accepted": ["device"]})


def stored(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.deps.database.read() as tx:
        return [tuple(row) for row in tx.execute(text(sql))]


def messages_about_devices(world: World) -> list[str]:
    return [m["data"] for m in world.sandbox.messages() if m["template_id"] == "anxin-device"]


def test_the_list_shows_this_login_first_and_never_what_is_in_the_token(world: World) -> None:
    first = log_in(world, device=KNOWN)
    world.clock.tick(minutes=5)
    second = log_in(world, device=STRANGE)
    found = logins(first)
    assert [login["current"] for login in found] == [True, False]
    assert found[0]["created_at"] < found[1]["created_at"]
    assert all(login["id"].startswith("ses_") and login["channel"] == "h5" for login in found)
    secrets = {phone.token.rpartition(".")[0] for phone in (first, second)}
    assert not any(secret in str(found) for secret in secrets)
    page = first.ok("GET", "/api/v1/me/sessions")
    assert "两处" in page["screen"]["say"] and len(page["screen"]["body"]) == 2


def test_a_login_can_be_closed_from_another_one_and_is_over_at_once(world: World) -> None:
    here, there = log_in(world), log_in(world)
    (other,) = [login["id"] for login in logins(here) if not login["current"]]
    answer = here.ok("DELETE", f"/api/v1/me/sessions/{other}")
    assert answer["ended"] == 1 and answer["screen"]["say"]
    assert there.get("/api/v1/me/sessions")[0] == 401
    assert here.call("DELETE", f"/api/v1/me/sessions/{other}")[1]["code"] == "session_not_found"
    assert [login["current"] for login in logins(here)] == [True]


def test_all_other_logins_are_closed_with_one_button(world: World) -> None:
    here, others = log_in(world), [log_in(world) for _each in range(3)]
    strangers = log_in(world, "li")
    assert here.ok("DELETE", "/api/v1/me/sessions")["ended"] == 3
    assert [phone.get("/api/v1/me/sessions")[0] for phone in others] == [401, 401, 401]
    assert len(logins(here)) == 1 and len(logins(strangers)) == 1
    assert here.ok("DELETE", "/api/v1/me/sessions")["ended"] == 0


@pytest.mark.parametrize("theirs", [True, False])
def test_somebody_elses_login_is_as_unknown_as_none(world: World, theirs: bool) -> None:
    owner, stranger = log_in(world), log_in(world, "li")
    named = logins(owner)[0]["id"] if theirs else "ses_01JD0000000000000000000000"
    status, body = stranger.call("DELETE", f"/api/v1/me/sessions/{named}")
    assert (status, body["code"]) == (404, "session_not_found")
    assert len(logins(owner)) == 1


def test_the_secret_of_a_session_does_not_name_it(world: World) -> None:
    phone = log_in(world)
    secret = phone.token.rpartition(".")[0]
    assert phone.call("DELETE", f"/api/v1/me/sessions/{secret}")[0] == 404 and logins(phone)


def test_a_device_is_kept_as_a_keyed_hash_and_is_the_same_at_every_login(world: World) -> None:
    log_in(world, device=KNOWN)
    world.clock.tick(days=1)
    log_in(world, device=KNOWN)
    ((key, first, last),) = stored(world, "SELECT device_key, first_seen_at, last_seen_at FROM devices")
    assert KNOWN not in key and len(key) <= 81 and first != last
    assert key == world.deps.vault.lookup(KNOWN, "device")


def test_the_first_device_of_a_person_is_told_to_nobody(world: World) -> None:
    phone = log_in(world)
    accept_device_messages(phone)
    log_in(world, device=KNOWN)
    log_in(world, device=KNOWN)
    world.work()
    assert messages_about_devices(world) == []
    assert stored(world, "SELECT count(*) FROM outbox WHERE topic = 'device_new'") == [(0,)]


def test_one_more_device_is_told_in_wechat_once(world: World) -> None:
    phone = log_in(world, device=KNOWN)
    accept_device_messages(phone)
    accept_device_messages(phone)
    log_in(world, device=STRANGE)
    log_in(world, device=STRANGE)
    world.work()
    (told,) = messages_about_devices(world)
    assert "2026-11-23 10:00" in str(told)
    assert stored(world, "SELECT count(*) FROM devices WHERE told_at IS NOT NULL") == [(1,)]


def test_without_an_accept_nobody_is_told_but_the_list_shows_it(world: World) -> None:
    phone = log_in(world, device=KNOWN)
    log_in(world, device=STRANGE)
    world.work()
    assert messages_about_devices(world) == []
    ids = {login["device_id"] for login in logins(phone)}
    assert len(ids) == 2 and None not in ids
    assert stored(world, "SELECT outcome FROM outbox WHERE topic = 'device_new'") == [("not_subscribed",)]


def test_another_persons_phone_is_not_a_new_device_of_mine(world: World) -> None:
    log_in(world, "wang", KNOWN)
    log_in(world, "li", KNOWN)
    world.work()
    assert stored(world, "SELECT count(*) FROM outbox WHERE topic = 'device_new'") == [(0,)]
    assert stored(world, "SELECT count(DISTINCT user_id) FROM devices") == [(2,)]


@pytest.mark.parametrize("device", ["short", "x" * 65, 12345678, ["a" * 8], "with\0a nul"])
def test_a_device_that_is_no_name_is_refused(world: World, device: Any) -> None:
    body = {"code": "whatever", "channel": "h5", "device": device}
    answer = requests.post(f"{world.base_url}/api/v1/sessions", json=body, timeout=10)
    assert fault_of(answer) == "request_invalid"


def try_to_log_in(world: World) -> requests.Response:
    body = {"code": f"guess-{next(_codes)}", "channel": "h5"}
    return requests.post(f"{world.base_url}/api/v1/sessions", json=body, timeout=10)


def test_an_address_that_guesses_logins_without_end_is_told_when_to_come_back(world: World) -> None:
    asked = [try_to_log_in(world) for _each in range(LOGINS)]
    assert {fault_of(answer) for answer in asked} == {"login_refused"}
    world.clock.tick(seconds=20)
    refused = try_to_log_in(world)
    assert fault_of(refused) == "too_many_tries" and "一分钟以后" in refused.json()["say"]
    assert refused.headers["Retry-After"] == "40"
    world.clock.tick(seconds=39)
    assert fault_of(try_to_log_in(world)) == "too_many_tries"
    world.clock.tick(seconds=1)
    assert fault_of(try_to_log_in(world)) == "login_refused"


def test_an_address_is_believed_from_the_connection_and_kept_as_a_hash(world: World) -> None:
    for number in range(LOGINS + 1):
        body = {"code": "guess", "channel": "h5"}
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        last = requests.post(f"{world.base_url}/api/v1/sessions", json=body, headers=headers, timeout=10)
    assert fault_of(last) == "too_many_tries"
    ((bucket, count),) = stored(world, "SELECT bucket, count FROM rate_counters")
    assert "127.0.0.1" not in bucket and count == LOGINS
    world.clock.tick(minutes=2)
    world.sweep()
    assert stored(world, "SELECT count(*) FROM rate_counters") == [(0,)]


def test_behind_a_proxy_of_ours_each_person_has_an_address_of_their_own(
    tmp_path: Path, sqlite_template: Path, clock: FakeClock
) -> None:
    database = tmp_path / "anxin.db"
    database.write_bytes(sqlite_template.read_bytes())
    settings = {"LOGINS_PER_MINUTE": "1", "TRUSTED_PROXIES": "1"}
    with running_world(tmp_path, f"sqlite:///{database}", clock, **settings) as world:
        codes = []
        for chain in ("203.0.113.1", "203.0.113.2", "198.51.100.9, 203.0.113.1"):  # what the caller wrote
            body, headers = {"code": "guess", "channel": "h5"}, {"X-Forwarded-For": chain}
            answer = requests.post(
                f"{world.base_url}/api/v1/sessions", json=body, headers=headers, timeout=10
            )
            codes.append(fault_of(answer))
    assert codes == ["login_refused", "login_refused", "too_many_tries"]
