"""Before an unusual payment the person is calmly asked whether somebody told them to; seldom otherwise."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.flows.protection_world import (
    SECOND_CARD,
    UNUSUAL_FEN,
    answer,
    checked_at_the_desk,
    choice,
    family,
    labels,
    refused,
    unusual,
)
from tests.flows.test_identity_check import DAUGHTERS_PHONE, ELDERS_PHONE, bound, with_phone
from tests.world import GOOD_CARD, Phone, World, a_key


def texts(world: World, phone: str) -> list[str]:
    return [each["template"] for each in world.sandbox.texts(phone)]


def deeds(world: World) -> list[str]:
    with world.deps.database.read() as tx:
        return [row.kind for row in tx.execute(text("SELECT kind FROM deeds ORDER BY id"))]


def test_an_unusual_payment_is_asked_about_and_the_family_hears_of_it(world: World) -> None:
    elder, _relatives = family(world)
    page = unusual(elder)
    assert page["order"]["state"] == "awaiting_confirmation" and page["screen"].get("payment") is None
    assert "没有动您的钱" in page["screen"]["say"] and "可能是别人的卡" in page["screen"]["say"]
    assert labels(page) == ["没有，我自己要充", "有人叫我充", "请家人看看", "不充了", "找人工"]
    world.work()
    assert texts(world, DAUGHTERS_PHONE)[-1] == "alert_unusual"
    assert elder.order(page["order"]["id"])["screen"] == page["screen"], "it looks the same however asked for"
    assert "payment_alerted" in deeds(world)


def test_a_person_who_wants_it_goes_on_and_is_not_asked_again(world: World) -> None:
    elder, _relatives = family(world)
    page = unusual(elder)
    assert elder.confirm(page["order"])["screen"]["title"] == page["screen"]["title"], "yes is no answer"
    went_on = checked_at_the_desk(world, elder, answer(elder, page, "told_to", "own"))
    assert went_on["screen"]["next"] == "pay"
    assert answer(elder, page, "told_to", "told")["order"]["state"] == "awaiting_payment", "the word stands"
    assert elder.pay(went_on) == "requestPayment:ok"
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_somebody_told_me_to_ends_it_kindly_and_the_family_hears(world: World) -> None:
    elder, _relatives = family(world)
    page = unusual(elder)
    ended = elder.tap(choice(page, "有人叫我充"))
    assert ended["screen"]["order"]["state"] == "cancelled"
    assert "骗子" in ended["screen"]["say"] and "没有动您的钱" in ended["screen"]["say"]
    assert "agent" in [each["id"] for each in ended["screen"]["choices"]]
    assert elder.order(page["order"]["id"])["screen"]["say"] == ended["screen"]["say"]
    world.work()
    assert texts(world, DAUGHTERS_PHONE)[-1] == "alert_told"


def test_after_that_the_card_takes_only_small_sums_for_two_hours(world: World) -> None:
    elder, _relatives = family(world)
    page = unusual(elder)
    answer(elder, page, "told_to", "told")
    card_id = page["order"]["card_id"]

    def tried(amount_fen: int, card: str = card_id) -> tuple[int, dict[str, Any]]:
        order = elder.open_order(amount_fen, card)
        return elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})

    status, body = tried(UNUSUAL_FEN)
    assert (status, body["code"]) == (409, "cooling_off") and "两个小时以后" in body["say"]
    assert tried(20_001)[1]["code"] == "cooling_off"
    assert tried(20_000)[1]["screen"]["next"] == "pay", "a small sum is everyday"
    assert tried(20_100, elder.cards[0])[0] == 200, "another card is not meant"
    world.clock.tick(hours=2, seconds=-1)
    assert tried(UNUSUAL_FEN)[1]["code"] == "cooling_off"
    world.clock.tick(seconds=1)
    assert tried(UNUSUAL_FEN)[0] == 200


def test_the_family_may_look_first_and_the_order_waits_half_an_hour(world: World) -> None:
    elder, (daughter,) = family(world)
    page = unusual(elder)
    waiting = elder.tap(choice(page, "请家人看看"))["screen"]
    assert [each["label"] for each in waiting["choices"]] == [
        "问过家人了，接着充",
        "有人叫我充",
        "不充了",
        "找人工",
    ]
    elder.tap("home")
    assert elder.order(page["order"]["id"])["order"]["state"] == "awaiting_confirmation"
    world.work()
    assert texts(world, DAUGHTERS_PHONE)[-1] == "alert_look"
    (alert,) = daughter.ok("GET", "/api/v1/alerts")["alerts"]
    assert alert["order_id"] == page["order"]["id"] and len(alert["last_four"]) == 4
    assert set(alert) == {
        *("order_id", "elder_id", "amount_fen", "last_four", "reason", "paid", "held", "may_hold")
    }
    world.clock.tick(minutes=29)
    world.sweep()
    asked = elder.order(page["order"]["id"])
    assert asked["order"]["state"] == "awaiting_confirmation"
    world.clock.tick(minutes=1)
    world.sweep()
    assert elder.order(page["order"]["id"])["order"]["state"] == "expired"
    assert daughter.ok("GET", "/api/v1/alerts")["alerts"] == []


def test_after_the_family_looked_the_person_goes_on(world: World) -> None:
    elder, _relatives = family(world)
    page = unusual(elder)
    answer(elder, page, "told_to", "relatives")
    page = elder.order(page["order"]["id"])
    went_on = elder.tap(choice(page, "问过家人了，接着充"))["screen"]
    assert went_on["order"]["state"] in ("awaiting_check", "awaiting_payment")


def test_without_a_family_nobody_is_offered_to_look(world: World) -> None:
    elder = with_phone(world, world.elder("zhao"), ELDERS_PHONE)
    world.clock.tick(hours=39)
    page = unusual(elder)
    assert "请家人看看" not in labels(page) and "找人工" in labels(page)
    told = elder.post(f"/api/v1/orders/{page['order']['id']}/questions/told_to", {"answer": "relatives"})
    assert refused(told) == (422, "relative_missing")
    assert elder.order(page["order"]["id"])["screen"] == page["screen"]


def test_only_the_payer_answers_and_only_what_was_asked(world: World) -> None:
    elder, (daughter,) = family(world)
    page = unusual(elder)
    path = f"/api/v1/orders/{page['order']['id']}/questions/"
    for other in (daughter, world.phone("li")):
        assert refused(other.post(f"{path}told_to", {"answer": "own"})) == (404, "order_not_found")
    assert refused(elder.post(f"{path}duplicate", {"answer": "again"})) == (404, "question_not_found")
    assert refused(elder.post(f"{path}told_to", {"answer": "again"})) == (422, "answer_unknown")
    assert elder.post(f"{path}told_to", {"answer": "perhaps"})[0] == 422
    assert elder.order(page["order"]["id"])["screen"] == page["screen"]


def test_everyday_payments_are_never_asked(world: World) -> None:
    elder, _relatives = family(world)
    elder.bind(SECOND_CARD)
    for amount_fen, card in ((20_000, 1), (5_000, 1), (90_000, 0), (30_000, 0)):
        page = elder.confirm(elder.open_order(amount_fen, elder.cards[card]))
        assert "叫您充" not in page["screen"]["title"], "a small sum, or the night alone"
    world.clock.tick(hours=8)
    page = elder.confirm(elder.open_order(90_000, elder.cards[1]))
    assert "叫您充" not in page["screen"]["title"], "a new card alone"


# --- the same top-up, twice -----------------------------------------------------------------------


def fifty(person: Phone, card_id: str | None = None) -> dict[str, Any]:
    return person.say_yes(person.open_order(5000, card_id))


def topped_up(world: World, person: Phone) -> dict[str, Any]:
    page = fifty(person)
    assert person.pay(page) == "requestPayment:ok"
    world.work()
    return page


def test_the_same_top_up_within_ten_minutes_asks(world: World) -> None:
    elder = world.elder()
    topped_up(world, elder)
    world.clock.tick(minutes=10)
    page = fifty(elder)
    assert page["screen"]["title"] == "您刚充了50元，还要再充吗？"
    assert labels(page) == ["再充一笔", "不充了", "找人工"]
    ended = answer(elder, page, "duplicate", "stop")
    assert ended["order"]["state"] == "cancelled" and "没有动您的钱" in ended["screen"]["say"]
    again = elder.tap(choice(fifty(elder), "再充一笔"))["screen"]
    assert again["next"] == "pay"


def test_after_ten_minutes_or_with_another_sum_nobody_asks(world: World) -> None:
    elder = world.elder()
    topped_up(world, elder)
    assert elder.confirm(elder.open_order(5001))["screen"]["next"] == "pay"
    world.clock.tick(minutes=10, seconds=1)
    assert fifty(elder)["screen"]["next"] == "pay"


def test_what_may_still_be_paid_counts_too_and_what_went_home_does_not(world: World) -> None:
    elder = world.elder()
    first = fifty(elder)
    assert fifty(elder)["screen"]["title"] == "您刚要充50元，还没有付款，还要再充吗？"
    elder.ok("POST", f"/api/v1/orders/{first['order']['id']}/cancel")
    assert fifty(elder)["screen"]["next"] == "pay"


def test_a_relatives_payment_for_the_same_card_is_told_by_the_name_the_elder_gave(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder)
    daughter.bind(GOOD_CARD)
    topped_up(world, daughter)
    assert fifty(elder)["screen"]["title"].startswith("女儿刚充了50元")
    assert fifty(daughter)["screen"]["title"].startswith("您刚充了50元"), "hers"
    world.clock.tick(minutes=11)
    topped_up(world, elder)
    assert fifty(daughter)["screen"]["title"].startswith("家里人刚充了50元"), "nobody gave the elder a name"


def test_of_two_relatives_who_pay_in_the_same_moment_the_second_is_asked(world: World) -> None:
    elder = world.elder()
    others = [bound(world, elder, person) for person in ("daughter", "son")]
    people = [elder, *others]
    for person in others:
        person.bind(GOOD_CARD)
    opened = [person.open_order(5000) for person in people]
    gate, titles = threading.Barrier(len(people)), []

    def confirm(person: Phone, order: dict[str, Any]) -> None:
        gate.wait(10)
        path = f"{world.base_url}/api/v1/orders/{order['id']}/confirm"
        headers = {"Authorization": f"Bearer {person.token}"}
        got = requests.post(path, json={"read_back": order["read_back"]}, headers=headers, timeout=30)
        titles.append(got.json()["screen"]["title"])

    threads = [threading.Thread(target=confirm, args=pair) for pair in zip(people, opened, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = [title for title in titles if "还要再充吗" in title]
    assert len(asked) == len(people) - 1, titles


def test_a_repeat_with_the_same_key_is_no_second_wish(world: World) -> None:
    elder = world.elder()
    wish = {"card_id": elder.cards[0], "amount_fen": 5000, "method": "wechat_balance", "client_key": a_key()}
    first, second = (elder.ok("POST", "/api/v1/orders", wish)["order"] for _ in range(2))
    assert elder.confirm(first)["screen"]["next"] == elder.confirm(second)["screen"]["next"] == "pay"


@pytest.mark.parametrize("said", ["own", "told"])
def test_the_counter_of_false_alarms_reads_the_answers(world: World, said: str) -> None:
    elder, _relatives = family(world)
    answer(elder, unusual(elder), "told_to", said)
    metrics = requests.get(f"{world.base_url}/metrics", timeout=10).text
    verdict = {"own": "false_alarm", "told": "justified"}[said]
    assert f'anxin_questions{{kind="told_to",verdict="{verdict}"}} 1.0' in metrics
