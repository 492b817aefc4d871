"""Orders as rows. `advance` is the only writer of an order's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from app.domain import orders as rules
from app.domain.ids import Kind, new_id
from app.domain.orders import Event, InvalidTransition, State
from app.errors import AppError
from app.ports import CardMode
from app.store import cards, models, outbox
from app.store.cards import Card
from app.store.database import straight
from app.store.upsert import insert_once

_orders = models.metadata.tables["orders"]
_events = models.metadata.tables["order_events"]
_entries = models.metadata.tables["ledger_entries"]


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
    prepay_id: str | None
    payer_said: str | None
    transaction_id: str | None
    card_reference: str | None
    balance_after_fen: int | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    promised_at: datetime | None
    credited_at: datetime | None

    @property
    def total_fen(self) -> int:
        """What the payer pays: amount and fee."""
        return self.amount_fen + self.fee_fen


_FILLED_LATER = frozenset(
    ("prepay_id", "payer_said", "transaction_id", "card_reference", "balance_after_fen")
    + ("paid_at", "promised_at", "credited_at")
)
_columns = [_orders.c[field.name] for field in fields(Order)]
_by_id = select(*_columns).where(_orders.c.id == bindparam("id"))
_by_client_key = select(*_columns).where(
    _orders.c.user_id == bindparam("user_id"), _orders.c.client_key == bindparam("client_key")
)
_compare_and_set = (
    update(_orders)
    .where(_orders.c.id == bindparam("order_id"), _orders.c.state == bindparam("before"))
    .values(state=bindparam("after"))
)


def _order(row: Row[Any]) -> Order:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    return Order(**values)


def find(tx: Connection, order_id: str) -> Order | None:
    row = tx.execute(_by_id, {"id": order_id}).first()
    return None if row is None else _order(row)


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


_OPENED = {field.name: None for field in fields(Order)} | {"state": rules.START}
_GIVEN = [name for name in _OPENED if name not in _FILLED_LATER]
# One round trip on PostgreSQL: the card must be the payer's, the order is written once, and its first event.
OPEN_AT_ONCE = f"""
WITH card AS (
  SELECT {", ".join(cards.COLUMN_NAMES)} FROM cards WHERE id = %(card_id)s AND user_id = %(user_id)s
), made AS (
  INSERT INTO orders ({", ".join(_GIVEN)}) SELECT {", ".join(f"%({name})s" for name in _GIVEN)} FROM card
  WHERE card.mode = %(card_mode)s ON CONFLICT (user_id, client_key) DO NOTHING RETURNING id
), told AS (
  INSERT INTO order_events (order_id, event, state_after, at, facts)
  SELECT id, '{Event.OPENED.value}', '{rules.START.value}', %(created_at)s, '{{}}' FROM made
)
SELECT card.*, EXISTS (SELECT 1 FROM made) AS made FROM card
"""  # noqa: S608 - only our own column names are formatted in


def open_order(tx: Connection, values: dict[str, Any], mode: CardMode, now: datetime) -> tuple[Order, Card]:
    """Write a new order for the payer's own card, or return the one this client key already made.

    `values` holds every column but state and those later events fill; `mode` is how the card must be
    loaded. AppError: card_not_found (anybody else's too), card_needs_writing (another mode),
    client_key_reused (the key was used with another body).
    """
    row = {**values, "state": rules.START.value, "created_at": now}
    if tx.dialect.name == "postgresql":
        found = straight(tx, OPEN_AT_ONCE, {**row, "card_mode": mode.value})
        if found is None:
            raise AppError("card_not_found")
        card, made = cards.from_row(found), found.made
    else:
        card = cards.get_for(tx, values["user_id"], values["card_id"])
        made = card.mode is mode and insert_once(tx, _orders, ("user_id", "client_key"), row)
        if made:
            _write_event(tx, values["id"], Event.OPENED, rules.START, now, {})
    if made:
        return Order(**{**_OPENED, **values, "created_at": now}), card
    if card.mode is not mode:
        raise AppError("card_needs_writing")
    key = {"user_id": values["user_id"], "client_key": values["client_key"]}
    existing = _order(tx.execute(_by_client_key, key).one())
    if existing.request_hash != values["request_hash"]:
        raise AppError("client_key_reused")
    return existing, card


def advance(
    tx: Connection,
    order: Order,
    event: Event,
    now: datetime,
    changes: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
) -> tuple[Order, bool]:
    """Let `event` happen to the order: state, event row, ledger lines and outbox rows in one transaction.

    Returns the order as it stands and whether this call moved it. A repeat is a no-op. A lost race is
    tried once more against the new state. Raise InvalidTransition where the event has no edge.
    """
    for _attempt in range(3):
        try:
            after = rules.next_state(order.state, event)
        except InvalidTransition:
            if happened(tx, order.id, event):
                return get(tx, order.id), False
            raise
        statement = _compare_and_set.values(changes) if changes else _compare_and_set
        keys = {"order_id": order.id, "before": order.state.value, "after": after.value}
        if tx.execute(statement, keys).rowcount == 1:
            _write_event(tx, order.id, event, after, now, facts or {})
            _post(tx, order, event, now)
            for topic in rules.follow_up(order.state, after):
                outbox.add(tx, topic, order.id, now)
            return get(tx, order.id), True
        order = get(tx, order.id)
    raise InvalidTransition(order.state, event)


def happened(tx: Connection, order_id: str, event: Event) -> bool:
    found = select(_events.c.event).where(_events.c.order_id == order_id, _events.c.event == event.value)
    return tx.execute(found).first() is not None


def transaction_used(tx: Connection, transaction_id: str, order_id: str) -> bool:
    """Whether another order already carries this WeChat transaction."""
    other = select(_orders.c.id).where(_orders.c.transaction_id == transaction_id, _orders.c.id != order_id)
    return tx.execute(other).first() is not None


def set_prepay(tx: Connection, order_id: str, prepay_id: str) -> State:
    """Remember WeChat's answer. It moves nothing, but the order may have moved while WeChat was asked:
    returns its state."""
    told = update(_orders).where(_orders.c.id == order_id).values(prepay_id=prepay_id)
    return State(tx.execute(told.returning(_orders.c.state)).scalar_one())


def set_payer_said(tx: Connection, order_id: str, result: str) -> None:
    """Remember what the phone said about the payment sheet: a hint for the screen, never a fact."""
    tx.execute(update(_orders).where(_orders.c.id == order_id).values(payer_said=result))


def history(tx: Connection, user_id: str, limit: int, before: str | None = None) -> list[Order]:
    """The person's orders, newest first (ids sort by time)."""
    mine = (_orders.c.user_id == user_id) | (_orders.c.beneficiary_id == user_id)
    statement = select(*_columns).where(mine).order_by(_orders.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_orders.c.id < before)
    return [_order(row) for row in tx.execute(statement)]


def overdue(tx: Connection, now: datetime, limit: int) -> list[Order]:
    """Unpaid orders whose time is over."""
    unpaid = [state.value for state in rules.UNPAID]
    statement = (
        select(*_columns)
        .where(_orders.c.state.in_(unpaid), _orders.c.expires_at <= now)
        .order_by(_orders.c.expires_at)
        .limit(limit)
    )
    return [_order(row) for row in tx.execute(statement)]


def holding_money(tx: Connection, limit: int) -> Sequence[tuple[str, State]]:
    """Orders that hold money and are not at rest, oldest first."""
    held = [state.value for state in rules.MONEY_HELD]
    statement = select(_orders.c.id, _orders.c.state).where(_orders.c.state.in_(held))
    rows = tx.execute(statement.order_by(_orders.c.id).limit(limit))
    return [(row.id, State(row.state)) for row in rows]


def _write_event(
    tx: Connection, order_id: str, event: Event, after: State, now: datetime, facts: dict[str, Any]
) -> None:
    row = {
        "order_id": order_id,
        "event": event.value,
        "state_after": after.value,
        "at": now,
        "facts": facts,
    }
    tx.execute(insert(_events), row)


def _post(tx: Connection, order: Order, event: Event, now: datetime) -> None:
    lines = rules.posting(event, order.amount_fen, order.fee_fen)
    if not lines:
        return
    assert sum(line.amount_fen for line in lines) == 0
    rows = [
        {
            "id": new_id(Kind.ENTRY),
            "order_id": order.id,
            "event": event.value,
            "account": line.account,
            "amount_fen": line.amount_fen,
            "at": now,
        }
        for line in lines
    ]
    tx.execute(insert(_entries), rows)
