"""One row of `orders`, read: what everything about an order starts from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from app.domain import orders as rules
from app.domain.orders import TRUTH, Money, State, Truth
from app.errors import AppError
from app.store import models

_orders = models.metadata.tables["orders"]


@dataclass(frozen=True, slots=True)
class Order:
    """One row of `orders`, as read."""

    id: str
    user_id: str
    beneficiary_id: str
    payer_openid: str
    card_id: str
    amount_fen: int
    fee_fen: int
    method: str
    channel: str
    state: State
    client_key: str
    request_hash: str
    read_back: str
    bank: str | None
    pay_channel: str | None
    prepay_id: str | None
    payer_said: str | None
    transaction_id: str | None
    card_reference: str | None
    balance_after_fen: int | None
    credit_fen: int | None
    rest_fen: int | None
    batch_id: str | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    promised_at: datetime | None
    credited_at: datetime | None

    @property
    def total_fen(self) -> int:
        """What the payer pays: amount and fee."""
        return self.amount_fen + self.fee_fen

    @property
    def delegated(self) -> bool:
        """Whether somebody pays for another person's card."""
        return self.user_id != self.beneficiary_id

    @property
    def truth(self) -> Truth:
        """What may be said about its money."""
        in_part = self.state is State.COMPLETED and self.rest_fen is not None
        return Truth.CREDITED_IN_PART if in_part else TRUTH[self.state]

    @property
    def to_return_fen(self) -> int:
        """What goes home if this order is refunded: all of it, or the rest that did not fit."""
        return self.money().to_return_fen

    def money(self, card_account: str = rules.CARD_SYSTEM) -> Money:
        """What the ledger has to know."""
        pay_account = rules.PAY_ACCOUNTS[self.pay_channel or rules.PRIMARY]
        return Money(self.amount_fen, self.fee_fen, self.credit_fen, self.rest_fen, pay_account, card_account)


COLUMNS = [_orders.c[field.name] for field in fields(Order)]
_by_id = select(*COLUMNS).where(_orders.c.id == bindparam("id"))


def from_row(row: Row[Any]) -> Order:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    return Order(**values)


def as_stored(row: Any) -> Order:
    """From a row that came straight from the driver: moments in the server's zone become UTC."""
    values = row._asdict()
    values["state"] = State(values["state"])
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = value.astimezone(UTC)
    return Order(**values)


def find(tx: Connection, order_id: str) -> Order | None:
    row = tx.execute(_by_id, {"id": order_id}).first()
    return None if row is None else from_row(row)


def get(tx: Connection, order_id: str) -> Order:
    """For our own ids; LookupError when there is none."""
    order = find(tx, order_id)
    if order is None:
        raise LookupError(order_id)
    return order


def get_for(tx: Connection, user_id: str, order_id: str) -> Order:
    """An order this person may see. AppError order_not_found for anybody else's, the same as for none."""
    order = find(tx, order_id)
    if order is None or user_id not in (order.user_id, order.beneficiary_id):
        raise AppError("order_not_found")
    return order
