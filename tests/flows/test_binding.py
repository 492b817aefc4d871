"""Who may speak and pay for an elder: invited, confirmed in person with the code, changed, ended, frozen."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from app.flows import change_relative
from tests.flows.family import ALL_ROLES, bound, deeds_of, elder_id_of, open_for, refused_for, tie_of
from tests.world import Phone, World


def accepted(world: World, elder: Phone, person: str) -> tuple[Phone, str, str]:
    """(phone, user id, code) of a relative who took an invitation and waits for the elder."""
    before = {each["user_id"] for each in elder.ok("GET", "/api/v1/relatives")["relatives"]}
    relative, code = world.phone(person), elder.ok("POST", "/api/v1/relatives/invites")["code"]
    relative.ok("POST", "/api/v1/relatives/accept", {"code": code})
    after = elder.ok("GET", "/api/v1/relatives")["relatives"]
    (user_id,) = {each["user_id"] for each in after} - before
    return relative, user_id, code


def confirm(elder: Phone, user_id: str, code: str) -> tuple[int, str | None]:
    status, body = elder.post(f"/api/v1/relatives/{user_id}/confirm", {"code": code})
    return status, body.get("code")


def test_an_elder_confirms_exactly_the_one_whose_code_it_is(world: World) -> None:
    elder = world.elder()
    _son, son_id, sons_code = accepted(world, elder, "son")
    _other, others_id, others_code = accepted(world, elder, "somebody")
    assert confirm(elder, others_id, sons_code) == (422, "bind_code_wrong")
    assert confirm(elder, son_id, sons_code) == (200, None)
    assert confirm(elder, son_id, sons_code) == (404, "relative_not_found"), "it is bound already"
    assert confirm(elder, others_id, others_code) == (200, None)
    tie = elder.ok("GET", "/api/v1/relatives")["relatives"][0]
    assert tie["roles"] == ["alerts"] and tie["live"] and not tie["agree_again"]


def test_a_code_is_single_use_and_lives_a_day(world: World) -> None:
    elder, code = world.elder(), ""
    _son, _id, code = accepted(world, elder, "son")
    assert world.phone("other").post("/api/v1/relatives/accept", {"code": code})[1]["code"] == "invite_wrong"
    late = elder.ok("POST", "/api/v1/relatives/invites")["code"]
    world.clock.tick(hours=24)
    assert world.phone("late").post("/api/v1/relatives/accept", {"code": late})[1]["code"] == "invite_wrong"
    _tardy, tardy_id, tardy_code = accepted(world, elder, "tardy")
    world.clock.tick(hours=24)
    assert confirm(elder, tardy_id, tardy_code) == (422, "bind_code_wrong")


def test_three_wrong_codes_end_the_right_one_and_guesses_are_counted(world: World) -> None:
    elder = world.elder()
    _son, son_id, code = accepted(world, elder, "son")
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _guess in range(3):
        assert confirm(elder, son_id, wrong) == (422, "bind_code_wrong")
    assert confirm(elder, son_id, code) == (422, "bind_code_wrong")
    guesser = world.phone("guesser")
    told = {guesser.post("/api/v1/relatives/accept", {"code": f"{n:08d}"})[1]["code"] for n in range(11)}
    assert told == {"invite_wrong", "too_many_tries"}


def test_a_card_that_is_sent_on_shows_its_taker_the_code_that_the_elder_needs(world: World) -> None:
    elder, son = world.elder(), world.phone("son")
    made = elder.ok("POST", "/api/v1/relatives/invites")
    (card,) = parse_qs(urlsplit(made["page"]).query)["card"]
    assert made["page"].startswith("pages/relative/accept?card=") and made["code"] not in made["page"]
    screen = son.ok("POST", "/api/v1/relatives/accept", {"card": card, "name": "爸爸"})["screen"]
    own_code = screen["body"][0]["text"]
    thief = world.phone("thief")
    for told in ({"card": card}, {"code": made["code"]}, {"card": card, "code": made["code"]}, {}):
        assert thief.post("/api/v1/relatives/accept", told)[1]["code"] == "invite_wrong"
    (waiting,) = elder.ok("GET", "/api/v1/relatives")["relatives"]
    assert confirm(elder, waiting["user_id"], made["code"]) == (422, "bind_code_wrong")
    assert confirm(elder, waiting["user_id"], own_code) == (200, None)
    assert son.ok("GET", "/api/v1/elders")["elders"][0]["name"] == "爸爸"


def test_nobody_takes_their_own_invitation(world: World) -> None:
    elder = world.elder()
    code = elder.ok("POST", "/api/v1/relatives/invites")["code"]
    assert elder.post("/api/v1/relatives/accept", {"code": code})[1]["code"] == "invite_wrong"
    assert world.phone("son").post("/api/v1/relatives/accept", {"code": code})[0] == 200


def test_ten_parallel_confirmations_end_with_three(world: World) -> None:
    elder = world.elder()
    waiting = [accepted(world, elder, f"person-{number}") for number in range(10)]
    answers: list[tuple[int, str | None]] = []
    together = threading.Barrier(len(waiting))

    def one(user_id: str, code: str) -> None:
        together.wait()
        answers.append(confirm(elder, user_id, code))

    threads = [threading.Thread(target=one, args=(user_id, code)) for _phone, user_id, code in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(200, None)] * 3 + [(409, "too_many_relatives")] * 7
    states = [each["state"] for each in elder.ok("GET", "/api/v1/relatives")["relatives"]]
    assert sorted(states) == ["accepted"] * 7 + ["bound"] * 3


def test_roles_and_caps_are_the_elders_and_never_above_the_houses(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder)
    path = f"/api/v1/relatives/{tie_of(elder)['user_id']}"
    told = elder.ok("PATCH", path, {"roles": ["pay", "balance"], "single_fen": 20_000})["relative"]
    assert told["roles"] == ["pay", "balance"]
    assert told["caps"] == {"single_fen": 20_000, "day_fen": 100_000, "month_fen": 300_000}
    assert elder.ok("PATCH", path, {"single_fen": None})["relative"]["caps"]["single_fen"] == 50_000
    for above in ({"single_fen": 50_001}, {"day_fen": 100_001}, {"month_fen": 300_001}):
        assert elder.call("PATCH", path, json=above)[1]["code"] == "cap_above_house"
    for bad in ({"roles": ["everything"]}, {"roles": None}, {"day_fen": 0}, {"state": "bound"}):
        assert elder.call("PATCH", path, json=bad)[0] == 422
    kinds = [deed.kind for deed in deeds_of(world, elder_id_of(daughter))]
    assert kinds == ["relative_bound", "roles_changed", "caps_changed", "caps_changed"]


def test_after_180_days_nothing_may_be_done_until_the_elder_agrees_again(world: World) -> None:
    elder = world.elder()
    bound(world, elder, roles=ALL_ROLES)
    world.clock.tick(days=150)
    elder.log_in()
    page = elder.ok("GET", "/api/v1/relatives")
    assert page["relatives"][0]["agree_again"] and "再点一次同意" in page["screen"]["say"]
    world.clock.tick(days=30)
    daughter, elder = world.phone("daughter"), elder.log_in()
    assert not tie_of(elder)["live"]
    elder_id = elder_id_of(daughter)
    assert refused_for(daughter, elder_id, elder.cards[0])[:2] == (409, "tie_over")
    agreed = elder.ok("POST", f"/api/v1/relatives/{tie_of(elder)['user_id']}/agree")["relative"]
    assert agreed["live"] and not agreed["agree_again"]
    assert open_for(daughter, elder)["state"] == "awaiting_confirmation"


def test_either_side_ends_it_at_any_time_and_their_own_tie_only(world: World) -> None:
    wang, li = world.elder("wang"), world.elder("li", "3104870300000000002")
    bound(world, wang, "li")
    bound(world, li, "wang")  # two who look after each other
    li.ok("DELETE", f"/api/v1/elders/{elder_id_of(li)}")
    assert wang.ok("GET", "/api/v1/relatives")["relatives"] == []
    assert [each["state"] for each in li.ok("GET", "/api/v1/relatives")["relatives"]] == ["bound"]
    li.ok("DELETE", f"/api/v1/relatives/{tie_of(li)['user_id']}")
    assert wang.ok("GET", "/api/v1/elders")["elders"] == []
    nobodys = "/api/v1/elders/usr_01JD0000000000000000000000"
    assert li.call("DELETE", nobodys)[1]["code"] == "elder_not_found"


def test_a_relative_of_a_relative_has_no_right(world: World) -> None:
    grandmother = world.elder("grandmother")
    mother = bound(world, grandmother, "mother", ALL_ROLES)
    mother.bind("3104870300000000002")
    son = bound(world, mother, "son", ALL_ROLES)
    answer = refused_for(son, elder_id_of(mother), grandmother.cards[0])
    assert answer[:2] == (404, "elder_not_found")
    assert refused_for(son, elder_id_of(son), grandmother.cards[0])[:2] == (404, "card_not_found")


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "ended and bound again"])
def test_a_frozen_tie_does_nothing_until_an_operator_lets_it_go_on(world: World, again: bool) -> None:
    elder = world.elder()
    daughter = bound(world, elder, roles=ALL_ROLES)
    elder_id, relative_id = elder_id_of(daughter), tie_of(elder)["user_id"]
    begun = open_for(daughter, elder)
    change_relative.freeze(world.deps, elder_id, relative_id, "有人报告被骗")
    assert daughter.order(begun["id"])["order"]["state"] == "cancelled"
    if again:
        elder.ok("DELETE", f"/api/v1/relatives/{relative_id}")
        bound(world, elder, roles=ALL_ROLES)
    assert tie_of(elder)["frozen_why"] == "有人报告被骗"
    assert refused_for(daughter, elder_id, elder.cards[0])[:2] == (409, "tie_over")
    with pytest.raises(LookupError):
        change_relative.freeze(world.deps, elder_id, relative_id, "再一次")
    change_relative.unfreeze(world.deps, elder_id, relative_id, "查清楚了")
    assert open_for(daughter, elder)["state"] == "awaiting_confirmation"
    (frozen,) = deeds_of(world, elder_id, "tie_frozen")
    (told_relative,) = deeds_of(world, relative_id, "care_frozen")
    assert frozen.actor_id is None and frozen.facts["reason"] == told_relative.facts["reason"]
