"""Scoring understanding against labelled recordings or texts, for `flask voice evaluate` and the tests."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.errors import AppError
from app.ports import Hypothesis
from app.voice import Decision, State, Understanding, understand

OUTCOMES = ("right", "wrong", "choice_with_right", "choice", "again", "reject")
Row = Mapping[str, str]
Hear = Callable[[Path], tuple[tuple[Hypothesis, ...], str]]
# How sure a typed text is: only differences of scores matter, and here is one hypothesis.
TEXT_SCORE = -0.3


class FaultyLabels(Exception):
    """The table or what it names cannot be read; says which."""


def read_labels(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated table with a header. Raise FaultyLabels without a `text` column."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if not rows or "text" not in rows[0]:
        raise FaultyLabels(f"{path}: no rows, or no column named text")
    return rows


def hear_all(
    rows: Sequence[Row], folder: Path, hear: Hear, kept: Path | None = None
) -> list[tuple[Hypothesis, ...]]:
    """The hypotheses of each row, in order; an unusable clip has none, a text is its own hypothesis.

    With `kept`, reads them from there when it exists and writes them there when it does not.
    Raise FaultyLabels for a file that is missing.
    """
    if "file" not in rows[0]:
        return [(Hypothesis(row["text"], TEXT_SCORE),) for row in rows]
    if kept is not None and kept.exists():
        stored = json.loads(kept.read_text(encoding="utf-8"))
        return [tuple(Hypothesis(**one) for one in stored[row["file"]]) for row in rows]
    found = [_hear(folder / row["file"], hear) for row in rows]
    if kept is not None:
        content = {row["file"]: [_plain(one) for one in each] for row, each in zip(rows, found, strict=True)}
        kept.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return found


def _hear(path: Path, hear: Hear) -> tuple[Hypothesis, ...]:
    try:
        return hear(path)[0]
    except AppError:
        return ()
    except OSError as fault:
        raise FaultyLabels(f"{path}: {fault.strerror}") from fault


def _plain(hypothesis: Hypothesis) -> dict[str, Any]:
    return {"text": hypothesis.text, "score": hypothesis.score, "source": hypothesis.source}


def score(
    rows: Sequence[Row], heard: Sequence[tuple[Hypothesis, ...]], state: State = State.ANY
) -> dict[str, Any]:
    """Counts of OUTCOMES for each variant and for all, and a line for every wrong acceptance."""
    variants: dict[str, Counter[str]] = {}
    wrong = []
    for row, hypotheses in zip(rows, heard, strict=True):
        meant = understand(hypotheses, State(row.get("state") or state))
        outcome = outcome_of(row, meant)
        for name in (row.get("variant") or row.get("voice") or row.get("language") or "rows", "all"):
            variants.setdefault(name, Counter())[outcome] += 1
        if outcome == "wrong":
            said = row.get("file") or row["text"]
            wrong.append(f"{said} {row['text']}: {meant.intent} {meant.amount_fen} {meant.card_index}")
    ordered = sorted(variants, key=lambda name: (name == "all", name))
    counts = {name: {outcome: variants[name][outcome] for outcome in OUTCOMES} for name in ordered}
    return {"variants": counts, "wrong": wrong}


def outcome_of(row: Row, meant: Understanding) -> str:
    """One of OUTCOMES. A row without an intent, or with none, is right when nothing is accepted; the
    column `allowed` names further decisions and intents that are right."""
    allowed = (row.get("allowed") or "").split("/")
    right = _fits(row, meant.intent.value, meant.amount_fen, meant.card_index)
    if meant.decision is Decision.ACCEPT:
        fine = right if _has_wish(row) else bool({"accept", meant.intent.value} & set(allowed))
        return "right" if fine or (allowed != [""] and meant.intent.value in allowed) else "wrong"
    if meant.decision.value in allowed or not _has_wish(row):
        choice = meant.decision is Decision.CHOOSE and meant.decision.value not in allowed
        return "choice" if choice else "right"
    if meant.decision is Decision.CHOOSE:
        offered = any(_fits(row, one.intent.value, one.amount_fen, one.card_index) for one in meant.choices)
        return "choice_with_right" if offered else "choice"
    return meant.decision.value


def _has_wish(row: Row) -> bool:
    return (row.get("intent") or "none") != "none"


def _fits(row: Row, intent: str, amount_fen: int | None, card_index: int | None) -> bool:
    if intent != row.get("intent"):
        return False
    if row.get("slot"):
        return int(row["slot"]) in (amount_fen, card_index)
    return "amount_fen" not in row or amount_fen == (int(row["amount_fen"]) if row["amount_fen"] else None)
