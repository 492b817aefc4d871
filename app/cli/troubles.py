"""Seven troubles a payment can have, played in a small city: what people hear, and where the money goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from app.cli import Build
from app.cli.small_city import SmallCity, small_city
from app.cli.story import Phone, StoryFailed
from app.domain.clock import SHANGHAI
from app.flows.channels import FAILURES_TO_OPEN
from app.store import cases, differences, ledger

MORNING = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, ten o'clock in Shanghai
GUANGZHOU_CARD, REFUSING_CARD = "3104870300000000001", "3104870300000000009"
LANZHOU_CARD = "3104900000000000001"


@dataclass
class Played:
    """How one trouble went. `heard` are (time in Shanghai, what was said or sent); `entries` the ledger."""

    name: str
    summary: str
    heard: list[tuple[str, str]] = field(default_factory=list)
    entries: list[tuple[str, str, int]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    holds: bool = False


class _Stage:
    """One trouble being played: remembers what the person hears."""

    def __init__(self, city: SmallCity, played: Played) -> None:
        self.city = city
        self.played = played
        self._sent = 0

    def pay(self, phone: Phone, amount_fen: int) -> str:
        """Open, confirm and pay an order; returns its id."""
        page = self.open(phone, amount_fen)
        said = phone.wechat("pay", {"payment": page["screen"]["payment"], "action": "pay"})["errMsg"]
        if said != "requestPayment:ok":
            raise StoryFailed(f"the sheet says {said}")
        return str(page["order"]["id"])

    def open(self, phone: Phone, amount_fen: int) -> dict[str, Any]:
        """An order before the open payment sheet."""
        card_id = phone.call("GET", "/api/v1/cards")["cards"][0]["id"]
        order = self.wish(phone, card_id, amount_fen)
        told = {"read_back": order["read_back"]}
        return phone.call("POST", f"/api/v1/orders/{order['id']}/confirm", json=told)

    def wish(self, phone: Phone, card_id: str, amount_fen: int) -> dict[str, Any]:
        """An order that was read back."""
        wish = {"card_id": card_id, "amount_fen": amount_fen, "method": "wechat_balance"}
        key = {"client_key": f"demo-{len(self.played.heard)}-{self.city.clock.now().timestamp():.0f}"}
        order: dict[str, Any] = phone.call("POST", "/api/v1/orders", json=wish | key)["order"]
        return order

    def hear(self, phone: Phone, order_id: str) -> dict[str, Any]:
        """The screen of an order, read aloud, and the messages that came meanwhile."""
        page = phone.call("GET", f"/api/v1/orders/{order_id}")
        self.say(page["screen"]["say"])
        return page

    def say(self, text: str) -> None:
        at = f"{self.city.clock.now().astimezone(SHANGHAI):%m-%d %H:%M:%S}"
        self.played.heard.append((at, text))
        messages = self.city.look("messages")
        for message in messages[self._sent :]:
            self.played.heard.append((at, f"[{message['data']['phrase5']} {message['data']['amount2']}]"))
        self._sent = len(messages)

    def end(self, phone: Phone, order_id: str, truth: str, **more: Any) -> None:
        """The last look: the order, its ledger, its cases; and whether it ended as it must."""
        page = self.hear(phone, order_id)
        with self.city.deps.database.read() as tx:
            found = cases.of_order(tx, order_id)
            subjects = [order_id, *(each.id for each in differences.about(tx, order_id))]
            for subject in subjects:
                self.played.entries += ledger.entries_of(tx, subject)
        self.played.end = {
            "state": page["order"]["state"],
            "truth": page["order"]["truth"],
            "cases": [{"kind": case.kind, "resolved": case.resolved_at is not None} for case in found],
            "ledger_conserved": self.city.conserved(),
            **more,
        }
        self.played.holds = page["order"]["truth"] == truth and self.city.conserved()


def late_notice(stage: _Stage) -> None:
    """The person pays, WeChat's notice is late. We ask instead of waiting."""
    phone = stage.city.elder("wang", GUANGZHOU_CARD)
    order_id = stage.pay(phone, 5006)  # ..06: the notice is held back
    stage.hear(phone, order_id)
    stage.city.rest(seconds=30)
    stage.hear(phone, order_id)
    stage.city.trouble("notices/release", {"order_id": order_id})
    stage.city.rest(seconds=30)
    stage.end(phone, order_id, "credited", credits=len(stage.city.look("credits")))


def double_payment(stage: _Stage) -> None:
    """WeChat takes money twice for one order. The second payment goes home by itself."""
    phone = stage.city.elder("wang", GUANGZHOU_CARD)
    order_id = stage.pay(phone, 5000)
    stage.city.rest(seconds=5)
    stage.hear(phone, order_id)
    stage.city.trouble("trades/pay-again", {"order_id": order_id})
    stage.city.rest(seconds=5)
    refunds = [refund["refund_fen"] for refund in stage.city.look("refunds")]
    stage.end(phone, order_id, "credited", credits=len(stage.city.look("credits")), refunds_fen=refunds)


