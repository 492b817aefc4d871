"""A relative tops up from another city: the same order, within caps, told to both, stopped with its tie."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta

import pytest

from app.domain.clock import SHANGHAI, business_day
from app.store import outbox
from tests.flows.family import (
    ALL_ROLES,
    bound,
    deeds_of,
    elder_id_of,
    open_for,
    refused_for,
    tie_of,
    wish_for,
)
from tests.world import Phone, World

LATER = timedelta(hours=25)


@pytest.fixture
def elder(world: World) -> Phone:
    return world.elder()


@pytest.fixture
def daughter(world: World, elder: Phone) -> Phone:
    """A daughter with every role, for more than a day."""
    found = bound(world, elder, roles=ALL_ROLES)
    world.clock.tick(seconds=LATER.total_seconds())
    return found


def paid_for(world: World, relative: Phone, elder: Phone, amount_fen: int) -> str:
    """The id of an order of this relative's that is on the card."""
    order = open_for(relative, elder, amount_fen)
    assert relative.pay(relative.confirm(order)) == "requestPayment:ok"
    world.work()
    return str(order["id"])


def messages_about(world: World, order_id: str) -> list[tuple[str, str]]:
    """(openid, what is said) of each message about an order."""
    found = [each for each in world.sandbox.messages() if order_id in str(each)]
    return [(each["openid"], each["data"]["phrase5"]) for each in found]


def until(world: World, moment: datetime) -> None:
    world.clock.tick(seconds=(moment - world.clock.now()).total_seconds())


def shanghai(world: World, days: int, hour: int, minute: int = 0) -> datetime:
    day = business_day(world.clock.now()) + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=SHANGHAI)


def test_a_relative_tops_up_from_afar_and_both_are_told_once(
    world: World, elder: Phone, daughter: Phone
) -> None:
    elder.accept_receipts()
    daughter.accept_receipts()
    before = elder.balance_fen()
    (seen,) = daughter.ok("GET", "/api/v1/elders")["elders"]
    page = daughter.ok("GET", f"/api/v1/elders/{seen['elder_id']}")
    assert seen["name"] == "妈妈" and page["cards"][0]["balance_fen"] == before
    order = open_for(daughter, elder, 10_000)
    asked = daughter.confirm(order)
    assert asked["screen"]["next"] == "pay" and daughter.pay(asked) == "requestPayment:ok"
    theirs = elder.order(order["id"])
    assert theirs["order"]["truth"] == "paid" and "女儿" in theirs["screen"]["say"]
    for _repeat in range(3):
        world.work(minutes=1)
    done = daughter.order(order["id"])
    assert done["order"]["truth"] == "credited" and elder.balance_fen() == before + 10_000
    assert "卡里现在有" not in str(done["screen"]) and "余额" not in str(done["screen"])
    assert "女儿给您充的一百元已经到" in elder.order(order["id"])["screen"]["say"]
    told = messages_about(world, order["id"])
    assert sorted(words for _openid, words in told) == ["充值成功", "家人代充"]
    assert len({openid for openid, _words in told}) == 2
    (deed,) = deeds_of(world, seen["elder_id"], "relative_topped_up")
    assert deed.subject == order["id"] and deed.facts == {"amount_fen": 10_000} and world.balanced()
    for person in (elder, daughter):
        assert [each["id"] for each in person.ok("GET", "/api/v1/orders")["orders"]] == [order["id"]]


def test_used_up_messages_lose_nothing(world: World, elder: Phone, daughter: Phone) -> None:
    order_id = paid_for(world, daughter, elder, 5000)
    assert messages_about(world, order_id) == []
    with world.deps.database.read() as tx:
        assert "topped_up_for_you" not in outbox.waiting(tx)
    assert [deed.subject for deed in deeds_of(world, elder_id_of(daughter), "relative_topped_up")] == [
        order_id
    ]
    assert elder.order(order_id)["order"]["truth"] == "credited"


def test_an_elders_own_top_up_stands_in_their_history_too(
    world: World, elder: Phone, daughter: Phone
) -> None:
    order = elder.open_order()
    elder.pay(elder.confirm(order))
    world.work()
    (deed,) = deeds_of(world, elder_id_of(daughter), "own_topped_up")
    assert (deed.actor_id, deed.subject) == (deed.elder_id, order["id"])


