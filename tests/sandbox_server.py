"""A sandbox on a real socket for tests.

    with running_sandbox(tmp_path, notify_base=None, clock=clock) as sandbox:
        sandbox.base_url                  # http://127.0.0.1:<free port>: WeChat, WeChat Pay, card system
        sandbox.keys                      # SandboxKeys, for the adapters' configurations
        sandbox.clock                     # the clock given, or a FakeClock of its own
        sandbox.login_code("amy")         # what wx.login would give this person
        sandbox.openid("amy")             # and the openid that code turns into
        sandbox.pay(parameters)           # tap "pay" in the sheet; returns errMsg
        sandbox.pay(parameters, "cancel")
        sandbox.subscribe("amy")          # accept the receipt template once (each accept = one message)
        sandbox.deliver()                 # deliver what is due now: [(order_id, event_type, status)]
        sandbox.release(order_id)         # let a held notice (amount ..06) go
        sandbox.send_notice(order_id, "forged")   # one faulty notice now; the receiver's status
        sandbox.outage("primary", "refuses")      # who: primary standby cards messages faces fingerprints
                                                  # texts bank_checks; mode: refuses silent lost none
        sandbox.pay_late(order_id)        # the money comes although the trade expired or was closed
        sandbox.pay_again(order_id)       # a second payment for a paid order; both: the transaction id
        sandbox.settle_refund(refund_id)  # a person settles an ABNORMAL refund at WeChat
        sandbox.set_card(number, balance_fen=0, behaviour="blocked", registered=False)
        sandbox.bill_fault(day, "missing_row", order_id=order_id, merchant="standby")
        sandbox.stall_batches()           # end-of-day files are taken and never worked through; (False): on
        sandbox.batches()                 # rows: batch_id, lines, received_at, due_at, done_at
        sandbox.facial_verify(verify_id, "cancel")       # what a person does before the camera; errMsg
        sandbox.fingerprint("amy", challenge)     # what wx.startSoterAuthentication gives
        sandbox.texts("13900000001")              # the SMS a phone has got, oldest first, with facts and text
        sandbox.trades() refunds() notices() messages() cards() credits()      # rows as dicts
        sandbox.card("3104870300000000001")       # one card's row, with balance_fen

When notices go out: delivery="inline" (the default) makes the request that causes a notice wait until it
was delivered once, so that after sandbox.pay() the receiver has been told; "manual" leaves it to deliver();
"background" is a thread, as in development. Retries need the clock to move and deliver() (or background).
Where they go: the prepay's notify_url, with scheme and host replaced by `notify_base` when that is set
(also later: `sandbox.notify_base = "http://127.0.0.1:port"`); or `post(url, headers, body) -> status`
replaces HTTP altogether, e.g. to hand them to a Flask test client.
Keys are made once a test process and written to `data_dir`, where load_or_create_keys finds them. Starting
a second sandbox on the same folder continues with the same state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import requests

from app.domain.clock import FakeClock
from app.ports import Clock
from app.providers.sandbox.application import create_sandbox
from app.providers.sandbox.keys import SandboxKeys, generate_keys
from app.providers.sandbox.notices import Post, post_over_http
from app.providers.sandbox.server import SandboxServer
from app.providers.sandbox.world import Delivery, NoticeKeys, SandboxSettings, seeds

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # a Monday, 10:00 in Shanghai
RECEIPT_TEMPLATE = "anxin-receipt"


@cache
def sandbox_keys() -> SandboxKeys:
    """One set of keys a test process: making them takes about a second."""
    return generate_keys()


@dataclass(slots=True)
class Sandbox:
    """See the module docstring."""

    server: SandboxServer
    clock: Any

    @property
    def base_url(self) -> str:
        return self.server.base_url

    @property
    def keys(self) -> SandboxKeys:
        return self.server.sandbox.keys

    @property
    def notify_base(self) -> str | None:
        return self.server.sandbox.world.notify_base

    @notify_base.setter
    def notify_base(self, base: str | None) -> None:
        self.server.sandbox.world.notify_base = base

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST to the phone's or tester's side; the parsed answer. Raises for 4xx and 5xx."""
        response = requests.post(self.base_url + path, json=body or {}, timeout=30)
        response.raise_for_status()
        return response.json()

    def login_code(self, person: str) -> str:
        return str(self.ask("/phone/login", {"person": person})["code"])

    def openid(self, person: str) -> str:
        """The person's openid; WeChat knows the person from now on."""
        world = self.server.sandbox.world
        with world.store.write() as tx:
            return world.register(tx, person)

    def pay(self, payment: Mapping[str, str], action: str = "pay", person: str | None = None) -> str:
        body: dict[str, Any] = {"payment": dict(payment), "action": action}
        return str(self.ask("/phone/pay", body | ({"person": person} if person else {}))["errMsg"])

    def subscribe(self, person: str, *template_ids: str) -> dict[str, str]:
        wanted = list(template_ids) or [template["id"] for template in seeds()["templates"]]
        answer: dict[str, str] = self.ask("/phone/subscribe", {"person": person, "template_ids": wanted})
        return answer

    def facial_verify(self, verify_id: str, action: str = "pass", person: str | None = None) -> str:
        body = {"verify_id": verify_id, "action": action} | ({"person": person} if person else {})
        return str(self.ask("/phone/facial-verify", body)["errMsg"])

    def fingerprint(self, person: str, challenge: str, action: str = "match") -> dict[str, Any]:
        body = {"person": person, "challenge": challenge, "action": action}
        told: dict[str, Any] = self.ask("/phone/fingerprint", body)
        return told

    def texts(self, phone: str | None = None) -> list[dict[str, Any]]:
        return self._rows("texts", **({"phone": phone} if phone else {}))

    def deliver(self) -> list[tuple[str, str, int | None]]:
        deliveries = self.ask("/sandbox/notices/deliver")["deliveries"]
        return [(item["order_id"], item["event_type"], item["status"]) for item in deliveries]

    def release(self, order_id: str | None = None) -> int:
        return int(self.ask("/sandbox/notices/release", {"order_id": order_id})["released"])

    def send_notice(self, order_id: str, fault: str) -> int | None:
        status: int | None = self.ask("/sandbox/notices/send", {"order_id": order_id, "fault": fault})[
            "status"
        ]
        return status

    def outage(self, who: str, mode: str = "refuses") -> None:
        self.ask("/sandbox/outages", {"who": who, "mode": mode})

    def pay_late(self, order_id: str, **merchant: str) -> str:
        told = self.ask("/sandbox/trades/pay-late", {"order_id": order_id, **merchant})
        return str(told["transaction_id"])

    def pay_again(self, order_id: str, **merchant: str) -> str:
        return str(
            self.ask("/sandbox/trades/pay-again", {"order_id": order_id, **merchant})["transaction_id"]
        )

    def settle_refund(self, refund_id: str, **merchant: str) -> None:
        self.ask("/sandbox/refunds/settle", {"refund_id": refund_id, **merchant})

    def set_card(self, card_number: str, **changes: Any) -> dict[str, Any]:
        card: dict[str, Any] = self.ask("/sandbox/cards/set", {"card_number": card_number, **changes})
        return card

    def bill_fault(self, day: date, fault: str, **details: Any) -> dict[str, Any]:
        """See docs/SANDBOX.md; answers what was chosen (order_id and transaction_id of an extra_row)."""
        told = {"day": day.isoformat(), "fault": fault, **details}
        answer: dict[str, Any] = self.ask("/sandbox/bills/faults", told)
        return answer

    def stall_batches(self, stalled: bool = True) -> None:
        self.ask("/sandbox/batches/stall", {"stalled": stalled})

    def batches(self) -> list[dict[str, Any]]:
        return self._rows("batches")

    def _rows(self, name: str, **filters: str) -> list[dict[str, Any]]:
        response = requests.get(f"{self.base_url}/sandbox/{name}", params=filters, timeout=10)
        response.raise_for_status()
        rows: list[dict[str, Any]] = response.json()[name]
        return rows

    def trades(self) -> list[dict[str, Any]]:
        return self._rows("trades")

    def refunds(self) -> list[dict[str, Any]]:
        return self._rows("refunds")

    def notices(self, **filters: str) -> list[dict[str, Any]]:
        return self._rows("notices", **filters)

    def messages(self) -> list[dict[str, Any]]:
        return self._rows("messages")

    def cards(self) -> list[dict[str, Any]]:
        return self._rows("cards")

    def outages(self) -> list[dict[str, Any]]:
        return self._rows("outages")

    def credits(self) -> list[dict[str, Any]]:
        return self._rows("credits")

    def card(self, card_number: str) -> dict[str, Any]:
        return next(card for card in self.cards() if card["card_number"] == card_number)


@contextmanager
def running_sandbox(
    data_dir: Path,
    notify_base: str | None = None,
    *,
    clock: Clock | None = None,
    delivery: Delivery = "inline",
    post: Post = post_over_http,
    notice_keys: NoticeKeys = "alternate",
    notice_delay_factor: float = 1.0,
    refund_seconds: float = 5.0,
    batch_seconds: float = 2.0,
) -> Iterator[Sandbox]:
    """Start a sandbox in a thread, and stop it whatever happens."""
    clock = clock or FakeClock(START)
    settings = SandboxSettings(
        data_dir=data_dir,
        notify_base=notify_base,
        notice_keys=notice_keys,
        notice_delay_factor=notice_delay_factor,
        refund_seconds=refund_seconds,
        batch_seconds=batch_seconds,
        delivery=delivery,
    )
    with SandboxServer(create_sandbox(settings, clock, sandbox_keys(), post)) as server:
        yield Sandbox(server, clock)
