"""`make face-eval`: who is refused, who is taken, and what a check costs. Table, JSON and a plot.

Without the measuring pictures it says so, measures the cost on a package's photo alone, and ends with 0.
"""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.config import REPOSITORY
from app.providers.face_engine import MIDDLE, STRICT
from app.providers.face_models import MODEL_ID
from bench import face_accuracy, face_cost, face_replay
from bench.__main__ import Figure, table
from tests.providers.moving_faces import DATA, the_models

RESULTS = REPOSITORY / "bench" / "results" / "face"
CAPTION = (
    "What this cannot show: there is no genuine pair of an East-Asian or of an elderly person here, the "
    "East-Asian strangers are a handful of young actors with one photo each, pairs of one person are not "
    "independent, and press photos are not selfies. None wrong of n only says: below about 3/n. Nothing here "
    "supports a rate like 1 in 10,000, and no attack was measured. The face is never the only factor "
    "(docs/adr/013). Waiting times are the machine's as it was, with whatever else ran on it."
)


@click.command()
@click.option("--pictures", type=click.Path(path_type=Path), default=DATA, help="A folder with labels.tsv.")
@click.option("--quick", is_flag=True, help="Few rounds, rough costs.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")
def main(pictures: Path, quick: bool, as_json: bool) -> None:
    """Measure, print, and write bench/results/face/latest.json and distances.png."""
    console = Console(stderr=as_json, highlight=False)
    people = face_accuracy.labels(pictures)
    times = (3, 2, 5) if quick else (20, 8, 20)
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        pictures_task = progress.add_task("pictures", total=sum(map(len, people.values())))
        chosen = face_replay.chosen_of(people, quick)
        films_task = progress.add_task("films", total=len(chosen))
        cost_task = progress.add_task("cost", total=1 + times[0] + times[1] + face_cost.AT_ONCE * times[2])
        models = the_models()
        models.warm()
        vectors, left_out, faults = face_accuracy.embed_all(
            models, people, lambda: progress.advance(pictures_task)
        )

        replays = face_replay.measure(models, chosen, lambda: progress.advance(films_task))

        def step() -> None:
            progress.advance(cost_task)

        template, frames = face_cost.ground(models)
        step()
        cpu = face_cost.checks(models, template, frames, times[0], step)
        large = face_cost.large_photo(models, times[1], step)
        both = face_cost.together(template, frames, times[2], step)
    found = [sample.told() for sample in face_accuracy.samples(vectors)]
    figures = [
        Figure("one check, 12 frames of 720p", statistics.median(cpu), 2.5, False, "CPU-s"),
        Figure("p95 of a check, two at once", both["p95"], 3.0, False, "s"),
        Figure("a 12-megapixel photo, to its embedding", statistics.median(large), 0.6, False, "s"),
        Figure("a thread's longest wait meanwhile", both["longest_stall_ms"], 50, False, "ms"),
    ]
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "quick": quick,
        "model_id": MODEL_ID,
        "thresholds": {"strict": STRICT, "middle": MIDDLE},
        "pictures": sum(map(len, people.values())),
        "left_out": left_out,
        "quality": faults,
        "groups": found,
        "replays": replays,
        "figures": [{**asdict(figure), "holds": figure.holds} for figure in figures],
        "cost": {"cpu_seconds": cpu, "large_photo_seconds": large, **both},
        "caption": CAPTION,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps(result, indent=1) + "\n")
    if found:
        draw(found, RESULTS / "distances.png")
    if as_json:
        click.echo(json.dumps(result))
    _show(console, result, figures)


def _show(console: Console, result: dict[str, Any], figures: list[Figure]) -> None:
    if result["groups"]:
        console.print(rates_table(result["groups"]))
        passed = ", ".join(f"{reason} {count}" for reason, count in sorted(result["quality"].items()))
        console.print(f"{result['pictures']} pictures; quality gate as for enrolment: {passed}")
        for line in result["left_out"]:
            console.print(f"left out: {line}")
    else:
        console.print(
            "The measuring pictures are not here (labels.tsv and its files): no rates were measured."
        )
    console.print(replays_table(result["replays"]))
    console.print(face_replay.CAPTION)
    console.print(table(figures))
    alone = result["cost"]["longest_stall_alone_ms"]
    console.print(f"Longest wait of a thread with no check running: {alone:.0f} ms.")
    console.print(CAPTION)
    plot = ", distances.png" if result["groups"] else ""
    console.print(f"{result['cores']} cores. Everything: bench/results/face/latest.json{plot}")


def rates_table(groups: list[dict[str, Any]]) -> Table:
    """False rejects and accepts at both thresholds, with 95 % bounds."""
    found = Table(
        "group",
        "compared",
        *(f"{kind} ≤ {limit:.2f}" for limit in (STRICT, MIDDLE) for kind in ("FRR", "FAR")),
    )
    for group in groups:
        cells = [_rate(group[name][kind]) for name in ("strict", "middle") for kind in ("frr", "far")]
        found.add_row(group["group"], group["compared"], *cells)
    return found


def replays_table(replays: dict[str, Any]) -> Table:
    """Replays that were missed, and other films that were taken for one."""
    found = Table("film compared with an earlier one", "mistaken", "how far: least, median, most")
    rates = {"the same, encoded anew": replays["missed"], **replays["taken_for_a_copy"]}
    for (name, mistaken), far in zip(rates.items(), replays["apart"].values(), strict=True):
        middle = f"{far[0]:.2f}, {statistics.median(far):.2f}, {far[-1]:.2f}" if far else "-"
        found.add_row(name, _rate(mistaken), middle)
    found.caption = f"taken for the same up to {replays['threshold']}; films of {replays['photos']} photos"
    return found


def _rate(rate: dict[str, Any] | None) -> str:
    if rate is None:
        return "not measured"
    if not rate["wrong"]:
        return f"0/{rate['of']}\n< {rate['high']:.1%}"
    return f"{rate['wrong']}/{rate['of']} {rate['share']:.1%}\n{rate['low']:.0%}–{rate['high']:.0%}"


def draw(groups: list[dict[str, Any]], path: Path) -> None:
    """Distances of each group: the person's own above, strangers' below, and the two thresholds."""
    figure, axes = plt.subplots(
        len(groups), 1, figsize=(9, 1.9 * len(groups) + 1), sharex=True, squeeze=False
    )
    bins = [step / 50 for step in range(61)]
    for group, place in zip(groups, axes.flat, strict=True):
        for name, color in (("own", "#2a7f4f"), ("strangers", "#b3402e")):
            values = group[name]
            if not values:
                continue
            place.hist(
                values, bins=bins, density=True, alpha=0.6, color=color, label=f"{name} (n={len(values)})"
            )
        place.axvline(STRICT, color="black", linewidth=1)
        place.axvline(MIDDLE, color="black", linewidth=1, linestyle="--")
        place.set_title(f"{group['group']}, {group['compared']}", fontsize=10)
        place.set_yticks([])
        place.legend(fontsize=8)
    axes.flat[-1].set_xlabel(f"distance; solid: strict {STRICT:.2f}, dashed: middle {MIDDLE:.2f}")
    figure.suptitle("No genuine East-Asian or elderly pairs; few persons; no attacks", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
