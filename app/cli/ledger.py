"""`flask --app wsgi ledger check`: proves that money is conserved."""

from __future__ import annotations

import json
import sys

import click
from flask import current_app
from rich.console import Console
from rich.table import Table

from app.domain.money import yuan_text
from app.flows.deps import Deps
from app.store import ledger


@click.group("ledger")
def group() -> None:
    """Look into the ledger."""


@group.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def check(as_json: bool) -> None:
    """Sum all accounts (must be zero) and compare what is in transit with the orders. Exit 1 if not."""
    deps: Deps = current_app.extensions["anxin"]
    with deps.database.read() as tx:
        found = ledger.balance(tx)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": found.ok,
                    "total_fen": found.total_fen,
                    "accounts": found.accounts,
                    "restless": list(found.restless),
                }
            )
        )
    else:
        table = Table(title="Ledger", caption="conserved" if found.ok else "NOT conserved")
        table.add_column("account")
        table.add_column("yuan", justify="right")
        for account, fen in sorted(found.accounts.items()):
            table.add_row(account, yuan_text(fen))
        table.add_row("sum", yuan_text(found.total_fen), style="bold")
        Console().print(table)
        for order_id in found.restless:
            click.echo(f"in transit does not fit the state of {order_id}")
    sys.exit(0 if found.ok else 1)
