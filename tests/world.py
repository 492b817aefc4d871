"""A whole small world in one process: our application on a real port, the sandbox city on another.

Time is one fake clock for both. The worker's part is `world.work()`, which drains the outbox once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from app.config import Settings
from app.domain.clock import FakeClock
from app.flows.deps import Deps
from app.jobs.outbox import drain
from app.jobs.sweep import sweep
from app.ports import Faces, Speech
from app.store import ledger
from app.wiring import build_deps
from tests.sandbox_server import Sandbox, running_sandbox

GOOD_CARD = "3104870300000000001"
_keys = itertools.count(1)


@dataclass
class Phone:
    """One person's phone. Every call answers (status, body)."""

    base_url: str
    person: str
    token: str = ""
    cards: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        headers = {**options.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = requests.request(method, self.base_url + path, headers=headers, timeout=30, **options)
        return answer.status_code, answer.json() if answer.content else {}

    def get(self, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
        return self.call("POST", path, json=body, **options)

    def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A call that must succeed."""
        status, answer = self.call(method, path, json=body)
        assert status < 300, (status, answer)
        return answer

    def log_in(self) -> Phone:
        code = self.ok("POST", "/sandbox/phone/login", {"person": self.person})["code"]
        self.token = self.ok(
            "POST", "/api/v1/sessions", {"code": code, "channel": "h5", "device": f"device-of-{self.person}"}
        )["token"]
        return self

    def bind(self, number: str = GOOD_CARD) -> str:
        card_id: str = self.ok("POST", "/api/v1/cards", {"card_number": number})["card"]["id"]
        self.cards.append(card_id)
        return card_id

    def agree(self, purpose: str = "voice") -> None:
        """Agree to the text in force; once is enough."""
        told = self.ok("GET", "/api/v1/me/consents")["consents"]
        version = next(each["version"] for each in told if each["purpose"] == purpose)
        self.ok("POST", "/api/v1/me/consents", {"purpose": purpose, "version": version})

    def tap(self, choice: str, **more: Any) -> dict[str, Any]:
        """Press a button of the conversation; answers the turn."""
        return self.ok(
            "POST", "/api/v1/conversation/turns", {"client_key": a_key(), "choice": choice, **more}
        )

    def open_order(self, amount_fen: int = 5000, card_id: str | None = None) -> dict[str, Any]:
        """An order that was read back."""
        wish = {
            "card_id": card_id or self.cards[0],
            "amount_fen": amount_fen,
            "method": "wechat_balance",
            "client_key": a_key(),
        }
        order: dict[str, Any] = self.ok("POST", "/api/v1/orders", wish)["order"]
        return order

    def say_yes(self, order: dict[str, Any]) -> dict[str, Any]:
        """Confirm what was read back; answers the page with the payment parameters, or with a question."""
        path = f"/api/v1/orders/{order['id']}/confirm"
        return self.ok("POST", path, {"read_back": order["read_back"]})

    def confirm(self, order: dict[str, Any]) -> dict[str, Any]:
        """The same, of somebody who means it: also when the same was paid for the same card just now."""
        page = self.say_yes(order)
        if f"question:duplicate:again:{order['id']}" in [each["id"] for each in page["screen"]["choices"]]:
            return self.ok("POST", f"/api/v1/orders/{order['id']}/questions/duplicate", {"answer": "again"})
        return page

    def pay(self, page: dict[str, Any], action: str = "pay") -> str:
        """What the payment sheet says."""
        body = {"payment": page["screen"]["payment"], "action": action}
        _status, answer = self.post("/sandbox/phone/pay", body)
        return str(answer["errMsg"])

    def accept_receipts(self) -> None:
        """Say yes to one receipt message, in WeChat and to us."""
        template = self.ok("GET", "/api/v1/subscriptions")["templates"][0]["template_id"]
        self.ok("POST", "/sandbox/phone/subscribe", {"person": self.person, "template_ids": [template]})
        self.ok("POST", "/api/v1/subscriptions", {"accepted": ["receipt"]})

    def order(self, order_id: str) -> dict[str, Any]:
        return self.ok("GET", f"/api/v1/orders/{order_id}")

    def balance_fen(self) -> int:
        return int(self.ok("GET", "/api/v1/cards")["cards"][0]["balance_fen"])


@dataclass
class World:
    clock: FakeClock
    deps: Deps
    app: Flask
    sandbox: Sandbox
    base_url: str

    def phone(self, person: str = "wang") -> Phone:
        """A person who is logged in."""
        return Phone(self.base_url, person).log_in()

    def elder(self, person: str = "wang", card: str = GOOD_CARD) -> Phone:
        """A person who is logged in and has bound a card."""
        phone = self.phone(person)
        phone.bind(card)
        return phone

    def work(self, **later: float) -> int:
        """Let time pass and the worker look at the outbox."""
        if later:
            self.clock.tick(**later)
        return drain(self.deps)

    def sweep(self) -> dict[str, int]:
        return sweep(self.deps)

    def balanced(self) -> bool:
        with self.deps.database.read() as tx:
            return ledger.balance(tx).ok


def a_key() -> str:
    """A client key nobody used."""
    return f"test-key-{next(_keys):06d}"


@contextmanager
def running_world(
    folder: Path,
    database_url: str,
    clock: FakeClock,
    speech: Speech | None = None,
    faces: Faces | None = None,
    **environ: str,
) -> Iterator[World]:
    """Start sandbox and application; both end with the block. `environ` adds settings: CITY="wuhan"."""
    holder: dict[str, Flask] = {}
    server = make_server("127.0.0.1", 0, lambda env, start: holder["app"](env, start), threaded=True)
    base_url = f"http://127.0.0.1:{server.server_port}"
    with running_sandbox(folder / "sandbox", notify_base=base_url, clock=clock) as sandbox:
        settings = Settings.from_env(
            {
                "ANXIN_DATA_DIR": str(folder),
                "ANXIN_DATABASE_URL": database_url,
                "ANXIN_PUBLIC_URL": base_url,
                "ANXIN_SANDBOX_URL": sandbox.base_url,
                "ANXIN_VOICE_MODELS": str(folder / "no-models"),
                "ANXIN_LOGINS_PER_MINUTE": "100000",  # all from one address, while the clock stands still
                **{f"ANXIN_{name}": value for name, value in environ.items()},
            }
        )
        deps = build_deps(settings, clock)
        if speech is not None:
            deps = replace(deps, speech=speech)
        if faces is not None:
            deps.faces.close()
            deps = replace(deps, faces=faces)
        holder["app"] = create_app(deps=deps)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield World(clock, deps, holder["app"], sandbox, base_url)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            if speech is None:
                deps.speech.close()
            if faces is None:
                deps.faces.close()
            deps.database.close()
