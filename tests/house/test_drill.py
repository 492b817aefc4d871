"""The kill drill: people top up while web, worker and PostgreSQL are killed hard, in turn and again.

Nothing that was acknowledged may be lost or doubled, every payment ends on its card or goes home, and the
books balance. CI kills KILLS times; `make soak` more often.
"""

from __future__ import annotations

import itertools
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from app.cli.house import House
from app.domain.orders import ENDS
from app.store import ledger
from app.store.database import Database
from tests import cluster, proof
from tests.cluster import Cluster
from tests.house.load import AMOUNT_FEN, Journal, Payer
from tests.live import free_port

pytestmark = pytest.mark.slow

KILLS = 240 if proof.SOAK else 24
TURNS = ("web", "worker", "postgres", "web worker", "worker", "postgres")
PAYERS = 6
DRY_SECONDS = 180.0
REFUSED_CARD = "3104870300000000009"  # the card system refuses its credits: the money goes home


@dataclass
class Drill:
    """Everything that can be killed, and what it is checked by."""

    house: House
    postgres: Cluster
    database: Database
    kills: Counter[str]

    def kill(self, kind: str) -> None:
        """kill -9, and start again what nobody else would start."""
        getattr(self, f"_kill_{kind.replace(' ', '_')}")()
        self.kills[kind] += 1

    def _kill_web(self) -> None:
        self.house.kill("server")
        self.house.start("server")
        self.house.wait_for("server", f"{self.house.base_url}/healthz")

    def _kill_web_worker(self) -> None:
        """One of the two; the server brings another up by itself."""
        leader = psutil.Process(self.house.processes["server"].pid)
        workers = [child for child in leader.children() if "granian" in child.cmdline()]
        secrets.choice(workers).kill()

    def _kill_worker(self) -> None:
        self.house.kill("worker")
        self.house.start("worker")

    def _kill_postgres(self) -> None:
        self.postgres.kill()
        time.sleep(secrets.randbelow(300) / 1000)
        self.postgres.start()

    def mend(self) -> None:
        """What ended by itself is started: a server whose workers die faster than it brings them up ends,
        and a worker that finds no database does."""
        for name in ("server", "worker"):
            if self.house.processes[name].poll() is not None:
                self.house.kill(name)
                self.house.start(name)

    def rows(self, statement: str) -> list[Any]:
        """From our database."""
        with self.database.read() as tx:
            return list(tx.execute(text(statement)))

    def outside(self, statement: str) -> list[Any]:
        """From the books of the sandbox: WeChat's and the card system's."""
        path = self.house.data_dir / "sandbox" / "sandbox.sqlite3"
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    with cluster.running(recovery_init_sync_method="syncfs") as postgres:
        postgres.run("CREATE DATABASE anxin")
        database = Database(postgres.url("anxin"))
        settings = {
            "ANXIN_DATABASE_URL": postgres.url("anxin"),
            "ANXIN_LOG_LEVEL": "ERROR",
            "ANXIN_VOICE_MODELS": str(tmp_path / "no-models"),
        }
        house = House(tmp_path / "house", free_port(), free_port(), settings, web_workers=2)
        try:
            house.start_all()
            yield Drill(house, postgres, database, Counter())
        finally:
            house.stop()
            database.close()


def new_cards(drill: Drill, how_many: int) -> list[str]:
    """Ordinary empty cards, more than the sandbox's own."""
    numbers = [f"3104870300001{n:06d}" for n in range(how_many)]
    path = drill.house.data_dir / "sandbox" / "sandbox.sqlite3"
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.executemany(
            "INSERT INTO cards VALUES (?, 'guangzhou', 'account', 1, 0, '王*英', 'normal')",
            [(number,) for number in numbers],
        )
    return numbers


@contextmanager
def people_topping_up(drill: Drill, journal: Journal) -> Iterator[None]:
    """Everybody lives until the block ends, and then brings to an end what they began."""
    cards = iter(new_cards(drill, 40 * KILLS))
    over, taking = threading.Event(), threading.Lock()

    def next_card() -> str:
        with taking:
            return next(cards)

    sources = [next_card] * (PAYERS - 1) + [lambda: REFUSED_CARD]
    payers = [
        threading.Thread(target=Payer(drill.house.base_url, source, journal, over).live) for source in sources
    ]
    for payer in payers:
        payer.start()
    try:
        yield
    finally:
        over.set()
        for payer in payers:
            payer.join()


