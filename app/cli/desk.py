"""`flask --app wsgi desk …`: what a person at a counter does for an elder who came there."""

from __future__ import annotations

import getpass
import json
import sys

import click
from flask import current_app

from app.cli import protection
from app.domain.family import sayable
from app.flows import change_relative, check_code, own_limits
from app.flows.deps import Deps


@click.group("desk")
def group() -> None:
    """For people who came to the counter with their papers."""


@group.command("code")
@click.argument("order_id")
@click.option("--operator", default=getpass.getuser, help="Who saw the papers. Default: who runs this.")
@click.option("--json", "as_json", is_flag=True)
def issue(order_id: str, operator: str, as_json: bool) -> None:
    """A code for ORDER_ID: for this order only, once, for 15 minutes."""
    deps: Deps = current_app.extensions["anxin"]
    try:
        code = check_code.issue_desk_code(deps, order_id, operator)
    except LookupError:
        click.echo(f"{order_id}: no order of that number waits for a check", err=True)
        sys.exit(2)
    click.echo(json.dumps({"order_id": order_id, "code": code}) if as_json else code)


@group.command("limits")
@click.argument("user_id")
def back_to_the_citys(user_id: str) -> None:
    """Take USER_ID's own, lower thresholds away: the city's count again."""
    deps: Deps = current_app.extensions["anxin"]
    try:
        own_limits.back_to_the_citys(deps, user_id)
    except LookupError:
        click.echo(f"{user_id}: no thresholds of their own", err=True)
        sys.exit(2)
    click.echo(f"{user_id}: the city's thresholds count again")


# --- ties of the family ---


def _reason(_context: click.Context, _parameter: click.Parameter, told: str) -> str:
    """Both people will hear it, so it must be something that can be said."""
    reason = sayable(told)
    if reason is None:
        raise click.BadParameter("2 to 60 Chinese characters that can be read aloud, no letters, no symbols")
    return reason


_why = click.option("--reason", required=True, callback=_reason, help="In Chinese: both people will hear it.")


@group.command("freeze")
@click.argument("elder_id")
@click.argument("relative_id")
@_why
def freeze(elder_id: str, relative_id: str, reason: str) -> None:
    """Stop everything RELATIVE_ID may do for ELDER_ID, until it is unfrozen."""
    deps: Deps = current_app.extensions["anxin"]
    try:
        change_relative.freeze(deps, elder_id, relative_id, reason)
    except LookupError:
        click.echo(f"{elder_id} {relative_id}: no tie that is not frozen", err=True)
        sys.exit(2)
    click.echo(f"{elder_id} {relative_id}: frozen; what was begun and not paid is stopped")


@group.command("unfreeze")
@click.argument("elder_id")
@click.argument("relative_id")
@_why
def unfreeze(elder_id: str, relative_id: str, reason: str) -> None:
    """Let it go on as it was."""
    deps: Deps = current_app.extensions["anxin"]
    try:
        change_relative.unfreeze(deps, elder_id, relative_id, reason)
    except LookupError:
        click.echo(f"{elder_id} {relative_id}: no frozen tie", err=True)
        sys.exit(2)
    click.echo(f"{elder_id} {relative_id}: goes on")


for command in (protection.release, protection.cool_off, protection.report):
    group.add_command(command)
