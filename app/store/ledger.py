"""The double-entry ledger: append-only, every posting sums to zero, every repeat is a no-op.

Orders are posted by store.orders.advance together with their event, differences by store.differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, insert, select

from app.domain.ids import Kind, new_id
from app.domain.orders import IN_TRANSIT, MONEY_HELD, SUSPENSE, Entry, State
from app.store import models

_entries = models.metadata.tables["ledger_entries"]
_orders = models.metadata.tables["orders"]
_differences = models.metadata.tables["differences"]


def rows(subject: str, event: str, lines: Sequence[Entry], now: datetime) -> list[dict[str, Any]]:
    """The lines of one posting as rows. AssertionError when they do not sum to zero."""
    assert sum(line.amount_fen for line in lines) == 0, (subject, event)
    return [
        {
            "id": new_id(Kind.ENTRY),
            "subject": subject,
            "event": event,
            "account": line.account,
            "amount_fen": line.amount_fen,
            "at": now,
        }
        for line in lines
        if line.amount_fen
    ]


def post(tx: Connection, subject: str, event: str, lines: Sequence[Entry], now: datetime) -> None:
    """Write one posting. IntegrityError for a second posting of the same (subject, event)."""
    if written := rows(subject, event, lines, now):
        tx.execute(insert(_entries), written)


@dataclass(frozen=True, slots=True)
class Balance:
    """Is money conserved? `restless` are resting orders with money in transit, or the other way round;
    `adrift_fen` is what the suspense account holds beyond its open differences."""

    total_fen: int
    accounts: dict[str, int]
    restless: tuple[str, ...]
    adrift_fen: int

    @property
    def ok(self) -> bool:
        return self.total_fen == 0 and not self.restless and self.adrift_fen == 0


_held = [state.value for state in MONEY_HELD]
_whole = _orders.c.amount_fen + _orders.c.fee_fen
_owed = -case((_orders.c.state == State.RETURNING_REST.value, _orders.c.rest_fen), else_=_whole)
_in_transit = (
    select(_entries.c.subject, func.sum(_entries.c.amount_fen).label("fen"))
    .where(_entries.c.account == IN_TRANSIT)
    .group_by(_entries.c.subject)
    .subquery()
)
_waiting_fen = func.coalesce(_in_transit.c.fen, 0)
_by_account = select(_entries.c.account, func.sum(_entries.c.amount_fen)).group_by(_entries.c.account)
_restless = (
    select(_orders.c.id)
    .outerjoin(_in_transit, _in_transit.c.subject == _orders.c.id)
    .where(
        (_orders.c.state.in_(_held) & (_waiting_fen != _owed))
        | (_orders.c.state.not_in(_held) & (_waiting_fen != 0))
    )
    .order_by(_orders.c.id)
    .limit(100)
)
_suspended = select(func.coalesce(func.sum(_differences.c.amount_fen), 0)).where(
    _differences.c.state == "open"
)


def balance(tx: Connection) -> Balance:
    """Sum every account, compare in_transit per order with the order's state, and suspense with the
    differences that are open."""
    accounts = {account: int(total) for account, total in tx.execute(_by_account)}
    restless = tuple(row.id for row in tx.execute(_restless))
    adrift_fen = accounts.get(SUSPENSE, 0) + int(tx.execute(_suspended).scalar_one())
    return Balance(sum(accounts.values()), accounts, restless, adrift_fen)


def entries_of(tx: Connection, subject: str) -> list[tuple[str, str, int]]:
    """(event, account, amount_fen) of one order or difference, in the order of posting."""
    statement = select(_entries.c.event, _entries.c.account, _entries.c.amount_fen)
    statement = statement.where(_entries.c.subject == subject).order_by(_entries.c.at, _entries.c.id)
    return [(row.event, row.account, row.amount_fen) for row in tx.execute(statement)]
