"""`flask --app wsgi case …`: what a person must look at, its evidence, its plan and its end."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from flask import current_app
from rich.console import Console
from rich.table import Table

from app.domain.clock import iso
from app.flows.deps import Deps
from app.store import cases
from app.store.cases import Case


@click.group("case")
def group() -> None:
    """Cases that wait for a person."""


def _deps() -> Deps:
    found: Deps = current_app.extensions["anxin"]
    return found


def _shown(case: Case) -> dict[str, Any]:
    moments = ("opened_at", "plan_due_at", "planned_at", "escalated_at", "resolved_at")
    return asdict(case) | {name: iso(getattr(case, name)) for name in moments}


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a case.")
def list_cases(as_json: bool) -> None:
    """Cases without a resolution, the most urgent plan first."""
    with _deps().database.read() as tx:
        found = cases.unresolved(tx)
    if as_json:
        for case in found:
            click.echo(json.dumps(_shown(case), ensure_ascii=False))
        return
    now = _deps().clock.now()
    table = Table("case", "level", "kind", "order", "opened", "plan", title=f"{len(found)} open cases")
    for case in found:
        plan = "written" if case.planned_at else "OVERDUE" if case.plan_due_at <= now else "due"
        due = "" if case.planned_at else f" {iso(case.plan_due_at)}"
        table.add_row(
            case.id, str(case.level), case.kind, case.order_id or "", iso(case.opened_at), plan + due
        )
    Console().print(table)


@group.command("show")
@click.argument("case_id")
def show(case_id: str) -> None:
    """One case with all its evidence, as JSON."""
    try:
        with _deps().database.read() as tx:
            found = cases.get(tx, case_id)
    except LookupError:
        raise click.BadParameter(f"no case is called {case_id!r}", param_hint="CASE_ID") from None
    click.echo(json.dumps(_shown(found), ensure_ascii=False, indent=1))


@group.command("plan")
@click.argument("case_id")
@click.argument("text")
def plan(case_id: str, text: str) -> None:
    """Write the plan down. Exit 1 when there is one already, or no such open case."""
    with _deps().database.write() as tx:
        written = cases.plan(tx, case_id, text, _deps().clock.now())
    _tell(written, f"{case_id}: the plan is written", f"{case_id} has a plan, is resolved, or is not there")


@group.command("resolve")
@click.argument("case_id")
@click.argument("text")
def resolve(case_id: str, text: str) -> None:
    """Close a case with what was done. Exit 1 when it is closed already, or not there.

    Closing moves no money: an order still goes the way its own events take it.
    """
    with _deps().database.write() as tx:
        closed = cases.resolve(tx, case_id, text, _deps().clock.now())
    _tell(closed, f"{case_id}: resolved", f"{case_id} is resolved already, or is not there")


def _tell(done: bool, good: str, bad: str) -> None:
    click.echo(good if done else bad, err=not done)
    sys.exit(0 if done else 1)
