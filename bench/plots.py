"""One picture of a bench run: each figure against its target, and the rounds behind the medians."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

GOOD, SHORT, PLAIN = "#2a7f4f", "#b3402e", "#48617a"


def draw(result: dict[str, Any], path: Path) -> None:
    """Write a PNG."""
    panels = [_against_targets, *(panel for part, panel in PANELS.items() if part in result)]
    rows = -(-len(panels) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(18, 4.4 * rows), squeeze=False)
    for panel, place in zip(panels, axes.flat, strict=False):
        panel(result, place)
    for place in axes.flat[len(panels) :]:
        place.set_axis_off()
    cores = result["machine"]["cores"]
    figure.suptitle(f"Anxin bench, {cores} cores, {result['at']}" + (" (quick)" if result["quick"] else ""))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _against_targets(result: dict[str, Any], place: Axes) -> None:
    """How much of each target is reached; right of the line is good for all of them."""
    found = result["figures"][::-1]
    shares = [
        one["value"] / one["target"] if one["at_least"] else one["target"] / one["value"] for one in found
    ]
    bars = place.barh(
        [one["name"] for one in found], shares, color=[GOOD if one["holds"] else SHORT for one in found]
    )
    place.bar_label(bars, [f" {one['value']:.2f} {one['unit']}" for one in found])
    place.axvline(1.0, color="black", linewidth=1)
    place.set_xlim(0, max(1.0, *shares) * 1.35)
    place.set_title("against its target (1 = just held)")


def _order_rounds(result: dict[str, Any], place: Axes) -> None:
    rounds = result["order"]["rounds"]
    for name, color in (("ours", GOOD), ("textbook", SHORT), ("pgbench", PLAIN)):
        place.plot(range(1, len(rounds[name]) + 1), rounds[name], "o-", color=color, label=name)
    place.set_yscale("log")
    place.xaxis.get_major_locator().set_params(integer=True)
    place.set_xlabel("round")
    place.set_ylabel("orders a second (log)")
    place.set_title("order path on one PostgreSQL")
    place.legend()


def _writers_rounds(result: dict[str, Any], place: Axes) -> None:
    found = result["writers"]
    for name, color in (("one account", GOOD), ("spread", PLAIN), ("one row", SHORT)):
        values = found["rounds"][name]
        place.plot(range(1, len(values) + 1), values, "o-", color=color, label=name)
    place.set_ylim(bottom=0)
    place.xaxis.get_major_locator().set_params(integer=True)
    place.set_xlabel("round")
    place.set_ylabel("payments booked a second")
    place.set_title(f"{found['writers']} writers; one row: with a running total")
    place.legend()


def _overload_slices(result: dict[str, Any], place: Axes) -> None:
    """Offered and good over time in the round whose goodput is the median's, with the gate and without."""
    found = result["overload"]
    rounds = sorted(found["rounds"], key=lambda one: float(one["goodput_to_peak"]))
    shown = rounds[len(rounds) // 2]
    at = [one["at"] for one in shown["slices"]]
    place.plot(at, [one["offered"] for one in shown["slices"]], color="black", linewidth=1, label="offered")
    for one, color, label in (
        (shown, GOOD, "good"),
        (found["without_gate"], SHORT, "good, without the gate"),
    ):
        place.plot(at, [piece["good"] for piece in one["slices"]], color=color, label=label)
    place.axhline(shown["peak_per_second"], color=PLAIN, linestyle=":", label="peak")
    place.set_yscale("symlog", linthresh=10)
    place.set_ylim(bottom=0)
    place.set_xlabel("seconds")
    place.set_ylabel("orders a second")
    place.set_title("70 %, 500 % and 70 % of the peak")
    place.legend(loc="lower left")


def _speech_rounds(result: dict[str, Any], place: Axes) -> None:
    cpu = result["speech"]["utterance"]["rounds_cpu_seconds"]
    place.plot(range(1, len(cpu) + 1), cpu, "o", color=PLAIN)
    place.axhline(0.9, color="black", linewidth=1)
    place.set_ylim(0, 1.0)
    place.set_xlabel("utterance")
    place.set_ylabel("CPU-seconds")
    place.set_title("a 3-second utterance, bytes to screen")


def _reconcile_bars(result: dict[str, Any], place: Axes) -> None:
    """Seconds and memory on each database; the lines are what was promised."""
    found = result["reconcile"]
    names = list(found["databases"])
    memory = place.twinx()
    for offset, axes, key, limit, unit, color in (
        (-0.2, place, "seconds", 30, "seconds", GOOD),
        (0.2, memory, "peak_mb", 300, "MB at the peak", PLAIN),
    ):
        bars = axes.bar(
            [number + offset for number in range(len(names))],
            [found["databases"][name][key] for name in names],
            0.36,
            color=color,
        )
        axes.bar_label(bars, fmt="%.0f")
        axes.axhline(limit, color=color, linewidth=1)
        axes.set_ylim(0, limit * 1.15)
        axes.set_ylabel(unit, color=color)
    place.set_xticks(range(len(names)), names)
    place.set_title(f"reconciling {found['rows']:,} rows of a bill")


def _help_bars(result: dict[str, Any], place: Axes) -> None:
    """p50, p95 and p99 on each database; the line is what was promised for p95."""
    found = result["help"]
    shares = ("p50", "p95", "p99")
    for offset, (name, color) in zip((-0.2, 0.2), (("postgresql", GOOD), ("sqlite", PLAIN)), strict=True):
        values = [found["databases"][name]["ms"][share] for share in shares]
        at = [number + offset for number in range(len(shares))]
        place.bar_label(place.bar(at, values, 0.36, color=color, label=name), fmt="%.0f")
    place.axhline(300, color="black", linewidth=1)
    place.set_xticks(range(len(shares)), shares)
    place.set_ylabel("ms")
    place.set_title(f"live help: {found['sessions']} sessions, action to the other screen")
    place.legend()


PANELS = {
    "order": _order_rounds,
    "writers": _writers_rounds,
    "overload": _overload_slices,
    "speech": _speech_rounds,
    "reconcile": _reconcile_bars,
    "help": _help_bars,
}
