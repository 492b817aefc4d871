"""Every route needs a session or stands on a list; nobody can name what belongs to somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from werkzeug.routing import Rule

from app.domain.clock import FakeClock
from app.flows import login
from app.store import orders
from tests.conftest import database_url
from tests.flows.test_identity_check import bound
from tests.helping import granted
from tests.rules.route_names import NAMES, Belongings
from tests.world import Phone, World, running_world

# Who may come in without a session, and why. Anything else must ask for one.
PUBLIC = {
    "sessions.open_session": "it is how one gets a session",
    "callbacks.wechat_pay": "WeChat proves itself by its signature",
    "callbacks.wechat_pay_channel": "the same, for the standby merchant",
    "ops.healthz": "a load balancer asks",
    "ops.readyz": "a load balancer asks",
    "ops.metrics": "the operator's Prometheus asks; numbers only",
    "ops.about": "the page asks before anybody logged in",
    "openapi.spec": "documentation",
    "openapi.docs": "documentation",
    "docs_asset": "documentation",
    "page.index": "the page itself",
    "page.asset": "the page itself",
    "page.static_file": "the page itself",
    "sandbox_phone.phone": "stands in for WeChat on the phone; only with a sandbox",
}


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock) as found:
        yield found


def rules(world: World) -> list[Rule]:
    return list(world.app.url_map.iter_rules())


def behind_a_session(world: World) -> list[tuple[str, str]]:
    """(method, address) of every route that is not on the list."""
    nobodys_order = "ord_01JD0000000000000000000000"
    return [
        (method, re.sub("<[a-z_]+>", nobodys_order, rule.rule))
        for rule in rules(world)
        if rule.endpoint not in PUBLIC
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def test_a_route_is_on_the_public_list_exactly_when_it_lets_anybody_in(world: World) -> None:
    marked = {
        rule.endpoint
        for rule in rules(world)
        if getattr(world.app.view_functions[rule.endpoint], "__anxin_public__", False)
    }
    assert marked == set(PUBLIC)


def test_every_route_behind_a_session_says_which_ids_it_takes(world: World) -> None:
    assert {rule.endpoint for rule in rules(world)} - set(PUBLIC) == set(NAMES)
    for rule in rules(world):
        told = rule.endpoint in PUBLIC or NAMES[rule.endpoint] or rule.endpoint == "checks.answer_face"
        assert not rule.arguments or told, rule.rule


def no_token(world: World, phone: Phone) -> str:
    return ""


def another_scheme(world: World, phone: Phone) -> str:
    return f"Basic {phone.token}"


def a_forged_signature(world: World, phone: Phone) -> str:
    session, _, signature = phone.token.rpartition(".")  # its last character has spare bits: change the first
    return f"Bearer {session}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def another_persons_signature(world: World, phone: Phone) -> str:
    session, _, _ = phone.token.rpartition(".")
    _, _, signature = world.phone("li").token.rpartition(".")
    return f"Bearer {session}.{signature}"


def a_session_without_a_signature(world: World, phone: Phone) -> str:
    return f"Bearer {phone.token.rpartition('.')[0]}"


def a_token_signed_by_another_key(world: World, phone: Phone) -> str:
    session = phone.token.rpartition(".")[0]
    strangers = replace(world.deps.settings, session_keys=("k" * 48,))
    return f"Bearer {login.sign(strangers, session)}"


def a_signed_session_nobody_opened(world: World, phone: Phone) -> str:
    return f"Bearer {login.sign(world.deps.settings, 'A' * 43)}"


def an_expired_session(world: World, phone: Phone) -> str:
    world.clock.tick(days=world.deps.settings.session_days, seconds=1)
    return f"Bearer {phone.token}"


def an_ended_session(world: World, phone: Phone) -> str:
    phone.ok("DELETE", "/api/v1/sessions/current")
    return f"Bearer {phone.token}"


def an_enormous_token(world: World, phone: Phone) -> str:
    return "Bearer " + "A" * 20_000


@pytest.mark.parametrize(
    "authorization",
    [
        no_token,
        another_scheme,
        a_forged_signature,
        another_persons_signature,
        a_session_without_a_signature,
        a_token_signed_by_another_key,
        a_signed_session_nobody_opened,
        an_expired_session,
        an_ended_session,
        an_enormous_token,
    ],
)
def test_without_a_live_session_every_route_asks_to_log_in(
    world: World, authorization: Callable[[World, Phone], str]
) -> None:
    header = authorization(world, world.phone("wang"))
    headers = {"Authorization": header} if header else {}
    asked = behind_a_session(world)
    assert asked
    for method, path in asked:
        answer = requests.request(method, world.base_url + path, headers=headers, timeout=10)
        body = answer.json()
        assert (answer.status_code, body["code"], body["next"]) == (401, "login_required", "login"), path
        assert body["say"] and body["request_id"]


def test_a_live_session_is_let_in_everywhere(world: World) -> None:
    phone = world.phone("wang")
    for method, path in behind_a_session(world):
        if not path.endswith("/sessions/current"):
            assert phone.call(method, path)[0] != 401, path


def test_a_key_that_was_rotated_out_of_signing_still_verifies(world: World) -> None:
    phone = world.phone("wang")
    session = phone.token.rpartition(".")[0]
    settings = world.deps.settings
    newer = replace(settings, session_keys=("n" * 48, *settings.session_keys))
    assert login.authenticate(replace(world.deps, settings=newer), phone.token).session_id == session
    assert login.sign(newer, session) != phone.token


@pytest.mark.parametrize("endpoint", [endpoint for endpoint, asks in NAMES.items() if asks])
def test_what_belongs_to_somebody_else_is_as_unknown_as_nothing(world: World, endpoint: str) -> None:
    owner = world.elder("wang")
    turn_of_theirs = owner.tap("top_up")
    order = owner.open_order()
    session_id = owner.ok("GET", "/api/v1/me/sessions")["sessions"][0]["id"]
    with world.deps.database.read() as tx:
        user_id = orders.get(tx, order["id"]).user_id
    help_id = granted(world.deps.database, owner, bound(world, owner)).id
    talk = turn_of_theirs["conversation_id"]
    theirs = Belongings(owner.cards[0], order, talk, session_id, user_id, help_id)
    nobodys = Belongings(
        "crd_01JD0000000000000000000000",
        {**order, "id": "ord_01JD0000000000000000000000"},
        "cnv_01JD0000000000000000000000",
        "ses_01JD0000000000000000000000",
        "usr_01JD0000000000000000000000",
        "hlp_01JD0000000000000000000000",
    )
    stranger = world.elder("li", "3104870300000000002")
    (method,) = next(rule.methods for rule in rules(world) if rule.endpoint == endpoint) - {"HEAD", "OPTIONS"}
    for ask in NAMES[endpoint]:
        for named in (theirs, nobodys):
            status, body = stranger.call(method, ask.path(named), json=ask.body(named))
            assert (status, body["code"]) == ask.answer
    assert owner.order(order["id"])["order"] == order and world.balanced()
    assert stranger.ok("GET", "/api/v1/orders")["orders"] == []


def test_the_history_is_ones_own_whatever_order_it_is_read_before(world: World) -> None:
    owner = world.elder("wang")
    earlier = owner.open_order()
    stranger = world.elder("li", "3104870300000000002")
    theirs = stranger.open_order()
    seen = owner.ok("GET", f"/api/v1/orders?before={theirs['id']}")["orders"]
    assert [order["id"] for order in seen] == [earlier["id"]]
    assert stranger.ok("GET", f"/api/v1/orders?before={theirs['id']}")["orders"] == []
