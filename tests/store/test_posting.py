"""Posting an order's money on PostgreSQL: asked once, and nobody waits for anybody else's order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import pq
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.domain.clock import FakeClock
from app.domain.orders import Event, State, Topic
from app.store import ledger, orders, outbox
from app.store.database import Database
from app.store.engines import POOL_SIZE
from app.store.orders import Order
from tests import postgres
from tests.builders import an_order

pytestmark = pytest.mark.postgres

WRITERS = 50


@pytest.fixture
def address(postgres_server: postgres.Server) -> str:
    return postgres_server.fresh_database()


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    found = Database(address)
    yield found
    found.close()


@contextmanager
def traced(tx: Connection, file: Path) -> Iterator[list[str]]:
    """What libpq sends while the block runs, message by message."""
    driver: psycopg.Connection[Any] = tx.connection.driver_connection  # type: ignore[assignment]
    sent: list[str] = []
    with file.open("w") as out:
        driver.pgconn.trace(out.fileno())
        driver.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield sent
        finally:
            driver.pgconn.untrace()
    sent += [line.split("\t")[2] for line in file.read_text().splitlines() if line.startswith("F\t")]


@pytest.mark.parametrize("event", [Event.PAYMENT_RECEIVED, Event.CREDITED])
def test_an_orders_money_is_posted_in_one_round_trip(
    database: Database, clock: FakeClock, tmp_path: Path, event: Event
) -> None:
    """The second order on a connection: the first prepares the statement."""
    found = []
    for _turn in range(2):
        order = an_order(database, clock)
        with database.write() as tx:
            order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
            if event is Event.CREDITED:
                order, _ = orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())
            tx.execute(text("SELECT 1"))  # the transaction has begun
            with traced(tx, tmp_path / "trace") as sent:
                order, moved = orders.advance(tx, order, event, clock.now())
        assert moved
        found.append(sent)
    assert found[1] == ["Bind", "Describe", "Execute", "Sync"]
    with database.read() as tx:
        assert orders.happened(tx, order.id, event)
        assert [posted for posted, _account, _fen in ledger.entries_of(tx, order.id)].count(event.value) == 2
        assert ledger.balance(tx).ok
        assert outbox.waiting(tx)[Topic.DELIVER] == 2


def test_fifty_orders_post_to_the_same_accounts_and_none_waits_for_another(
    address: str, clock: FakeClock
) -> None:
    """Fifty transactions are open at the same moment, each with its lines written and none committed: one
    row that they all change would stop the second of them."""
    databases = [Database(address) for _ in range(-(-WRITERS // POOL_SIZE))]
    try:
        waiting = []
        for _writer in range(WRITERS):
            order = an_order(databases[0], clock)
            with databases[0].write() as tx:
                waiting.append(orders.advance(tx, order, Event.CONFIRMED, clock.now())[0])
        with ExitStack() as open_transactions:
            for number, order in enumerate(waiting):
                tx = open_transactions.enter_context(databases[number // POOL_SIZE].write())
                tx.execute(text("SET LOCAL lock_timeout = '100ms'"))
                assert orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())[1]
        with databases[0].read() as tx:
            found = ledger.balance(tx)
            assert found.ok and found.accounts["wechat"] == WRITERS * 5000
    finally:
        for database in databases:
            database.close()


def pay_impatiently(database: Database, order: Order, clock: FakeClock) -> None:
    with database.write() as tx:
        tx.execute(text("SET LOCAL lock_timeout = '100ms'"))
        orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())


def test_one_row_that_all_change_would_have_stopped_the_second(database: Database, clock: FakeClock) -> None:
    """What the test above would look like with a running total: the same order twice is such a row."""
    order = an_order(database, clock)
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
    with database.write() as first:
        orders.advance(first, order, Event.PAYMENT_RECEIVED, clock.now())
        with pytest.raises((OperationalError, psycopg.OperationalError), match="lock timeout"):
            pay_impatiently(database, order, clock)
    with database.read() as tx:
        assert orders.get(tx, order.id).state is State.PAID


def test_more_threads_than_connections_share_them_and_none_is_turned_away(database: Database) -> None:
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _turn in range(20):
                with database.read() as tx:
                    tx.execute(text("SELECT pg_sleep(0.002)"))
        except Exception as fault:  # whatever it is, the test must hear of it
            failures.append(fault)

    readers = [threading.Thread(target=read) for _ in range(3 * POOL_SIZE)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert failures == []


def test_a_commit_is_durable_where_the_server_is_set_not_to_care(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    database = Database(address)
    try:
        with database.write() as tx:
            assert tx.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        with database.write_one() as tx:
            assert tx.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    finally:
        database.close()
