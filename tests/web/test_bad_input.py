"""Whatever arrives, the answer is JSON that can be spoken, never a 500, and nothing is lost by it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.web.asking import books, fault_of, raw, send
from tests.world import Phone, World, a_key

_people = itertools.count(1)
JSON = {"Content-Type": "application/json"}
ORDERS, TURNS, CARDS = "/api/v1/orders", "/api/v1/conversation/turns", "/api/v1/cards"
SESSIONS, SUBSCRIPTIONS = "/api/v1/sessions", "/api/v1/subscriptions"


@pytest.fixture
def elder(world: World) -> Iterator[Phone]:
    """Somebody with a card and an order that waits; after the test all of it is as it was."""
    phone = world.elder(f"elder-{next(_people)}")
    phone.open_order()
    before = books(world, phone)
    yield phone
    assert books(world, phone) == before


def bodies(phone: Phone) -> dict[str, dict[str, Any]]:
    """A body each of these addresses would take."""
    order = phone.ok("GET", ORDERS)["orders"][0]
    return {
        ORDERS: {
            "card_id": phone.cards[0],
            "amount_fen": 6000,
            "method": "wechat_balance",
            "client_key": a_key(),
        },
        TURNS: {"client_key": a_key(), "choice": "home"},
        CARDS: {"card_number": "3104870300000000002", "nickname": "mum"},
        SESSIONS: {"code": "0" * 32, "channel": "h5"},
        SUBSCRIPTIONS: {"accepted": ["receipt"]},
        f"{ORDERS}/{order['id']}/confirm": {"read_back": order["read_back"]},
        f"{ORDERS}/{order['id']}/payment-result": {"result": "ok"},
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"{'a': 1}",
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b"9" * 5_000,
        b'{"amount_fen": ' + b"9" * 5_000 + b"}",
    ],
    ids=["nothing", "half", "no text", "quotes", "deep list", "deep object", "long number", "long amount"],
)
def test_what_is_no_json_is_malformed(elder: Phone, body: bytes) -> None:
    for path in bodies(elder):
        assert fault_of(send(elder, "POST", path, data=body, headers=JSON)) == "request_malformed", path


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "NaN", "1e999", "true", "{}"])
def test_json_that_is_no_filled_object_is_invalid(elder: Phone, body: str) -> None:
    for path in bodies(elder):
        assert fault_of(send(elder, "POST", path, data=body, headers=JSON)) == "request_invalid", path


WRONG: list[Any] = [{"a": 1}, [["x"]], 1e400, 10**400, -5, 5000.5, True, "x" * 9_000, "\ud800", "a\0b"]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: ascii(value)[:12])
def test_a_wrong_value_in_any_field_is_refused(elder: Phone, wrong: Any) -> None:
    for path, body in bodies(elder).items():
        for field in body:
            bent = json.dumps({**body, field: wrong})
            assert fault_of(send(elder, "POST", path, data=bent, headers=JSON)) in {
                "request_invalid",
                "request_malformed",
            }, (path, field)


def test_an_amount_that_is_no_sum_in_range_opens_no_order(elder: Phone) -> None:
    for amount in (0, -5000, 1, 50.0, "5000", True, None, 10**12, 2**63, [5000], "五十", 1e3):
        wish = {**bodies(elder)[ORDERS], "amount_fen": amount}
        refused = fault_of(send(elder, "POST", ORDERS, json=wish))
        assert refused in {"request_invalid", "amount_too_small"}, amount


@pytest.mark.parametrize("amount", [4999, 10_000_000])
def test_an_amount_outside_the_citys_limits_is_told_with_the_limit(elder: Phone, amount: int) -> None:
    answer = send(elder, "POST", ORDERS, json={**bodies(elder)[ORDERS], "amount_fen": amount})
    assert fault_of(answer) == ("amount_too_small" if amount < 5000 else "amount_too_large")
    assert any(character.isdigit() for character in answer.json()["say"])


def test_a_field_nobody_knows_is_refused_not_ignored(elder: Phone) -> None:
    for path, body in bodies(elder).items():
        assert fault_of(send(elder, "POST", path, json={**body, "amount_yuan": 1})) == "request_invalid"
    assert fault_of(send(elder, "GET", f"{ORDERS}?page=2")) == "request_invalid"


def test_a_missing_field_is_refused(elder: Phone) -> None:
    optional = {"nickname", "channel"}
    for path, body in bodies(elder).items():
        for field in set(body) - optional:
            less = {name: value for name, value in body.items() if name != field}
            assert fault_of(send(elder, "POST", path, json=less)) == "request_invalid", (path, field)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_a_body_that_does_not_say_it_is_json_is_refused(elder: Phone, kind: str) -> None:
    for path, body in bodies(elder).items():
        answer = send(elder, "POST", path, data=json.dumps(body), headers={"Content-Type": kind})
        assert fault_of(answer) == "request_type_unsupported", path


def test_a_form_is_taken_only_where_files_are(elder: Phone) -> None:
    files = {"audio": ("a.mp3", b"x")}
    for path in set(bodies(elder)) - {TURNS, CARDS}:
        assert fault_of(send(elder, "POST", path, files=files)) == "request_type_unsupported", path


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_without_its_parts_is_refused(elder: Phone, kind: str) -> None:
    assert fault_of(send(elder, "POST", TURNS, data=b"--y\r\nz", headers={"Content-Type": kind})) == (
        "request_invalid"
    )
    answer = send(elder, "POST", CARDS, data=b"--y\r\nz", headers={"Content-Type": kind})
    assert fault_of(answer) == "photo_empty"


# --- client keys and turns ---


@pytest.mark.parametrize("key", [None, "", "short", "x" * 49, "has space!", "键" * 8, "turn:12345678"])
def test_a_client_key_of_the_wrong_shape_is_refused(elder: Phone, key: Any) -> None:
    for path in (ORDERS, TURNS):
        assert fault_of(send(elder, "POST", path, json={**bodies(elder)[path], "client_key": key})) == (
            "request_invalid"
        )


def test_a_client_key_used_again_for_something_else_is_a_conflict(elder: Phone) -> None:
    key = elder.ok("POST", TURNS, body := bodies(elder)[TURNS]) and body["client_key"]
    assert fault_of(send(elder, "POST", TURNS, json={"client_key": key, "choice": "help"})) == (
        "client_key_reused"
    )
    spoken = {"files": {"audio": ("a.mp3", b"sound")}, "data": {"client_key": key}}
    assert fault_of(send(elder, "POST", TURNS, **spoken)) == "client_key_reused"


def test_an_orders_key_used_again_with_another_amount_card_or_method_is_a_conflict(world: World) -> None:
    phone = world.elder(f"elder-{next(_people)}")
    second = phone.bind("3104870300000000002")
    wish = bodies_of_an_order(phone)
    first = phone.ok("POST", ORDERS, wish)["order"]
    for change in ({"amount_fen": 7000}, {"card_id": second}):
        assert fault_of(send(phone, "POST", ORDERS, json={**wish, **change})) == "client_key_reused"
    assert phone.ok("POST", ORDERS, wish)["order"] == first
    assert [order["id"] for order in phone.ok("GET", ORDERS)["orders"]] == [first["id"]]


def bodies_of_an_order(phone: Phone) -> dict[str, Any]:
    return {
        "card_id": phone.cards[0],
        "amount_fen": 6000,
        "method": "wechat_balance",
        "client_key": a_key(),
    }


def test_a_turn_is_spoken_or_tapped_never_both_and_never_neither(elder: Phone) -> None:
    audio = {"audio": ("a.mp3", b"sound")}
    both = send(elder, "POST", TURNS, files=audio, data={"client_key": a_key(), "choice": "balance"})
    assert fault_of(both) == "request_invalid"
    in_a_form = send(elder, "POST", TURNS, files={"x": ("", b"")}, data={"client_key": a_key()})
    assert fault_of(in_a_form) == "audio_empty"
    assert fault_of(send(elder, "POST", TURNS, json={"client_key": a_key()})) == "request_invalid"


NO_BUTTONS = (
    "nothing amount: amount:-5 amount:0 amount:5e3 amount:5000.0 amount:٥٠ amount:² card_at:0 card_at:9"
    " card_at:² card:x audio CONFIRM top_up:1 amount:99999999999999999999"
)


def test_a_button_no_screen_shows_does_nothing(elder: Phone) -> None:
    for choice in NO_BUTTONS.split():
        answer = send(elder, "POST", TURNS, json={"client_key": a_key(), "choice": choice})
        assert fault_of(answer) == "choice_unknown", choice


# --- sizes: refused before they are read ---


def head(path: str, phone: Phone | None, *more: str) -> str:
    token = [f"Authorization: Bearer {phone.token}"] if phone else []
    return "\n".join([f"POST {path} HTTP/1.1", "Host: here", *token, *more, "\n"])


@pytest.mark.parametrize("path", [ORDERS, TURNS, CARDS, SESSIONS, "/api/v1/callbacks/wechat-pay", "/nowhere"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_an_oversized_body_is_refused_from_its_headers_alone(world: World, path: str, kind: str) -> None:
    status, body = raw(
        world.base_url, head(path, None, f"Content-Type: {kind}", "Content-Length: 900000000")
    )  # not one byte of the body is ever sent
    assert status == 413 and json.loads(body)["code"] == "request_too_large"


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999999", "1e3"])
def test_a_content_length_that_is_none_is_refused(world: World, elder: Phone, length: str) -> None:
    status, body = raw(
        world.base_url, head(ORDERS, elder, "Content-Type: application/json", f"Content-Length: {length}")
    )
    assert 400 <= status < 500 and json.loads(body)["say"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (ORDERS, "application/json"),
        (TURNS, "multipart/form-data; boundary=x"),
        (SESSIONS, "application/json"),
    ],
)
def test_a_body_without_a_length_is_read_no_further_than_the_limit(
    world: World, elder: Phone, path: str, kind: str
) -> None:
    start = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a"\r\n\r\n'
    pieces = [start if "form" in kind else b'{"a":"', *[b"x" * 65_536] * 48, b""]
    chunked = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    status, body = raw(
        world.base_url, head(path, elder, f"Content-Type: {kind}", "Transfer-Encoding: chunked"), *chunked
    )
    assert status == 413 and json.loads(body)["code"] == "request_too_large"


# --- places that are none ---


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/api/v1/nothing", "/api/v1/orders/", "/static/none.png", "/assets/../../app/config.py"]
    + [
        "/assets/%2e%2e/%2e%2e/wsgi.py",
        "/api/docs/assets/../../x",
        "/%00",
        "/api/v1/%ff",
        "/docs/oauth2-redirect",
    ],
)
def test_a_place_that_does_not_exist_is_told_in_json(elder: Phone, path: str) -> None:
    assert fault_of(send(elder, "GET", path)) == "not_found"


def test_an_order_id_of_no_orders_shape_is_no_order(elder: Phone) -> None:
    shapes = [
        "x",
        "ord_1",
        "%00",
        "ord_01JD000000000000000000000O",
        "crd_01JD0000000000000000000000",
        "a" * 300,
    ]
    for order_id in shapes:
        assert fault_of(send(elder, "GET", f"{ORDERS}/{order_id}")) == "order_not_found", order_id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", ORDERS),
        ("DELETE", CARDS),
        ("GET", TURNS),
        ("GET", SESSIONS),
        ("PATCH", "/healthz"),
        ("POST", "/"),
    ]
    + [("GET", "/api/v1/callbacks/wechat-pay"), ("TRACE", ORDERS), ("GET", "/sandbox/phone/login")],
)
def test_a_wrong_method_is_told_in_json(elder: Phone, method: str, path: str) -> None:
    assert fault_of(send(elder, method, path)) == "method_not_allowed"


@pytest.mark.parametrize(
    "before", ["%00", "%ff%fe", "%F0%9F%98%80", "x" * 33, "'; DROP TABLE orders; --", ""]
)
def test_a_history_before_nonsense_breaks_nothing(elder: Phone, before: str) -> None:
    answer = send(elder, "GET", f"{ORDERS}?before={before}")
    assert answer.status_code == 200 or fault_of(answer) == "request_invalid"


@pytest.mark.parametrize("code", ["&appid=x", "../..", "用过的", "x" * 128])
def test_a_login_code_wechat_does_not_know_is_refused(world: World, code: str) -> None:
    answer = requests.post(world.base_url + SESSIONS, json={"code": code, "channel": "h5"}, timeout=10)
    assert fault_of(answer) == "login_refused"


@pytest.mark.parametrize(
    ("person", "code"),
    [("busy", "login_unavailable"), ("frequent", "login_unavailable"), ("blocked", "login_refused")],
)
def test_wechats_own_troubles_at_login_are_told_apart(world: World, person: str, code: str) -> None:
    phone = Phone(world.base_url, person)
    login = phone.ok("POST", "/sandbox/phone/login", {"person": person})["code"]
    answer = requests.post(world.base_url + SESSIONS, json={"code": login, "channel": "h5"}, timeout=20)
    assert fault_of(answer) == code


def test_a_login_code_works_once(world: World) -> None:
    code = Phone(world.base_url, "amy").ok("POST", "/sandbox/phone/login", {"person": "amy"})["code"]
    answers = [
        requests.post(world.base_url + SESSIONS, json={"code": code, "channel": "h5"}, timeout=10)
        for _ in range(2)
    ]
    assert answers[0].status_code == 200 and fault_of(answers[1]) == "login_refused"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("31048703", "card_number_malformed"),
        ("31048703000000000011", "card_number_malformed"),
        ("310487030000000000①", "card_number_malformed"),
        ("' OR 1=1 --", "card_number_malformed"),
        ("3104870399999999999", "card_unknown"),
        ("3105170000000000001", "card_other_city"),
        ("3104870400000000001", "card_other_city_chip"),
        ("3199999900000000001", "card_issuer_unknown"),
        ("3104870300000000008", "card_blocked"),
    ],
)
def test_a_card_that_cannot_be_bound_says_why(elder: Phone, number: str, code: str) -> None:
    assert fault_of(send(elder, "POST", CARDS, json={"card_number": number})) == code


def test_a_sixth_card_does_not_fit_on_the_screen(world: World) -> None:
    phone = world.phone(f"elder-{next(_people)}")
    for last in range(1, 6):
        phone.bind(f"310487030000000000{last}")
    answer = send(phone, "POST", CARDS, json={"card_number": "3104870300000000006"})
    assert fault_of(answer) == "too_many_cards"
    assert phone.bind() == phone.cards[0]  # binding a bound card again is still fine
