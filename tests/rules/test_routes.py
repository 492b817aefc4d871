"""Every route needs a session or stands on a list; nobody can name what belongs to somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.routing import Rule

from app.domain.clock import FakeClock
from app.flows import login
from app.store import orders
from tests.conftest import database_url
from tests.world import Phone, World, a_key, running_world

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


@dataclass(frozen=True)
class Belongings:
    """What one person owns and another must not reach."""

    card_id: str
    order: dict[str, Any]
    conversation_id: str
    session_id: str
    user_id: str


@dataclass(frozen=True)
class Ask:
    """One way to name somebody else's object, and the answer: the same as for an object nobody has."""

    path: Callable[[Belongings], str]
    body: Callable[[Belongings], dict[str, Any] | None]
    answer: tuple[int, str]


def order_path(end: str = "") -> Callable[[Belongings], str]:
    return lambda theirs: f"/api/v1/orders/{theirs.order['id']}{end}"


def turn(answer: tuple[int, str], choice: str = "home", **more: str) -> Ask:
    def body(theirs: Belongings) -> dict[str, Any]:
        facts = {
            "card": theirs.card_id,
            "order": theirs.order["id"],
            "read_back": theirs.order["read_back"],
            "conversation": theirs.conversation_id,
        }
        said = {"choice": choice, **more}
        return {"client_key": a_key(), **{name: text.format(**facts) for name, text in said.items()}}

    return Ask(lambda _: "/api/v1/conversation/turns", body, answer)


