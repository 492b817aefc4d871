"""The main job, performed over HTTP against a running house and told step by step, with times.

Everything goes through the doors a phone uses. The payment is made at the sandbox WeChat, whose signed
notice must arrive and be verified before the story goes on.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.markup import escape

DEMO_CARD = "3104870300000000001"
AMOUNT_FEN = 5000
WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0


class StoryFailed(RuntimeError):
    """A step did not hold; says which and why."""


@dataclass
class Phone:
    """One person's phone: a session, a conversation, and WeChat's part played by the sandbox."""

    base_url: str
    person: str
    token: str = ""
    helped_in: str | None = None  # the help session a relative looks on in
    conversation: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request; StoryFailed on any fault, with what the person would hear."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.helped_in is not None:
            headers["X-Anxin-Help"] = self.helped_in
        answer = requests.request(
            method, self.base_url + path, headers=headers, timeout=TIMEOUT_SECONDS, **options
        )
        body: dict[str, Any] = answer.json() if answer.content else {}
        if answer.status_code >= 400:
            raise StoryFailed(
                f"{method} {path} -> {answer.status_code} {body.get('code')}: {body.get('say')}"
            )
        return body

    def wechat(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the phone's own WeChat does."""
        return self.call("POST", f"/sandbox/phone/{action}", json=body)

    def log_in(self) -> str:
        """wx.login, then our session."""
        code = self.wechat("login", {"person": self.person})["code"]
        opened = self.call("POST", "/api/v1/sessions", json={"code": code, "channel": "mini_program"})
        self.token = opened["token"]
        return str(opened["user_id"])

    def say(self, clip: Path) -> dict[str, Any]:
        """Speak one file."""
        self.conversation = self.call(
            "POST",
            "/api/v1/conversation/turns",
            data={"client_key": secrets.token_hex(8)},
            files={"audio": (clip.name, clip.read_bytes())},
        )
        return self.conversation

    def tap(self, choice: str) -> dict[str, Any]:
        """Press one button."""
        self.conversation = self.call(
            "POST",
            "/api/v1/conversation/turns",
            json={"client_key": secrets.token_hex(8), "choice": choice},
        )
        return self.conversation


