"""`flask --app wsgi keys status | rotate`: which keys the personal columns stand under, and replacing one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one kind, and what stands under each. `removable` are those that nothing needs: a device
    that has not logged in since only counts as a new one then."""

    variable: str
    title: str
    configured: list[str]
    columns: dict[str, dict[str, int]]
    removable: list[str]
    unknown: list[str]


def _keys(variable: str, title: str, configured: list[str], columns: list[Standing]) -> _Keys:
    counted: dict[str, dict[str, int]] = {}
    for column in columns:
        counts = counted.setdefault(column.column, {})
        for key_id, number in column.by_key_id.items():
            counts[_named(key_id)] = counts.get(_named(key_id), 0) + number
    used = {_named(key_id) for column in columns if column.rotated for key_id in column.by_key_id}
    removable = [key_id for key_id in configured[1:] if key_id not in used]
    return _Keys(variable, title, configured, counted, removable, sorted(used - set(configured)))


@group.command("status")
@_AS_JSON
def status(as_json: bool) -> None:
    """Count sealed values and lookups by key. Exit 1 when a key is used that is not configured."""
    deps = _deps()
    vault, columns = deps.settings.vault, rotate_keys.standing(deps.database, deps.vault)
    sealing, searching = (
        _keys(
            variable,
            title,
            [key_id for key_id, _key in keys],
            [one for one in columns if one.lookup is lookup],
        )
        for variable, title, keys, lookup in (
            ("ANXIN_VAULT_KEYS", "Sealed values by key", vault.keys, False),
            ("ANXIN_LOOKUP_KEYS", "Lookups by key", vault.lookup_keys, True),
        )
    )
    if as_json:
        click.echo(json.dumps(_told(sealing) | {"lookups": _told(searching)}))
    else:
        for keys in (sealing, searching):
            _show(keys)
    sys.exit(1 if sealing.unknown or searching.unknown else 0)


def _named(key_id: str) -> str:
    """What stands where a key id should may be anything, so it is not repeated."""
    return key_id if re.fullmatch(KEY_ID, key_id) else "?"


def _told(keys: _Keys) -> dict[str, Any]:
    told = {"newest": keys.configured[0], "configured": keys.configured, "columns": keys.columns}
    return told | {"removable": keys.removable, "unknown": keys.unknown}


def _show(keys: _Keys) -> None:
    table = Table("column", title=keys.title)
    for number, key_id in enumerate(keys.configured):
        table.add_column(f"{key_id} (newest)" if number == 0 else key_id, justify="right")
    for key_id in keys.unknown:
        table.add_column(f"{key_id} NOT CONFIGURED", justify="right", style="bold red")
    for column, counts in keys.columns.items():
        shown = keys.configured + keys.unknown
        table.add_row(column, *(f"{counts.get(key_id, 0):,}" for key_id in shown))
    Console().print(table)
    for key_id in keys.removable:
        click.echo(f"nothing needs {key_id} any more: it may be taken from {keys.variable}")


@group.command("rotate")
@_AS_JSON
def rotate(as_json: bool) -> None:
    """Bring every value and its lookup under the newest keys, beside the running service. Safe to stop and
    to repeat.

    Exit codes: 0 nothing is left under an older key, 1 something is: see what is told, and run it again.
    """
    deps = _deps()
    total = rotate_keys.outdated(deps.database, deps.vault)
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
        bar.update(task, completed=total)  # a value whose lookup was outdated too is done at once
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
