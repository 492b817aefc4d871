"""`flask --app wsgi desk release|cool-off|protection`: what a person at a counter does about protection."""

from __future__ import annotations

import getpass
import json
import sys

import click
from flask import current_app

from app.domain.clock import iso
from app.flows import hold, protection_desk
from app.flows.deps import Deps

_operator = click.option("--operator", default=getpass.getuser, help="Who decides. Default: who runs this.")


def _deps() -> Deps:
    found: Deps = current_app.extensions["anxin"]
    return found


@click.command("release")
@click.argument("order_id")
@click.option("--reason", required=True, help="Kept with it.")
@_operator
def release(order_id: str, reason: str, operator: str) -> None:
    """End the hold of ORDER_ID: both sides were heard."""
    try:
        hold.release_at_the_desk(_deps(), order_id, operator, reason)
    except LookupError:
        click.echo(f"{order_id}: nothing is held", err=True)
        sys.exit(2)
    click.echo(f"{order_id}: goes on")


@click.command("cool-off")
@click.argument("user_id")
@click.option("--lift", is_flag=True, help="Large sums may be paid again at once.")
@click.option("--reason", help="Why; needed with --lift.")
@_operator
def cool_off(user_id: str, lift: bool, reason: str | None, operator: str) -> None:
    """What USER_ID waits for after saying that somebody told them to pay."""
    if not lift:
        for question in protection_desk.cooling(_deps(), user_id):
            click.echo(f"{question.order_id}: since {iso(question.answered_at)}")
        return
    if not reason:
        raise click.UsageError("--lift needs a --reason")
    try:
        many = protection_desk.lift_cooling(_deps(), user_id, operator, reason)
    except LookupError:
        click.echo(f"{user_id}: waits for nothing", err=True)
        sys.exit(2)
    click.echo(f"{user_id}: lifted for {many} order(s)")


@click.command("protection")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650))
@click.option("--json", "as_json", is_flag=True)
def report(days: int, as_json: bool) -> None:
    """Asked why, answered how, held, released by whom, and how often in vain."""
    found = protection_desk.report(_deps(), days)
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        counted = (
            value if isinstance(value, int) else ", ".join(f"{each} {many}" for each, many in value.items())
        )
        click.echo(f"{name}: {counted}")
