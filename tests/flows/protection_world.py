"""What the tests of protection share: an elder with a family, a night, and a card of yesterday's stranger."""

from __future__ import annotations

from typing import Any

from app.flows import check_code
from tests.flows.test_identity_check import DAUGHTERS_PHONE, ELDERS_PHONE, bound, with_phone
from tests.world import Phone, World

SECOND_CARD = "3104870300000000003"
SONS_PHONE = "13900000008"
UNUSUAL_FEN = 30_000


def family(world: World, *, two: bool = False) -> tuple[Phone, list[Phone]]:
    """An elder of the night with an old first card, and one or two relatives; it is one at night."""
    elder = with_phone(world, world.elder("wang"), ELDERS_PHONE)
    relatives = [with_phone(world, bound(world, elder), DAUGHTERS_PHONE)]
    if two:
        relatives.append(with_phone(world, bound(world, elder, "son"), SONS_PHONE))
    world.clock.tick(hours=39)  # one in the night in Shanghai
    return elder, relatives


def unusual(elder: Phone, amount_fen: int = UNUSUAL_FEN) -> dict[str, Any]:
    """A large order of the night for a card bound just now: confirmed, and asked about."""
    card_id = elder.cards[1] if len(elder.cards) > 1 else elder.bind(SECOND_CARD)
    page = elder.confirm(elder.open_order(amount_fen, card_id))
    assert page["screen"]["title"] == "有人叫您充的吗？", page["screen"]
    return page


def labels(page: dict[str, Any]) -> list[str]:
    return [choice["label"] for choice in page["screen"]["choices"]]


def choice(page: dict[str, Any], label: str) -> str:
    return next(str(each["id"]) for each in page["screen"]["choices"] if each["label"] == label)


def answer(elder: Phone, page: dict[str, Any], kind: str, said: str) -> dict[str, Any]:
    return elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/questions/{kind}", {"answer": said})


def checked_at_the_desk(world: World, elder: Phone, page: dict[str, Any]) -> dict[str, Any]:
    """The identity check of an unusual payment, passed at once."""
    if page["order"]["state"] == "awaiting_check":
        code = check_code.issue_desk_code(world.deps, page["order"]["id"], "operator-7")
        return elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/check/desk/answer", {"code": code})
    return page


def paid(world: World, elder: Phone, *, held_by: Phone | None = None) -> str:
    """An unusual order the elder insisted on and paid; nothing worked on it yet. Returns its id."""
    page = checked_at_the_desk(world, elder, answer(elder, unusual(elder), "told_to", "own"))
    assert elder.pay(page) == "requestPayment:ok", page
    order_id = str(page["order"]["id"])
    if held_by is not None:
        hold(held_by, order_id)
    return order_id


def hold(relative: Phone, order_id: str, reason: str = "stranger") -> dict[str, Any]:
    return relative.ok("POST", "/api/v1/holds", {"order_id": order_id, "reason": reason})


def refused(answered: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answered[0], answered[1]["code"]
