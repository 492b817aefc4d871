"""Orders as rows. `advance` is the only writer of an order's state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from app.domain import orders as rules
from app.domain.ids import Kind, new_id
from app.domain.orders import TRUTH, Event, InvalidTransition, Money, State, Topic, Truth
from app.errors import AppError
from app.ports import CardMode
from app.store import cards, ledger, models, outbox
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


_FILLED_LATER = frozenset(
    ("pay_channel", "prepay_id", "payer_said", "transaction_id", "card_reference", "balance_after_fen")
    + ("credit_fen", "rest_fen", "batch_id", "paid_at", "promised_at", "credited_at")
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


def _order_as_stored(row: Any) -> Order:
    """From a row that came straight from the driver: moments in the server's zone become UTC."""
    values = row._asdict()
    values["state"] = State(values["state"])
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = value.astimezone(UTC)
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
    card_account: str = rules.CARD_SYSTEM,
) -> tuple[Order, bool]:
    """Let `event` happen to the order: state, event row, ledger lines and outbox rows, all or nothing.

    Returns the order as it stands and whether this call moved it. A repeat is a no-op. A lost race is
    tried once more against the new state. `card_account` is the ledger account of the card's issuer.
    Raise InvalidTransition where the event has no edge.
    """
    for _attempt in range(3):
        try:
            after = rules.next_state(order.state, event)
        except InvalidTransition:
            if happened(tx, order.id, event):
                return get(tx, order.id), False
            raise
        changed = replace(order, **(changes or {}))
        lines = ledger.rows(order.id, event.value, rules.posting(event, changed.money(card_account)), now)
        due = [(topic, _due(topic, changed, now)) for topic in rules.follow_up(order.state, after)]
        move = _Move(order, event, after, now, changes or {}, facts or {}, lines, due)
        moved = _move_at_once(tx, move) if tx.dialect.name == "postgresql" else _move(tx, move)
        if moved is not None:
            return moved, True
        order = get(tx, order.id)
    raise InvalidTransition(order.state, event)


def _due(topic: Topic, order: Order, now: datetime) -> datetime:
    """At once, but a promise is looked at when it should have been kept, and not before we could keep it."""
    if topic is not Topic.WATCH_PROMISE or order.promised_at is None:
        return now
    return max(order.promised_at + rules.A_MOMENT, now + rules.TIME_TO_DELIVER)


@dataclass(frozen=True, slots=True)
class _Move:
    """One event about to happen, with everything that is written with it."""

    order: Order
    event: Event
    after: State
    now: datetime
    changes: dict[str, Any]
    facts: dict[str, Any]
    lines: list[dict[str, Any]]
    due: list[tuple[Topic, datetime]]


def _move(tx: Connection, move: _Move) -> Order | None:
    """Statement by statement; None when the order was no longer in the state it was read in."""
    statement = _compare_and_set.values(move.changes) if move.changes else _compare_and_set
    keys = {"order_id": move.order.id, "before": move.order.state.value, "after": move.after.value}
    if tx.execute(statement, keys).rowcount != 1:
        return None
    _write_event(tx, move.order.id, move.event, move.after, move.now, move.facts)
    if move.lines:
        tx.execute(insert(_entries), move.lines)
    for topic, due_at in move.due:
        outbox.add(tx, topic, move.order.id, due_at)
    return get(tx, move.order.id)


@cache
def _move_statement(changed: tuple[str, ...]) -> str:
    """The same as one statement, so that PostgreSQL is asked once: one round trip to post an order's money.

    A statement for each set of columns that an event fills; few, and each is prepared.
    """
    assert set(changed) <= _FILLED_LATER | {"expires_at"}, changed
    assignments = "".join(f", {name} = %({name})s" for name in changed)
    return f"""
WITH moved AS (
  UPDATE orders SET state = %(state_after)s{assignments} WHERE id = %(order_id)s AND state = %(before)s
  RETURNING {", ".join(column.name for column in _columns)}
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


def _move_at_once(tx: Connection, move: _Move) -> Order | None:
    """`_move` in one round trip. PostgreSQL only."""
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
    row = straight(tx, _move_statement(tuple(sorted(move.changes))), values)
    return None if row is None else _order_as_stored(row)


def happened(tx: Connection, order_id: str, event: Event) -> bool:
    found = select(_events.c.event).where(_events.c.order_id == order_id, _events.c.event == event.value)
    return tx.execute(found).first() is not None


def transaction_used(tx: Connection, transaction_id: str, order_id: str) -> bool:
    """Whether another order already carries this WeChat transaction."""
    other = select(_orders.c.id).where(_orders.c.transaction_id == transaction_id, _orders.c.id != order_id)
    return tx.execute(other).first() is not None


def set_channel(tx: Connection, order_id: str, before: str | None, after: str | None) -> bool:
    """Write down which merchant is asked, before it is asked; take it back only when it certainly was not.

    False when another request decided meanwhile.
    """
    mine = update(_orders).where(_orders.c.id == order_id, _orders.c.pay_channel.is_not_distinct_from(before))
    return tx.execute(mine.values(pay_channel=after)).rowcount == 1


def set_part(tx: Connection, order: Order, credit_fen: int, rest_fen: int) -> Order:
    """Decide, before the card system is asked, that only a part will be credited. Paid orders only."""
    mine = update(_orders).where(_orders.c.id == order.id, _orders.c.state == State.PAID.value)
    tx.execute(mine.values(credit_fen=credit_fen, rest_fen=rest_fen))
    return get(tx, order.id)


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
