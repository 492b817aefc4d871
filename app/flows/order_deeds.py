"""What an order's end adds to the history of the elder whose card it is: once, with the end itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.store import deeds
from app.store.orders import Order


def credited(tx: Connection, order: Order, now: datetime) -> None:
    """The money, or the part that fitted, is on the card."""
    kind = "relative_topped_up" if order.delegated else "own_topped_up"
    amount_fen = order.amount_fen if order.credit_fen is None else order.credit_fen
    deeds.write(tx, order.beneficiary_id, order.user_id, kind, order.id, now, {"amount_fen": amount_fen})


def went_home(tx: Connection, order: Order, amount_fen: int, now: datetime) -> None:
    """The money, or the rest that did not fit, is back with who paid it."""
    kind = "relative_money_back" if order.delegated else "money_back"
    deeds.write(tx, order.beneficiary_id, order.user_id, kind, order.id, now, {"amount_fen": amount_fen})