def test_each_role_shows_and_lets_do_what_it_is_for(world: World, elder: Phone) -> None:
    daughter = bound(world, elder, roles=["alerts"])
    elder_id, path = elder_id_of(daughter), f"/api/v1/relatives/{tie_of(elder)['user_id']}"
    address = f"/api/v1/elders/{elder_id}"
    assert daughter.ok("GET", address)["cards"] == []
    assert refused_for(daughter, elder_id, elder.cards[0])[:2] == (403, "role_missing")
    elder.ok("PATCH", path, {"roles": ["pay"]})
    (card,) = daughter.ok("GET", address)["cards"]
    assert card["balance_fen"] is None and card["last_four"] == "0001"
    elder.ok("PATCH", path, {"roles": ["balance"]})
    assert daughter.ok("GET", address)["cards"][0]["balance_fen"] is not None
    assert refused_for(daughter, elder_id, elder.cards[0])[:2] == (403, "role_missing")


def test_what_fits_on_the_card_is_not_told_to_who_pays(world: World, elder: Phone, daughter: Phone) -> None:
    world.sandbox.set_card("3104870300000000001", balance_fen=499_000)
    order = open_for(daughter, elder, 5000)
    status, body = daughter.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "card_cannot_take") and "十" not in body["say"]


def test_the_first_day_has_a_low_cap_whatever_midnight_says(world: World, elder: Phone) -> None:
    until(world, shanghai(world, 0, 22))
    daughter = bound(world, elder, roles=ALL_ROLES)
    elder_id = elder_id_of(daughter)
    assert refused_for(daughter, elder_id, elder.cards[0], 20_001)[:2] == (422, "over_cap")
    paid_for(world, daughter, elder, 20_000)
    until(world, shanghai(world, 1, 9))
    status, code, said = refused_for(daughter, elder_id, elder.cards[0])
    assert (status, code) == (422, "cap_used_up") and "第一天" in said
    until(world, shanghai(world, 0, 22, 30))
    assert open_for(daughter, elder, 50_000)


def test_a_card_of_today_has_a_low_cap_for_all_relatives_together(world: World, elder: Phone) -> None:
    daughter, son = bound(world, elder, roles=ALL_ROLES), bound(world, elder, "son", ALL_ROLES, "儿子")
    world.clock.tick(seconds=LATER.total_seconds())
    new = elder.bind("3104870300000000002")
    path = f"/api/v1/elders/{elder_id_of(daughter)}/orders"
    daughter.ok("POST", path, wish_for(new, 15_000))
    assert refused_for(son, elder_id_of(son), new, 5001)[1:] == (
        "over_cap",
        "新绑的卡第一天，最多还能充50元。这笔没有充，没有动您的钱，请换一个金额。",
    )
    son.ok("POST", path, wish_for(new, 5000))


def test_exactly_the_cap_is_allowed_and_one_fen_above_is_not(
    world: World, elder: Phone, daughter: Phone
) -> None:
    elder_id, card = elder_id_of(daughter), elder.cards[0]
    assert refused_for(daughter, elder_id, card, 50_001)[1] == "over_cap"
    elder.ok("PATCH", f"/api/v1/relatives/{tie_of(elder)['user_id']}", {"day_fen": 60_000})
    open_for(daughter, elder, 50_000)
    assert "今天最多还能充100元" in refused_for(daughter, elder_id, card, 10_001)[2]
    open_for(daughter, elder, 10_000)
    assert refused_for(daughter, elder_id, card, 5000)[1] == "cap_used_up"
    world.clock.tick(minutes=11)  # nobody confirmed them: they are worth nothing any more
    assert open_for(daughter, elder, 50_000)


def test_days_and_months_end_at_midnight_in_shanghai(world: World, elder: Phone, daughter: Phone) -> None:
    elder_id, card = elder_id_of(daughter), elder.cards[0]
    path = f"/api/v1/relatives/{tie_of(elder)['user_id']}"
    elder.ok("PATCH", path, {"day_fen": 10_000, "month_fen": 20_000})
    until(world, shanghai(world, 0, 23, 50))
    paid_for(world, daughter, elder, 10_000)
    late = refused_for(daughter, elder_id, card)
    until(world, shanghai(world, 1, 0))
    paid_for(world, daughter, elder, 10_000)
    assert late[1] == "cap_used_up" and refused_for(daughter, elder_id, card)[1] == "cap_used_up"
    until(world, shanghai(world, 1, 12))
    assert "这个月" in refused_for(daughter, elder_id, card)[2]
    until(world, datetime(2026, 12, 1, tzinfo=SHANGHAI))
    assert open_for(daughter.log_in(), elder, 10_000)


def test_what_is_begun_before_midnight_counts_after_it(world: World, elder: Phone, daughter: Phone) -> None:
    elder.ok("PATCH", f"/api/v1/relatives/{tie_of(elder)['user_id']}", {"day_fen": 10_000})
    until(world, shanghai(world, 0, 23, 58))
    page = daughter.confirm(open_for(daughter, elder, 10_000))
    until(world, shanghai(world, 1, 0, 2))
    assert refused_for(daughter, elder_id_of(daughter), elder.cards[0])[1] == "cap_used_up"
    assert daughter.pay(page) == "requestPayment:ok"