class Teller:
    """Prints each step with the time it took, aligned."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._last = time.monotonic()
        self._number = 0

    def step(self, name: str, detail: str) -> None:
        now = time.monotonic()
        self._number += 1
        head = f"[bold]{self._number:>2}[/bold] {now - self._last:6.2f} s  [cyan]{name:<12}[/cyan]"
        self._console.print(f"{head} {escape(detail)}", soft_wrap=True)
        self._last = now

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started


def require(held: bool, what: str) -> None:
    """StoryFailed unless the step held."""
    if not held:
        raise StoryFailed(what)


def tell(base_url: str, sandbox_url: str, clip: Path, console: Console) -> None:
    """Perform the main job and print it. StoryFailed names the first step that did not hold."""
    teller = Teller(console)
    phone = Phone(base_url, person=f"story-{secrets.token_hex(4)}")
    teller.step("logged in", phone.log_in())
    card = _bind(phone, teller)
    _accept_receipts(phone)
    _agree_to_be_heard(phone, teller)
    screen = _speak(phone, clip, teller)
    order = screen["order"]
    paid = _confirm_and_pay(phone, sandbox_url, screen, teller)
    done = _wait_until_credited(phone, order["id"], teller)
    _prove(phone, sandbox_url, order, card, done, teller)
    require(paid["order"]["id"] == order["id"], "the paid order is not the one that was read back")
    console.print(
        f"MAIN JOB OK card={card['last_four']} amount_fen={order['amount_fen']} order={order['id']} "
        f"state={done['order']['state']} seconds={teller.seconds:.1f}",
        soft_wrap=True,
    )


def _bind(phone: Phone, teller: Teller) -> dict[str, Any]:
    bound = phone.call("POST", "/api/v1/cards", json={"card_number": DEMO_CARD})
    card: dict[str, Any] = bound["card"]
    teller.step("card bound", f"{card['label']}  balance_fen={card['balance_fen']}")
    return card


def _accept_receipts(phone: Phone) -> None:
    template = phone.call("GET", "/api/v1/subscriptions")["templates"][0]["template_id"]
    phone.wechat("subscribe", {"person": phone.person, "template_ids": [template]})
    phone.call("POST", "/api/v1/subscriptions", json={"accepted": ["receipt"]})


def _agree_to_be_heard(phone: Phone, teller: Teller) -> None:
    told = phone.call("GET", "/api/v1/me/consents")["consents"]
    voice = next(each for each in told if each["purpose"] == "voice")
    given = {"purpose": "voice", "version": voice["version"]}
    phone.call("POST", "/api/v1/me/consents", json=given)
    teller.step("agreed", f"{voice['title']}  version={voice['version']}")


def _speak(phone: Phone, clip: Path, teller: Teller) -> dict[str, Any]:
    turn = phone.say(clip)
    heard = " | ".join(turn["heard"]) or "nothing"
    teller.step("heard", f"{clip.name}: {heard}")
    understood = turn["understood"] or {}
    teller.step(
        "understood",
        f"intent={understood.get('intent')} amount_fen={understood.get('amount_fen')} "
        f"decision={understood.get('decision')} confidence={understood.get('confidence')}",
    )
    screen: dict[str, Any] = turn["screen"]
    require(screen["next"] == "confirm", f"no read-back, but: {screen['say']}")
    require(screen["order"]["amount_fen"] == understood["amount_fen"], "the amount changed on its way")
    teller.step("read back", screen["say"])
    return screen


def _confirm_and_pay(
    phone: Phone, sandbox_url: str, screen: dict[str, Any], teller: Teller
) -> dict[str, Any]:
    confirm = next(choice["id"] for choice in screen["choices"] if choice["id"].startswith("confirm:"))
    asked = phone.tap(confirm)["screen"]
    require(asked["next"] == "pay", f"no payment was asked for, but: {asked['say']}")
    teller.step("confirmed", asked["say"])
    sheet = phone.wechat("pay", {"payment": asked["payment"], "action": "pay"})
    require(sheet.get("errMsg") == "requestPayment:ok", f"the payment sheet said {sheet}")
    order_id = asked["order"]["id"]
    page = _follow(phone, order_id, lambda order: order["paid_at"] is not None, "the notice never came")
    _wait_until_delivered(sandbox_url, order_id)
    teller.step("paid", f"signed notice verified, paid_at={page['order']['paid_at']}")
    return page


def _wait_until_delivered(sandbox_url: str, order_id: str) -> None:
    """WeChat keeps a record that we took its signed notice; it writes it after our answer."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        notices = requests.get(
            f"{sandbox_url}/sandbox/notices", params={"order_id": order_id}, timeout=TIMEOUT_SECONDS
        ).json()["notices"]
        if any(notice["delivered"] for notice in notices):
            return
        time.sleep(0.05)
    raise StoryFailed("the order is paid, but not by a verified notice")


def _follow(phone: Phone, order_id: str, reached: Any, otherwise: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        page = phone.call("GET", f"/api/v1/orders/{order_id}")
        if reached(page["order"]):
            return page
        time.sleep(0.05)
    raise StoryFailed(otherwise)


def _wait_until_credited(phone: Phone, order_id: str, teller: Teller) -> dict[str, Any]:
    page = _follow(phone, order_id, lambda order: order["truth"] == "credited", "the card was not credited")
    teller.step("credited", f"{page['screen']['say']}  credited_at={page['order']['credited_at']}")
    return page


def _prove(
    phone: Phone,
    sandbox_url: str,
    order: dict[str, Any],
    card: dict[str, Any],
    done: dict[str, Any],
    teller: Teller,
) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    receipts: list[dict[str, Any]] = []
    while not receipts and time.monotonic() < deadline:
        sent = requests.get(f"{sandbox_url}/sandbox/messages", timeout=TIMEOUT_SECONDS).json()["messages"]
        receipts = [message for message in sent if order["id"] in str(message)]
        time.sleep(0.05)
    require(len(receipts) == 1, f"{len(receipts)} receipts were sent instead of one")
    teller.step("receipt", "subscribe message sent, once")
    after = phone.call("GET", "/api/v1/cards")["cards"][0]["balance_fen"]
    require(
        after - card["balance_fen"] == order["amount_fen"],
        f"the balance went from {card['balance_fen']} to {after}",
    )
    spoken = phone.tap("balance")["screen"]["say"]
    teller.step("balance", f"{card['balance_fen']} + {order['amount_fen']} = {after}  {spoken}")
    require(done["order"]["state"] == "completed", "the order is not completed")
