"""每月一号给妈充一百, 余额低于二十就充五十: proposals at the right moment, and never a payment by itself."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from tests.flows.asking import DAUGHTERS_PHONE, a_daughter_and_a_son, at_once, refused
from tests.flows.family_ground import Family
from tests.flows.standing import PROPOSALS, STANDING, go_to, low, made, set_balance, texts, waiting, wish
from tests.world import World


@pytest.fixture
def family(world: World) -> Family:
    return a_daughter_and_a_son(world)


# --- each month ---


def test_on_the_first_the_daughter_is_asked_and_one_tap_pays(world: World, family: Family) -> None:
    page = family.relatives["女儿"].ok("POST", STANDING, wish(family))
    assert "每月一号" in page["screen"]["say"] and "您不点就不付款" in page["screen"]["say"]
    go_to(world, 2026, 12, 1, 8, 59)
    assert waiting(family) == []
    go_to(world, 2026, 12, 1, 9, 0)
    (proposal_id,) = waiting(family)
    assert texts(world, DAUGHTERS_PHONE, "proposal") == 1 and len(world.sandbox.trades()) == 0
    before = family.elder.balance_fen()
    daughter = family.relatives["女儿"]
    answers = [daughter.ok("POST", f"{PROPOSALS}/{proposal_id}/yes", {}) for _ in range(2)]
    assert answers[0]["order"]["id"] == answers[1]["order"]["id"]
    family.pay("女儿", answers[0])
    assert family.elder.balance_fen() == before + 10_000 and world.balanced()
    assert waiting(family) == []
    go_to(world, 2026, 12, 31, 23, 0, back=family)
    assert waiting(family) == []
    go_to(world, 2027, 1, 1, 9, 0, back=family)
    assert len(waiting(family)) == 1
    told = "".join(family.history())
    assert "女儿定下来：每月一号给" in told and "系统提醒女儿" in told and "女儿同意这次给" in told


def test_a_month_without_that_day_has_its_last_one(world: World, family: Family) -> None:
    family.change("女儿", agreed_until=world.clock.now() + timedelta(days=1000))
    made(family, wish(family, day_of_month=31))
    go_to(world, 2026, 11, 30, 8, 0)
    assert waiting(family) == []
    go_to(world, 2026, 11, 30, 9, 0)
    assert len(waiting(family)) == 1
    go_to(world, 2028, 2, 28, 10, 0, back=family)
    assert waiting(family) == []
    go_to(world, 2028, 2, 29, 9, 0)
    assert len(waiting(family)) == 1


def test_a_proposal_nobody_answers_is_over_after_three_days(world: World, family: Family) -> None:
    made(family, wish(family))
    go_to(world, 2026, 12, 1, 9, 0)
    (proposal_id,) = waiting(family)
    go_to(world, 2026, 12, 4, 8, 59)
    assert waiting(family) == [proposal_id]
    go_to(world, 2026, 12, 4, 9, 0)
    assert waiting(family) == []
    answer = family.relatives["女儿"].post(f"{PROPOSALS}/{proposal_id}/yes", {})
    assert refused(answer) == (409, "proposal_over")
    assert family.history()[-1].endswith("女儿没有回话，这次没有给羊城通，尾号零零零幺充一百元。")


def test_a_no_leaves_the_next_month_as_it_was(world: World, family: Family) -> None:
    made(family, wish(family))
    go_to(world, 2026, 12, 1, 9, 0)
    (proposal_id,) = waiting(family)
    daughter = family.relatives["女儿"]
    for _ in range(2):
        assert "没有动您的钱" in daughter.ok("POST", f"{PROPOSALS}/{proposal_id}/no")["screen"]["say"]
    assert refused(daughter.post(f"{PROPOSALS}/{proposal_id}/yes", {})) == (409, "proposal_over")
    go_to(world, 2027, 1, 1, 9, 0, back=family)
    assert len(waiting(family)) == 1


def test_made_on_its_own_day_it_is_due_at_once(world: World, family: Family) -> None:
    made(family, wish(family, day_of_month=24))
    assert len(waiting(family)) == 1
    go_to(world, 2026, 11, 28, 12, 0)
    assert waiting(family) == []  # over, and not made again for the same month


# --- when little is left ---


def test_a_low_balance_makes_a_proposal_and_one_exactly_at_the_line_does_not(
    world: World, family: Family
) -> None:
    made(family, low(family))
    set_balance(world, 2000)
    go_to(world, 2026, 11, 25, 9, 0)
    assert waiting(family) == []
    set_balance(world, 1999)
    go_to(world, 2026, 11, 25, 23, 0)
    assert waiting(family) == []  # asked once a day, in the morning
    go_to(world, 2026, 11, 26, 9, 0)
    (proposal_id,) = waiting(family)
    page = family.relatives["女儿"].ok("POST", f"{PROPOSALS}/{proposal_id}/yes", {})
    assert page["order"]["amount_fen"] == 5000


def test_one_question_a_day_serves_everybody_who_asked_for_it(world: World, family: Family) -> None:
    for name in ("女儿", "儿子"):
        made(family, low(family), name)
    set_balance(world, 100)
    world.sandbox.outage("cards", "refuses")
    go_to(world, 2026, 11, 25, 9, 0)
    assert waiting(family) == [] == waiting(family, "儿子")
    world.sandbox.outage("cards", "none")
    go_to(world, 2026, 11, 25, 10, 0)
    assert len(waiting(family)) == 1 == len(waiting(family, "儿子"))


def test_the_months_ceiling_is_never_passed_and_begins_anew(world: World, family: Family) -> None:
    made(family, low(family, month_ceiling_fen=10_000))
    proposals = set()
    for day in range(25, 31):
        set_balance(world, 100)
        go_to(world, 2026, 11, day, 9, 0)
        for proposal_id in waiting(family):
            proposals.add(proposal_id)
            page = family.relatives["女儿"].ok("POST", f"{PROPOSALS}/{proposal_id}/yes", {})
            family.pay("女儿", page)
    assert len(proposals) == 2
    set_balance(world, 100)
    go_to(world, 2026, 12, 1, 9, 0)
    assert len(waiting(family)) == 1


def test_while_one_waits_or_after_a_no_it_does_not_ask_each_morning(world: World, family: Family) -> None:
    made(family, low(family, month_ceiling_fen=300_000))
    set_balance(world, 100)
    go_to(world, 2026, 11, 25, 9, 0)
    (proposal_id,) = waiting(family)
    go_to(world, 2026, 11, 26, 9, 30)
    assert waiting(family) == [proposal_id]
    family.relatives["女儿"].ok("POST", f"{PROPOSALS}/{proposal_id}/no")
    go_to(world, 2026, 11, 28, 9, 30)
    assert waiting(family) == []
    go_to(world, 2026, 11, 30, 9, 30)
    assert len(waiting(family)) == 1


def test_taps_at_the_same_moment_are_one_order(world: World, family: Family) -> None:
    made(family, wish(family, day_of_month=24))
    (proposal_id,) = waiting(family)
    daughter = family.relatives["女儿"]
    answers = at_once(*[partial(daughter.post, f"{PROPOSALS}/{proposal_id}/yes", {})] * 4)
    assert {status for status, _ in answers} == {200}
    assert len({page["order"]["id"] for _, page in answers}) == 1


def test_a_tap_and_the_end_of_it_at_the_same_moment_leave_one_truth(world: World, family: Family) -> None:
    standing_id = made(family, wish(family, day_of_month=24))
    (proposal_id,) = waiting(family)
    daughter = family.relatives["女儿"]
    said, ended = at_once(
        partial(daughter.post, f"{PROPOSALS}/{proposal_id}/yes", {}),
        partial(family.elder.call, "DELETE", f"{STANDING}/{standing_id}"),
    )
    assert ended[0] == 200 and said[0] in (200, 404, 409)
    if said[0] == 200:  # the tap came first: an order that was opened is the relative's to pay or leave
        assert daughter.order(said[1]["order"]["id"])["order"]["state"] == "awaiting_confirmation"
    assert waiting(family) == []


def test_a_proposal_above_a_cap_waits_and_says_what_is_left(world: World, family: Family) -> None:
    made(family, wish(family, day_of_month=24, amount_fen=60_000, month_ceiling_fen=60_000))
    (proposal_id,) = waiting(family)
    answer = family.relatives["女儿"].post(f"{PROPOSALS}/{proposal_id}/yes", {})
    assert refused(answer) == (422, "over_cap") and "500元" in answer[1]["say"]
    assert waiting(family) == [proposal_id]
