"""How one event is written: state, event row, ledger lines and outbox rows, all or nothing.

Only store.orders.advance calls this. SQLite is written statement by statement, PostgreSQL in one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, update

from app.domain.ids import Kind, new_id
from app.domain.orders import Event, State, Topic
from app.store import models, outbox
from app.store.database import straight
from app.store.order_rows import COLUMNS, Order, as_stored, get

_orders = models.metadata.tables["orders"]
_events = models.metadata.tables["order_events"]
_entries = models.metadata.tables["ledger_entries"]

# Columns that events after the opening fill in.
FILLED_LATER = frozenset(
    ("pay_channel", "prepay_id", "payer_said", "transaction_id", "card_reference", "balance_after_fen")
    + ("credit_fen", "rest_fen", "batch_id", "paid_at", "promised_at", "credited_at")
)
_compare_and_set = (
    update(_orders)
    .where(_orders.c.id == bindparam("order_id"), _orders.c.state == bindparam("before"))
    .values(state=bindparam("after"))
)


@dataclass(frozen=True, slots=True)
class Move:
    """One event about to happen, with everything that is written with it."""

    order: Order
    event: Event
    after: State
    now: datetime
    changes: dict[str, Any]
    facts: dict[str, Any]
    lines: list[dict[str, Any]]
    due: list[tuple[Topic, datetime]]


def _one_by_one(tx: Connection, move: Move) -> Order | None:
    """None when the order was no longer in the state it was read in."""
    statement = _compare_and_set.values(move.changes) if move.changes else _compare_and_set
    keys = {"order_id": move.order.id, "before": move.order.state.value, "after": move.after.value}
    if tx.execute(statement, keys).rowcount != 1:
        return None
    write_event(tx, move.order.id, move.event, move.after, move.now, move.facts)
    if move.lines:
        tx.execute(insert(_entries), move.lines)
    for topic, due_at in move.due:
        outbox.add(tx, topic, move.order.id, due_at)
    return get(tx, move.order.id)


@cache
def move_statement(changed: tuple[str, ...]) -> str:
    """The same as one statement, so that PostgreSQL is asked once: one round trip to post an order's money.

    A statement for each set of columns that an event fills; few, and each is prepared.
    """
    assert set(changed) <= FILLED_LATER | {"expires_at"}, changed
    assignments = "".join(f", {name} = %({name})s" for name in changed)
    return f"""
WITH moved AS (
  UPDATE orders SET state = %(state_after)s{assignments} WHERE id = %(order_id)s AND state = %(before)s
  RETURNING {", ".join(column.name for column in COLUMNS)}
), told AS (
  INSERT INTO order_events (order_id, event, state_after, at, facts)
  SELECT id, %(event)s, %(state_after)s, %(now)s, %(facts)s::json FROM moved
), posted AS (
  INSERT INTO ledger_entries (id, subject, event, account, amount_fen, at)
  SELECT line.id, moved.id, %(event)s, line.account, line.fen, %(now)s
  FROM moved, unnest(%(ids)s::text[], %(accounts)s::text[], %(fens)s::bigint[]) AS line (id, account, fen)
), due AS (
  INSERT INTO outbox (id, topic, subject, attempts, next_at)
  SELECT work.id, work.topic, moved.id, 0, work.at
  FROM moved, unnest(%(works)s::text[], %(topics)s::text[], %(dues)s::timestamptz[]) AS work (id, topic, at)
  ON CONFLICT (topic, subject) DO NOTHING
)
SELECT * FROM moved
"""  # noqa: S608 - only our own column names are formatted in


def _at_once(tx: Connection, move: Move) -> Order | None:
    """The same in one round trip."""
    values = {
        **move.changes,
        "order_id": move.order.id,
        "before": move.order.state.value,
        "state_after": move.after.value,
        "event": move.event.value,
        "now": move.now,
        "facts": json.dumps(move.facts),
        "ids": [line["id"] for line in move.lines],
        "accounts": [line["account"] for line in move.lines],
        "fens": [line["amount_fen"] for line in move.lines],
        "works": [new_id(Kind.OUTBOX) for _work in move.due],
        "topics": [topic.value for topic, _at in move.due],
        "dues": [due_at for _topic, due_at in move.due],
    }
    row = straight(tx, move_statement(tuple(sorted(move.changes))), values)
    return None if row is None else as_stored(row)


def write(tx: Connection, move: Move) -> Order | None:
    """The order as it stands after `move`; None when it was no longer in the state it was read in."""
    return _at_once(tx, move) if tx.dialect.name == "postgresql" else _one_by_one(tx, move)


def write_event(
    tx: Connection, order_id: str, event: Event, after: State, now: datetime, facts: dict[str, Any]
) -> None:
    """One row of an order's history."""
    row = {
        "order_id": order_id,
        "event": event.value,
        "state_after": after.value,
        "at": now,
        "facts": facts,
    }
    tx.execute(insert(_events), row)