def test_parallel_orders_of_three_relatives_never_pass_the_cards_cap(
    world: World, elder: Phone, daughter: Phone
) -> None:
    family = [
        daughter,
        bound(world, elder, "son", ALL_ROLES, "儿子"),
        bound(world, elder, "niece", ALL_ROLES, "侄女"),
    ]
    world.clock.tick(seconds=LATER.total_seconds())
    ids = [elder_id_of(person) for person in family]
    answers: list[tuple[int, str | None]] = []
    together = threading.Barrier(12)

    def one(relative: Phone, elder_id: str) -> None:
        together.wait()
        status, body = relative.post(f"/api/v1/elders/{elder_id}/orders", wish_for(elder.cards[0], 50_000))
        answers.append((status, body.get("code")))

    threads = [
        threading.Thread(target=one, args=pair)
        for pair, _time in itertools.product(zip(family, ids, strict=True), range(4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [(200, None)] * 4 + [(422, "cap_used_up")] * 8


def test_one_card_in_two_peoples_hands_has_one_cap(world: World, elder: Phone, daughter: Phone) -> None:
    husband = world.elder("husband")  # the same card
    son = bound(world, husband, "son", ALL_ROLES, "儿子")
    world.clock.tick(seconds=LATER.total_seconds())
    for _time in range(2):
        open_for(daughter, elder, 50_000)
        open_for(son, husband, 50_000)
    bound(world, husband, "niece", ALL_ROLES, "侄女")
    niece = world.phone("niece")
    assert "这张卡" in refused_for(niece, elder_id_of(niece), husband.cards[0])[2]


def test_the_elder_may_stop_it_and_nobody_else_may_act_for_the_payer(
    world: World, elder: Phone, daughter: Phone
) -> None:
    son = bound(world, elder, "son", ALL_ROLES, "儿子")
    order = open_for(daughter, elder, 5000)
    shown = elder.order(order["id"])["screen"]
    assert [choice["id"] for choice in shown["choices"]] == ["cancel", "home"] and "不用您付钱" in shown[
        "say"
    ]
    path, told = f"/api/v1/orders/{order['id']}", {"read_back": order["read_back"]}
    assert elder.post(f"{path}/confirm", told)[1]["code"] == "order_not_found"
    for end, body in (("/confirm", told), ("/cancel", None), ("", None)):
        method = "POST" if end else "GET"
        assert son.call(method, path + end, json=body)[1]["code"] == "order_not_found"
    page = daughter.confirm(order)
    assert elder.ok("POST", f"{path}/cancel")["screen"]["title"] == "这笔没有充"
    assert daughter.pay(page) != "requestPayment:ok"
    assert daughter.order(order["id"])["order"]["state"] == "cancelled"


def test_an_elder_who_only_looks_at_it_does_not_stop_it(world: World, elder: Phone, daughter: Phone) -> None:
    order = open_for(daughter, elder, 5000)
    assert "女儿" in elder.tap(f"order:{order['id']}")["screen"]["say"]
    elder.tap("home")
    assert daughter.order(order["id"])["order"]["state"] == "awaiting_confirmation"


def test_the_same_key_is_the_same_order_and_another_wish_a_conflict(
    world: World, elder: Phone, daughter: Phone
) -> None:
    path, wish = f"/api/v1/elders/{elder_id_of(daughter)}/orders", wish_for(elder.cards[0], 50_000)
    first, again = (daughter.ok("POST", path, wish)["order"]["id"] for _time in range(2))
    assert first == again
    assert daughter.post(path, {**wish, "amount_fen": 6000})[1]["code"] == "client_key_reused"
    own = world.elder("daughter", "3104870300000000002")
    told = {**wish, "card_id": own.cards[0]}
    assert own.post("/api/v1/orders", told)[1]["code"] == "client_key_reused"


def test_a_check_says_that_the_relative_is_new(world: World, elder: Phone) -> None:
    daughter = bound(world, elder, roles=ALL_ROLES)
    daughter.ok("PUT", "/api/v1/me/limits", {"single_fen": 100, "day_fen": 100})
    order = open_for(daughter, elder, 20_000)
    assert daughter.confirm(order)["order"]["state"] == "awaiting_check"
    check = daughter.ok("GET", f"/api/v1/orders/{order['id']}/check")["check"]
    assert "new_relative" in check["reasons"]