def run_dry(drill: Drill) -> None:
    """Until every order that was paid has ended. AssertionError with those that have not."""
    paid = "SELECT order_id FROM trades WHERE state IN ('SUCCESS', 'REFUND')"
    ended = ", ".join(f"'{state.value}'" for state in ENDS)
    deadline = time.monotonic() + DRY_SECONDS
    while True:
        done = {row.id for row in drill.rows(f"SELECT id FROM orders WHERE state IN ({ended})")}
        open_orders = {order_id for (order_id,) in drill.outside(paid)} - done
        if not open_orders:
            return
        assert time.monotonic() < deadline, f"paid, and never ended: {sorted(open_orders)[:20]}"
        time.sleep(0.5)


def test_kills_at_any_moment_lose_and_double_nothing(drill: Drill, pytestconfig: pytest.Config) -> None:
    journal = Journal()
    with people_topping_up(drill, journal):
        for kind in itertools.islice(itertools.cycle(TURNS), KILLS):
            time.sleep(0.2 + secrets.randbelow(800) / 1000)
            drill.kill(kind)
            drill.mend()
            assert not journal.faults, journal.faults
        time.sleep(1.0)
        drill.mend()
    assert not journal.faults, journal.faults
    run_dry(drill)
    found = counts(drill, journal)
    proof.record(pytestconfig, "kills", found)
    assert found["acknowledged"] > KILLS and found["credited"] > KILLS, "there was hardly any load"
    assert found["lost"] == found["doubled"] == 0
    check_books(drill)


def counts(drill: Drill, journal: Journal) -> dict[str, Any]:
    """What was killed and what became of the orders. Lost: acknowledged, and not there, or not as it was
    acknowledged. Doubled: a wish with two orders, or a payment with two credits, or a credit and a refund."""
    ours = {row.id: row for row in drill.rows("SELECT id, client_key, state FROM orders")}
    credits = Counter(order_id for (order_id,) in drill.outside("SELECT order_id FROM card_credits"))
    refunds = Counter(order_id for (order_id,) in drill.outside("SELECT order_id FROM refunds"))
    lost = [
        key
        for key, order_id in journal.acknowledged.items()
        if order_id not in ours or ours[order_id].client_key != key
    ]
    lost += [
        order_id for order_id in journal.told_paid if ours[order_id].state not in ("completed", "refunded")
    ]
    keys = Counter(row.client_key for row in ours.values())
    doubled = [*journal.changed, *(key for key, times in keys.items() if times > 1)]
    doubled += [order_id for order_id, times in (credits + refunds).items() if times > 1]
    states = Counter(row.state for row in ours.values())
    return {
        "kills": sum(drill.kills.values()),
        **{f"of {kind}": drill.kills[kind] for kind in dict.fromkeys(TURNS)},
        "requests": journal.asked,
        "unanswered": journal.unanswered,
        "answers lost on purpose": journal.lost_on_purpose,
        "acknowledged": len(journal.acknowledged),
        "paid": len(journal.told_paid),
        "credited": states["completed"],
        "refunded": states["refunded"],
        "lost": len(lost),
        "doubled": len(doubled),
    }


def check_books(drill: Drill) -> None:
    """Ours balance; WeChat's, the card system's and ours agree order by order; cards hold their credits."""
    with drill.database.read() as tx:
        found = ledger.balance(tx)
    assert found.ok, found
    ended = {row.id: row.state for row in drill.rows("SELECT id, state FROM orders")}
    trades = dict(drill.outside("SELECT order_id, state FROM trades WHERE state IN ('SUCCESS', 'REFUND')"))
    credited = {order_id for (order_id,) in drill.outside("SELECT order_id FROM card_credits")}
    refunded = {order_id for (order_id,) in drill.outside("SELECT order_id FROM refunds")}
    assert {order_id for order_id, state in ended.items() if state == "completed"} == credited
    assert {order_id for order_id, state in ended.items() if state == "refunded"} == refunded
    assert set(trades) == credited | refunded
    assert not credited & refunded
    wrong = drill.outside(
        "SELECT c.card_number FROM cards c LEFT JOIN card_credits d USING (card_number)"
        " WHERE c.card_number LIKE '3104870300001%' GROUP BY c.card_number, c.balance_fen"
        " HAVING c.balance_fen != coalesce(sum(d.amount_fen), 0)"
    )
    assert wrong == []
    assert len(credited) * AMOUNT_FEN == -found.accounts["card_system"]
