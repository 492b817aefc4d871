"""What a reconciled day looks like: one report from its rows, as JSON and as a table for people.

The report holds nothing that depends on when it is written, so writing it again gives the same, but for the
run counter.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any

from app.config import REPOSITORY
from app.domain.clock import iso
from app.domain.differences import Facts
from app.domain.money import yuan_text
from app.domain.reconciliation import Class, Tally
from app.flows.deps import Deps
from app.store import differences, reconciled_days, reconciliation_files
from app.store.differences import Difference
from app.store.reconciled_days import Day

CARDS = "cards"
LABELS_FILE = REPOSITORY / "app" / "copy" / "reconciliation.toml"
MOST_LINES = 200  # of differences, in the table for people; the JSON has them all


@cache
def labels() -> dict[str, dict[str, str]]:
    """What classes, books and states are called, for people."""
    return tomllib.loads(LABELS_FILE.read_text(encoding="utf-8"))


def book_of(one: Difference) -> str:
    return one.pay_channel or CARDS


def newest_by_name(found: Iterable[Difference]) -> dict[tuple[str, str], Difference]:
    """By book and name: of a row that was found anew with another amount, the last."""
    newest: dict[tuple[str, str], Difference] = {}
    for one in sorted(found, key=lambda each: (each.opened_at, each.id)):
        if one.source != differences.NOTICE:
            newest[book_of(one), Facts.read(one.detail).name] = one
    return newest


def as_evidence(one: Difference) -> dict[str, Any]:
    """A difference as cases and reports show it. Sums in fen, moments in UTC; no card number."""
    shown: dict[str, Any] = {
        "id": one.id,
        "class": one.kind,
        "book": book_of(one),
        "order_id": one.order_id,
        "amount_fen": one.amount_fen,
        "due_on": one.due_on.isoformat(),
    }
    if one.source == differences.NOTICE:
        return shown | {"row": "payment", "number": one.transaction_id}
    facts = Facts.read(one.detail)
    return shown | {
        "row": facts.row.value,
        "number": facts.number,
        "at": iso(facts.at),
        "ours_fen": facts.ours_fen,
        "theirs_fen": facts.theirs_fen,
    }


def report_of(day: Day, found: Sequence[Difference]) -> dict[str, Any]:
    """The report of a day from its row and its differences."""
    return {
        "day": day.day.isoformat(),
        "state": day.state,
        "complete": day.complete,
        "runs": day.runs,
        "closed_at": iso(day.closed_at),
        "waiting_for": day.summary.get("waiting_for", []),
        "open": sum(one.state == differences.OPEN for one in found),
        "suspended_fen": sum(one.amount_fen for one in found if one.state == differences.OPEN),
        "books": _books(day, found),
        "differences": [
            as_evidence(one)
            | {
                "state": one.state,
                "resolution": one.resolution,
                "opened_at": iso(one.opened_at),
                "resolved_at": iso(one.resolved_at),
            }
            for one in found
        ],
    }


def _books(day: Day, found: Sequence[Difference]) -> dict[str, Any]:
    """Of each book what it was read from, and counts and sums of every class."""
    shown: dict[str, Any] = {}
    newest = newest_by_name(found)
    for name, told in day.summary.get("books", {}).items():
        tallies = {each: Tally() for each in Class}
        tallies[Class.MATCHED].add(*told["matched"])
        tallies[Class.CUTOFF_SHIFT].add(*told["shifted"])
        for (book, _row), one in newest.items():
            if book == name:
                facts = Facts.read(one.detail)
                ours, theirs = facts.ours_fen is not None, facts.theirs_fen is not None
                tallies[Class(one.kind)].add(ours, facts.ours_fen or 0, theirs, facts.theirs_fen or 0)
        classes = {each.value: _counted(tally) for each, tally in tallies.items() if any(astuple(tally))}
        read = {key: told[key] for key in ("account", "statement", "sha1")}
        shown[name] = read | {"classes": classes}
    return shown


def _counted(tally: Tally) -> dict[str, dict[str, int]]:
    return {
        "ours": {"count": tally.ours_count, "fen": tally.ours_fen},
        "theirs": {"count": tally.theirs_count, "fen": tally.theirs_fen},
    }


def write(deps: Deps, day: Day) -> tuple[dict[str, Any], Path]:
    """Write the day's report.json and report.md; returns the report and their folder."""
    with deps.database.read() as tx:
        report = report_of(day, differences.of_day(tx, day.day))
    folder = reconciliation_files.folder_of(deps.settings.data_dir, day.day)
    as_json = json.dumps(report, ensure_ascii=False, indent=1) + "\n"
    reconciliation_files.write_report(folder, {"report.json": as_json, "report.md": as_markdown(report)})
    return report, folder


def write_again(deps: Deps, days: Iterable[Day]) -> None:
    """The reports of days whose rows may have changed."""
    for day in days:
        with deps.database.read() as tx:
            found = reconciled_days.find(tx, day.day)
        if found is not None:
            write(deps, found)


# --- for people -----------------------------------------------------------------------------------


def title(report: dict[str, Any]) -> str:
    """One line: the day, and whether it closed."""
    if report["state"] == reconciled_days.CLOSED:
        return f"{report['day']}: closed"
    if not report["complete"]:
        waiting = ", ".join(f"{one['book']} ({one['code']})" for one in report["waiting_for"])
        return f"{report['day']}: open, waiting for {waiting or 'the books'}"
    suspended = yuan_text(report["suspended_fen"])
    return f"{report['day']}: open, {report['open']} to resolve, {suspended} yuan in suspense"


def class_rows(report: dict[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """(book, class, our count, our yuan, their count, their yuan) for every class that has rows."""
    rows = []
    for book, told in report["books"].items():
        book_label = labelled("books", book)
        if not told["statement"]:
            book_label += f" ({labelled('states', 'no_statement')})"
        for name, counted in told["classes"].items():
            ours, theirs = counted["ours"], counted["theirs"]
            rows.append(
                (
                    book_label,
                    labelled("classes", name),
                    str(ours["count"]),
                    yuan_text(ours["fen"]),
                    str(theirs["count"]),
                    yuan_text(theirs["fen"]),
                )
            )
    return rows


def labelled(group: str, name: str) -> str:
    """The English name with its Chinese label, where it has one."""
    label = labels()[group].get(name)
    return f"{name} {label}" if label else name


def as_markdown(report: dict[str, Any]) -> str:
    """The report as a page of Markdown."""
    lines = [f"# {title(report)}", "", f"Run {report['runs']}.", ""]
    if report["books"]:
        lines += _table(("book", "class", "ours", "yuan", "theirs", "yuan"), class_rows(report))
    shown = report["differences"][:MOST_LINES]
    if shown:
        head = ("difference", "class", "book", "row", "number", "order", "yuan", "state", "due on")
        rows = [
            (
                one["id"],
                labelled("classes", one["class"]),
                labelled("books", one["book"]),
                one["row"],
                one["number"],
                one["order_id"] or "",
                yuan_text(one["amount_fen"]),
                one["resolution"] or labelled("states", one["state"]),
                one["due_on"],
            )
            for one in shown
        ]
        lines += ["", *_table(head, rows)]
    if len(report["differences"]) > MOST_LINES:
        lines += ["", f"And {len(report['differences']) - MOST_LINES} more: report.json has them all."]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
