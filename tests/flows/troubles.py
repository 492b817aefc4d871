"""What the tests of trouble share: a payment before its sheet or behind it, and what is looked at after."""

from __future__ import annotations

from typing import Any

from app.store import cases, ledger
from app.store.cases import Case
from tests.world import GOOD_CARD, Phone, World

LANZHOU_CARD = "3104900000000000001"


def paying(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> tuple[Phone, dict[str, Any]]:
    """Somebody before an open payment sheet, subscribed to three messages."""
    elder = world.elder(card=card)
    for _ in range(3):
        elder.accept_receipts()
    return elder, elder.confirm(elder.open_order(amount_fen))


def paid(world: World, amount_fen: int = 5000, card: str = GOOD_CARD) -> tuple[Phone, str]:
    elder, page = paying(world, amount_fen, card)
    assert elder.pay(page) == "requestPayment:ok"
    return elder, page["order"]["id"]


def quiet(world: World, **step: float) -> None:
    """Let time pass until the worker has nothing due any more."""
    for _ in range(60):
        world.sweep()
        if world.work(**(step or {"minutes": 1})) == 0:
            return
    raise AssertionError("the outbox never came to rest")


def told(world: World) -> list[str]:
    """The words of every message that was sent."""
    return [str(message["data"]["phrase5"]) for message in world.sandbox.messages()]


def cases_of(world: World, order_id: str) -> list[Case]:
    with world.deps.database.read() as tx:
        return cases.of_order(tx, order_id)


def accounts(world: World) -> dict[str, int]:
    with world.deps.database.read() as tx:
        return ledger.balance(tx).accounts
