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
from app.store.reconciliation import snapshot


@click.group("ledger")
def group() -> None:
    """Look into the ledger."""


@group.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def check(as_json: bool) -> None:
    """Sum all accounts (must be zero), compare what is in transit with the orders, and what is in suspense
    with the open differences. Exit 1 if anything does not fit."""
    deps: Deps = current_app.extensions["anxin"]
    with snapshot(deps.database) as tx:
        found = ledger.balance(tx)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": found.ok,
                    "total_fen": found.total_fen,
                    "accounts": found.accounts,
                    "restless": list(found.restless),
                    "adrift_fen": found.adrift_fen,
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
        if found.adrift_fen:
            click.echo(f"{yuan_text(found.adrift_fen)} yuan are in suspense without an open difference")
    sys.exit(0 if found.ok else 1)
