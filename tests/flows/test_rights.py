"""Erasure and consent against requests of the same moment, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain.consents import Purpose, texts
from app.domain.ids import Kind, new_id
from app.errors import AppError
from app.flows import consents, rights
from app.flows.rates import spend
from app.store.people import Actor
from tests.world import Phone, World


def acting(world: World, phone: Phone) -> Actor:
    session = phone.token.rpartition(".")[0]
    with world.deps.database.read() as tx:
        user_id = tx.execute(
            text("SELECT user_id FROM sessions WHERE id = :id"), {"id": session}
        ).scalar_one()
    return Actor(user_id, "openid", session, "h5")


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of these at the same moment. What each returned, or raised."""
    results: list[object] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def run(place: int, act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[place] = act()
        except Exception as fault:
            results[place] = fault

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("attempt", range(4))
def test_a_confirmation_and_an_erasure_at_once_never_leave_money_without_its_person(
    world: World, attempt: int
) -> None:
    phone = world.elder()
    order = phone.open_order()
    actor = acting(world, phone)
    confirm = {"read_back": order["read_back"]}
    confirmed, erased = at_once(
        lambda: phone.post(f"/api/v1/orders/{order['id']}/confirm", confirm),
        lambda: rights.erase_user(world.deps, actor.user_id),
    )
    with world.deps.database.read() as tx:
        state = tx.execute(text("SELECT state FROM orders")).scalar_one()
        gone = tx.execute(text("SELECT erased_at FROM users WHERE id = :id"), {"id": actor.user_id}).scalar()
    assert isinstance(confirmed, tuple)
    if gone is not None:
        assert erased is None and state == "cancelled" and confirmed[0] >= 400
    else:
        assert isinstance(erased, AppError) and erased.code == "erase_money_moving"
        assert confirmed[0] == 200 and state == "awaiting_payment"
    assert world.balanced()


def test_two_erasures_at_once_are_one(world: World) -> None:
    phone = world.elder()
    actor = acting(world, phone)
    results = at_once(*[lambda: rights.erase_user(world.deps, actor.user_id)] * 3)
    assert results.count(None) == 1
    assert all(isinstance(other, LookupError) for other in results if other is not None)


def test_consents_of_one_moment_are_written_one_after_the_other(world: World) -> None:
    actor = acting(world, world.phone())
    version = texts()[Purpose.VOICE].version
    acts = [
        lambda: consents.give(world.deps, actor, "voice", version),
        lambda: consents.withdraw(world.deps, actor, "voice"),
    ] * 4
    assert not [fault for fault in at_once(*acts) if isinstance(fault, Exception)]
    with world.deps.database.read() as tx:
        rows = tx.execute(text("SELECT number, act FROM consents ORDER BY number")).all()
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert all(one.act != next_one.act for one, next_one in zip(rows, rows[1:], strict=False))


def test_ten_tries_at_once_pass_as_often_as_allowed(world: World) -> None:
    key = f"door:{new_id(Kind.EVENT)}"
    tries = at_once(*[lambda: spend(world.deps, key, 3, timedelta(minutes=1))] * 10)
    assert tries.count(None) == 3
    assert {fault.code for fault in tries if isinstance(fault, AppError)} == {"too_many_tries"}
