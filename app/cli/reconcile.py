"""`flask --app wsgi reconcile --day D | open | resolve ID …`: the daily reconciliation."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any

import click
from flask import current_app
from rich import box
from rich.console import Console
from rich.table import Table

from app.domain.clock import business_day
from app.domain.money import yuan_text
from app.flows import reconcile as flow
from app.flows import reconcile_report as report
from app.flows.deps import Deps
from app.flows.differences import Decision, decide
from app.flows.reconcile_books import Silent
from app.store import differences
from app.store.reconciled_days import Superseded

TOO_EARLY, NOT_NOW = 2, 3  # exit codes; 1 is a fault of ours
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


class Day(click.ParamType[date]):
    """A date, 2026-11-23."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day; write it like 2026-11-23.", param, ctx)


def _deps() -> Deps:
    deps: Deps = current_app.extensions["anxin"]
    return deps


@click.group("reconcile", invoke_without_command=True)
@click.option("--day", type=Day(), help="The Asia/Shanghai day to reconcile.")
@_AS_JSON
@click.pass_context
def group(context: click.Context, day: date | None, as_json: bool) -> None:
    """Reconcile a day with WeChat's bills and the card system's file; repeating it is safe.

    Exit codes: 0 the books were read (the day may still be open), 2 too early, 3 a side is silent.
    """
    if context.invoked_subcommand is not None:
        return
    if day is None:
        raise click.UsageError("--day is missing: which day shall be reconciled?")
    try:
        result = flow.reconcile(_deps(), day)
    except flow.TooEarly as early:
        _end(TOO_EARLY, "too_early", day, f"{early}. Nothing was done.", as_json)
    except Silent as silence:
        words = f"{silence.book} did not hand its book over ({silence.code}). Nothing was opened; try again."
        _end(NOT_NOW, "silent", day, words, as_json, book=silence.book, vendor_code=silence.code)
    except Superseded as newer:
        _end(NOT_NOW, "superseded", day, f"Another run is at work: {newer}.", as_json)
    else:
        _show(result, as_json)


def _end(code: int, error: str, day: date, words: str, as_json: bool, **more: str) -> None:
    if as_json:
        told = {"day": day.isoformat(), "error": error, "message": words, **more}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(words, err=True)
    sys.exit(code)


def _show(result: flow.Result, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.report | {"folder": str(result.folder)}, ensure_ascii=False))
        return
    console = Console()
    table = Table(title=report.title(result.report))
    for column in ("book", "class"):
        table.add_column(column)
    for column in ("ours", "yuan", "theirs", "yuan"):
        table.add_column(column, justify="right")
    for row in report.class_rows(result.report):
        table.add_row(*row)
    console.print(table)
    if result.report["differences"]:
        console.print(_differences(result.report["differences"]))
    click.echo(f"Report: {result.folder}")


def _differences(found: list[dict[str, Any]]) -> Table:
    """Two lines each, on eighty columns: the id to copy and what it is about, its class, how it stands."""
    left_out = len(found) - report.MOST_LINES
    title = f"{len(found)} differences" + (f", {report.MOST_LINES} shown" if left_out > 0 else "")
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("difference", no_wrap=True)
    table.add_column("class", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("yuan", justify="right")
    for one in found[: report.MOST_LINES]:
        table.add_row(
            f"{one['id']}\n{one['row']} {one['number']}",
            report.labelled("classes", one["class"]).replace(" ", "\n"),
            _stands(one),
            yuan_text(one["amount_fen"]),
        )
    return table


def _stands(one: dict[str, Any]) -> str:
    if one["resolution"]:
        return str(one["resolution"])
    state = report.labelled("states", one["state"])
    if "age_days" in one:
        state = f"{one['age_days']} day{'' if one['age_days'] == 1 else 's'} old"
    return f"{state}\ndue {one['due_on']}"


@group.command("open")
@_AS_JSON
def show_open(as_json: bool) -> None:
    """Every difference in suspense, of all days, with its age in days."""
    deps = _deps()
    today = business_day(deps.clock.now())
    with deps.database.read() as tx:
        found = differences.unresolved(tx)
    shown = [
        report.as_evidence(one)
        | {"day": one.day.isoformat(), "age_days": (today - one.day).days}
        | {"state": one.state, "resolution": one.resolution}
        for one in found
    ]
    if as_json:
        suspended_fen = sum(one.amount_fen for one in found)
        click.echo(json.dumps({"differences": shown, "suspended_fen": suspended_fen}, ensure_ascii=False))
        return
    Console().print(_differences(shown))


@group.command("resolve")
@click.argument("difference_id")
@click.option("--as", "decision", type=click.Choice([each.value for each in Decision]), required=True)
@click.option("--note", required=True, help="Why, and what was done; kept with the case.")
def resolve(difference_id: str, decision: str, note: str) -> None:
    """Resolve a difference as a person decided; the case's note says why.

    "reversed": the other side put its book right, or the money was sent back by hand. "written_off": the
    money is lost or found, and goes to the account of losses.
    """
    deps = _deps()
    try:
        one = decide(deps, difference_id, Decision(decision), note)
    except LookupError:
        raise click.ClickException(f"there is no difference {difference_id}") from None
    except ValueError as fault:
        raise click.ClickException(str(fault)) from None
    closed = flow.go_on(deps, deps.clock.now())
    click.echo(f"{one.id}: {one.resolution}, {yuan_text(one.amount_fen)} yuan.")
    for day in closed:
        click.echo(f"{day} is closed.")
