"""Help from afar: ten minutes by two yeses, seen, pointed at, confirmed by the elder, ended by either."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.domain.family import Role
from app.store import deeds, help_rows, relatives
from tests.flows.test_identity_check import DAUGHTERS_PHONE, bound, with_phone
from tests.helping import Help, helped, said_yes, with_role
from tests.world import Phone, World, a_key

NOT_THERE = (404, "help_not_found")


def asked(world: World, elder: Phone, relative: Phone) -> str:
    relative_id = with_role(world.deps.database, elder, relative, Role.ASSIST)
    found: str = elder.ok("POST", "/api/v1/help", {"relative_id": relative_id})["help"]["id"]
    return found


def code(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    return status, body.get("code", "")


def events(world: World, help: Help) -> list[tuple[int, str]]:
    with world.deps.database.read() as tx:
        return [(event.number, event.kind) for event in help_rows.after(tx, help.id, 0)]


def told(world: World, help: Help) -> list[tuple[str, str | None]]:
    """Kinds and actors of the elder's deeds, the oldest first."""
    with world.deps.database.read() as tx:
        session = help_rows.find(tx, help.id)
        assert session is not None
        found = deeds.of_elder(tx, session.elder_id, 20)
        return [(each.kind, each.actor_id) for each in reversed(found) if each.kind.startswith("help_")]


def form(elder: Phone, **more: Any) -> dict[str, Any]:
    wish = {"card_id": elder.cards[0], "amount_fen": 5000, "method": "wechat_balance"}
    return {**wish, "client_key": a_key(), **more}


# --- two yeses ---


def test_a_touch_without_the_spoken_yes_opens_nothing_and_the_relative_sees_nothing(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder)
    session = asked(world, elder, daughter)
    assert code(elder.post(f"/api/v1/help/{session}/open")) == (409, "help_yes_first")
    assert code(daughter.get(f"/api/v1/help/{session}")) == NOT_THERE
    assert daughter.ok("GET", "/api/v1/help")["sessions"] == []
    assert code(elder.post(f"/api/v1/help/{session}/ticket")) == NOT_THERE


def test_both_yeses_open_ten_minutes_and_the_relative_is_told_by_text_once(world: World) -> None:
    elder = world.elder()
    daughter = with_phone(world, bound(world, elder), DAUGHTERS_PHONE)
    session = asked(world, elder, daughter)
    said_yes(world.deps.database, session)
    first, again = (elder.ok("POST", f"/api/v1/help/{session}/open") for _tap in range(2))
    assert first == again and first["help"]["state"] == "open" and "女儿" in first["screen"]["title"]
    world.work()
    texts = [each["template"] for each in world.sandbox.texts(DAUGHTERS_PHONE)]
    assert texts.count("help_asked") == 1
    seen = daughter.ok("GET", "/api/v1/help")["sessions"]
    assert [(each["id"], each["side"]) for each in seen] == [(session, "relative")]


def test_only_a_relative_with_the_role_can_be_asked(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder)
    relative_id = with_role(world.deps.database, elder, daughter, Role.PAY, Role.BALANCE, Role.ALERTS)
    nobody = "usr_01JD0000000000000000000000"
    for wanted in (relative_id, nobody, "x"):
        assert code(elder.post("/api/v1/help", {"relative_id": wanted})) == (404, "relative_not_found")


def test_asking_again_is_the_same_session_and_two_taps_at_once_are_one(world: World) -> None:
    elder = world.elder()
    daughter = bound(world, elder)
    relative_id = with_role(world.deps.database, elder, daughter, Role.ASSIST)
    found: list[str] = []

    def ask() -> None:
        found.append(elder.ok("POST", "/api/v1/help", {"relative_id": relative_id})["help"]["id"])

    taps = [threading.Thread(target=ask) for _tap in range(4)]
    for tap in taps:
        tap.start()
    for tap in taps:
        tap.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_one_session_at_a_time_and_five_a_day(world: World) -> None:
    help = helped(world)
    ask = {"relative_id": help.relative_id}
    assert code(help.elder.post("/api/v1/help", ask)) == (409, "help_already_open")
    statuses = []
    session = help.id
    for _again in range(5):
        help.elder.ok("POST", f"/api/v1/help/{session}/end")
        status, body = help.elder.post("/api/v1/help", ask)
        statuses.append((status, body.get("code")))
        session = body["help"]["id"] if status == 200 else session
    assert statuses == [(200, None)] * 4 + [(429, "too_many_tries")]
    world.clock.tick(hours=14)  # the next day in Shanghai
    assert help.elder.post("/api/v1/help", ask)[0] == 200


