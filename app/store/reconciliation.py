"""Our book of a day, as rows to compare, and what it knows of a number on any day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, func, select, text

from app.domain.clock import business_day
from app.domain.differences import Standing
from app.domain.orders import PAY_ACCOUNTS, PRIMARY, State
from app.domain.reconciliation import Row, RowKind, span
from app.store import models, refunds
from app.store.database import Database
from app.store.differences import NEVER_PAID, NOTICE

_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]
_refunds = models.metadata.tables["refunds"]
_differences = models.metadata.tables["differences"]

FETCHED_AT_ONCE = 2000
ASKED_AT_ONCE = 500  # numbers in one IN list
PATIENT_SECONDS = 120
_WAITING = (State.PAID.value, State.AWAITING_WRITE.value)

_channel = func.coalesce(_orders.c.pay_channel, PRIMARY)
_paid_fen = (_orders.c.amount_fen + _orders.c.fee_fen).label("fen")
_credited_fen = func.coalesce(_orders.c.credit_fen, _orders.c.amount_fen).label("fen")
_T = TypeVar("_T")
NumberOf = Callable[[str, str | None], str]  # (card id, sealed number) to the number; "" where there is none


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """For reading a whole day, or the whole ledger: every statement sees the same moment, and may take its
    time (PostgreSQL; SQLite's readers always can)."""
    with database.engine.connect() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            tx.execute(text(f"SET LOCAL statement_timeout = '{PATIENT_SECONDS}s'"))
        yield tx


def _read(tx: Connection, statement: Select[Any]) -> Iterator[Any]:
    """Row by row: a day is never in memory twice."""
    yield from tx.execute(statement, execution_options={"yield_per": FETCHED_AT_ONCE})


def in_parts(items: Iterable[_T], size: int = ASKED_AT_ONCE) -> Iterator[list[_T]]:
    """Lists of at most `size` items."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


# --- a day's book ---------------------------------------------------------------------------------


def money(tx: Connection, channel: str, day: date) -> Iterator[Row]:
    """What we booked with one merchant: payments by WeChat's success time, refunds by their end."""
    yield from _payments(tx, channel, day)
    yield from _strays(tx, channel, day)
    yield from _sent_home(tx, channel, day)


def _payments(tx: Connection, channel: str, day: date) -> Iterator[Row]:
    start, end = span(day)
    account = PAY_ACCOUNTS[channel]
    number = func.coalesce(_orders.c.transaction_id, _orders.c.id).label("number")
    booked = select(number, _orders.c.id, _paid_fen, _orders.c.paid_at).where(
        _orders.c.paid_at >= start, _orders.c.paid_at < end, _channel == channel
    )
    for row in _read(tx, booked):
        yield Row(RowKind.PAYMENT, row.number, row.id, row.id, row.fen, row.paid_at, True, account)


def _strays(tx: Connection, channel: str, day: date) -> Iterator[Row]:
    """Payments that fit no order are in suspense, so they are in our book too."""
    columns = ("transaction_id", "order_id", "amount_fen", "opened_at")
    suspended = select(*(_differences.c[name] for name in columns)).where(
        *_is_stray(channel), _differences.c.day == day
    )
    noon = span(day)[0] + timedelta(hours=12)
    for row in _read(tx, suspended):
        order_id = row.order_id or ""
        at = row.opened_at if business_day(row.opened_at) == day else noon
        yield Row(
            RowKind.PAYMENT,
            row.transaction_id,
            order_id,
            order_id,
            row.amount_fen,
            at,
            True,
            PAY_ACCOUNTS[channel],
        )


def _is_stray(channel: str) -> tuple[Any, ...]:
    return (
        _differences.c.source == NOTICE,
        _differences.c.pay_channel == channel,
        _differences.c.transaction_id.is_not(None),
        func.coalesce(_differences.c.resolution, "") != NEVER_PAID,
    )


def _sent_home(tx: Connection, channel: str, day: date) -> Iterator[Row]:
    start, end = span(day)
    account = PAY_ACCOUNTS[channel]
    done = select(_refunds).where(
        _refunds.c.state == refunds.SUCCESS,
        _refunds.c.ended_at >= start,
        _refunds.c.ended_at < end,
        _refunds.c.pay_channel == channel,
    )
    for row in _read(tx, done):
        yield Row(
            RowKind.REFUND, row.id, row.order_id, row.order_id, -row.refund_fen, row.ended_at, True, account
        )


def credits(
    tx: Connection, day: date, account_of: Callable[[str], str], number_of: NumberOf
) -> Iterator[Row]:
    """What we booked as credited, by the moment we learned it. `account_of` tells whom we owe for cards of a
    prefix, `number_of` opens a number."""
    start, end = span(day)
    done = (
        select(
            _orders.c.id,
            _orders.c.card_id,
            _cards.c.card_number,
            _cards.c.prefix,
            _credited_fen,
            _orders.c.credited_at,
        )
        .join(_cards, _cards.c.id == _orders.c.card_id)
        .where(_orders.c.credited_at >= start, _orders.c.credited_at < end)
    )
    for row in _read(tx, done):
        account, number = account_of(row.prefix), number_of(row.card_id, row.card_number)
        yield Row(RowKind.CREDIT, row.id, number, row.id, -row.fen, row.credited_at, True, account)


# --- what we know of a number ---------------------------------------------------------------------


def no_number(_card_id: str, _sealed: str | None) -> str:
    """For who compares no card numbers."""
    return ""


def standings(
    tx: Connection, channel: str | None, day: date, rows: Sequence[Row], number_of: NumberOf = no_number
) -> dict[Row, Standing]:
    """What our book knows, on all days, of rows that only the other side shows on `day`.

    `channel` is the merchant whose bill shows them; None for credits. A row that is booked with another
    amount, or about something else, is as good as absent. Credits without `about` are taken to be about the
    order's own card; for others `number_of` opens it.
    """
    found: dict[Row, Standing] = {}
    for part in in_parts(rows):
        for kind, look in ((RowKind.PAYMENT, _known_payments), (RowKind.REFUND, _known_refunds)):
            wanted = [row for row in part if row.kind is kind]
            if wanted and channel is not None:
                found.update(look(tx, channel, day, wanted))
        if wanted := [row for row in part if row.kind is RowKind.CREDIT]:
            found.update(_known_credits(tx, day, wanted, number_of))
    return found


_Found = Iterator[tuple[Row, Standing]]


def _booked(on: date | None, day: date) -> Standing:
    if on is None:
        return Standing.ABSENT
    return Standing.THAT_DAY if on == day else Standing.ANOTHER_DAY


def _known_payments(tx: Connection, channel: str, day: date, rows: Sequence[Row]) -> _Found:
    numbers = [row.number for row in rows]
    booked = select(_orders.c.transaction_id, _orders.c.id, _paid_fen, _orders.c.paid_at).where(
        _orders.c.transaction_id.in_(numbers), _orders.c.paid_at.is_not(None), _channel == channel
    )
    columns = ("transaction_id", "order_id", "amount_fen", "day")
    strays = select(*(_differences.c[name] for name in columns)).where(
        *_is_stray(channel), _differences.c.transaction_id.in_(numbers)
    )
    known = {(one.transaction_id, one.order_id, one.amount_fen): one.day for one in tx.execute(strays)}
    for one in tx.execute(booked):
        known[one.transaction_id, one.id, one.fen] = business_day(one.paid_at)
    for row in rows:
        yield row, _booked(known.get((row.number, row.order_id, row.fen)), day)


def _known_refunds(tx: Connection, channel: str, day: date, rows: Sequence[Row]) -> _Found:
    asked = select(_refunds).where(
        _refunds.c.id.in_([row.number for row in rows]), _refunds.c.pay_channel == channel
    )
    known = {row.id: row for row in tx.execute(asked)}
    for row in rows:
        ours = known.get(row.number)
        yield row, Standing.ABSENT if ours is None else _of_refund(row, ours, day)


def _of_refund(row: Row, ours: Any, day: date) -> Standing:
    if ours.order_id != row.order_id or -ours.refund_fen != row.fen:
        return Standing.ABSENT
    if ours.state == refunds.SUCCESS:
        return _booked(business_day(ours.ended_at), day)
    over = ours.state in (refunds.CLOSED, refunds.REFUSED)
    return Standing.NOT_DONE if over else Standing.ON_ITS_WAY


def _known_credits(tx: Connection, day: date, rows: Sequence[Row], number_of: NumberOf) -> _Found:
    columns = (_orders.c.id, _orders.c.state, _orders.c.card_id, _orders.c.credited_at)
    statement = (
        select(*columns, _cards.c.card_number, _credited_fen)
        .join(_cards, _cards.c.id == _orders.c.card_id)
        .where(_orders.c.id.in_([row.number for row in rows]))
    )
    known = {row.id: row for row in tx.execute(statement)}
    for row in rows:
        ours = known.get(row.number)
        if ours is None or (row.about and row.about != number_of(ours.card_id, ours.card_number)):
            yield row, Standing.ABSENT
        elif ours.credited_at is not None:
            same = -ours.fen == row.fen
            yield row, _booked(business_day(ours.credited_at) if same else None, day)
        else:  # what was credited decides, not what was asked: the delivery will book their amount
            yield row, Standing.ON_ITS_WAY if ours.state in _WAITING else Standing.ABSENT
