"""Live help: how long from what one side does until it is on the other side's screen.

200 sessions, both sides of each connected, two web processes and two processes of streams, the load's own
process beside them on the same two cores. Each session acts every four seconds, its sides in turn: the elder
taps (a turn of the conversation, whose screen is published), the relative says something. An action's time is
counted from the moment it was due, not from when a connection was free for it, until the event was read from
the other side's stream. On PostgreSQL and on SQLite; the slower one is the figure.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import insert

from app.cli.house import House, free_port
from app.config import Settings
from app.domain.help import LENGTH, EventKind, Side
from app.flows.login import sign
from app.store import help_rows, models
from app.store.database import Database
from bench.load import request_bytes
from bench.open_loop import quantile
from bench.order_path import SESSION_KEY, postgres
from tests.schema import migrate

SESSIONS = 200
EVERY_SECONDS = 4.0  # a session acts so often
WEB_WORKERS = LIVE_WORKERS = 2
LINES = 32  # keep-alive connections of the phones, as many as act at once
PATIENCE_SECONDS = 5.0
DATABASES = ("postgresql", "sqlite")


@dataclass
class Pair:
    """One session: whose it is, and what was sent and has not arrived yet, by kind of event."""

    session_id: str
    elder_token: str
    relative_token: str
    tapped: int = 0
    sent: dict[str, deque[float]] = field(default_factory=lambda: {"screen": deque(), "message": deque()})


@dataclass
class Arrived:
    """Seconds from each action to its arrival, by the kind of its event; and actions that were refused."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"screen": [], "message": []})
    refused: int = 0


def settle(database: Database, settings: Settings) -> list[Pair]:
    """Elders, relatives who may assist, and open sessions: the rows that the routes would have made."""
    now, tables = datetime.now(UTC), models.metadata.tables
    tomorrow, pairs = now + timedelta(days=1), []
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("users", "sessions", "relatives", "help_sessions")
    }
    for number in range(SESSIONS):
        elder, relative, session_id = (f"{kind}-{number}" for kind in ("elder", "relative", "session"))
        for user in (elder, relative):
            rows["users"].append({"id": user, "created_at": now})
            login = {"id": f"s-{user}", "public_id": f"p-{user}", "user_id": user, "openid": user}
            rows["sessions"].append({**login, "channel": "h5", "created_at": now, "expires_at": tomorrow})
        tie = {"elder_id": elder, "relative_id": relative, "state": "bound", "roles": ["assist"]}
        rows["relatives"].append({**tie, "bound_at": now, "agreed_until": tomorrow})
        session_id = f"hlp_{number:026d}"
        who = {"id": session_id, "elder_id": elder, "relative_id": relative, "state": "open"}
        moments = dict.fromkeys(("asked_at", "spoken_at", "touched_at", "opened_at"), now)
        rows["help_sessions"].append({**who, **moments, "expires_at": now + LENGTH})
        pairs.append(Pair(session_id, sign(settings, f"s-{elder}"), sign(settings, f"s-{relative}")))
    with database.write() as tx:
        for name, values in rows.items():
            tx.execute(insert(tables[name]), values)
        for pair in pairs:
            help_rows.append(tx, pair.session_id, Side.ELDER, EventKind.OPENED, {}, now)
    return pairs


