"""The table of edges, walked: every order reaches an end and held money is never forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.orders import (
    EDGES,
    ENDS,
    IN_TRANSIT,
    MONEY_HELD,
    START,
    TRUTH,
    UNPAID,
    Event,
    InvalidTransition,
    Money,
    State,
    Truth,
    follow_up,
    next_state,
    posting,
    rest_after_part,
)


def successors(state: State) -> set[State]:
    return {after for (before, _event), after in EDGES.items() if before is state}


def reachable(state: State) -> set[State]:
    found: set[State] = set()
    waiting = [state]
    while waiting:
        for after in successors(waiting.pop()):
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found


@pytest.mark.parametrize("state", State)
def test_no_order_can_come_back_to_a_state_it_left(state: State) -> None:
    assert state not in reachable(state)


@pytest.mark.parametrize("state", State)
def test_every_state_is_an_end_or_leads_to_one(state: State) -> None:
    assert state in ENDS or reachable(state) & ENDS


@pytest.mark.parametrize("state", sorted(MONEY_HELD))
def test_held_money_ends_on_the_card_or_at_home(state: State) -> None:
    ends = {end for end in reachable(state) if not successors(end)}
    assert ends <= {State.COMPLETED, State.REFUNDED} and ends


def test_every_state_is_reachable_from_the_start() -> None:
    assert reachable(START) | {START} == set(State)


@pytest.mark.parametrize("state", State)
def test_credited_is_said_only_of_completed_orders(state: State) -> None:
    assert (TRUTH[state] is Truth.CREDITED) == (state is State.COMPLETED)


@given(
    st.lists(st.sampled_from(Event), max_size=30), st.integers(2, 500_000), st.integers(0, 5_000), st.data()
)
def test_whatever_happens_the_money_in_transit_is_exactly_the_money_held(
    events: list[Event], amount_fen: int, fee_fen: int, data: st.DataObject
) -> None:
    credit_fen = data.draw(st.integers(1, amount_fen - 1))
    money = Money(amount_fen, fee_fen)
    state, in_transit = START, 0
    for event in events:
        try:
            state = next_state(state, event)
        except InvalidTransition:
            continue
        if event is Event.CREDITED_IN_PART:
            rest_fen = rest_after_part(amount_fen, fee_fen, credit_fen)
            money = replace(money, credit_fen=credit_fen, rest_fen=rest_fen)
        lines = posting(event, money)
        assert sum(line.amount_fen for line in lines) == 0
        in_transit += sum(line.amount_fen for line in lines if line.account == IN_TRANSIT)
        assert in_transit == (-money.to_return_fen if state in MONEY_HELD else 0)


@given(st.integers(2, 500_000), st.integers(0, 5_000), st.data())
def test_a_part_and_its_rest_are_the_whole_and_the_doubt_about_the_fee_is_the_persons(
    amount_fen: int, fee_fen: int, data: st.DataObject
) -> None:
    credit_fen = data.draw(st.integers(1, amount_fen - 1))
    rest_fen = rest_after_part(amount_fen, fee_fen, credit_fen)
    kept_fen = amount_fen + fee_fen - rest_fen - credit_fen
    assert 0 <= kept_fen <= fee_fen and kept_fen * amount_fen <= fee_fen * credit_fen
    assert rest_fen >= amount_fen - credit_fen


@pytest.mark.parametrize("credit_fen", [0, 5000, 5001, -1])
def test_a_part_is_more_than_nothing_and_less_than_all(credit_fen: int) -> None:
    with pytest.raises(ValueError, match="more than nothing and less than all"):
        rest_after_part(5000, 0, credit_fen)


def test_held_money_always_has_work_waiting_for_it() -> None:
    for (before, _event), after in EDGES.items():
        if after in MONEY_HELD - {State.AWAITING_WRITE}:
            assert follow_up(before, after)


def test_an_unpaid_order_that_could_still_be_paid_is_closed_at_wechat() -> None:
    assert follow_up(State.AWAITING_PAYMENT, State.CANCELLED)
    assert follow_up(State.AWAITING_PAYMENT, State.EXPIRED)
    assert MONEY_HELD.isdisjoint(UNPAID)
