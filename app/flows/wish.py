"""A wish to top up becomes the columns of an order, within the rules of the city. Nothing is written yet."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from app.domain import limits
from app.domain.cities import IdentityRule
from app.domain.ids import Kind, new_id
from app.domain.orders import CONFIRMATION_WINDOW, read_back_hash
from app.flows.deps import Deps
from app.store import cards
from app.store.people import Actor


def columns(
    deps: Deps,
    actor: Actor,
    owner_id: str,
    card_id: str,
    amount_fen: int,
    method_name: str,
    client_key: str,
    bank: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The columns of an order that this person will pay for a card of `owner_id`, within the city's rules.
    AppError as `open_order`, but for the key."""
    method = limits.offered_method(deps.city, method_name)
    limits.check_amount(method, amount_fen)
    _check_real_name(deps, owner_id, card_id)
    fee_fen = method.fee_fen(amount_fen, bank)
    wish = json.dumps([card_id, amount_fen, method_name, bank])
    return {
        "id": new_id(Kind.ORDER),
        "user_id": actor.user_id,
        "beneficiary_id": owner_id,
        "payer_openid": actor.openid,
        "card_id": card_id,
        "amount_fen": amount_fen,
        "fee_fen": fee_fen,
        "method": method_name,
        "bank": bank,
        "channel": actor.channel,
        "client_key": client_key,
        "request_hash": hashlib.sha256(wish.encode()).hexdigest(),
        "read_back": read_back_hash(card_id, amount_fen, fee_fen, method_name, actor.user_id, owner_id),
        "expires_at": now + CONFIRMATION_WINDOW,
    }


def _check_real_name(deps: Deps, owner_id: str, card_id: str) -> None:
    """Where only real-name cards may pay, no order is written for another; `confirm` asks the card system."""
    if deps.city.entry.identity is IdentityRule.REAL_NAME:
        with deps.database.read() as tx:
            limits.check_real_name(deps.city, cards.get_for(tx, owner_id, card_id).registered)
