"""`make bench`: order path, speech, memory and reconciliation in one run; a table, a JSON file and a plot.

`python -m bench --only order` measures one part; `--quick` makes the rounds short (and the figures rough).
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.config import REPOSITORY
from bench import order_path, plots, reconciliation, speech

RESULTS = REPOSITORY / "bench" / "results"
PARTS = ("order", "speech", "reconcile")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure the project promises. `at_least` tells which side of `target` is good."""

    name: str
    value: float
    target: float
    at_least: bool
    unit: str

    @property
    def holds(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


def order_figures(found: dict[str, Any]) -> list[Figure]:
    return [
        Figure("order path, ours / textbook ORM", found["ours_to_textbook"], 5.0, True, "×"),
        Figure("order path, ours / pgbench", found["ours_to_pgbench"], 0.20, True, "×"),
    ]


def speech_figures(found: dict[str, Any]) -> list[Figure]:
    return [
        Figure("3 s utterance, bytes to screen", found["utterance"]["cpu_seconds"], 0.9, False, "CPU-s"),
        Figure("API while two speak / alone", found["api"]["ratio"], 0.8, True, "×"),
        Figure("memory of a web worker", found["memory"]["web_worker_mib"], 150, False, "MiB"),
        Figure("memory of a speech worker", found["memory"]["speech_worker_mib"], 400, False, "MiB"),
    ]


def reconcile_figures(found: dict[str, Any]) -> list[Figure]:
    """The slower and the larger of both databases."""
    databases = found["databases"].values()
    rows = f"{found['rows']:,} rows"
    return [
        Figure(f"reconciling {rows}", max(one["seconds"] for one in databases), 30, False, "s"),
        Figure(f"its memory, {rows}", max(one["peak_mb"] for one in databases), 300, False, "MB"),
    ]


def measure_order(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    rounds, seconds = (2, 3.0) if quick else (5, 6.0)
    return order_path.measure(folder, rounds, seconds, step)


def measure_speech(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    times, rounds, seconds = (5, 2, 8.0) if quick else (20, 3, 15.0)
    with speech.a_house(folder) as house:
        return {
            "utterance": speech.utterance(house, times, step),
            "api": speech.api_while_speaking(house, rounds, seconds, step),
            "memory": speech.memory(house),
        }


def measure_reconcile(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    return reconciliation.measure(folder, 10_000 if quick else reconciliation.ROWS, step)


def steps(part: str, quick: bool) -> int:
    """How often a part moves the progress bar."""
    return {
        "order": 3 * (2 if quick else 5),
        "speech": (5 if quick else 20) + 2 * (2 if quick else 3),
        "reconcile": 2 * len(reconciliation.DATABASES),
    }[part]


@click.command()
@click.option("--only", type=click.Choice(PARTS), help="Measure one part.")
@click.option("--quick", is_flag=True, help="Short rounds, rough figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def main(only: str | None, quick: bool, as_json: bool) -> None:
    """Measure, print, and write bench/results/latest.json and latest.png."""
    console = Console(stderr=as_json, highlight=False)
    measures = {"order": measure_order, "speech": measure_speech, "reconcile": measure_reconcile}
    parts = [only] if only else list(PARTS)
    found: dict[str, Any] = {}
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        tempfile.TemporaryDirectory() as folder,
    ):
        tasks = {part: progress.add_task(part, total=steps(part, quick)) for part in parts}
        for part in parts:
            found[part] = measures[part](Path(folder), quick, lambda part=part: progress.advance(tasks[part]))
    figures = [
        figure
        for part, of in (
            ("order", order_figures),
            ("speech", speech_figures),
            ("reconcile", reconcile_figures),
        )
        if part in found
        for figure in of(found[part])
    ]
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        },
        "quick": quick,
        "figures": [{**asdict(figure), "holds": figure.holds} for figure in figures],
        **found,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(result, indent=1) + "\n")
    plots.draw(result, RESULTS / "latest.png")
    if as_json:
        click.echo(json.dumps(result))
    console.print(table(figures))
    console.print(f"{os.cpu_count()} cores. Rounds and more: bench/results/latest.json, latest.png")


def table(figures: list[Figure]) -> Table:
    """What was promised and what was measured."""
    found = Table("figure", "measured", "target", "holds")
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        measured = f"{figure.value:.2f} {figure.unit}"
        found.add_row(figure.name, measured, f"{sign} {figure.target:g} {figure.unit}", _yes(figure.holds))
    return found


def _yes(holds: bool) -> str:
    return "[green]yes[/green]" if holds else "[red]no[/red]"


if __name__ == "__main__":
    main()
