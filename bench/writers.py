"""Fifty writers that post to one settlement account, against fifty with an account each.

Both send our own posting statement (store.order_moves, the one that books a payment) through pgbench, each
transaction for an order of its own. A third run changes a running total as well, in one row that all share:
what a balance column would cost, and the proof that this bench would see it.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from app.domain.orders import Event, State
from app.store.order_moves import move_statement
from bench.order_path import PEOPLE, PGBENCH, people_of, postgres

WRITERS = 50
MOST_A_SECOND = 200  # transactions of one writer; with more, the bench says that it ran out of orders
CHANGED = ("paid_at", "promised_at", "transaction_id")  # what booking a payment fills in
ACCOUNTS = {
    "one account": "ARRAY['wechat', 'in_transit']",
    "spread": "ARRAY['wechat-' || :client_id, 'in_transit-' || :client_id]",
    "one row": "ARRAY['wechat', 'in_transit']",
}
VALUES = {
    "paid_at": "now()",
    "promised_at": "now() + interval '10 minutes'",
    "transaction_id": "'4200' || :number",
    "order_id": "'write-' || :number",
    "before": f"'{State.AWAITING_PAYMENT.value}'",
    "state_after": f"'{State.PAID.value}'",
    "event": f"'{Event.PAYMENT_RECEIVED.value}'",
    "now": "now()",
    "facts": "'{}'",
    "ids": "ARRAY['ent_a' || :number, 'ent_b' || :number]",
    "fens": "ARRAY[5000, -5000]",
    "works": "ARRAY['out_a' || :number, 'out_b' || :number]",
    "topics": "ARRAY['deliver', 'watch_promise']",
    "dues": "ARRAY[now(), now() + interval '10 minutes']",
}
_TOTAL = """, total AS (
  UPDATE bench_total SET fen = fen + 5000 WHERE account = 'wechat'
)
SELECT * FROM moved"""
_ORDERS = f"""
INSERT INTO orders (id, user_id, beneficiary_id, payer_openid, card_id, amount_fen, fee_fen, method, channel,
  state, client_key, request_hash, read_back, pay_channel, prepay_id, created_at, expires_at)
SELECT 'write-' || n, 'user-' || n %% {PEOPLE} + 1, 'user-' || n %% {PEOPLE} + 1, 'openid',
  'card-' || n %% {PEOPLE} + 1, 5000, 0, 'wechat_balance', 'h5', '{State.AWAITING_PAYMENT.value}',
  'write-' || n, repeat('f', 64), 'read-back-16-hex', 'primary', 'prepay', now(), now() + interval '1 hour'
FROM generate_series(%s::int + 1, %s::int) AS n"""


def script(run: str) -> str:
    """Our posting statement for pgbench; each writer counts its own orders."""
    values = {**VALUES, "accounts": ACCOUNTS[run]}
    statement = re.sub(r"%\((\w+)\)s", lambda found: values[found[1]], move_statement(CHANGED)).strip()
    if run == "one row":
        head, _, _last = statement.rpartition("\nSELECT * FROM moved")
        statement = head + _TOTAL
    return f"\\set i :i + 1\n\\set number :base + :client_id * :each + :i\n{statement};\n"


class Writers:
    """Runs of pgbench on one database, each with orders of its own."""

    def __init__(self, address: str, folder: Path, seconds: int) -> None:
        self._address, self._folder, self._seconds = address, folder, seconds
        self._base = self._booked = 0
        self._run("CREATE TABLE bench_total (account text PRIMARY KEY, fen bigint)")
        self._run("INSERT INTO bench_total VALUES ('wechat', 0)")

    def _run(self, statement: str, *values: int) -> int:
        with psycopg.connect(self._address, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return int(cursor.fetchone()[0]) if cursor.description else 0  # type: ignore[index]

    def posted_per_second(self, run: str) -> float:
        """Payments booked a second. RuntimeError when a transaction booked none."""
        each = MOST_A_SECOND * self._seconds
        self._run(_ORDERS, self._base, self._base + WRITERS * each)
        self._run("ANALYZE orders")
        file = self._folder / "writers.sql"
        file.write_text(script(run))
        done = subprocess.run(
            [PGBENCH, "-n", "-M", "prepared", "-c", str(WRITERS), "-j", "2", "-T", str(self._seconds)]
            + ["-D", "i=0", "-D", f"base={self._base}", "-D", f"each={each}", "-f", file, self._address],
            capture_output=True,
            text=True,
            check=True,
        )
        self._base += WRITERS * each
        transactions = int(re.search(r"processed: (\d+)", done.stdout)[1])  # type: ignore[index]
        booked = self._run("SELECT count(*) FROM order_events") - self._booked
        self._booked += booked
        if booked != transactions:
            raise RuntimeError(f"{transactions} transactions, but {booked} payments: out of orders")
        return float(re.search(r"tps = ([\d.]+)", done.stdout)[1])  # type: ignore[index]


def measure(folder: Path, rounds: int, seconds: int, step: Callable[[], None]) -> dict[str, object]:
    """Medians of the rounds, and the ratio. Every round runs all three, each time in another order."""
    rates: dict[str, list[float]] = {run: [] for run in ACCOUNTS}
    with postgres(folder) as address:
        people_of(address)
        writers = Writers(address, folder, seconds)
        writers.posted_per_second("spread")  # warm
        for number in range(rounds):
            runs = list(ACCOUNTS)
            for run in runs[number % 3 :] + runs[: number % 3]:
                rates[run].append(writers.posted_per_second(run))
                step()
    medians = {run: statistics.median(values) for run, values in rates.items()}
    return {
        "writers": WRITERS,
        "per_second": medians,
        "rounds": rates,
        "one_account_to_spread": medians["one account"] / medians["spread"],
        "one_row_to_spread": medians["one row"] / medians["spread"],
    }
