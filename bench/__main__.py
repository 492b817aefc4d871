"""`make bench`: every promised speed in one run; a table, a JSON file and a plot.

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
from bench import live_help, order_path, overload, plots, reconciliation, speech, writers

RESULTS = REPOSITORY / "bench" / "results"


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
        Figure("order path, ours / pgbench", found["ours_to_pgbench"], 0.30, True, "×"),
    ]


def speech_figures(found: dict[str, Any]) -> list[Figure]:
    return [
        Figure("3 s utterance, bytes to screen", found["utterance"]["cpu_seconds"], 0.9, False, "CPU-s"),
        Figure("API while two speak / alone", found["api"]["ratio"], 0.8, True, "×"),
        Figure("API while two show their face / alone", found["faces"]["ratio"], 0.8, True, "×"),
        Figure("memory of a web worker", found["memory"]["web_worker_mib"], 150, False, "MiB"),
        Figure("memory of a speech worker", found["memory"]["speech_worker_mib"], 400, False, "MiB"),
    ]


def writers_figures(found: dict[str, Any]) -> list[Figure]:
    name = f"{found['writers']} writers, one account / spread"
    return [Figure(name, found["one_account_to_spread"], 0.90, True, "×")]


def overload_figures(found: dict[str, Any]) -> list[Figure]:
    return [
        Figure("goodput at 5 × the peak / peak", found["goodput_to_peak"], 0.90, True, "×"),
        Figure("good again after the overload", found["recovered_after_seconds"], 5.0, False, "s"),
        Figure("p99 of a write at 70 % of the peak", found["calm_p99_ms"], 200, False, "ms"),
    ]


def reconcile_figures(found: dict[str, Any]) -> list[Figure]:
    """The slower and the larger of both databases."""
    databases = found["databases"].values()
    rows = f"{found['rows']:,} rows"
    return [
        Figure(f"reconciling {rows}", max(one["seconds"] for one in databases), 30, False, "s"),
        Figure(f"its memory, {rows}", max(one["peak_mb"] for one in databases), 300, False, "MB"),
    ]


def help_figures(found: dict[str, Any]) -> list[Figure]:
    """The slower database; an action that never arrived has taken for ever."""
    databases = found["databases"].values()
    slowest = max(float("inf") if one["lost"] else one["ms"]["p95"] for one in databases)
    name = f"live help, {found['sessions']} sessions, action to the other screen, p95"
    return [Figure(name, slowest, 300, False, "ms")]


def measure_help(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    return live_help.measure(folder, 12.0 if quick else 60.0, step)


def measure_order(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    rounds, seconds = (2, 3.0) if quick else (5, 6.0)
    return order_path.measure(folder, rounds, seconds, step)


def measure_speech(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    times, rounds, seconds = (5, 2, 8.0) if quick else (20, 3, 15.0)
    with speech.a_house(folder) as house:
        return {
            "utterance": speech.utterance(house, times, step),
            "api": speech.api_meanwhile(house, speech.speakers(house), rounds, seconds, step),
            "memory": speech.memory(house),
            "faces": speech.api_meanwhile(house, speech.faces(house), rounds, seconds, step),
        }


def measure_reconcile(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    return reconciliation.measure(folder, 10_000 if quick else reconciliation.ROWS, step)


def measure_writers(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    rounds, seconds = (2, 2) if quick else (5, 3)
    return writers.measure(folder, rounds, seconds, step)


def measure_overload(folder: Path, quick: bool, step: Callable[[], None]) -> dict[str, Any]:
    rounds, seconds = (1, overload.SHORT) if quick else (3, overload.LONG)
    return overload.measure(folder, rounds, seconds, step)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bench: what it measures, its figures, and how often it moves the progress bar."""

    measure: Callable[[Path, bool, Callable[[], None]], dict[str, Any]]
    figures: Callable[[dict[str, Any]], list[Figure]]
    steps: int
    steps_when_quick: int


PARTS = {
    "order": Part(measure_order, order_figures, 15, 6),
    "writers": Part(measure_writers, writers_figures, 15, 6),
    "overload": Part(measure_overload, overload_figures, 4, 2),
    "speech": Part(measure_speech, speech_figures, 32, 13),
    "reconcile": Part(
        measure_reconcile,
        reconcile_figures,
        2 * len(reconciliation.DATABASES),
        2 * len(reconciliation.DATABASES),
    ),
    "help": Part(measure_help, help_figures, len(live_help.DATABASES), len(live_help.DATABASES)),
}


@click.command()
@click.option("--only", type=click.Choice(list(PARTS)), help="Measure one part.")
@click.option("--quick", is_flag=True, help="Short rounds, rough figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def main(only: str | None, quick: bool, as_json: bool) -> None:
    """Measure, print, and write bench/results/latest.json and latest.png."""
    console = Console(stderr=as_json, highlight=False)
    parts = {only: PARTS[only]} if only else PARTS
    found: dict[str, Any] = {}
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.chmod(folder, 0o755)  # PostgreSQL does not run as root, and has to reach its own folder
        tasks = {
            name: progress.add_task(name, total=part.steps_when_quick if quick else part.steps)
            for name, part in parts.items()
        }
        for name, part in parts.items():
            own = Path(folder) / name
            own.mkdir()
            found[name] = part.measure(own, quick, lambda name=name: progress.advance(tasks[name]))
    figures = [figure for name, part in parts.items() for figure in part.figures(found[name])]
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
