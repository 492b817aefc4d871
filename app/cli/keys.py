"""`flask --app wsgi keys status | rotate`: which keys seal the personal columns, and replacing one."""

from __future__ import annotations

import json
import re
import sys

import click
from flask import current_app
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.config_vault import KEY_ID
from app.flows import rotate_keys
from app.flows.deps import Deps
from app.flows.rotate_keys import Rotation, Standing

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
SHOWN = 10  # places of unreadable values on a screen; --json has all


def _deps() -> Deps:
    deps: Deps = current_app.extensions["anxin"]
    return deps


@click.group("keys")
def group() -> None:
    """Keys of the vault."""


@group.command("status")
@_AS_JSON
def status(as_json: bool) -> None:
    """Count the values of every sealed column by key. Exit 1 when a key is used that is not configured."""
    deps = _deps()
    configured = [key_id for key_id, _digits in deps.settings.vault.keys]
    columns = rotate_keys.standing(deps.database, deps.vault)
    used = {_named(key_id) for column in columns for key_id in column.by_key_id}
    removable = [key_id for key_id in configured[1:] if key_id not in used]
    unknown = sorted(used - set(configured))
    if as_json:
        counts = {
            column.column: {_named(key_id): number for key_id, number in column.by_key_id.items()}
            for column in columns
        }
        told = {"newest": configured[0], "configured": configured, "columns": counts}
        click.echo(json.dumps(told | {"removable": removable, "unknown": unknown}))
    else:
        _show(columns, configured, unknown)
        for key_id in removable:
            click.echo(f"nothing is sealed under {key_id} any more: it may be taken from ANXIN_VAULT_KEYS")
    sys.exit(1 if unknown else 0)


def _named(key_id: str) -> str:
    """What stands where a key id should may be anything, so it is not repeated."""
    return key_id if re.fullmatch(KEY_ID, key_id) else "?"


def _show(columns: list[Standing], configured: list[str], unknown: list[str]) -> None:
    table = Table("column", title="Sealed values by key")
    for number, key_id in enumerate(configured):
        table.add_column(f"{key_id} (seals)" if number == 0 else key_id, justify="right")
    for key_id in unknown:
        table.add_column(f"{key_id} NOT CONFIGURED", justify="right", style="bold red")
    for column in columns:
        counts: dict[str, int] = {}
        for key_id, number in column.by_key_id.items():
            counts[_named(key_id)] = counts.get(_named(key_id), 0) + number
        table.add_row(column.column, *(f"{counts.get(key_id, 0):,}" for key_id in configured + unknown))
    Console().print(table)


@group.command("rotate")
@_AS_JSON
def rotate(as_json: bool) -> None:
    """Seal every value again under the newest key, beside the running service. Safe to stop and to repeat.

    Exit codes: 0 nothing is left under an older key, 1 something is: see what is told, and run it again.
    """
    deps = _deps()
    total = sum(column.outdated for column in rotate_keys.standing(deps.database, deps.vault))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=as_json,
    ) as bar:
        task = bar.add_task("sealing again", total=total)
        done = rotate_keys.rotate(deps.database, deps.vault, lambda number: bar.advance(task, number))
    _tell(done, as_json)
    sys.exit(0 if done.complete else 1)


def _tell(done: Rotation, as_json: bool) -> None:
    if as_json:
        counted = {"resealed": done.resealed, "overtaken": done.overtaken, "left": done.left}
        click.echo(json.dumps({"ok": done.complete} | counted | {"unreadable": list(done.unreadable)}))
        return
    click.echo(f"{done.resealed:,} values sealed again, {done.left:,} left under older keys")
    if done.overtaken:
        click.echo(f"{done.overtaken:,} were written by others meanwhile and left to them")
    for place in done.unreadable[:SHOWN]:
        click.echo(f"opens under no configured key: {place}", err=True)
    if len(done.unreadable) > SHOWN:
        click.echo(f"and {len(done.unreadable) - SHOWN:,} more: --json names all", err=True)
