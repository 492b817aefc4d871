"""每月一号给妈充一百, 余额低于二十就充五十: proposals at the right moment, and never a payment by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.domain.clock import SHANGHAI
from app.domain.family import Role
from tests.flows.family_ground import Family, a_family
from tests.flows.test_ask_family import at_once
from tests.flows.test_identity_check import with_phone
from tests.world import GOOD_CARD, Phone, World

STANDING, PROPOSALS = "/api/v1/standing-orders", "/api/v1/proposals"
DAUGHTERS_PHONE, ELDERS_PHONE = "13900000006", "13900000001"


@pytest.fixture
def family(world: World) -> Family:
    """A daughter and a son; it is Tuesday, 24 November 2026, eleven in the morning in Shanghai."""
    found = a_family(world, "女儿", "儿子")
    with_phone(world, found.relatives["女儿"], DAUGHTERS_PHONE)
    return found


def go_to(world: World, *when: int, back: Family | None = None) -> None:
    """Let time pass up to this moment in Shanghai; the worker looks in on the way, as it does each minute."""
    target = datetime(*when, tzinfo=SHANGHAI).astimezone(UTC)  # type: ignore[misc,arg-type]
    while (left := (target - world.clock.now()).total_seconds()) > 0:
        world.work(seconds=min(left, 12 * 3600.0))
    world.work()
    if back is not None:  # a login lasts a month
        for phone in (back.elder, *back.relatives.values()):
            phone.token = ""
            phone.log_in()


def wish(family: Family, **more: Any) -> dict[str, Any]:
    """每月一号充一百。"""
    body: dict[str, Any] = {"elder_id": family.elder_id, "card_id": family.card_id, "kind": "monthly"}
    return {**body, "amount_fen": 10_000, "month_ceiling_fen": 20_000, "day_of_month": 1} | more


def low(family: Family, **more: Any) -> dict[str, Any]:
    """余额低于二十就充五十。"""
    changed = {"kind": "low_balance", "amount_fen": 5000, "threshold_fen": 2000, "day_of_month": None}
    return wish(family, **changed | more)


def made(family: Family, body: dict[str, Any], name: str = "女儿") -> str:
    page = family.relatives[name].ok("POST", STANDING, body)
    return str(page["standing_order"]["id"])


def waiting(family: Family, name: str = "女儿") -> list[str]:
    found = family.relatives[name].ok("GET", PROPOSALS)["proposals"]
    return [page["proposal"]["id"] for page in found]


def refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def texts(world: World, number: str, template: str) -> int:
    return len([each for each in world.sandbox.texts(number) if each["template"] == template])


def set_balance(world: World, fen: int) -> None:
    world.sandbox.set_card(GOOD_CARD, balance_fen=fen)


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


# --- the end of it ---


@pytest.mark.parametrize("by", ["elder", "relative"])
def test_either_side_ends_it_and_the_other_is_told(world: World, family: Family, by: str) -> None:
    with_phone(world, family.elder, ELDERS_PHONE)
    standing_id = made(family, wish(family, day_of_month=24))
    (proposal_id,) = waiting(family)
    daughter = family.relatives["女儿"]
    who = family.elder if by == "elder" else daughter
    for _ in range(2):
        assert "停掉了" in who.ok("DELETE", f"{STANDING}/{standing_id}")["screen"]["say"]
    world.work()
    told = [texts(world, number, "standing_ended") for number in (ELDERS_PHONE, DAUGHTERS_PHONE)]
    assert told == ([0, 1] if by == "elder" else [1, 0])
    assert daughter.ok("GET", STANDING)["standing_orders"] == [] == waiting(family)
    answer = daughter.post(f"{PROPOSALS}/{proposal_id}/yes", {})
    assert refused(answer) == (404, "proposal_not_found")
    assert family.history()[-1].endswith("停掉了。")


@pytest.mark.parametrize("how", ["ended", "pay taken", "balance taken"])
def test_a_tie_that_changes_ends_it_and_both_are_told(world: World, family: Family, how: str) -> None:
    with_phone(world, family.elder, ELDERS_PHONE)
    made(family, low(family))
    if how == "ended":
        family.end("女儿")
    else:
        family.change("女儿", roles=frozenset(Role) - {Role(how.split()[0])})
    assert family.elder.ok("GET", STANDING)["standing_orders"] == []  # at once; both are told in the morning
    set_balance(world, 100)
    go_to(world, 2026, 11, 25, 9, 0)
    assert waiting(family) == []
    assert (
        texts(world, ELDERS_PHONE, "standing_ended") == 1 == texts(world, DAUGHTERS_PHONE, "standing_ended")
    )
    assert family.elder.ok("GET", STANDING)["standing_orders"] == []


def test_a_frozen_tie_only_waits(world: World, family: Family) -> None:
    made(family, low(family))
    set_balance(world, 100)
    family.change("女儿", frozen_at=world.clock.now())
    go_to(world, 2026, 11, 25, 9, 0)
    assert waiting(family) == []
    family.change("女儿", frozen_at=None)
    go_to(world, 2026, 11, 26, 9, 0)
    assert len(waiting(family)) == 1


def test_a_role_taken_after_the_proposal_stops_the_tap(world: World, family: Family) -> None:
    made(family, wish(family, day_of_month=24))
    (proposal_id,) = waiting(family)
    family.change("女儿", roles=frozenset({Role.ALERTS}))
    answer = family.relatives["女儿"].post(f"{PROPOSALS}/{proposal_id}/yes", {})
    assert refused(answer) == (404, "proposal_not_found") and waiting(family) == []


@pytest.mark.parametrize("who", ["elder", "relative"])
def test_an_erased_person_ends_it(world: World, family: Family, who: str) -> None:
    made(family, low(family))
    phone = family.elder if who == "elder" else family.relatives["女儿"]
    token = phone.ok("POST", "/api/v1/me/erase", {})["token"]
    phone.ok("POST", "/api/v1/me/erase", {"token": token})
    set_balance(world, 100)
    go_to(world, 2026, 11, 25, 9, 0)
    other = family.relatives["女儿"] if who == "elder" else family.elder
    assert other.ok("GET", STANDING)["standing_orders"] == []


# --- what cannot be ---


def test_the_same_wish_is_the_same_and_another_one_must_wait_for_its_end(family: Family) -> None:
    first, again = (made(family, wish(family)) for _ in range(2))
    assert first == again
    answer = family.relatives["女儿"].post(STANDING, wish(family, amount_fen=5000))
    assert refused(answer) == (409, "standing_exists")
    assert made(family, wish(family), "儿子") != first


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"day_of_month": 0}, "request_invalid"),
        ({"day_of_month": 32}, "request_invalid"),
        ({"day_of_month": None}, "standing_malformed"),
        ({"threshold_fen": 2000}, "standing_malformed"),
        ({"kind": "low_balance"}, "standing_malformed"),
        ({"kind": "weekly"}, "request_invalid"),
        ({"amount_fen": 4999}, "amount_too_small"),
        ({"month_ceiling_fen": 9999}, "standing_malformed"),
        ({"month_ceiling_fen": 300_001}, "standing_malformed"),
        ({"elder_id": "usr_01JD0000000000000000000000"}, "relative_not_found"),
        ({"card_id": "crd_01JD0000000000000000000000"}, "card_not_found"),
    ],
)
def test_what_is_not_well_formed_is_refused(family: Family, changed: dict[str, Any], code: str) -> None:
    _status, body = family.relatives["女儿"].post(STANDING, wish(family, **changed))
    assert body["code"] == code and body["say"]


def test_a_low_balance_is_only_looked_at_for_who_may_see_it(family: Family) -> None:
    family.change("女儿", roles=frozenset({Role.PAY}))
    assert refused(family.relatives["女儿"].post(STANDING, low(family))) == (404, "relative_not_found")
    assert made(family, wish(family))


def test_a_strangers_hands_reach_none_of_it(world: World, family: Family) -> None:
    standing_id = made(family, wish(family, day_of_month=24))
    (proposal_id,) = waiting(family)
    stranger: Phone = world.elder("li", "3104870300000000002")
    son = family.relatives["儿子"]
    for phone in (stranger, son):
        for standing in (standing_id, "sto_01JD0000000000000000000000", "x"):
            answer = phone.call("DELETE", f"{STANDING}/{standing}")
            assert refused(answer) == (404, "standing_not_found")
        for proposal in (proposal_id, "prp_01JD0000000000000000000000", "x"):
            for end, body in (("yes", {}), ("no", None)):
                answer = phone.post(f"{PROPOSALS}/{proposal}/{end}", body)
                assert refused(answer) == (404, "proposal_not_found")
    assert refused(stranger.post(STANDING, wish(family))) == (404, "relative_not_found")
    assert waiting(family) == [proposal_id]
    answer = family.elder.post(f"{PROPOSALS}/{proposal_id}/yes", {})
    assert refused(answer) == (404, "proposal_not_found")  # the elder does not pay with the relative's money
