"""Reconciling a day of 100,000 rows: the operator's own command, in its own process, on both databases.

Everything is real: the sandbox serves the bill and the card system's file over HTTP, packed and signed; the
rows are in SQLite and in PostgreSQL. Seconds are those of the whole command, imports included; memory is
the process's high-water mark as the kernel counts it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import insert

from app.config import REPOSITORY
from app.domain.clock import business_day
from app.domain.orders import Event, Money, posting
from app.domain.reconciliation import span
from app.providers.sandbox.keys import SandboxKeys, load_or_create_keys
from app.providers.sandbox.store import Store
from app.store import models
from app.store.database import Database
from bench.order_path import postgres
from tests.schema import migrate

ROWS = 100_000  # of the bill: payments and refunds
PORT = 8093
DATABASES = ("sqlite", "postgresql")
AMOUNT_FEN = 5000
DIFFER = 40  # as many payments the bill lacks, and credits the card system lacks; half as many amounts
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Day:
    """What happened: payments numbered 0.. over the whole day, the first `refunds` of them sent home."""

    day: date
    payments: int
    refunds: int

    def at(self, number: int) -> datetime:
        """When payment `number` was made, never within five minutes of midnight."""
        first = span(self.day)[0] + timedelta(minutes=10)
        return first + timedelta(seconds=number * 84_600 // self.payments)


def order_id(number: int) -> str:
    return f"ord_{number:026d}"


def transaction_id(number: int) -> str:
    return f"4200{number:024d}"


def refund_id(number: int) -> str:
    return f"rfd_{number:026d}"


# --- our book -----------------------------------------------------------------------------------------


def _orders(day: Day) -> Iterator[dict[str, Any]]:
    for number in range(day.payments):
        at = day.at(number)
        sent_home = number < day.refunds
        yield {
            "id": order_id(number),
            "user_id": "user",
            "beneficiary_id": "user",
            "payer_openid": "openid",
            "card_id": "card",
            "amount_fen": AMOUNT_FEN,
            "fee_fen": 0,
            "method": "wechat_balance",
            "channel": "h5",
            "state": "refunded" if sent_home else "completed",
            "client_key": f"key-{number}",
            "request_hash": "f" * 64,
            "read_back": "0" * 16,
            "pay_channel": "primary",
            "transaction_id": transaction_id(number),
            "created_at": at,
            "expires_at": at,
            "paid_at": at,
            "credited_at": None if sent_home else at + timedelta(seconds=2),
        }


def _entries(day: Day) -> Iterator[dict[str, Any]]:
    money = Money(AMOUNT_FEN, 0)
    for number in range(day.payments):
        ended = Event.REFUNDED if number < day.refunds else Event.CREDITED
        for event in (Event.PAYMENT_RECEIVED, ended):
            for line in posting(event, money):
                yield {
                    "id": f"{number}-{event.value[:12]}-{line.account[:8]}",
                    "subject": order_id(number),
                    "event": event.value,
                    "account": line.account,
                    "amount_fen": line.amount_fen,
                    "at": day.at(number),
                }


def _refunds(day: Day) -> Iterator[dict[str, Any]]:
    for number in range(day.refunds):
        yield {
            "id": refund_id(number),
            "subject": order_id(number),
            "attempt": 1,
            "order_id": order_id(number),
            "pay_channel": "primary",
            "refund_fen": AMOUNT_FEN,
            "total_fen": AMOUNT_FEN,
            "state": "success",
            "opened_at": day.at(number),
            "ended_at": day.at(number) + timedelta(seconds=30),
        }


def fill_ours(database: Database, day: Day) -> None:
    """Write our book."""
    moment = day.at(0)
    person = {"id": "user", "created_at": moment}
    card = {"id": "card", "user_id": "user", "card_number": "3104870300000000001", "city": "guangzhou"}
    card |= {"mode": "account", "registered": True, "position": 1, "created_at": moment}
    books = {"users": iter([person]), "cards": iter([card]), "orders": _orders(day)}
    books |= {"ledger_entries": _entries(day), "refunds": _refunds(day)}
    for name, rows in books.items():
        part: list[dict[str, Any]] = []
        for row in rows:
            part.append(row)
            if len(part) == 5000:
                _insert(database, name, part)
                part = []
        _insert(database, name, part)


def _insert(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        with database.write() as tx:
            tx.execute(insert(models.metadata.tables[table]), rows)


# --- their books --------------------------------------------------------------------------------------


def fill_theirs(folder: Path, keys: SandboxKeys, day: Day) -> None:
    """Write what WeChat and the card system saw: the same day, with some differences."""
    store = Store(folder / "sandbox.sqlite3", keys.merchant_id)
    last = day.payments - 1
    lacking = range(last, last - DIFFER, -1)  # in the bill
    changed = range(lacking[-1] - 1, lacking[-1] - 1 - DIFFER // 2, -1)
    uncredited = range(changed[-1] - 1, changed[-1] - 1 - DIFFER, -1)
    request = json.dumps({"description": "羊城通充值 50.00 元"}, ensure_ascii=False)

    def trade(number: int) -> tuple[Any, ...]:
        fen = AMOUNT_FEN + (number in changed)
        at = day.at(number).timestamp()
        seen = (
            keys.merchant_id,
            order_id(number),
            request,
            fen,
            f"o{number:027d}",
            "http://x",
            at,
            "SUCCESS",
        )
        return (number + 1, *seen, transaction_id(number), at, "")

    def refund(number: int) -> tuple[Any, ...]:
        at = day.at(number).timestamp() + 5
        numbers = (keys.merchant_id, refund_id(number), "{}", number + 1, order_id(number))
        return (*numbers, f"5030{number:024d}", "SUCCESS", AMOUNT_FEN, at, at + 25)

    def credit(number: int) -> tuple[Any, ...]:
        at = day.at(number).timestamp() + 1
        return (order_id(number), "3104870300000000001", AMOUNT_FEN, "credited", f"CR{number:012d}", 0, at)

    with store.write() as tx:
        tx.executemany(
            "INSERT INTO trades (seq, merchant_id, order_id, request, amount_fen, openid, notify_url,"
            " expires_at, state, transaction_id, paid_at, attach)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (trade(number) for number in range(day.payments) if number not in lacking),
        )
        tx.executemany(
            "INSERT INTO refunds (merchant_id, refund_id, request, trade_seq, order_id, wechat_refund_id,"
            " state, refund_fen, created_at, done_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(refund, range(day.refunds)),
        )
        tx.executemany(
            "INSERT INTO card_credits VALUES (?, ?, ?, ?, ?, ?, ?)",
            (credit(number) for number in range(day.refunds, day.payments) if number not in uncredited),
        )


@contextmanager
def sandbox(folder: Path) -> Iterator[str]:
    """The outside world as a process of its own; yields its address."""
    command = [sys.executable, "-m", "app.providers.sandbox", "--port", str(PORT), "--data-dir", str(folder)]
    address = f"http://127.0.0.1:{PORT}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=REPOSITORY, **quiet) as process:
        try:
            for _ in range(200):
                try:
                    requests.get(address + "/healthz", timeout=5)
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            yield address
        finally:
            process.terminate()


# --- measuring ----------------------------------------------------------------------------------------


@contextmanager
def a_database(kind: str, folder: Path) -> Iterator[str]:
    """A migrated database's address."""
    if kind == "postgresql":
        with postgres(folder) as address:
            yield address
        return
    address = f"sqlite:///{folder / 'anxin.db'}"
    migrate(address)
    yield address


