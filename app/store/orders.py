"""Orders as rows. `advance` is the only writer of an order's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from app.domain import orders as rules
from app.domain.orders import Event, InvalidTransition, State, Topic
from app.errors import AppError
from app.ports import CardMode
from app.store import cards, ledger, models, order_moves
from app.store.cards import Card
from app.store.database import straight
from app.store.order_moves import FILLED_LATER, Move
from app.store.order_rows import COLUMNS, Order, find, from_row, get, get_for
from app.store.upsert import insert_once

__all__ = ["Order", "find", "get", "get_for"]

_orders = models.metadata.tables["orders"]
_events = models.metadata.tables["order_events"]

_by_client_key = select(*COLUMNS).where(
    _orders.c.user_id == bindparam("user_id"), _orders.c.client_key == bindparam("client_key")
)
_OPENED = {field.name: None for field in fields(Order)} | {"state": rules.START}
_GIVEN = [name for name in _OPENED if name not in FILLED_LATER]
# One round trip on PostgreSQL: the card is its beneficiary's, the order is written once, and its first event.
OPEN_AT_ONCE = f"""
WITH card AS (
  SELECT {", ".join(cards.COLUMN_NAMES)} FROM cards WHERE id = %(card_id)s AND user_id = %(beneficiary_id)s
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
    """Write a new order for a card of its beneficiary's, or return the one this client key already made.

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
        card = cards.get_for(tx, values["beneficiary_id"], values["card_id"])
        made = card.mode is mode and insert_once(tx, _orders, ("user_id", "client_key"), row)
        if made:
            order_moves.write_event(tx, values["id"], Event.OPENED, rules.START, now, {})
    if made:
        return Order(**{**_OPENED, **values, "created_at": now}), card
    if card.mode is not mode:
        raise AppError("card_needs_writing")
    key = {"user_id": values["user_id"], "client_key": values["client_key"]}
    existing = from_row(tx.execute(_by_client_key, key).one())
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
        topics = rules.follow_up(order.state, after, order.delegated)
        due = [(topic, _due(topic, changed, now)) for topic in topics]
        moved = order_moves.write(tx, Move(order, event, after, now, changes or {}, facts or {}, lines, due))
        if moved is not None:
            return moved, True
        order = get(tx, order.id)
    raise InvalidTransition(order.state, event)


def _due(topic: Topic, order: Order, now: datetime) -> datetime:
    """At once, but a promise is looked at when it should have been kept, and not before we could keep it."""
    if topic is not Topic.WATCH_PROMISE or order.promised_at is None:
        return now
    return max(order.promised_at + rules.A_MOMENT, now + rules.TIME_TO_DELIVER)


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


def locked(tx: Connection, order_id: str) -> Order:
    """One of our own orders, which nobody else moves, holds or sends before the commit. LookupError when
    there is none. SQLite has one writer anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(_orders.c.id).where(_orders.c.id == order_id).with_for_update(key_share=True))
    return get(tx, order_id)


def wait_until(tx: Connection, order_id: str, moment: datetime) -> None:
    """An order that is not confirmed yet waits at least until then: its person is asked something."""
    waiting = (_orders.c.id == order_id) & (_orders.c.state == State.AWAITING_CONFIRMATION.value)
    later = waiting & (_orders.c.expires_at < moment)
    tx.execute(update(_orders).where(later).values(expires_at=moment))


def set_promise(tx: Connection, order_id: str, promised_at: datetime) -> None:
    """When a paid order is promised for now: it was held, or is held no longer."""
    paid = (_orders.c.id == order_id) & (_orders.c.state == State.PAID.value)
    tx.execute(update(_orders).where(paid).values(promised_at=promised_at))


def set_part(tx: Connection, order: Order, credit_fen: int, rest_fen: int) -> Order:
    """Decide, before the card system is asked, that only a part will be credited. Paid orders only. What was
    in an end-of-day file goes into another one."""
    mine = update(_orders).where(_orders.c.id == order.id, _orders.c.state == State.PAID.value)
    tx.execute(mine.values(credit_fen=credit_fen, rest_fen=rest_fen, batch_id=None))
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
    others = (_orders.c.beneficiary_id == user_id) & (_orders.c.user_id != _orders.c.beneficiary_id)
    mine = (_orders.c.user_id == user_id) | others  # so written, each half has its index
    statement = select(*COLUMNS).where(mine).order_by(_orders.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_orders.c.id < before)
    return [from_row(row) for row in tx.execute(statement)]


def overdue(tx: Connection, now: datetime, limit: int) -> list[Order]:
    """Unpaid orders whose time is over."""
    unpaid = [state.value for state in rules.UNPAID]
    statement = (
        select(*COLUMNS)
        .where(_orders.c.state.in_(unpaid), _orders.c.expires_at <= now)
        .order_by(_orders.c.expires_at)
        .limit(limit)
    )
    return [from_row(row) for row in tx.execute(statement)]


def holding_money(tx: Connection, limit: int) -> Sequence[tuple[str, State]]:
    """Orders that hold money and are not at rest, oldest first."""
    held = [state.value for state in rules.MONEY_HELD]
    statement = select(_orders.c.id, _orders.c.state).where(_orders.c.state.in_(held))
    rows = tx.execute(statement.order_by(_orders.c.id).limit(limit))
    return [(row.id, State(row.state)) for row in rows]
