"""Every route, asked by everybody about one elder's things: who may, may; for all others it is not there.

The pairs of (role, route) are counted and printed at the end of the run. An operator has no door over HTTP:
what they do, they do by commands on the machine. Over HTTP an operator is a person like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.clock import FakeClock
from tests import proof
from tests.conftest import database_url
from tests.flows.test_identity_check import ELDERS_PHONE, bound, checked, with_phone
from tests.rules.test_routes import PUBLIC
from tests.world import Phone, World, running_world

ROLES = ("elder", "relative", "stranger", "operator", "nobody")
# Who else than the elder may reach an object of the elder's, and why.
SHARED = {
    "identity.answer_request": {"relative"},  # the elder asked for exactly this one's word
    "identity.end_relative": {"relative"},  # a tie has two ends, and either may end it
    # protection: a relative who is told of payments may let an unusual one wait
    "protection.place_hold": {"relative"},
    "protection.release_hold": {"relative"},
}
NOT_FOR_THE_ELDER = {"identity.answer_request", "identity.end_relative", "identity.confirm_relative"}
NOT_FOR_THE_ELDER |= {"protection.place_hold", "protection.release_hold"}  # who is steered releases nothing
ENDS_THE_SESSION = {"sessions.end_session", "me.end_session", "me.end_other_sessions", "me.erase"}


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock) as found:
        yield found


class Everybody:
    """One elder with an order in its check, and all who might ask about it."""

    def __init__(self, world: World) -> None:
        self.elder = with_phone(world, world.elder("wang"), ELDERS_PHONE)
        self.relative = bound(world, self.elder)
        world.clock.tick(hours=39)  # one in the night: a new second card is unusual then
        self.page = checked(self.elder)
        self.unusual = self.elder.open_order(30_000, self.elder.bind("3104870300000000003"))
        self.elder.confirm(self.unusual)
        self.elder.ok("POST", f"/api/v1/orders/{self.page['order']['id']}/check/relative")
        self.stranger = world.elder("li", "3104870300000000002")
        self.operator = world.phone("operator")
        self.nobody = Phone(world.base_url, "nobody")
        self.session_id = self.elder.ok("GET", "/api/v1/me/sessions")["sessions"][0]["id"]
        self.elder_id = self.relative.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"]
        self.secrets = {
            self.page["order"]["id"],
            self.unusual["id"],
            self.elder.cards[0],
            self.session_id,
            self.elder_id,
            ELDERS_PHONE,
            "3104870300000000001",
        }

    def address(self, rule: str) -> str:
        """The route with the elder's own things in its places."""
        values = {
            "order_id": self.unusual["id"] if protects(rule) else self.page["order"]["id"],
            "kind": "told_to",
            "session_id": self.session_id,
            "relative_id": self.elder_id,
            "purpose": "face",
        }
        return re.sub(r"<(\w+)>", lambda found: values[found[1]], rule)


def protects(rule: str) -> bool:
    return "/holds/" in rule or "/questions/" in rule


def body_for(endpoint: str, everybody: Everybody) -> dict[str, Any] | None:
    """What a well-meant request of this route holds, about the elder's things."""
    order = everybody.page["order"]
    return {
        "orders.open_order": {
            "card_id": everybody.elder.cards[0],
            "amount_fen": 5000,
            "method": "wechat_balance",
            "client_key": "authorisation-1",
        },
        "orders.confirm_order": {"read_back": order["read_back"]},
        "orders.payment_result": {"result": "cancelled"},
        "conversation.take_turn": {"client_key": "authorisation-2", "choice": f"order:{order['id']}"},
        "checks.answer_sms": {"code": "000000"},
        "checks.answer_desk": {"code": "000000"},
        "checks.check_bank_card": {"bank_card": "6222021000000000017"},
        "checks.remote_result": {"challenge_id": "chl_1"},
        "checks.answer_fingerprint": {"challenge_id": "chl_1", "result_json": "{}", "signature": "s"},
        "protection.answer_question": {"answer": "own"},
        "protection.place_hold": {"order_id": everybody.unusual["id"], "reason": "stranger"},
        "identity.answer_request": {"yes": True},
        "identity.confirm_relative": {},
        "identity.set_real_name": {"name": "王秀英", "id_number": "440106195003120111"},
        "identity.ask_phone": {"phone": "13900000009"},
        "identity.answer_phone": {"phone": "13900000009", "code": "000000"},
        "identity.lower_limits": {"single_fen": 10_000, "day_fen": 20_000},
        "identity.accept_invite": {"code": "00000000"},
        "cards.bind": {"card_number": "3104870300000000003"},
        "me.give_consent": {"purpose": "face", "version": 1},
        "me.erase": {},
        "subscriptions.accept": {"accepted": []},
    }.get(endpoint)


def named_by_body(endpoint: str) -> bool:
    return endpoint in ("orders.open_order", "conversation.take_turn", "protection.place_hold")


def ask(world: World, who: Phone, method: str, address: str, body: Any, endpoint: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {who.token}"} if who.token else {}
    options: dict[str, Any] = {"json": body} if body is not None else {}
    if endpoint in ("checks.answer_face", "identity.enrol_face"):
        field = "frames" if endpoint == "checks.answer_face" else "photos"
        options = {
            "files": [(field, (f"{n}.jpg", b"no picture")) for n in range(3)],
            "data": {"challenge_id": "chl_1", "nonce": "n"},
        }
    return requests.request(method, world.base_url + address, headers=headers, timeout=20, **options)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_reaches_what_is_not_theirs(world: World, role: str, pytestconfig: pytest.Config) -> None:
    everybody = Everybody(world)
    tried = 0
    for rule in sorted(world.app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint in PUBLIC or (role != "nobody" and rule.endpoint in ENDS_THE_SESSION):
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            address, body = everybody.address(rule.rule), body_for(rule.endpoint, everybody)
            answer = ask(world, getattr(everybody, role), method, address, body, rule.endpoint)
            tried += 1
            where = f"{role}: {method} {address} -> {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500 or answer.json()["code"] != "internal_error", where
            names_theirs = bool({"order_id", "session_id", "relative_id"} & rule.arguments)
            _judged(role, rule.endpoint, names_theirs, answer, everybody, where)
    proof.record(pytestconfig, "authorisation", {"pairs of role and route": tried, f"of {role}": tried})


def _judged(
    role: str, endpoint: str, names_theirs: bool, answer: requests.Response, everybody: Everybody, where: str
) -> None:
    if role == "nobody":
        assert answer.status_code == 401, where
        return
    about_the_elder = names_theirs or named_by_body(endpoint)
    allowed = role in SHARED.get(endpoint, set()) or (role == "elder" and endpoint not in NOT_FOR_THE_ELDER)
    if about_the_elder and not allowed:
        assert answer.status_code == 404, where
    if about_the_elder and role == "elder" and allowed:
        assert answer.status_code != 404, where
    if role != "elder":
        seen = {secret for secret in everybody.secrets if secret in answer.text}
        shared = {everybody.elder_id, everybody.page["order"]["id"], everybody.unusual["id"]}
        may_see = shared if role == "relative" else set()
        assert seen <= may_see, f"{where} tells {seen}"
        json.loads(answer.text or "{}")