# --- what is seen ---


def test_the_elders_screen_reaches_the_session_only_while_their_phone_says_so(world: World) -> None:
    help = helped(world)
    help.elder.tap("home")
    assert events(world, help) == [(1, "opened")]
    help.elder_is_shown("balance")
    help.elder_is_shown("balance")  # the same screen again is no news
    assert events(world, help) == [(1, "opened"), (2, "screen")]
    help.relative.get("/api/v1/screen", headers={"X-Anxin-Help": help.id})  # not the elder's screen
    stranger = world.elder("li", "3104870300000000002")
    stranger.get("/api/v1/screen", headers={"X-Anxin-Help": help.id})
    assert len(events(world, help)) == 2


def test_a_relative_points_at_a_choice_of_the_screen_that_is_shown_now(world: World) -> None:
    help = helped(world)
    assert (
        code(help.relative.post(help.path("/point"), {"screen": 1, "choice": 1}))[1] == "help_screen_changed"
    )
    help.elder_is_shown("home")
    assert help.relative.ok("POST", help.path("/point"), {"screen": 2, "choice": 1})["number"] == 3
    help.elder_is_shown("balance")
    old = help.relative.post(help.path("/point"), {"screen": 2, "choice": 1})
    none = help.relative.post(help.path("/point"), {"screen": 4, "choice": 5})
    assert code(old) == code(none) == (409, "help_screen_changed")


def test_messages_are_short_and_carry_no_number_that_could_be_a_code(world: World) -> None:
    help = helped(world)
    say = help.path("/messages")
    help.relative.ok("POST", say, {"text": " 妈，点\n充值，别说 482 915 这个号 "})
    with world.deps.database.read() as tx:
        body = help_rows.after(tx, help.id, 1)[0].body
    assert body["text"].startswith("妈，点 充值，别说") and "482" not in body["text"]
    assert code(help.relative.post(say, {"text": "长" * 61}))[0] == 422
    assert code(help.relative.post(say, {"text": "\u200b\n"})) == (422, "request_invalid")
    assert (
        code(help.elder.post(say, {"text": "是我"})) == NOT_THERE
    )  # the elder speaks to the house, not here


def test_nobody_points_without_end(world: World) -> None:
    help = helped(world)
    answers = [help.relative.post(help.path("/messages"), {"text": "好"}) for _each in range(61)]
    assert [status for status, _body in answers] == [200] * 60 + [429]
    assert answers[-1][1]["code"] == "help_too_fast"
    world.clock.tick(seconds=61)
    assert help.relative.post(help.path("/messages"), {"text": "好"})[0] == 200
    assert [number for number, _kind in events(world, help)] == list(range(1, 63))


# --- what is prepared ---


def test_a_form_is_an_order_of_the_elders_that_only_the_elder_confirms(world: World) -> None:
    help = helped(world)
    cards = help.relative.ok("GET", help.path())["cards"]
    assert [card["id"] for card in cards] == help.elder.cards and "0001" in cards[0]["label"]
    assert "3104870300000000001" not in str(cards)
    help.relative.ok("POST", help.path("/forms"), form(help.elder))
    with world.deps.database.read() as tx:
        prepared = help_rows.after(tx, help.id, 1)[0].body
    order_id = prepared["order_id"]
    page = help.elder.order(order_id)
    assert page["screen"]["next"] == "confirm" and page["order"]["state"] == "awaiting_confirmation"
    confirm = f"/api/v1/orders/{order_id}/confirm"
    yes = {"read_back": page["order"]["read_back"]}
    assert code(help.relative.post(confirm, yes)) == (404, "order_not_found")
    paid = help.elder.ok("POST", confirm, yes)
    assert help.elder.pay(paid) == "requestPayment:ok"
    world.work()
    help.elder.order(order_id)
    world.work()
    assert help.elder.order(order_id)["order"]["truth"] == "credited" and world.balanced()
    assert ("help_prepared", help.relative_id) in told(world, help)


