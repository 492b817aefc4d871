"""What the tests of the family share: ids, orders that a relative pays, the deeds of a history."""

from __future__ import annotations

from typing import Any

from app.store import deeds
from app.store.deeds import Deed
from tests.flows.test_identity_check import bound
from tests.world import Phone, World, a_key

ALL_ROLES = ("pay", "balance", "alerts", "assist")

__all__ = ["ALL_ROLES", "bound", "deeds_of", "elder_id_of", "open_for", "refused_for", "tie_of", "wish_for"]


def tie_of(elder: Phone, name: str = "女儿") -> dict[str, Any]:
    """A relative as their elder's list shows them."""
    found = elder.ok("GET", "/api/v1/relatives")["relatives"]
    return next(each for each in found if each["name"] == name)


def elder_id_of(relative: Phone, at: int = 0) -> str:
    return str(relative.ok("GET", "/api/v1/elders")["elders"][at]["elder_id"])


def wish_for(card_id: str, amount_fen: int) -> dict[str, Any]:
    return {
        "card_id": card_id,
        "amount_fen": amount_fen,
        "method": "wechat_balance",
        "client_key": a_key(),
    }


def open_for(relative: Phone, elder: Phone, amount_fen: int = 5000, at: int = 0) -> dict[str, Any]:
    """An order of this relative's for the elder's first card, read back."""
    path = f"/api/v1/elders/{elder_id_of(relative, at)}/orders"
    order: dict[str, Any] = relative.ok("POST", path, wish_for(elder.cards[0], amount_fen))["order"]
    return order


def refused_for(relative: Phone, elder_id: str, card_id: str, amount_fen: int = 5000) -> tuple[int, str, str]:
    """(status, code, what is said) of an order that is not taken."""
    status, body = relative.post(f"/api/v1/elders/{elder_id}/orders", wish_for(card_id, amount_fen))
    assert status >= 400, body
    return status, body["code"], body["say"]


def deeds_of(world: World, elder_id: str, kind: str | None = None) -> list[Deed]:
    """The elder's history, oldest first."""
    with world.deps.database.read() as tx:
        found = deeds.of_elder(tx, elder_id, 100)
    return [deed for deed in reversed(found) if kind in (None, deed.kind)]