class Phones:
    """All 400 phones, in one event loop."""

    def __init__(self, house: House, pairs: list[Pair]) -> None:
        self._house = house
        self._pairs = pairs
        self._lines: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._open = 0
        self.arrived = Arrived()

    async def live(self, seconds: float) -> None:
        """Connect, act for so long, and wait for what is under way."""
        for _line in range(LINES):
            self._lines.put_nowait(await asyncio.open_connection("127.0.0.1", self._house.port))
        readers = []
        for pair in self._pairs:
            for side, token, hears in (
                ("elder", pair.elder_token, "message"),
                ("relative", pair.relative_token, "screen"),
            ):
                body = await self._ask("POST", f"/api/v1/help/{pair.session_id}/ticket", token)
                assert "url" in body, f"{side}: {body}"
                readers.append(asyncio.create_task(self._follow(pair, hears, body["url"])))
        while self._open < len(readers):
            await asyncio.sleep(0.05)
        begun, acts = time.perf_counter() + 0.5, []
        number = 0
        every = EVERY_SECONDS / len(self._pairs)
        while (due := begun + number * every) < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            turn, place = divmod(number, len(self._pairs))
            acts.append(asyncio.create_task(self._act(self._pairs[place], (turn + place) % 2 == 0, due)))
            number += 1
        await asyncio.gather(*acts)
        await self._until_arrived()
        for reader in readers:
            reader.cancel()

    async def _until_arrived(self) -> None:
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while time.perf_counter() < deadline:
            if not any(waiting for pair in self._pairs for waiting in pair.sent.values()):
                return
            await asyncio.sleep(0.02)

    async def _act(self, pair: Pair, elder: bool, due: float) -> None:
        pair.sent["screen" if elder else "message"].append(due)
        if elder:
            pair.tapped += 1
            turn = {"client_key": secrets.token_hex(8), "choice": ("help", "home")[pair.tapped % 2]}
            path, token, told = (
                "/api/v1/conversation/turns",
                pair.elder_token,
                {"X-Anxin-Help": pair.session_id},
            )
        else:
            turn, told = {"text": "点一下充值"}, {}
            path, token = f"/api/v1/help/{pair.session_id}/messages", pair.relative_token
        answer = await self._ask("POST", path, token, turn, told)
        self.arrived.refused += "screen" not in answer

    async def _ask(
        self, method: str, path: str, token: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One request on a free line."""
        raw = b"" if body is None else json.dumps(body).encode()
        wire = request_bytes(method, path, raw, token)
        for name, value in (headers or {}).items():
            wire = wire.replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode(), 1)
        line = await self._lines.get()
        try:
            line[1].write(wire)
            head = await line[0].readuntil(b"\r\n\r\n")
            length = next(
                int(each.split(b":")[1])
                for each in head.lower().split(b"\r\n")
                if each.startswith(b"content-length:")
            )
            found: dict[str, Any] = json.loads(await line[0].readexactly(length))
            return found
        finally:
            self._lines.put_nowait(line)

    async def _follow(self, pair: Pair, hears: str, url: str) -> None:
        """One stream: the moment each event of the other side is read."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        wire = request_bytes("GET", f"{address.path}?{address.query}")
        writer.write(wire)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        self._open += 1
        try:
            while True:
                line = await reader.readline()
                if line.startswith(b"event: ") and line[7:].strip().decode() == hears and pair.sent[hears]:
                    self.arrived.seconds[hears].append(time.perf_counter() - pair.sent[hears].popleft())
        finally:
            writer.close()


@contextmanager
def _house(folder: Path, address: str) -> Iterator[tuple[House, Settings]]:
    env = {
        "ANXIN_DATABASE_URL": address,
        "ANXIN_SESSION_KEYS": SESSION_KEY,
        "ANXIN_LOG_LEVEL": "WARNING",
        "ANXIN_VOICE_MODELS": str(folder / "no-models"),
    }
    house = House(folder, free_port(), free_port(), env, WEB_WORKERS, live_workers=LIVE_WORKERS)
    settings = Settings.from_env({**env, "ANXIN_DATA_DIR": str(folder)})
    try:
        for name, url in (
            ("server", f"{house.base_url}/healthz"),
            ("live", f"{house.live_url}/live/healthz"),
        ):
            house.start(name)
            house.wait_for(name, url)
        yield house, settings
    finally:
        house.stop()


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        address = f"sqlite:///{folder / 'anxin.db'}"
        migrate(address)
        yield address
        return
    with postgres(folder) as address:
        yield address.replace("postgresql://", "postgresql+psycopg://")


def measure(folder: Path, seconds: float, step: Callable[[], None]) -> dict[str, Any]:
    """Milliseconds on each database, by which side acted; and how many actions."""
    found: dict[str, Any] = {}
    for kind in DATABASES:
        own = folder / kind
        own.mkdir(mode=0o755)
        with _database(kind, own) as address, _house(own / "house", address) as (house, settings):
            database = Database(address)
            pairs = settle(database, settings)
            database.close()
            phones = Phones(house, pairs)
            asyncio.run(phones.live(seconds))
        found[kind] = _told(phones.arrived, pairs)
        step()
    return {"sessions": SESSIONS, "every_seconds": EVERY_SECONDS, "databases": found}


def _told(arrived: Arrived, pairs: list[Pair]) -> dict[str, Any]:
    names = {"screen": "elder_to_relative", "message": "relative_to_elder"}
    both = [value for values in arrived.seconds.values() for value in values]
    lost = sum(len(waiting) for pair in pairs for waiting in pair.sent.values())
    sides = {names[kind]: _spread(values) for kind, values in arrived.seconds.items()}
    return {"actions": len(both), "lost": lost, "refused": arrived.refused, "ms": _spread(both), **sides}


def _spread(values: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: 1000 * quantile(values, share) for name, share in shares.items()}
