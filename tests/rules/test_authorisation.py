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
from werkzeug.routing import Rule

from app.domain.clock import FakeClock, business_day
from app.domain.family import Role
from app.flows import login
from app.store import relatives
from tests import proof
from tests.conftest import database_url
from tests.flows.test_identity_check import ELDERS_PHONE, bound, checked, with_phone
from tests.helping import granted
from tests.rules.test_routes import PUBLIC
from tests.world import Phone, World, running_world

ROLES = ("elder", "relative", "stranger", "operator", "nobody")
# Who else than the elder may reach an object of the elder's, and why.
SHARED = {
    "identity.answer_request": {"relative"},  # the elder asked for exactly this one's word
    # --- the family: binding and delegated top-up ---
    "elders.show_elder": {"relative"},  # the elder bound this one, and let them pay
    "elders.open_order": {"relative"},
    "elders.leave_elder": {"relative"},  # a tie has two ends, and either may end it
    # The elder let this one help for ten minutes; what a relative does in it, no elder does.
    "help.show": {"relative"},
    "help.end": {"relative"},
    "help.ticket": {"relative"},
    "help.point": {"relative"},
    "help.say": {"relative"},
    "help.prepare": {"relative"},
    # A relative who is told of payments may let an unusual one wait.
    "protection.place_hold": {"relative"},
    "protection.release_hold": {"relative"},
}
HELPING = {"help.point", "help.say", "help.prepare"}
SHARED |= {  # a relative with the role may be asked, and make proposals to themselves
    "pay_requests.show": {"relative"},
    "pay_requests.accept": {"relative"},
    "pay_requests.decline": {"relative"},
    "standing_orders.make": {"relative"},
    "standing_orders.end": {"relative"},
    "standing_orders.accept": {"relative"},
    "standing_orders.decline": {"relative"},
}
NOT_FOR_THE_ELDER = {"identity.answer_request", "family.confirm_relative"}
NOT_FOR_THE_ELDER |= {"elders.show_elder", "elders.open_order", "elders.leave_elder"}  # nobody is their own
NOT_FOR_THE_ELDER |= {  # only who pays says yes or no; nobody asks themselves
    "pay_requests.accept",
    "pay_requests.decline",
    "standing_orders.make",
    "standing_orders.accept",
    "standing_orders.decline",
}
NOT_FOR_THE_ELDER |= HELPING | {"help.say_yes"}  # yes was said already
NOT_FOR_THE_ELDER |= {"protection.place_hold", "protection.release_hold"}  # who is steered releases nothing
ENDS_THE_SESSION = {"sessions.end_session", "me.end_session", "me.end_other_sessions", "me.erase"}


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    with running_world(tmp_path, database_url(request, "sqlite", tmp_path), clock) as found:
        yield found


