"""How a standing order ends, and what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.family import Role
from tests.flows.asking import DAUGHTERS_PHONE, ELDERS_PHONE, a_daughter_and_a_son, refused
from tests.flows.family_ground import Family
from tests.flows.standing import PROPOSALS, STANDING, go_to, low, made, set_balance, texts, waiting, wish
from tests.flows.test_identity_check import with_phone
from tests.world import Phone, World


@pytest.fixture
def family(world: World) -> Family:
    return a_daughter_and_a_son(world)


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