def refused_credit(stage: _Stage) -> None:
    """The card system refuses the credit. All of the money goes home."""
    phone = stage.city.elder("wang", REFUSING_CARD)
    order_id = stage.pay(phone, 5008)  # ..08: the refund takes WeChat a few seconds
    stage.city.work()
    stage.hear(phone, order_id)
    stage.city.rest(minutes=1)
    stage.end(phone, order_id, "returned")


def unknown_then_paid(stage: _Stage) -> None:
    """WeChat falls silent while the person pays. Nothing is claimed until it is certain."""
    phone = stage.city.elder("wang", GUANGZHOU_CARD)
    page = stage.open(phone, 5005)  # ..05: the notice never comes
    order_id = str(page["order"]["id"])
    phone.wechat("pay", {"payment": page["screen"]["payment"], "action": "pay"})
    stage.city.trouble("outages", {"who": "primary", "mode": "silent"})
    phone.call("POST", f"/api/v1/orders/{order_id}/payment-result", json={"result": "ok"})
    for _ in range(31):
        stage.city.work(minutes=1)
    stage.hear(phone, order_id)
    stage.city.trouble("outages", {"who": "primary", "mode": "none"})
    stage.city.rest(minutes=1)
    stage.end(phone, order_id, "credited")


def outage_with_standby(stage: _Stage) -> None:
    """The primary channel is silent. New orders take the standby; unknown ones are sent nowhere else."""
    stage.city.trouble("outages", {"who": "primary", "mode": "silent"})
    for number in range(FAILURES_TO_OPEN):
        stranded = stage.city.elder(f"li{number}", GUANGZHOU_CARD, messages=0)
        card_id = stranded.call("GET", "/api/v1/cards")["cards"][0]["id"]
        order = stage.wish(stranded, card_id, 5000)
        try:
            told = {"read_back": order["read_back"]}
            stranded.call("POST", f"/api/v1/orders/{order['id']}/confirm", json=told)
        except StoryFailed as fault:
            stage.say(str(fault).rpartition(": ")[2])
    phone = stage.city.elder("wang", GUANGZHOU_CARD)
    order_id = stage.pay(phone, 5000)
    stage.city.work(seconds=5)
    merchants = {trade["order_id"]: trade["merchant_id"] for trade in stage.city.look("trades")}
    settings = stage.city.deps.settings
    standby = settings.standby.merchant_id if settings.standby else ""
    stage.end(
        phone,
        order_id,
        "credited",
        taken_by="standby" if merchants.get(order_id) == standby else "primary",
        trades_of_the_stranded=len(merchants) - 1,
    )
    stage.played.holds &= merchants == {order_id: standby}


def ceiling(stage: _Stage) -> None:
    """The card was filled up elsewhere between payment and credit. What does not fit goes home."""
    phone = stage.city.elder("wang", GUANGZHOU_CARD)
    order_id = stage.pay(phone, 10_000)
    stage.city.trouble("cards/set", {"card_number": GUANGZHOU_CARD, "balance_fen": 496_000})
    stage.city.rest(seconds=10)
    refunds = [refund["refund_fen"] for refund in stage.city.look("refunds")]
    stage.end(phone, order_id, "credited_in_part", refunds_fen=refunds)


def batch_breach(stage: _Stage) -> None:
    """Lanzhou's end-of-day file gets no answer for twelve hours. The person is told, a case is opened."""
    phone = stage.city.elder("wang", LANZHOU_CARD)
    order_id = stage.pay(phone, 5000)
    stage.hear(phone, order_id)
    stage.city.trouble("batches/stall", {"stalled": True})
    for _ in range(25):
        stage.city.work(minutes=30)
    stage.hear(phone, order_id)
    stage.city.trouble("batches/stall", {"stalled": False})
    stage.city.rest(minutes=5)
    stage.end(phone, order_id, "credited", credits=len(stage.city.look("credits")))


TROUBLES: tuple[tuple[str, Callable[[_Stage], None]], ...] = (
    ("guangzhou", late_notice),
    ("guangzhou", double_payment),
    ("guangzhou", refused_credit),
    ("guangzhou", unknown_then_paid),
    ("guangzhou", outage_with_standby),
    ("guangzhou", ceiling),
    ("lanzhou", batch_breach),
)


def play(build: Build, city_name: str, trouble: Callable[[_Stage], None]) -> Played:
    """Play one trouble in a city of its own. A step that does not hold is told, not raised."""
    played = Played(trouble.__name__, " ".join((trouble.__doc__ or "").split()))
    with small_city(build, city_name, MORNING) as city:
        try:
            trouble(_Stage(city, played))
        except (StoryFailed, requests.RequestException) as fault:
            played.end = {"fault": str(fault)}
    return played
