"""`flask --app wsgi demo trouble`: seven troubles, what the person is told, the ledger, the end."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict

import click
from flask import current_app
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.cli import family_demo, family_stage
from app.cli.troubles import TROUBLES, Played, play
from app.domain.money import yuan_text


@click.group("demo")
def group() -> None:
    """Show what happens."""


@group.command("trouble")
@click.option("--only", help="Play one of them by its name, e.g. ceiling.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a trouble.")
def trouble(only: str | None, as_json: bool) -> None:
    """Play seven troubles in small cities of their own. Exit 1 unless each ends as it must."""
    chosen = [each for each in TROUBLES if only in (None, each[1].__name__)]
    if not chosen:
        names = ", ".join(each.__name__ for _city, each in TROUBLES)
        raise click.BadParameter(f"{only!r} is none of {names}", param_hint="--only")
    held = True
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("playing", total=len(chosen))
        for city_name, each in chosen:
            played = play(current_app.extensions["anxin_build"], city_name, each)
            held &= played.holds
            if as_json:
                click.echo(json.dumps(asdict(played), ensure_ascii=False))
            else:
                _show(played)
            progress.advance(task)
    sys.exit(0 if held else 1)


@group.command("family")
@click.option("--only", help="Play one act by its name, e.g. ask_and_second_answers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an act.")
def family(only: str | None, as_json: bool) -> None:
    """Play the family's stories in one small city, with both people's screens. Exit 1 unless all holds."""
    names = [act.__name__ for act in family_demo.ACTS]
    if only not in (None, *names):
        raise click.BadParameter(f"{only!r} is none of {', '.join(names)}", param_hint="--only")
    console = Console(stderr=True)
    with console.status("playing …") if console.is_terminal else nullcontext():
        acts = family_demo.play(current_app.extensions["anxin_build"], only)
    for played in acts:
        if as_json:
            click.echo(json.dumps(asdict(played), ensure_ascii=False))
        else:
            _show_act(played)
    sys.exit(0 if all(played.holds for played in acts) else 1)


def _show_act(played: family_stage.Played) -> None:
    console = Console(soft_wrap=False)
    mark = "[green]holds[/]" if played.holds else "[red]DOES NOT HOLD[/]"
    console.rule(f"[bold]{played.name}[/] · {mark}", align="left")
    console.print(played.summary, style="italic")
    seen = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    seen.add_column(no_wrap=True)
    seen.add_column(no_wrap=True)
    seen.add_column(overflow="fold")
    for at, name, what in played.seen:
        seen.add_row(at, name, what.replace("[", "\\["))
    console.print(seen)
    console.print("end: " + ", ".join(f"{name}={value}" for name, value in played.end.items()), markup=False)
    console.print()


def _show(played: Played) -> None:
    console = Console(soft_wrap=False)
    mark = "[green]holds[/]" if played.holds else "[red]DOES NOT HOLD[/]"
    console.rule(f"[bold]{played.name}[/] · {mark}", align="left")
    console.print(played.summary, style="italic")
    heard = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    heard.add_column(no_wrap=True)
    heard.add_column(overflow="fold")
    for at, words in played.heard:
        heard.add_row(at, words.replace("[", "\\["))
    console.print(heard)
    entries = Table("event", "account", box=None, padding=(0, 2, 0, 0))
    entries.add_column("yuan", justify="right")
    for event, account, fen in played.entries:
        entries.add_row(event, account, yuan_text(fen))
    console.print(entries)
    console.print("end: " + ", ".join(f"{name}={value}" for name, value in played.end.items()), markup=False)
    console.print()
