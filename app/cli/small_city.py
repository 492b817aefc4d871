"""A whole small city in one process, with a clock of its own: for demonstrations that need hours to pass.

Our application on one port, the sandbox (WeChat, WeChat Pay, card system) on another, a database in a
temporary folder. The worker's part is `work()`.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import make_server

from app.cli import Build
from app.cli.story import Phone
from app.config import REPOSITORY, Settings
from app.domain.clock import FakeClock
from app.flows.deps import Deps
from app.jobs.outbox import drain
from app.jobs.sweep import sweep
from app.providers.sandbox.application import create_sandbox
from app.providers.sandbox.server import QuietHandler, SandboxServer
from app.providers.sandbox.world import SandboxSettings
from app.store import ledger


@dataclass
class SmallCity:
    """Handles to everything in it."""

    clock: FakeClock
    app: Flask
    base_url: str
    sandbox_url: str

    @property
    def deps(self) -> Deps:
        found: Deps = self.app.extensions["anxin"]
        return found

    def elder(self, person: str, card_number: str, messages: int = 3) -> Phone:
        """Somebody who is logged in, has bound a card and accepted some messages."""
        phone = Phone(self.base_url, person)
        phone.log_in()
        phone.call("POST", "/api/v1/cards", json={"card_number": card_number})
        template = phone.call("GET", "/api/v1/subscriptions")["templates"][0]["template_id"]
        for _ in range(messages):
            phone.wechat("subscribe", {"person": person, "template_ids": [template]})
            phone.call("POST", "/api/v1/subscriptions", json={"accepted": ["receipt"]})
        return phone

    def work(self, **later: float) -> int:
        """Let time pass; the worker sweeps and does what is due."""
        if later:
            self.clock.tick(**later)
        sweep(self.deps)
        return drain(self.deps)

    def rest(self, **step: float) -> None:
        """Let time pass until the worker has nothing due."""
        for _ in range(120):
            if self.work(**step) == 0:
                return

    def trouble(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make trouble in the sandbox; see docs/SANDBOX.md."""
        answer = requests.post(f"{self.sandbox_url}/sandbox/{path}", json=body, timeout=10)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def look(self, name: str) -> list[dict[str, Any]]:
        """Rows of the sandbox: trades, refunds, credits, messages …"""
        answer = requests.get(f"{self.sandbox_url}/sandbox/{name}", timeout=10)
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()[name]
        return rows

    def conserved(self) -> bool:
        with self.deps.database.read() as tx:
            return ledger.balance(tx).ok


@contextmanager
def small_city(
    build: Build, name: str, start: datetime, *, voice_models: Path | None = None
) -> Iterator[SmallCity]:
    """Build it, hand it out, and leave no thread, port or file behind. `start` must be aware. Without
    `voice_models` nobody is heard."""
    clock = FakeClock(start)
    holder: dict[str, Flask] = {}
    server = make_server(
        "127.0.0.1", 0, lambda env, go: holder["app"](env, go), threaded=True, request_handler=QuietHandler
    )
    base_url = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory(prefix="anxin-demo-") as temporary:
        folder = Path(temporary)
        sandbox = create_sandbox(
            SandboxSettings(data_dir=folder / "sandbox", notify_base=base_url, delivery="inline"), clock
        )
        with SandboxServer(sandbox) as outside:
            settings = Settings.from_env(
                {
                    "ANXIN_DATA_DIR": temporary,
                    "ANXIN_PUBLIC_URL": base_url,
                    "ANXIN_SANDBOX_URL": outside.base_url,
                    "ANXIN_VOICE_MODELS": str(voice_models or folder / "no-models"),
                    "ANXIN_CITY": name,
                    "ANXIN_LOG_LEVEL": "CRITICAL",
                }
            )
            app = holder["app"] = build(settings, clock)
            logging.getLogger("app").setLevel(logging.CRITICAL)  # the troubles are told, not logged
            with app.app_context():
                upgrade(directory=str(REPOSITORY / "migrations"))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            city = SmallCity(clock, app, base_url, outside.base_url)
            try:
                yield city
            finally:
                server.shutdown()
                thread.join()
                server.server_close()
                city.deps.speech.close()
                city.deps.database.close()
