"""Building what a test starts from, through the same doors the product uses."""

from __future__ import annotations

import itertools
from typing import Any

from app.domain.clock import FakeClock
from app.domain.ids import Kind, new_id
from app.domain.orders import CONFIRMATION_WINDOW, read_back_hash
from app.flows import card_numbers
from app.ports import CardFacts, CardMode, Vault, WeChatIdentity
from app.providers.vault import Sm4Vault
from app.store import cards, orders, people
from app.store.cards import Card
from app.store.database import Database
from app.store.orders import Order

VAULT = Sm4Vault([("k1", "00112233445566778899aabbccddeeff")], [("l1", "l" * 32)])
_numbers = itertools.count(1)


def a_person(database: Database, clock: FakeClock) -> str:
    """A user nobody else is."""
    with database.write() as tx:
        return people.user_for(tx, "wxapp", WeChatIdentity(f"openid-{next(_numbers)}"), clock.now())


def a_card(database: Database, clock: FakeClock, user_id: str, mode: CardMode = CardMode.ACCOUNT) -> Card:
    """A card of this person's."""
    number = f"31048703{next(_numbers):011d}"
    facts = CardFacts(number, "guangzhou", mode, True, 0)
    sealed = card_numbers.seal(VAULT, number)
    with database.write() as tx:
        return cards.bind(tx, user_id, facts, sealed, None, clock.now())


def card_number(vault: Vault, card_id: str, sealed: str | None) -> str:
    """The number of a bound card, "" when it is gone."""
    return "" if sealed is None else vault.open(sealed, f"cards.card_number:{card_id}").decode()


def order_values(user_id: str, card_id: str, clock: FakeClock, **changes: Any) -> dict[str, Any]:
    """Columns of a fifty-yuan order."""
    return {
        "id": new_id(Kind.ORDER),
        "user_id": user_id,
        "beneficiary_id": user_id,
        "payer_openid": "openid",
        "card_id": card_id,
        "amount_fen": 5000,
        "fee_fen": 0,
        "method": "wechat_balance",
        "bank": None,
        "channel": "h5",
        "client_key": f"key-{next(_numbers)}",
        "request_hash": "hash",
        "read_back": read_back_hash(card_id, 5000, 0, "wechat_balance", user_id, user_id),
        "expires_at": clock.now() + CONFIRMATION_WINDOW,
        **changes,
    }


def an_order(database: Database, clock: FakeClock, **changes: Any) -> Order:
    """An order that awaits its confirmation, of a person of its own."""
    user_id = a_person(database, clock)
    card = a_card(database, clock, user_id)
    values = order_values(user_id, card.id, clock, **changes)
    with database.write() as tx:
        return orders.open_order(tx, values, CardMode.ACCOUNT, clock.now())[0]
