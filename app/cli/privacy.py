"""`flask --app wsgi privacy …`: a person's rights, for who asks at the counter or by letter."""

from __future__ import annotations

import json
import sys

import click
from flask import current_app
from rich.console import Console
from rich.table import Table

from app.errors import AppError
from app.flows import rights
from app.flows.deps import Deps


@click.group("privacy")
def group() -> None:
    """Give a person their data, or delete it."""


def _deps() -> Deps:
    found: Deps = current_app.extensions["anxin"]
    return found


def _unknown(user_id: str) -> click.BadParameter:
    return click.BadParameter(f"no person is called {user_id!r}, or they are erased", param_hint="USER")


@group.command("export")
@click.argument("user_id", metavar="USER")
@click.option("--json", "as_json", is_flag=True, help="All of it, as the person gets it.")
def export(user_id: str, as_json: bool) -> None:
    """Everything kept about USER; without --json only how many rows of what."""
    try:
        found = rights.export_of(_deps(), user_id)
    except LookupError:
        raise _unknown(user_id) from None
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    table = Table("table", "rows", title=f"{user_id} at {found['exported_at']}")
    for name, rows in found["data"].items():
        table.add_row(name, str(len(rows)))
    Console().print(table)


@group.command("erase")
@click.argument("user_id", metavar="USER")
@click.option("--yes", is_flag=True, help="Really: it cannot be taken back.")
def erase(user_id: str, yes: bool) -> None:
    """Delete USER, but for what the law makes us keep. Exit 1 while their money is on its way."""
    if not yes:
        raise click.UsageError("nothing was deleted: say --yes if you mean it")
    try:
        rights.erase_user(_deps(), user_id)
    except LookupError:
        raise _unknown(user_id) from None
    except AppError as no:
        click.echo(f"nothing was deleted: {no.code}", err=True)
        sys.exit(1)
    click.echo(f"{user_id} is erased")
