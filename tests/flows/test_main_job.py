"""The main job by touch, and everything a person may do on the way."""

from __future__ import annotations

from tests.world import World, a_key


def test_fifty_yuan_arrive_on_the_card_and_every_step_tells_the_truth(world: World) -> None:
    elder = world.elder()
    before = elder.balance_fen()
    elder.accept_receipts()

    asked = elder.tap("top_up")["screen"]
    assert asked["next"] == "listen" and "amount:5000" in [choice["id"] for choice in asked["choices"]]
    read_back = elder.tap("amount:5000")["screen"]
    assert read_back["next"] == "confirm" and "五十元" in read_back["say"]
    assert read_back["order"]["truth"] == "not_paid"

    confirm = read_back["choices"][0]["id"]
    page = {"screen": elder.tap(confirm)["screen"]}
    assert page["screen"]["next"] == "pay" and set(page["screen"]["payment"]) == {
        "timeStamp",
        "nonceStr",
        "package",
        "signType",
        "paySign",
    }
    assert elder.pay(page) == "requestPayment:ok"
    order_id = read_back["order"]["id"]
    paid = elder.order(order_id)
    assert paid["order"]["truth"] == "paid" and paid["screen"]["next"] == "wait"
    assert "还没有到账" in paid["screen"]["say"] and elder.balance_fen() == before

    world.work()
    done = elder.order(order_id)
    assert done["order"]["truth"] == "credited" and done["screen"]["title"] == "充好了"
    assert elder.balance_fen() == before + 5000 and world.balanced()
    receipts = [message for message in world.sandbox.messages() if order_id in str(message)]
    assert len(receipts) == 1


def test_a_new_person_is_asked_to_bind_a_card_first(world: World) -> None:
    screen = world.phone("nobody").tap("top_up")["screen"]
    assert "bind_card" in [choice["id"] for choice in screen["choices"]] and "没有动您的钱" in screen["say"]


def test_with_two_cards_the_person_is_asked_which_one(world: World) -> None:
    elder = world.elder()
    second = elder.bind("3104870300000000002")
    asked = elder.tap("top_up")["screen"]
    assert [choice["id"] for choice in asked["choices"]] == [f"card:{card}" for card in elder.cards]
    elder.tap(f"card:{second}")
    assert elder.tap("amount:10000")["screen"]["order"]["card_id"] == second


def test_the_same_turn_sent_twice_opens_one_order(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    turn = {"client_key": a_key(), "choice": "amount:5000"}
    first = elder.ok("POST", "/api/v1/conversation/turns", turn)
    again = elder.ok("POST", "/api/v1/conversation/turns", turn)
    assert again["screen"]["order"]["id"] == first["screen"]["order"]["id"]
    assert len(elder.ok("GET", "/api/v1/orders")["orders"]) == 1


def test_the_same_key_with_another_body_is_a_conflict(world: World) -> None:
    elder = world.elder()
    key = a_key()
    elder.ok("POST", "/api/v1/conversation/turns", {"client_key": key, "choice": "top_up"})
    status, body = elder.post("/api/v1/conversation/turns", {"client_key": key, "choice": "balance"})
    assert (status, body["code"]) == (409, "client_key_reused")
    wish = {"card_id": elder.cards[0], "amount_fen": 5000, "method": "wechat_balance", "client_key": a_key()}
    elder.ok("POST", "/api/v1/orders", wish)
    status, body = elder.post("/api/v1/orders", {**wish, "amount_fen": 6000})
    assert (status, body["code"]) == (409, "client_key_reused")


def test_a_changed_amount_ends_the_old_read_back(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    old = elder.tap("amount:5000")["screen"]
    elder.tap("top_up")
    elder.tap("amount:10000")
    screen = elder.tap(old["choices"][0]["id"])["screen"]
    assert screen["next"] == "done" and screen["order"]["state"] == "cancelled"


def test_a_confirmation_of_something_else_is_refused(world: World) -> None:
    elder = world.elder()
    order = elder.open_order()
    status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": "0" * 16})
    assert (status, body["code"]) == (409, "read_back_changed")


def test_cancelling_before_paying_takes_nothing_and_closes_the_payment(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    cancelled = elder.ok("POST", f"/api/v1/orders/{page['order']['id']}/cancel")
    assert cancelled["order"]["state"] == "cancelled" and "没有动您的钱" in cancelled["screen"]["say"]
    assert elder.pay(page) != "requestPayment:ok"


def test_backing_out_of_the_payment_sheet_keeps_the_order_and_says_nothing_was_taken(world: World) -> None:
    elder = world.elder()
    page = elder.confirm(elder.open_order())
    assert elder.pay(page, "cancel") == "requestPayment:fail cancel"
    path = f"/api/v1/orders/{page['order']['id']}/payment-result"
    told = elder.ok("POST", path, {"result": "cancelled"})
    assert "没有动您的钱" in told["screen"]["say"] and told["order"]["state"] == "awaiting_payment"
    pay_again = next(choice["id"] for choice in told["screen"]["choices"] if choice["id"].startswith("pay:"))
    assert elder.pay({"screen": elder.tap(pay_again)["screen"]}) == "requestPayment:ok"


def test_balance_history_help_and_say_it_again_work_by_touch(world: World) -> None:
    elder = world.elder()
    balance = elder.tap("balance")["screen"]
    assert balance["body"][0]["text"].endswith("元")
    assert elder.tap("repeat")["screen"] == balance
    assert elder.tap("history")["screen"]["title"] == "还没有充值记录"
    assert "怎么用" in elder.tap("help")["screen"]["title"]
    assert elder.tap("agent")["screen"]["body"][0]["text"]
    assert elder.tap("home")["screen"]["title"] == elder.ok("GET", "/api/v1/screen")["screen"]["title"]


def test_hearing_the_read_back_again_opens_no_second_order(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    read_back = elder.tap("amount:5000")["screen"]
    assert elder.tap("repeat")["screen"] == read_back
    assert len(elder.ok("GET", "/api/v1/orders")["orders"]) == 1


def test_after_ten_quiet_minutes_the_conversation_starts_at_home(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    world.clock.tick(minutes=9)
    assert elder.ok("GET", "/api/v1/screen")["screen"]["next"] == "listen"
    world.clock.tick(minutes=2)
    assert elder.ok("GET", "/api/v1/screen")["screen"]["title"] == "您想办什么？"


def test_an_amount_outside_the_limits_asks_again_and_keeps_the_card(world: World) -> None:
    elder = world.elder()
    elder.tap("top_up")
    body = {"client_key": a_key(), "choice": "amount:2000"}
    status, answer = elder.post("/api/v1/conversation/turns", body)
    assert (status, answer["code"]) == (422, "amount_too_small") and "50" in answer["say"]
    assert elder.tap("amount:5000")["screen"]["next"] == "confirm"


def test_a_full_card_says_how_much_still_fits(world: World) -> None:
    elder = world.elder(card="3104870300000000006")
    order = elder.open_order(200_000)
    status, body = elder.post(f"/api/v1/orders/{order['id']}/confirm", {"read_back": order["read_back"]})
    assert (status, body["code"]) == (422, "balance_ceiling")
