"""Orders as rows: one writer, every repeat a no-op, money conserved, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.domain.clock import FakeClock
from app.domain.orders import Event, InvalidTransition, State, Topic
from app.errors import AppError
from app.ports import CardMode
from app.store import ledger, orders, outbox
from app.store.database import Database
from tests.builders import a_card, a_person, an_order, order_values


def test_an_order_walks_from_read_back_to_completed_and_the_ledger_balances(
    database: Database, clock: FakeClock
) -> None:
    order = an_order(database, clock)
    for event in (Event.CONFIRMED, Event.PAYMENT_RECEIVED, Event.CREDITED):
        with database.write() as tx:
            order, moved = orders.advance(tx, order, event, clock.tick(seconds=1))
        assert moved
    assert order.state is State.COMPLETED
    with database.read() as tx:
        found = ledger.balance(tx)
        assert found.ok and found.accounts == {"wechat": 5000, "in_transit": 0, "card_system": -5000}
        assert len(ledger.entries_of(tx, order.id)) == 4


def test_in_transit_holds_exactly_the_money_of_a_paid_order(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
        order, _ = orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())
    with database.read() as tx:
        found = ledger.balance(tx)
    assert found.ok and found.accounts["in_transit"] == -5000


def test_a_repeated_event_changes_nothing(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    with database.write() as tx:
        confirmed, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
        paid, _ = orders.advance(tx, confirmed, Event.PAYMENT_RECEIVED, clock.now())
    with database.write() as tx:
        again, moved = orders.advance(tx, confirmed, Event.PAYMENT_RECEIVED, clock.tick(minutes=1))
    assert not moved and again == paid
    with database.read() as tx:
        assert len(ledger.entries_of(tx, order.id)) == 2
        assert outbox.waiting(tx) == {Topic.WATCH_PAYMENT: 1, Topic.DELIVER: 1, Topic.WATCH_PROMISE: 1}


def test_an_event_without_an_edge_is_refused_and_leaves_no_trace(
    database: Database, clock: FakeClock
) -> None:
    order = an_order(database, clock)
    with pytest.raises(InvalidTransition), database.write() as tx:
        orders.advance(tx, order, Event.CREDITED, clock.now())
    with database.read() as tx:
        assert orders.get(tx, order.id).state is State.AWAITING_CONFIRMATION
        assert ledger.entries_of(tx, order.id) == []


def test_late_money_for_a_cancelled_order_goes_home(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    for event in (Event.CONFIRMED, Event.CANCELLED, Event.PAYMENT_RECEIVED, Event.REFUNDED):
        with database.write() as tx:
            order, _ = orders.advance(tx, order, event, clock.now())
    assert order.state is State.REFUNDED
    with database.read() as tx:
        assert ledger.balance(tx).ok
        assert ledger.balance(tx).accounts["wechat"] == 0


def test_the_same_client_key_is_the_same_order_and_another_body_is_refused(
    database: Database, clock: FakeClock
) -> None:
    order = an_order(database, clock, client_key="tapped-once")
    values = order_values(order.user_id, order.card_id, clock, client_key="tapped-once")
    with database.write() as tx:
        assert orders.open_order(tx, values, CardMode.ACCOUNT, clock.now())[0].id == order.id
    other = {**values, "amount_fen": 10_000, "request_hash": "another"}
    with pytest.raises(AppError, match="client_key_reused"), database.write() as tx:
        orders.open_order(tx, other, CardMode.ACCOUNT, clock.now())


def test_ten_writers_racing_for_one_event_book_it_once(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
    moves: list[bool] = []

    def pay() -> None:
        with database.write() as tx:
            moves.append(orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())[1])

    racers = [threading.Thread(target=pay) for _ in range(10)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(moves) == [False] * 9 + [True]
    with database.read() as tx:
        assert len(ledger.entries_of(tx, order.id)) == 2 and ledger.balance(tx).ok


def test_history_cannot_be_edited(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    with database.write() as tx:
        order, _ = orders.advance(tx, order, Event.CONFIRMED, clock.now())
        orders.advance(tx, order, Event.PAYMENT_RECEIVED, clock.now())
    for statement in (
        "UPDATE ledger_entries SET amount_fen = 1",
        "DELETE FROM ledger_entries",
        "UPDATE order_events SET event = 'x'",
        "DELETE FROM order_events",
    ):
        with pytest.raises(DBAPIError, match="append-only"), database.write() as tx:
            tx.execute(text(statement))


def test_somebody_elses_order_is_as_unknown_as_none(database: Database, clock: FakeClock) -> None:
    order = an_order(database, clock)
    stranger = an_order(database, clock)
    for asked in (order.id, "ord_00000000000000000000000000"):
        with pytest.raises(AppError, match="order_not_found"), database.read() as tx:
            orders.get_for(tx, stranger.user_id, asked)


def test_only_unpaid_orders_whose_time_is_over_are_overdue(database: Database, clock: FakeClock) -> None:
    waiting = an_order(database, clock)
    paid = an_order(database, clock)
    with database.write() as tx:
        confirmed, _ = orders.advance(tx, paid, Event.CONFIRMED, clock.now())
        orders.advance(tx, confirmed, Event.PAYMENT_RECEIVED, clock.now())
    with database.read() as tx:
        assert orders.overdue(tx, clock.now(), 10) == []
        assert [order.id for order in orders.overdue(tx, clock.now() + timedelta(hours=1), 10)] == [
            waiting.id
        ]


def test_a_chip_card_is_not_loaded_like_an_account(database: Database, clock: FakeClock) -> None:
    user_id = a_person(database, clock)
    card = a_card(database, clock, user_id, CardMode.CHIP)
    values = order_values(user_id, card.id, clock)
    with pytest.raises(AppError, match="card_needs_writing"), database.write() as tx:
        orders.open_order(tx, values, CardMode.ACCOUNT, clock.now())


def test_nobody_opens_an_order_for_somebody_elses_card(database: Database, clock: FakeClock) -> None:
    card = a_card(database, clock, a_person(database, clock))
    values = order_values(a_person(database, clock), card.id, clock)
    with pytest.raises(AppError, match="card_not_found"), database.write() as tx:
        orders.open_order(tx, values, CardMode.ACCOUNT, clock.now())