class Everybody:
    """One elder with an order in its check, and all who might ask about it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.elder = with_phone(world, world.elder("wang"), ELDERS_PHONE)
        self.relative = bound(world, self.elder, roles=["pay", "balance", "alerts", "assist"])
        world.clock.tick(hours=39)  # one in the night: a new second card is unusual then
        self.page = checked(self.elder)
        self.unusual = self.elder.open_order(30_000, self.elder.bind("3104870300000000003"))
        self.elder.confirm(self.unusual)
        self.elder.ok("POST", f"/api/v1/orders/{self.page['order']['id']}/check/relative")
        self.stranger = world.elder("li", "3104870300000000002")
        self.operator = world.phone("operator")
        self.nobody = Phone(world.base_url, "nobody")
        self.help = granted(world.deps.database, self.elder, self.relative)
        self.session_id = self.elder.ok("GET", "/api/v1/me/sessions")["sessions"][0]["id"]
        self.elder_id = self.relative.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"]
        self.relative_id = self.elder.ok("GET", "/api/v1/relatives")["relatives"][0]["user_id"]
        self.asked()
        self.secrets = {
            self.request_id,
            self.standing_id,
            self.proposal_id,
            self.page["order"]["id"],
            self.unusual["id"],
            self.elder.cards[0],
            self.session_id,
            self.elder_id,
            ELDERS_PHONE,
            "3104870300000000001",
        }

    def asked(self) -> None:
        """f4: the elder asks the relative to pay, and the relative has a standing order with a proposal."""
        relative_id = login.authenticate(self.world.deps, self.relative.token).user_id
        with self.world.deps.database.write() as tx:
            relatives.change(tx, self.elder_id, relative_id, {"roles": frozenset(Role)})
        self.wish = {"relative_id": relative_id, "card_id": self.elder.cards[0], "amount_fen": 5000}
        asked = self.elder.ok("POST", "/api/v1/pay-requests", {**self.wish, "client_key": "authorisation-3"})
        self.request_id = asked["request"]["id"]
        self.standing = {"elder_id": self.elder_id, "card_id": self.elder.cards[0], "kind": "monthly"}
        today = business_day(self.world.clock.now()).day
        self.standing |= {"amount_fen": 5000, "month_ceiling_fen": 5000, "day_of_month": today}
        made = self.relative.ok("POST", "/api/v1/standing-orders", self.standing)
        self.standing_id = made["standing_order"]["id"]
        (waiting,) = self.relative.ok("GET", "/api/v1/proposals")["proposals"]
        self.proposal_id = waiting["proposal"]["id"]

    def address(self, rule: str) -> str:
        """The route with the elder's own things in its places."""
        values = {
            "order_id": self.unusual["id"] if protects(rule) else self.page["order"]["id"],
            "kind": "told_to",
            "session_id": self.session_id,
            "relative_id": self.relative_id,
            "elder_id": self.elder_id,
            "help_id": self.help.id,
            "purpose": "face",
            "request_id": self.request_id,
            "standing_id": self.standing_id,
            "proposal_id": self.proposal_id,
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
        "family.confirm_relative": {"code": "00000000"},
        "family.update_relative": {"roles": ["pay", "balance", "alerts", "assist"]},
        "elders.open_order": {
            "card_id": everybody.elder.cards[0],
            "amount_fen": 5000,
            "method": "wechat_balance",
            "client_key": "authorisation-3",
        },
        "identity.set_real_name": {"name": "王秀英", "id_number": "440106195003120111"},
        "identity.ask_phone": {"phone": "13900000009"},
        "identity.answer_phone": {"phone": "13900000009", "code": "000000"},
        "identity.lower_limits": {"single_fen": 10_000, "day_fen": 20_000},
        "family.accept_invite": {"code": "00000000"},
        "pay_requests.ask": {**everybody.wish, "client_key": "authorisation-4"},
        "pay_requests.accept": {},
        "pay_requests.decline": {"reason": "enough"},
        "standing_orders.make": everybody.standing,
        "standing_orders.accept": {},
        "cards.bind": {"card_number": "3104870300000000003"},
        "me.give_consent": {"purpose": "face", "version": 2},
        "me.erase": {},
        "help.ask": {"relative_id": everybody.help.relative_id},
        "help.point": {"screen": 1, "choice": 1},
        "help.say": {"text": "好"},
        "help.prepare": {
            "card_id": everybody.elder.cards[0],
            "amount_fen": 5000,
            "method": "wechat_balance",
            "client_key": "authorisation-3",
        },
        "subscriptions.accept": {"accepted": []},
    }.get(endpoint)


def named_by_body(endpoint: str) -> bool:
    names = ("orders.open_order", "conversation.take_turn", "pay_requests.ask", "standing_orders.make")
    return endpoint in (*names, "protection.place_hold")


def ask(world: World, who: Phone, method: str, address: str, body: Any, endpoint: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {who.token}"} if who.token else {}
    options: dict[str, Any] = {"json": body} if body is not None else {}
    if endpoint in ("checks.answer_face", "identity.enrol_face"):
        field = "frames" if endpoint == "checks.answer_face" else "photos"
        options = {
            "files": [(field, (f"{n}.jpg", b"no picture")) for n in range(3)],
            "data": {"challenge_id": "chl_1", "nonce": "n"},
        }
    if endpoint == "help.say_yes":
        options = {"files": {"audio": ("clip", b"no sound")}}
    return requests.request(method, world.base_url + address, headers=headers, timeout=20, **options)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_reaches_what_is_not_theirs(world: World, role: str, pytestconfig: pytest.Config) -> None:
    everybody = Everybody(world)
    tried = 0
    for rule in sorted(world.app.url_map.iter_rules(), key=_what_ends_things_last):
        if rule.endpoint in PUBLIC or (role != "nobody" and rule.endpoint in ENDS_THE_SESSION):
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            address, body = everybody.address(rule.rule), body_for(rule.endpoint, everybody)
            answer = ask(world, getattr(everybody, role), method, address, body, rule.endpoint)
            tried += 1
            where = f"{role}: {method} {address} -> {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500 or answer.json()["code"] != "internal_error", where
            named = {
                "order_id",
                "help_id",
                "session_id",
                "relative_id",
                "elder_id",
                "request_id",
                "standing_id",
                "proposal_id",
            }
            names_theirs = bool(named & rule.arguments)
            _judged(role, rule.endpoint, names_theirs, answer, everybody, where)
    proof.record(pytestconfig, "authorisation", {"pairs of role and route": tried, f"of {role}": tried})


def _what_ends_things_last(rule: Rule) -> tuple[bool, str]:
    return "DELETE" in (rule.methods or set()) or rule.endpoint == "help.end", rule.rule


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
        asked = {everybody.request_id, everybody.standing_id, everybody.proposal_id}
        orders = {everybody.page["order"]["id"], everybody.unusual["id"]}
        shared = {everybody.elder_id, everybody.elder.cards[0], *orders, *asked}
        may_see = shared if role == "relative" else set()
        may_see |= {everybody.elder.cards[0]} if (role, endpoint) == ("relative", "help.show") else set()
        assert seen <= may_see, f"{where} tells {seen}"
        json.loads(answer.text or "{}")
