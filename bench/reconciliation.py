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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from app.config import REPOSITORY
from app.domain.clock import business_day
from app.providers.sandbox.keys import load_or_create_keys
from app.store.database import Database
from bench.order_path import postgres
from bench.reconciliation_books import DIFFER, KEYS, LOOKUP_KEYS, Day, fill_ours, fill_theirs
from tests.schema import migrate

ROWS = 100_000  # of the bill: payments and refunds
PORT = 8093
DATABASES = ("sqlite", "postgresql")
_POLL_SECONDS = 0.02


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
        "ANXIN_VAULT_KEYS": KEYS,
        "ANXIN_LOOKUP_KEYS": LOOKUP_KEYS,
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
