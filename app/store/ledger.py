"""Reading the ledger. Writing happens in store.orders.advance, together with the event it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from app.domain.orders import IN_TRANSIT, MONEY_HELD
from app.store import models

_entries = models.metadata.tables["ledger_entries"]
_orders = models.metadata.tables["orders"]


@dataclass(frozen=True, slots=True)
class Balance:
    """Is money conserved? `restless` are resting orders with money in transit, or the other way round."""

    total_fen: int
    accounts: dict[str, int]
    restless: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.total_fen == 0 and not self.restless


def balance(tx: Connection) -> Balance:
    """Sum every account and compare in_transit per order with the order's state."""
    by_account = select(_entries.c.account, func.sum(_entries.c.amount_fen)).group_by(_entries.c.account)
    accounts = {account: int(total) for account, total in tx.execute(by_account)}
    in_transit = (
        select(_entries.c.order_id, func.sum(_entries.c.amount_fen).label("fen"))
        .where(_entries.c.account == IN_TRANSIT)
        .group_by(_entries.c.order_id)
        .subquery()
    )
    held = [state.value for state in MONEY_HELD]
    amount = func.coalesce(in_transit.c.fen, 0)
    owed = -(_orders.c.amount_fen + _orders.c.fee_fen)
    joined = select(_orders.c.id).outerjoin(in_transit, in_transit.c.order_id == _orders.c.id)
    wrong = joined.where(
        (_orders.c.state.in_(held) & (amount != owed)) | (_orders.c.state.not_in(held) & (amount != 0))
    )
    restless = tuple(row.id for row in tx.execute(wrong.order_by(_orders.c.id).limit(100)))
    return Balance(sum(accounts.values()), accounts, restless)


def entries_of(tx: Connection, order_id: str) -> list[tuple[str, str, int]]:
    """(event, account, amount_fen) of one order, in the order of posting."""
    statement = select(_entries.c.event, _entries.c.account, _entries.c.amount_fen)
    statement = statement.where(_entries.c.order_id == order_id).order_by(_entries.c.at, _entries.c.id)
    return [(row.event, row.account, row.amount_fen) for row in tx.execute(statement)]
