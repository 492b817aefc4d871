"""People who top up without pause while things die around them, and who write down what they were told."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.world import Phone

PATIENCE_SECONDS = 120.0
AMOUNT_FEN = 5000
TOP_UPS_A_CARD = 30  # then the person is another: a card's ceiling and a day's limit are not what is tested
LOST_OF_TEN = 2  # answers that came and are treated as if they had not
SILENT_OF_TEN = 1  # phones that fall silent once they have paid
TRIED_AGAIN = frozenset({500, 502, 503, 504})


class NotServed(Exception):
    """Nobody answered for longer than anybody waits, or with what no answer may be."""


@dataclass
class Journal:
    """What all phones were told. An acknowledged order is one whose opening was answered."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # client key -> order id
    confirmed: set[str] = field(default_factory=set)
    told_paid: set[str] = field(default_factory=set)
    changed: list[str] = field(default_factory=list)  # another order for the same key: doubled
    faults: list[str] = field(default_factory=list)
    asked: int = 0
    unanswered: int = 0
    lost_on_purpose: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, key: str, order_id: str) -> None:
        with self.lock:
            if self.acknowledged.setdefault(key, order_id) != order_id:
                self.changed.append(key)


@dataclass
class Payer:
    """One person after the other on one phone line; `cards` gives the next person's card."""

    base_url: str
    cards: Callable[[], str]
    journal: Journal
    over: threading.Event

    def live(self) -> None:
        """Until it is over; a top-up that was begun is brought to its end."""
        try:
            while not self.over.is_set():
                phone = self._somebody()
                for _turn in range(TOP_UPS_A_CARD):
                    if self.over.is_set():
                        break
                    self._top_up(phone)
        except Exception as fault:  # the drill must hear of it, whatever it is
            self.journal.faults.append(f"{type(fault).__name__}: {fault}"[:500])

    def _somebody(self) -> Phone:
        phone = Phone(self.base_url, f"drill-{secrets.token_hex(6)}")
        number = self.cards()
        self._patiently(phone.log_in)
        self._patiently(lambda: phone.bind(number))
        return phone

    def _top_up(self, phone: Phone) -> None:
        key = f"drill-{secrets.token_hex(10)}"
        wish = {
            "card_id": phone.cards[-1],
            "amount_fen": AMOUNT_FEN,
            "method": "wechat_balance",
            "client_key": key,
        }
        order = self._answer(phone, "POST", "/api/v1/orders", wish)["order"]
        self.journal.acknowledge(key, order["id"])
        if self._chance(LOST_OF_TEN):  # the answer is lost on its way: the same wish goes again
            self.journal.lost_on_purpose += 1
            again = self._answer(phone, "POST", "/api/v1/orders", wish)["order"]
            self.journal.acknowledge(key, again["id"])
        path = f"/api/v1/orders/{order['id']}"
        yes = {"read_back": order["read_back"]}
        page = self._answer(phone, "POST", f"{path}/confirm", yes)
        if self._chance(LOST_OF_TEN):
            self.journal.lost_on_purpose += 1
            page = self._answer(phone, "POST", f"{path}/confirm", yes)
        again = f"question:duplicate:again:{order['id']}"  # the same sum within ten minutes: it is meant
        if again in [choice["id"] for choice in page["screen"]["choices"]]:
            page = self._answer(phone, "POST", f"{path}/questions/duplicate", {"answer": "again"})
        self.journal.confirmed.add(order["id"])
        said = self._patiently(lambda: phone.pay(page))
        if said == "requestPayment:ok":
            self.journal.told_paid.add(order["id"])
        if not self._chance(SILENT_OF_TEN):
            self._answer(phone, "POST", f"{path}/payment-result", {"result": "ok"})

    def _answer(self, phone: Phone, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until it is answered; a refusal is a fault of the drill."""

        def ask() -> dict[str, Any]:
            status, answer = phone.call(method, path, json=body)
            if status in TRIED_AGAIN:
                raise requests.HTTPError(f"{status} {answer}")
            if status >= 300:
                raise NotServed(f"{path}: {status} {answer}")
            return answer

        found: dict[str, Any] = self._patiently(ask)
        return found

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """What a phone does when nobody answers: the same again, in a moment."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.journal.asked += 1
            try:
                return call()
            except (requests.RequestException, AssertionError, KeyError) as silence:
                self.journal.unanswered += 1
                if time.monotonic() > deadline:
                    raise NotServed(str(silence)) from silence
                time.sleep(0.2)

    @staticmethod
    def _chance(of_ten: int) -> bool:
        return secrets.randbelow(10) < of_ten
