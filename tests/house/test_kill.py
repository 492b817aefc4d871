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


def test_power_cuts_at_unplanned_moments_finish_every_paid_order_once(house: House) -> None:
    phones = [Phone(house.base_url, f"many-{n}").log_in() for n in range(len(CARDS))]
    for phone, card in zip(phones, CARDS, strict=True):
        phone.bind(card)
    before = [phone.balance_fen() for phone in phones]
    paid: list[tuple[int, str]] = []
    over = threading.Event()

    def top_up_again_and_again(number: int) -> None:
        phone = phones[number]
        while not over.is_set():
            wish = {
                "card_id": phone.cards[0],
                "amount_fen": 5000,
                "method": "wechat_balance",
                "client_key": a_key(),
            }
            try:
                order = phone.ok("POST", "/api/v1/orders", wish)["order"]
                page = phone.confirm(order)
                if phone.pay(page) == "requestPayment:ok":
                    paid.append((number, order["id"]))
            except (requests.RequestException, AssertionError, KeyError):
                time.sleep(0.1)

    payers = [threading.Thread(target=top_up_again_and_again, args=(n,)) for n in range(len(phones))]
    for payer in payers:
        payer.start()
    for pause in (0.7, 1.1, 0.4):
        time.sleep(pause)
        power_cut(house)
    over.set()
    for payer in payers:
        payer.join()
    assert paid
    for number, order_id in paid:
        until_credited(phones[number], order_id)
    for number, phone in enumerate(phones):
        mine = sum(1 for payer, _order in paid if payer == number)
        assert patiently(lambda: phone.ok("GET", "/api/v1/cards"))  # noqa: B023 - called at once
        assert phone.balance_fen() >= before[number] + 5000 * mine
    assert books_balance(house)
