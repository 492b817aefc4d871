"""A relative tops up an elder's card: a stand-in with the signature the family's stories call.

Without caps. The real one comes with the delegated top-up and replaces this file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields

from app.domain import limits
from app.domain.family import Role
from app.domain.ids import Kind, new_id
from app.domain.orders import CONFIRMATION_WINDOW, START, Event, read_back_hash
from app.errors import AppError
from app.flows import checkout
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store import cards, models, order_moves, order_rows, relatives
from app.store.order_rows import Order
from app.store.people import Actor
from app.store.upsert import insert_once


def open_order(
    deps: Deps,
    actor: Actor,
    elder_id: str,
    card_id: str,
    amount_fen: int,
    method_name: str,
    client_key: str,
    bank: str | None = None,
) -> OrderView:
    """An order of this relative's for the elder's card, read back. AppError as `checkout.open_order`, and
    relative_not_found where the tie does not let them pay."""
    now = deps.clock.now()
    method = limits.offered_method(deps.city, method_name)
    limits.check_amount(method, amount_fen)
    fee_fen = method.fee_fen(amount_fen, bank)
    wish = json.dumps([elder_id, card_id, amount_fen, method_name, bank])
    table = models.metadata.tables["orders"]
    with deps.database.write() as tx:
        tie = relatives.find(tx, elder_id, actor.user_id)
        if tie is None or not tie.may(Role.PAY, now):
            raise AppError("relative_not_found")
        cards.get_for(tx, elder_id, card_id)
        values = {
            **{field.name: None for field in fields(Order)},
            "id": new_id(Kind.ORDER),
            "user_id": actor.user_id,
            "beneficiary_id": elder_id,
            "payer_openid": actor.openid,
            "card_id": card_id,
            "amount_fen": amount_fen,
            "fee_fen": fee_fen,
            "method": method_name,
            "bank": bank,
            "channel": actor.channel,
            "client_key": client_key,
            "request_hash": hashlib.sha256(wish.encode()).hexdigest(),
            "read_back": read_back_hash(card_id, amount_fen, fee_fen, method_name, actor.user_id, elder_id),
            "state": START.value,
            "created_at": now,
            "expires_at": now + CONFIRMATION_WINDOW,
        }
        if insert_once(tx, table, ("user_id", "client_key"), values):
            order_moves.write_event(tx, str(values["id"]), Event.OPENED, START, now, {})
        known = (table.c.user_id == actor.user_id) & (table.c.client_key == client_key)
        order = order_rows.from_row(
            tx.execute(table.select().with_only_columns(*order_rows.COLUMNS).where(known)).one()
        )
    if order.request_hash != values["request_hash"]:
        raise AppError("client_key_reused")
    return checkout.view(deps, order)
