"""Differences between two books: each in suspense, with an age, until a rule or a person resolves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from app.domain.ids import Kind, new_id
from app.domain.orders import SUSPENSE, Entry
from app.store import ledger, models
from app.store.upsert import insert_once

_differences = models.metadata.tables["differences"]

OPEN, RESOLVED = "open", "resolved"
SUSPENDED = "suspended"  # the ledger event of its opening
NOTICE, WECHAT_BILL, CARD_FILE = "notice", "wechat_bill", "card_system_file"  # sources
NEVER_PAID = "never_paid"  # the resolution of a stray payment WeChat knows nothing of
_COMPARED = (WECHAT_BILL, CARD_FILE)


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of `differences`. `amount_fen` > 0: money that fits no order; < 0: money we booked and the
    other side does not show; 0: only a state differs. `account` is the other side of its suspense."""

    id: str
    kind: str
    reference: str
    source: str
    day: date
    order_id: str | None
    transaction_id: str | None
    pay_channel: str | None
    account: str
    amount_fen: int
    total_fen: int
    detail: str
    state: str
    opened_at: datetime
    due_on: date
    resolved_at: datetime | None
    resolution: str | None


_columns = [_differences.c[field.name] for field in fields(Difference)]


def _difference(row: Row[Any]) -> Difference:
    return Difference(**row._mapping)


def open_once(
    tx: Connection,
    *,
    kind: str,
    reference: str,
    source: str,
    day: date,
    account: str,
    amount_fen: int,
    detail: str,
    due_on: date,
    now: datetime,
    total_fen: int | None = None,
    order_id: str | None = None,
    transaction_id: str | None = None,
    pay_channel: str | None = None,
) -> Difference | None:
    """Open a difference and put its money into suspense. None when (kind, reference) is there already, open
    or resolved: finding it again changes nothing."""
    values: dict[str, Any] = {
        "id": new_id(Kind.DIFFERENCE),
        "kind": kind,
        "reference": reference[:96],
        "source": source,
        "day": day,
        "order_id": order_id and order_id[:64],
        "transaction_id": transaction_id and transaction_id[:64],
        "pay_channel": pay_channel,
        "account": account,
        "amount_fen": amount_fen,
        "total_fen": abs(amount_fen) if total_fen is None else total_fen,
        "detail": detail,
        "state": OPEN,
        "opened_at": now,
        "due_on": due_on,
        "resolved_at": None,
        "resolution": None,
    }
    if not insert_once(tx, _differences, ("kind", "reference"), values):
        return None
    lines = (Entry(account, amount_fen), Entry(SUSPENSE, -amount_fen))
    ledger.post(tx, values["id"], SUSPENDED, lines, now)
    return Difference(**values)


def resolve(
    tx: Connection, difference: Difference, resolution: str, now: datetime, against: str | None = None
) -> bool:
    """Take its money out of suspense by the opposite entry, against the account it came from or `against`.

    False when somebody resolved it before.
    """
    mine = (_differences.c.id == difference.id) & (_differences.c.state == OPEN)
    done = {"state": RESOLVED, "resolution": resolution, "resolved_at": now}
    if tx.execute(update(_differences).where(mine).values(done)).rowcount != 1:
        return False
    account = against or difference.account
    lines = (Entry(SUSPENSE, difference.amount_fen), Entry(account, -difference.amount_fen))
    ledger.post(tx, difference.id, resolution, lines, now)
    return True


def get(tx: Connection, difference_id: str) -> Difference:
    """LookupError when there is none."""
    row = tx.execute(select(*_columns).where(_differences.c.id == difference_id)).first()
    if row is None:
        raise LookupError(difference_id)
    return _difference(row)


def unresolved(tx: Connection, day: date | None = None) -> list[Difference]:
    """Open differences, oldest first; of one day, or of all."""
    statement = select(*_columns).where(_differences.c.state == OPEN)
    if day is not None:
        statement = statement.where(_differences.c.day == day)
    return [_difference(row) for row in tx.execute(statement.order_by(_differences.c.opened_at))]


def of_day(tx: Connection, day: date) -> list[Difference]:
    """Every difference of a day, open or resolved, in the order of their references."""
    statement = select(*_columns).where(_differences.c.day == day)
    found = [_difference(row) for row in tx.execute(statement)]
    return sorted(found, key=lambda one: (one.reference, one.kind, one.id))  # in no database's collation


def of_orders(tx: Connection, order_ids: Sequence[str], other_than: date) -> list[Difference]:
    """Differences between books about these order numbers (at most some hundred), of other days."""
    statement = select(*_columns).where(
        _differences.c.order_id.in_(order_ids),
        _differences.c.day != other_than,
        _differences.c.source.in_(_COMPARED),
    )
    return [_difference(row) for row in tx.execute(statement.order_by(_differences.c.opened_at))]


def compared(tx: Connection) -> list[Difference]:
    """Open differences between books, of all days, oldest first."""
    statement = select(*_columns).where(_differences.c.state == OPEN, _differences.c.source.in_(_COMPARED))
    return [_difference(row) for row in tx.execute(statement.order_by(_differences.c.day, _differences.c.id))]


def count_open(tx: Connection, day: date) -> int:
    """How many differences of a day are open, whatever found them."""
    statement = select(func.count()).where(_differences.c.day == day, _differences.c.state == OPEN)
    return int(tx.execute(statement).scalar_one())


def reclassify(tx: Connection, difference: Difference, kind: str) -> bool:
    """Call an open difference something else; its money stays where it is. False when it is resolved."""
    mine = (_differences.c.id == difference.id) & (_differences.c.state == OPEN)
    return tx.execute(update(_differences).where(mine).values(kind=kind)).rowcount == 1


def about(tx: Connection, order_id: str) -> list[Difference]:
    """Every difference about an order, of any kind and day, oldest first."""
    statement = select(*_columns).where(_differences.c.order_id == order_id)
    return [_difference(row) for row in tx.execute(statement.order_by(_differences.c.opened_at))]
