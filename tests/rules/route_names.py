"""Every route behind a session, and each way it takes an id: what tests/rules/test_routes.py asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.world import a_key


@dataclass(frozen=True)
class Belongings:
    """What one person owns and another must not reach."""

    card_id: str
    order: dict[str, Any]
    conversation_id: str
    session_id: str
    user_id: str
    help_id: str


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


def help_path(end: str = "") -> Callable[[Belongings], str]:
    return lambda theirs: f"/api/v1/help/{theirs.help_id}{end}"


NO_ORDER, NO_CARD = (404, "order_not_found"), (404, "card_not_found")
NO_SESSION = (404, "session_not_found")
NO_RELATIVE = (404, "relative_not_found")
NO_ELDER = (404, "elder_not_found")
NO_HELP = (404, "help_not_found")
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
    # --- the family: binding and delegated top-up ---
    "family.list_relatives": [],
    "family.invite_relative": [],
    "family.accept_invite": [],  # a code, not an id
    "family.confirm_relative": [
        Ask(
            lambda theirs: f"/api/v1/relatives/{theirs.user_id}/confirm",
            lambda _: {"code": "00000000"},
            NO_RELATIVE,
        )
    ],
    "family.update_relative": [
        Ask(lambda theirs: f"/api/v1/relatives/{theirs.user_id}", lambda _: {"roles": ["pay"]}, NO_RELATIVE)
    ],
    "family.agree_again": [
        Ask(lambda theirs: f"/api/v1/relatives/{theirs.user_id}/agree", lambda _: None, NO_RELATIVE)
    ],
    "family.end_relative": [
        Ask(lambda theirs: f"/api/v1/relatives/{theirs.user_id}", lambda _: None, NO_RELATIVE)
    ],
    "elders.list_elders": [],
    "elders.show_elder": [Ask(lambda theirs: f"/api/v1/elders/{theirs.user_id}", lambda _: None, NO_ELDER)],
    "elders.open_order": [
        Ask(
            lambda theirs: f"/api/v1/elders/{theirs.user_id}/orders",
            lambda theirs: {
                "card_id": theirs.card_id,
                "amount_fen": 5000,
                "method": "wechat_balance",
                "client_key": a_key(),
            },
            NO_ELDER,
        )
    ],
    "elders.leave_elder": [Ask(lambda theirs: f"/api/v1/elders/{theirs.user_id}", lambda _: None, NO_ELDER)],
    "identity.list_requests": [],
    "identity.answer_request": [
        Ask(
            lambda theirs: f"/api/v1/co-confirmations/{theirs.order['id']}",
            lambda _: {"yes": True},
            (404, "request_not_found"),
        )
    ],
    # --- help from afar ---
    "help.list_sessions": [],
    "help.ask": [Ask(lambda _: "/api/v1/help", lambda theirs: {"relative_id": theirs.user_id}, NO_RELATIVE)],
    "help.show": [Ask(help_path(), lambda _: None, NO_HELP)],
    "help.say_yes": [Ask(help_path("/spoken"), lambda _: None, (422, "audio_empty"))],  # and with a clip:
    # tests/rules/test_authorisation.py
    "help.touch": [Ask(help_path("/open"), lambda _: None, NO_HELP)],
    "help.end": [Ask(help_path("/end"), lambda _: None, NO_HELP)],
    "help.ticket": [Ask(help_path("/ticket"), lambda _: None, NO_HELP)],
    "help.point": [Ask(help_path("/point"), lambda _: {"screen": 1, "choice": 1}, NO_HELP)],
    "help.say": [Ask(help_path("/messages"), lambda _: {"text": "x"}, NO_HELP)],
    "help.prepare": [
        Ask(
            help_path("/forms"),
            lambda theirs: {
                "card_id": theirs.card_id,
                "amount_fen": 5000,
                "method": "wechat_balance",
                "client_key": a_key(),
            },
            NO_HELP,
        )
    ],
}


# --- f4: the family is asked to pay ---
NOBODYS = "01JD0000000000000000000000"
NO_REQUEST, NO_PROPOSAL = (404, "request_not_found"), (404, "proposal_not_found")


def family_path(start: str, end: str = "") -> Callable[[Belongings], str]:
    return lambda _: f"/api/v1/{start}_{NOBODYS}{end}"  # whose they are: tests/rules/test_authorisation.py


def standing(theirs: Belongings) -> dict[str, Any]:
    body = {"elder_id": theirs.user_id, "card_id": theirs.card_id, "kind": "monthly", "day_of_month": 1}
    return {**body, "amount_fen": 5000, "month_ceiling_fen": 5000}


NAMES |= {
    "history.tell": [],  # `before` only bounds one's own history: tests/flows/test_told_history.py
    "pay_requests.list_requests": [],
    "pay_requests.ask": [
        Ask(
            lambda _: "/api/v1/pay-requests",
            lambda theirs: {
                "relative_id": theirs.user_id,
                "card_id": theirs.card_id,
                "amount_fen": 5000,
                "client_key": a_key(),
            },
            NO_CARD,
        )
    ],
    "pay_requests.show": [Ask(family_path("pay-requests/prq"), lambda _: None, NO_REQUEST)],
    "pay_requests.withdraw": [Ask(family_path("pay-requests/prq"), lambda _: None, NO_REQUEST)],
    "pay_requests.accept": [Ask(family_path("pay-requests/prq", "/yes"), lambda _: {}, NO_REQUEST)],
    "pay_requests.decline": [
        Ask(family_path("pay-requests/prq", "/no"), lambda _: {"reason": "enough"}, NO_REQUEST)
    ],
    "standing_orders.list_all": [],
    "standing_orders.make": [Ask(lambda _: "/api/v1/standing-orders", standing, NO_RELATIVE)],
    "standing_orders.end": [
        Ask(family_path("standing-orders/sto"), lambda _: None, (404, "standing_not_found"))
    ],
    "standing_orders.list_proposals": [],
    "standing_orders.accept": [Ask(family_path("proposals/prp", "/yes"), lambda _: {}, NO_PROPOSAL)],
    "standing_orders.decline": [Ask(family_path("proposals/prp", "/no"), lambda _: None, NO_PROPOSAL)],
}
# --- end of f4 ---

NAMES |= {
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
}