def test_the_same_form_twice_is_one_order_and_nobody_elses_card_is_taken(world: World) -> None:
    help = helped(world)
    other = world.elder("li", "3104870300000000002")
    wish = form(help.elder)
    for _again in range(2):
        help.relative.ok("POST", help.path("/forms"), wish)
    assert len(help.elder.ok("GET", "/api/v1/orders")["orders"]) == 1
    foreign = help.relative.post(help.path("/forms"), form(help.elder, card_id=other.cards[0]))
    assert code(foreign) == (404, "card_not_found")
    assert (
        code(help.relative.post(help.path("/forms"), form(help.elder, amount_fen=1)))[1] == "amount_too_small"
    )
    assert code(help.elder.post(help.path("/forms"), form(help.elder))) == NOT_THERE


# --- how it ends ---


def over_for_both(help: Help) -> bool:
    doors: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "/open", None),
        ("POST", "/ticket", None),
        ("POST", "/point", {"screen": 2, "choice": 1}),
        ("POST", "/messages", {"text": "好"}),
        ("POST", "/forms", form(help.elder)),
    ]
    answers = [
        code(who.call(method, help.path(end), json=body))
        for who in (help.elder, help.relative)
        for method, end, body in doors
    ]
    return set(answers) == {NOT_THERE} and help.relative.ok("GET", "/api/v1/help")["sessions"] == []


@pytest.mark.parametrize("who", ["elder", "relative"])
def test_either_ends_it_in_one_touch_and_it_is_as_if_it_had_never_been(world: World, who: str) -> None:
    help = helped(world)
    for _tap in range(2):
        assert getattr(help, who).ok("POST", help.path("/end"))["help"]["state"] == "ended"
    assert over_for_both(help)
    assert events(world, help)[-1] == (2, "ended") and len(events(world, help)) == 2
    assert [kind for kind, _actor in told(world, help)] == ["help_opened", "help_ended"]
    assert (told(world, help)[-1][1] == help.relative_id) == (who == "relative")


def test_at_ten_minutes_it_is_over_to_the_second_and_ends_by_itself(world: World) -> None:
    help = helped(world)
    world.clock.tick(minutes=9, seconds=59)
    help.relative.ok("POST", help.path("/messages"), {"text": "好"})
    world.clock.tick(seconds=1)
    assert over_for_both(help)
    world.work()
    assert events(world, help)[-1] == (3, "ended") and told(world, help)[-1] == ("help_ended", None)


def end_the_tie(world: World, help: Help) -> None:
    help.elder.ok("DELETE", f"/api/v1/relatives/{help.relative_id}")


def take_the_role(world: World, help: Help) -> None:
    with_role(world.deps.database, help.elder, help.relative, Role.PAY)


def freeze(world: World, help: Help) -> None:
    with world.deps.database.write() as tx:
        session = help_rows.find(tx, help.id)
        assert session is not None
        values = {"frozen_at": world.clock.now(), "frozen_why": "looks wrong"}
        relatives.change(tx, session.elder_id, session.relative_id, values)


@pytest.mark.parametrize("change", [end_the_tie, take_the_role, freeze])
def test_without_the_tie_or_the_role_it_is_over_at_once(world: World, change: Any) -> None:
    help = helped(world)
    change(world, help)
    assert over_for_both(help)


def test_a_session_of_others_is_as_unknown_as_none(world: World) -> None:
    help = helped(world)
    stranger = helped(world, "li", "3104870300000000002")  # somebody with a session of their own
    for who in (stranger.elder, stranger.relative):
        for end in ("", "/open", "/end", "/ticket"):
            method = "POST" if end else "GET"
            assert code(who.call(method, help.path(end))) == NOT_THERE
    assert help.elder.ok("GET", help.path())["help"]["state"] == "open"
