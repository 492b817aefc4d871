"""What a run proved by numbers: kills, schedules, fuzz cases. Printed at its end; `make soak` keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from app.config import REPOSITORY

SOAK = os.environ.get("SOAK") == "1"
SOAK_FILE = REPOSITORY / "bench" / "results" / "soak.json"
_FOUND = pytest.StashKey[dict[str, dict[str, int]]]()


def record(config: pytest.Config, name: str, counts: Mapping[str, int]) -> None:
    """Keep the counts of one proof; those of a second record of the same name are added to the first's."""
    kept = config.stash.setdefault(_FOUND, {}).setdefault(name, {})
    for what, count in counts.items():
        kept[what] = kept.get(what, 0) + count


def hand_over(config: pytest.Config) -> None:
    """In a process of a parallel run: give what was recorded to the process that prints the summary."""
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output["proof"] = config.stash.get(_FOUND, {})


def take_over(config: pytest.Config, output: dict[str, Any]) -> None:
    """In the process that prints the summary: what one of the others recorded."""
    for name, counts in output.get("proof", {}).items():
        record(config, name, counts)


def show(terminalreporter: pytest.TerminalReporter) -> None:
    """The section `proof` of the summary, when anything was recorded."""
    found = terminalreporter.config.stash.get(_FOUND, {})
    if not found:
        return
    terminalreporter.section("proof")
    for name, counts in sorted(found.items()):
        told = ", ".join(f"{what} {count}" for what, count in counts.items())
        terminalreporter.write_line(f"{name}: {told}")
    if SOAK:
        _keep(found)


def _keep(found: dict[str, dict[str, int]]) -> None:
    """Into bench/results/soak.json, beside what other runs of the soak found."""
    kept = json.loads(SOAK_FILE.read_text()) if SOAK_FILE.exists() else {}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept |= {name: {"at": at, **counts} for name, counts in found.items()}
    SOAK_FILE.parent.mkdir(parents=True, exist_ok=True)
    SOAK_FILE.write_text(json.dumps(kept, indent=1) + "\n")