NO_ORDER, NO_CARD = (404, "order_not_found"), (404, "card_not_found")
NO_SESSION = (404, "session_not_found")
NO_RELATIVE = (404, "relative_not_found")
# Every route behind a session, with each way it takes an id. A new route must be put here.
NAMES: dict[str, list[Ask]] = {
    "sessions.end_session": [],
    "conversation.current_screen": [],
    "cards.list_cards": [],
    "cards.bind": [],  # a card number is no id of ours; it is told apart in tests/web
    "subscriptions.list_templates": [],
    "subscriptions.accept": [],
    "orders.list_orders": [],  # `before` only bounds one's own list: tested below
    "conversation.take_turn": [
        turn((404, "conversation_not_found"), conversation_id="{conversation}"),
        turn(NO_ORDER, choice="confirm:{order}:{read_back}"),
        turn(NO_ORDER, choice="pay:{order}"),
        turn(NO_ORDER, choice="question:told_to:own:{order}"),
        turn(NO_ORDER, choice="undo:{order}"),
        turn((422, "choice_unknown"), choice="card:{card}"),
    ],
    "orders.open_order": [
        Ask(
            lambda _: "/api/v1/orders",
            lambda theirs: {
                "card_id": theirs.card_id,
                "amount_fen": 5000,
                "method": "wechat_balance",
                "client_key": a_key(),
            },
            NO_CARD,
        )
    ],
    "orders.show_order": [Ask(order_path(), lambda _: None, NO_ORDER)],
    "orders.cancel_order": [Ask(order_path("/cancel"), lambda _: None, NO_ORDER)],
    "orders.confirm_order": [
        Ask(order_path("/confirm"), lambda theirs: {"read_back": theirs.order["read_back"]}, NO_ORDER)
    ],
    "me.list_consents": [],
    "me.give_consent": [],  # a purpose is a word of ours, and the consent one's own
    "me.withdraw_consent": [
        Ask(lambda _: "/api/v1/me/consents/another", lambda _: None, (404, "consent_unknown"))
    ],
    "me.list_sessions": [],
    "me.end_session": [
        Ask(lambda theirs: f"/api/v1/me/sessions/{theirs.session_id}", lambda _: None, NO_SESSION)
    ],
    "me.end_other_sessions": [],
    "me.export": [],
    "me.erase": [],  # its token is bound to one session: tests/web/test_rights.py
    "orders.payment_result": [Ask(order_path("/payment-result"), lambda _: {"result": "ok"}, NO_ORDER)],
    "checks.show": [Ask(order_path("/check"), lambda _: None, NO_ORDER)],
    "checks.send_sms": [Ask(order_path("/check/sms"), lambda _: None, NO_ORDER)],
    "checks.answer_sms": [Ask(order_path("/check/sms/answer"), lambda _: {"code": "123456"}, NO_ORDER)],
    "checks.answer_desk": [Ask(order_path("/check/desk/answer"), lambda _: {"code": "123456"}, NO_ORDER)],
    "checks.ask_relative": [Ask(order_path("/check/relative"), lambda _: None, NO_ORDER)],
    "checks.check_bank_card": [
        Ask(order_path("/check/bank-card"), lambda _: {"bank_card": "6222021000000000017"}, NO_ORDER)
    ],
    "checks.begin_face": [Ask(order_path("/check/face"), lambda _: None, NO_ORDER)],
    "checks.answer_face": [],  # a form of pictures: tests/rules/test_authorisation.py
    "checks.remote_result": [
        Ask(order_path("/check/face/result"), lambda _: {"challenge_id": "chl_1"}, NO_ORDER)
    ],
    "checks.begin_fingerprint": [Ask(order_path("/check/fingerprint"), lambda _: None, NO_ORDER)],
    "checks.answer_fingerprint": [
        Ask(
            order_path("/check/fingerprint/answer"),
            lambda _: {"challenge_id": "chl_1", "result_json": "{}", "signature": "s"},
            NO_ORDER,
        )
    ],
    "identity.show_face": [],
    "identity.enrol_face": [],
    "identity.forget_face": [],
    "identity.show_real_name": [],
    "identity.set_real_name": [],
    "identity.ask_phone": [],
    "identity.answer_phone": [],
    "identity.show_limits": [],
    "identity.lower_limits": [],
    "identity.list_relatives": [],
    "identity.invite_relative": [],
    "identity.accept_invite": [],  # a code, not an id
    "identity.confirm_relative": [
        Ask(lambda theirs: f"/api/v1/relatives/{theirs.user_id}/confirm", lambda _: {}, NO_RELATIVE)
    ],
    "identity.end_relative": [
        Ask(lambda theirs: f"/api/v1/relatives/{theirs.user_id}", lambda _: None, NO_RELATIVE)
    ],
    # protection
    "protection.answer_question": [
        Ask(order_path("/questions/told_to"), lambda _: {"answer": "own"}, NO_ORDER),
        Ask(order_path("/questions/nothing"), lambda _: {"answer": "own"}, NO_ORDER),
    ],
    "protection.undo_order": [Ask(order_path("/undo"), lambda _: None, NO_ORDER)],
    "protection.list_alerts": [],
    "protection.place_hold": [
        Ask(
            lambda _: "/api/v1/holds",
            lambda theirs: {"order_id": theirs.order["id"], "reason": "stranger"},
            (404, "alert_not_found"),
        )
    ],
    "protection.release_hold": [
        Ask(lambda theirs: f"/api/v1/holds/{theirs.order['id']}", lambda _: None, (404, "hold_not_found"))
    ],
    "identity.list_requests": [],
    "identity.answer_request": [
        Ask(
            lambda theirs: f"/api/v1/co-confirmations/{theirs.order['id']}",
            lambda _: {"yes": True},
            (404, "request_not_found"),
        )
    ],
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
    return f"Bearer {phone.token[:-1]}{'A' if phone.token[-1] != 'A' else 'B'}"


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
    theirs = Belongings(owner.cards[0], order, turn_of_theirs["conversation_id"], session_id, user_id)
    nobodys = Belongings(
        "crd_01JD0000000000000000000000",
        {**order, "id": "ord_01JD0000000000000000000000"},
        "cnv_01JD0000000000000000000000",
        "ses_01JD0000000000000000000000",
        "usr_01JD0000000000000000000000",
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