def run(folder: Path, database_url: str, sandbox_url: str, day: date) -> dict[str, Any]:
    """`flask --app wsgi reconcile --day … --json`: its answer, seconds and peak memory."""
    environ = os.environ | {
        "ANXIN_DATA_DIR": str(folder),
        "ANXIN_DATABASE_URL": database_url,
        "ANXIN_SANDBOX_URL": sandbox_url,
        "ANXIN_VOICE_MODELS": str(folder / "no-models"),
    }
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi",
        "reconcile",
        "--day",
        day.isoformat(),
        "--json",
    ]
    answer, log = folder / "answer.json", folder / "reconcile.log"
    begun, peak_kib = time.perf_counter(), 0
    with (
        answer.open("wb") as out,
        log.open("wb") as err,
        subprocess.Popen(command, cwd=REPOSITORY, env=environ, stdout=out, stderr=err) as process,
    ):
        while process.poll() is None:
            peak_kib = max(peak_kib, _high_water_kib(process.pid))
            time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"reconcile ended with {process.returncode}: {log.read_text()[-2000:]}")
    return {"seconds": seconds, "peak_mb": peak_kib * 1024 / 1e6, "report": json.loads(answer.read_text())}


def _high_water_kib(pid: int) -> int:
    """The kernel's own high-water mark: it only grows, so the last look before the end tells the peak."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def measure(folder: Path, rows: int, step: Callable[[], None]) -> dict[str, Any]:
    """Reconcile a day of `rows` bill rows once on each database; seconds and MB of each, and the classes."""
    refunds = rows * 3 // 100
    # Two days ago: its bill is there at any hour of today.
    day = Day(business_day(datetime.now(UTC)) - timedelta(days=2), rows - refunds + DIFFER, refunds)
    found: dict[str, Any] = {"rows": rows, "credits": day.payments - refunds, "databases": {}}
    for kind in DATABASES:
        home = folder / f"reconcile-{kind}"
        home.mkdir(parents=True)
        keys = load_or_create_keys(home / "sandbox")
        fill_theirs(home / "sandbox", keys, day)
        with a_database(kind, home) as address:
            database = Database(address)
            fill_ours(database, day)
            database.close()
            step()
            with sandbox(home / "sandbox") as sandbox_url:
                told = run(home, address, sandbox_url, day.day)
        report = told.pop("report")
        _check(report, day, rows)
        found["databases"][kind] = told | {
            "bill_mb": (home / "reconciliation" / day.day.isoformat() / "wechat_primary.csv").stat().st_size
            / 1e6,
            "differences": len(report["differences"]),
        }
        step()
    return found


def _check(report: dict[str, Any], day: Day, rows: int) -> None:
    """A fast wrong answer is no figure."""
    classes = report["books"]["primary"]["classes"]
    theirs = sum(told["theirs"]["count"] for told in classes.values())
    ours = sum(told["ours"]["count"] for told in classes.values())
    assert theirs == rows and ours == day.payments + day.refunds, classes
    assert classes["missing_theirs"]["ours"]["count"] == DIFFER, classes
    assert classes["amount"]["theirs"]["count"] == DIFFER // 2, classes
    assert report["books"]["cards"]["classes"]["missing_theirs"]["ours"]["count"] == DIFFER, report["books"]
