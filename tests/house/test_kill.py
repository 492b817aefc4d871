"""kill -9 of server and worker at every step of the story: every paid order is finished exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from app.cli.house import House
from app.config import Settings
from app.store import ledger
from app.store.database import Database
from tests.live import running_house
from tests.world import Phone, a_key

pytestmark = pytest.mark.slow

STEPS = ("logged in", "card bound", "read back", "confirmed", "paid at wechat", "paid", "credited")
CARDS = [f"310487030000000000{n}" for n in range(1, 6)]
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("kill"), ANXIN_LOG_LEVEL="WARNING") as started:
        yield started


def power_cut(house: House) -> None:
    """Server and worker die at once and are started again; WeChat and the card system live on."""
    house.kill("server")
    house.kill("worker")
    house.start("server")
    house.start("worker")
    house.wait_for("server", f"{house.base_url}/healthz")


def patiently(call: Callable[[], dict]) -> dict:
    """What a phone does when nobody answers: try the same again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except (requests.RequestException, AssertionError, KeyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def until_credited(phone: Phone, order_id: str) -> dict:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page = patiently(lambda: phone.order(order_id))
        if page["order"]["truth"] == "credited":
            return page
        time.sleep(0.1)
    raise AssertionError(f"{order_id} was not credited: {page['order']}")


def books_balance(house: House) -> bool:
    settings = Settings.from_env(house.environment())
    database = Database(settings.database_url)
    try:
        with database.read() as tx:
            return ledger.balance(tx).ok
    finally:
        database.close()


@pytest.mark.parametrize("killed_after", STEPS)
def test_a_power_cut_after_any_step_loses_and_doubles_nothing(house: House, killed_after: str) -> None:
    def cut_after(step: str) -> None:
        if step == killed_after:
            power_cut(house)

    card = CARDS[STEPS.index(killed_after) % len(CARDS)]
    phone = Phone(house.base_url, f"person-{killed_after}").log_in()
    cut_after("logged in")
    card_id = phone.bind(card)
    before = phone.balance_fen()
    cut_after("card bound")
    wish = {"card_id": card_id, "amount_fen": 5000, "method": "wechat_balance", "client_key": a_key()}
    order = patiently(lambda: phone.ok("POST", "/api/v1/orders", wish))["order"]
    cut_after("read back")
    assert patiently(lambda: phone.ok("POST", "/api/v1/orders", wish))["order"]["id"] == order["id"]
    page = patiently(lambda: phone.confirm(order))
    cut_after("confirmed")
    assert phone.pay(page) == "requestPayment:ok"
    cut_after("paid at wechat")
    patiently(lambda: phone.ok("POST", f"/api/v1/orders/{order['id']}/payment-result", {"result": "ok"}))
    cut_after("paid")
    until_credited(phone, order["id"])
    cut_after("credited")
    done = until_credited(phone, order["id"])
    assert done["order"]["state"] == "completed"
    assert phone.balance_fen() == before + 5000
    assert books_balance(house)


def top_up_until(over: threading.Event, phone: Phone, paid: list[str]) -> None:
    """One order after the other, giving up on whatever a power cut interrupts."""
    while not over.is_set():
        try:
            page = phone.confirm(phone.open_order())
            if phone.pay(page) == "requestPayment:ok":
                paid.append(page["order"]["id"])
        except (requests.RequestException, AssertionError, KeyError):
            time.sleep(0.1)


def all_orders(phone: Phone) -> list[dict]:
    """Every page of the history."""
    page = patiently(lambda: phone.ok("GET", "/api/v1/orders"))
    orders: list[dict] = page["orders"]
    while before := page["next_before"]:
        page = phone.ok("GET", f"/api/v1/orders?before={before}")
        orders += page["orders"]
    return orders


def credited_orders(phone: Phone) -> list[str]:
    """The orders whose money is on the card, once none is paid and still on its way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        orders = all_orders(phone)
        if not any(order["truth"] == "paid" for order in orders):
            return [order["id"] for order in orders if order["truth"] == "credited"]
        time.sleep(0.1)
    raise AssertionError("paid orders were never credited")


def test_power_cuts_at_unplanned_moments_finish_every_paid_order_once(house: House) -> None:
    phones = [Phone(house.base_url, f"many-{n}").log_in() for n in range(len(CARDS))]
    for phone, card in zip(phones, CARDS, strict=True):
        phone.bind(card)
    before = [phone.balance_fen() for phone in phones]
    paid: list[list[str]] = [[] for _phone in phones]
    over = threading.Event()
    payers = [
        threading.Thread(target=top_up_until, args=(over, phone, mine))
        for phone, mine in zip(phones, paid, strict=True)
    ]
    for payer in payers:
        payer.start()
    try:
        for pause in (0.7, 1.1, 0.4):
            time.sleep(pause)
            power_cut(house)
    finally:
        over.set()
        for payer in payers:
            payer.join()
    assert any(paid)
    for phone, mine, had in zip(phones, paid, before, strict=True):
        for order_id in mine:
            until_credited(phone, order_id)
        credited = credited_orders(phone)
        assert set(mine) <= set(credited)
        assert phone.balance_fen() == had + 5000 * len(credited)
    assert books_balance(house)
