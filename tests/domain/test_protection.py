"""The rule of protection: one signal is everyday life, two are asked about, a heavy one tells the family."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import protection
from app.domain.protection import HoldReason, Level, Said, Seen, hold_for, holder_fits, protect
from app.voice import replies

EVERYDAY = Seen(
    amount_fen=30_000,
    today_fen=(),
    cards_today=1,
    hour=10,
    card_age=timedelta(days=30),
    first_card=True,
    own_name=None,
    holder=None,
    usual_fen=None,
    threshold_fen=100_000,
)
YOUNG: dict[str, Any] = {"card_age": timedelta(hours=23, minutes=59)}
# Each signal just so, and just not.
SIGNALS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "strangers_card": (
        {**YOUNG, "first_card": False},
        {"card_age": timedelta(hours=24), "first_card": False},
    ),
    "new_card": (YOUNG, {"card_age": timedelta(hours=24)}),
    "near_limit": (
        {"amount_fen": 90_000, "today_fen": (99_999,)},
        {"amount_fen": 90_000, "today_fen": (100_000, 89_999)},
    ),
    "staircase": ({"today_fen": (10_000, 20_000)}, {"today_fen": (10_000, 30_000)}),
    "many_cards": ({"cards_today": 3}, {"cards_today": 2}),
    "unusual_sum": ({"usual_fen": 10_000}, {"usual_fen": 10_001}),
    "night": ({"hour": 4}, {"hour": 5}),
}
LIGHT = {"hour": 0}  # beside every other one, which then speaks


@pytest.mark.parametrize("name", SIGNALS)
def test_one_signal_alone_is_everyday_life(name: str) -> None:
    assert protect(replace(EVERYDAY, **SIGNALS[name][0])).level is Level.NONE


@pytest.mark.parametrize("name", [name for name in SIGNALS if name != "night"])
def test_beside_another_one_a_signal_is_asked_about_exactly_from_its_threshold_on(name: str) -> None:
    just, not_quite = SIGNALS[name]
    decision = protect(replace(EVERYDAY, **{**LIGHT, **just}))
    heavy = name in ("strangers_card", "near_limit", "staircase")
    assert decision.level is (Level.ASK_AND_ALERT if heavy else Level.ASK)
    assert set(decision.reasons) == {name, "night"} and decision.reasons[-1] == "night"
    assert protect(replace(EVERYDAY, **{**LIGHT, **not_quite})).level is Level.NONE


@pytest.mark.parametrize(("amount_fen", "level"), [(20_000, Level.NONE), (20_001, Level.ASK_AND_ALERT)])
def test_a_small_sum_is_never_asked_about(amount_fen: int, level: Level) -> None:
    seen = replace(EVERYDAY, amount_fen=amount_fen, hour=0, first_card=False, **YOUNG)
    assert protect(seen).level is level


@pytest.mark.parametrize(
    ("holder", "name", "fits"),
    [
        ("王*英", "王秀英", True),
        ("王*英", "王英", False),
        ("王*", "王秀英", True),
        ("李*国", "王秀英", False),
        ("王*英", "王秀兰", False),
        ("*", "王秀英", True),
    ],
)
def test_a_masked_name_fits_or_not(holder: str, name: str, fits: bool) -> None:
    assert holder_fits(holder, name) is fits
    seen = replace(EVERYDAY, **YOUNG, first_card=False, holder=holder, own_name=name, hour=0)
    assert ("strangers_card" in protect(seen).reasons) is not fits


def test_of_ones_first_card_only_another_owner_makes_a_strangers() -> None:
    seen = replace(EVERYDAY, **YOUNG, hour=0)
    assert protect(seen).reasons == ("new_card", "night")
    named = replace(seen, holder="李*国", own_name="王秀英")
    assert protect(named).reasons == ("strangers_card", "night")


@given(
    st.builds(
        Seen,
        amount_fen=st.integers(1, 500_000),
        today_fen=st.lists(st.integers(1, 500_000), max_size=6),
        cards_today=st.integers(1, 5),
        hour=st.integers(0, 23),
        card_age=st.timedeltas(timedelta(0), timedelta(days=60)),
        first_card=st.booleans(),
        own_name=st.sampled_from([None, "王秀英"]),
        holder=st.sampled_from([None, "王*英", "李*国"]),
        usual_fen=st.none() | st.integers(1, 500_000),
        threshold_fen=st.sampled_from([100_000, 50_000]),
    )
)
def test_whatever_is_seen_a_question_has_two_reasons_that_can_be_said(seen: Seen) -> None:
    decision = protect(seen)
    assert (decision.level is Level.NONE) == (not decision.reasons)
    assert decision.level is Level.NONE or (len(decision.reasons) >= 2 and seen.amount_fen > 20_000)
    assert all(replies.phrase(f"protect_{reason}").endswith("。") for reason in decision.reasons)


def test_every_answer_and_every_reason_of_a_hold_has_its_words() -> None:
    assert all(replies.phrase(f"said_{said.value}") for said in Said)
    assert all(replies.phrase(f"hold_{reason.value}") for reason in HoldReason)


def test_who_holds_alone_holds_shortly() -> None:
    assert [hold_for(guardians) for guardians in (0, 1, 2, 3)] == [
        *[protection.HOLD_ALONE] * 2,
        *[protection.HOLD_AT_MOST] * 2,
    ]
