"""Help from afar in tests: a granted session, both phones, and the real stream over a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from granian.server.embed import Server

from app.domain.family import Role
from app.domain.help import State
from app.flows.deps import Deps
from app.live.application import LiveHelp
from app.store import help_rows, relatives
from app.store.database import Database
from tests.flows.test_identity_check import bound
from tests.world import Phone, World

PATIENCE_SECONDS = 20.0


def user_id_of(elder: Phone) -> str:
    """The id of the elder's newest relative."""
    found: str = elder.ok("GET", "/api/v1/relatives")["relatives"][-1]["user_id"]
    return found


def with_role(database: Database, elder: Phone, relative: Phone, *roles: Role) -> str:
    """Give the relative these roles; answers the relative's id."""
    relative_id = user_id_of(elder)
    elder_id = relative.ok("GET", "/api/v1/relatives")["elders"][0]["user_id"]
    with database.write() as tx:
        relatives.change(tx, elder_id, relative_id, {"roles": frozenset(roles)})
    return relative_id


def said_yes(database: Database, session_id: str) -> None:
    """The spoken yes, where no recogniser listens (tests/flows/test_help_spoken.py speaks it)."""
    with database.write() as tx:
        session = help_rows.find(tx, session_id)
        assert session is not None
        assert help_rows.change(tx, session_id, State.ASKED, {"spoken_at": session.asked_at})


@dataclass
class Help:
    """An elder, a relative who may assist, and their session."""

    elder: Phone
    relative: Phone
    id: str
    relative_id: str

    def path(self, end: str = "") -> str:
        return f"/api/v1/help/{self.id}{end}"

    def elder_is_shown(self, choice: str) -> dict[str, Any]:
        """The elder taps, and the phone says that it is being helped."""
        turn = {"client_key": f"shown-{time.monotonic_ns()}", "choice": choice}
        status, body = self.elder.post("/api/v1/conversation/turns", turn, headers={"X-Anxin-Help": self.id})
        assert status == 200, body
        screen: dict[str, Any] = body["screen"]
        return screen

    def address(self, who: Phone) -> str:
        """A fresh address of this person's stream."""
        found: str = who.ok("POST", self.path("/ticket"))["url"]
        return found


def granted(database: Database, elder: Phone, relative: Phone) -> Help:
    """A session that was said yes to and touched."""
    relative_id = with_role(database, elder, relative, Role.ASSIST)
    asked = elder.ok("POST", "/api/v1/help", {"relative_id": relative_id})["help"]
    said_yes(database, asked["id"])
    elder.ok("POST", f"/api/v1/help/{asked['id']}/open")
    return Help(elder, relative, asked["id"], relative_id)


def helped(world: World, person: str = "wang", card: str = "3104870300000000001") -> Help:
    """The same, with an elder and a daughter of this world."""
    elder = world.elder(person, card)
    return granted(world.deps.database, elder, bound(world, elder, f"daughter-of-{person}"))


@dataclass
class Following:
    """One phone's stream, read by a thread of its own. `events` grow as they come."""

    address: str
    last: int = 0
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)  # the stream is closed

    def __post_init__(self) -> None:
        headers = {"Last-Event-ID": str(self.last)} if self.last else {}
        self.answer = requests.get(self.address, headers=headers, stream=True, timeout=PATIENCE_SECONDS)
        self.status = self.answer.status_code
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200:
            self._thread.start()

    def _read(self) -> None:
        kind, number = "", 0
        try:
            for line in self.answer.iter_lines(chunk_size=1):
                name, _, value = line.decode().partition(": ")
                if name == "id":
                    number = int(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    self.events.append((number, kind, json.loads(value)))
        except (requests.RequestException, AttributeError, ValueError):
            pass  # hung up
        self.ended.set()

    def wait_for(self, kind: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The newest event of this kind, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for _number, found, body in reversed(self.events):
                if found == kind:
                    return body
            time.sleep(0.01)
        raise AssertionError(f"no {kind} in {self.events}")

    def numbers(self) -> list[int]:
        return [number for number, _kind, _body in self.events]

    def hang_up(self) -> None:
        """As a phone in a tunnel."""
        connection = self.answer.raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.shutdown(2)
        self._thread.join(PATIENCE_SECONDS)


@contextmanager
def live_server(deps: Deps, port: int) -> Iterator[None]:
    """The real application of the streams on a real port of this machine, with the clock of `deps`."""
    server = Server(LiveHelp(deps), port=port, interface="asgi", log_enabled=False, websockets=False)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        _until_answering(f"http://127.0.0.1:{port}")
        yield
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join(PATIENCE_SECONDS)


def _until_answering(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            requests.get(f"{address}/live/healthz", timeout=1)
            return
        except requests.RequestException:
            time.sleep(0.05)
    raise AssertionError(f"nobody answers at {address}")
