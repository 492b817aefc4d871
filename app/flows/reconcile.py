"""Reconciling a day: WeChat's bills, the card system's file and our ledger, every day after ten.

Read all books first, then write: while one side is silent nothing is opened. Every run of a day comes to the
same end, and a closed day stays as it is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.domain.clock import SHANGHAI
from app.domain.differences import Facts, due_on, plan_due_at, ready_at, reference
from app.domain.reconciliation import Class, Finding, RowKind
from app.flows import reconcile_report
from app.flows.deps import Deps
from app.flows.differences import AGREED, matched, resolve, work
from app.flows.reconcile_books import Book, Silent, read_books
from app.flows.reconcile_report import newest_by_name
from app.store import cases, differences, ledger, reconciled_days, reconciliation
from app.store.differences import Difference
from app.store.reconciled_days import Day

log = logging.getLogger(__name__)

WRITTEN_AT_ONCE = 200  # findings a transaction
NO_STATEMENT = "statement_missing"  # the case of a file that is missing as a whole
SUPERSEDED, WITHDRAWN = "superseded", "withdrawn"


class TooEarly(Exception):
    """The day is not over, or its books are not there yet; `ready_at` says from when on they are."""

    def __init__(self, day: date, ready: datetime) -> None:
        super().__init__(f"{day} can be reconciled from {ready.astimezone(SHANGHAI):%Y-%m-%d %H:%M} on")
        self.ready_at = ready


@dataclass(frozen=True, slots=True)
class Result:
    """A day as it stands after a run: its report, and the folder the report was written to."""

    report: dict[str, Any]
    folder: Path


def reconcile(deps: Deps, day: date) -> Result:
    """Reconcile an Asia/Shanghai day: TooEarly before ten on the next, Silent while a side says nothing.

    Repeating is safe: what was found is found again and changes nothing. Superseded (of reconciled_days)
    when another run of the same day has begun meanwhile.
    """
    now = deps.clock.now()
    if now < ready_at(day):
        raise TooEarly(day, ready_at(day))
    with deps.database.write() as tx:
        run = reconciled_days.begin(tx, day, now)
    if run.state == reconciled_days.OPEN:
        _read_and_record(deps, run, now)
        go_on(deps, now)
    with deps.database.read() as tx:
        found = reconciled_days.find(tx, day)
    assert found is not None
    return Result(*reconcile_report.write(deps, found))


def go_on(deps: Deps, now: datetime) -> list[date]:
    """Work every open difference by the rules, and close the days that have none left. Returns those days."""
    work(deps, now)
    with deps.database.read() as tx:
        waiting = [day for day in reconciled_days.open_days(tx) if day.complete]
    closed = [day.day for day in waiting if _close(deps, day, now)]
    reconcile_report.write_again(deps, waiting)
    return closed


def _close(deps: Deps, day: Day, now: datetime) -> bool:
    """A day closes when nothing of it is in suspense and debit equals credit."""
    with deps.database.read() as tx:
        if differences.count_open(tx, day.day):
            return False
    with reconciliation.snapshot(deps.database) as tx:
        balance = ledger.balance(tx)
    if not balance.ok:
        log.error("the ledger does not balance", extra={"day": day.day.isoformat()})
        return False
    with deps.database.write() as tx:
        return differences.count_open(tx, day.day) == 0 and reconciled_days.close(tx, day.day, now)


# --- recording ------------------------------------------------------------------------------------


def _read_and_record(deps: Deps, run: Day, now: datetime) -> None:
    try:
        books = list(read_books(deps, run.day, now))
    except Silent as silence:
        if not run.complete:
            told = {"complete": False, "waiting_for": [{"book": silence.book, "code": silence.code}]}
            with deps.database.write() as tx:
                reconciled_days.write(tx, run, told)
        raise
    for book in books:
        _record(deps, run, book, now)
        _tell_missing(deps, run.day, book, now)
    summary = {"complete": True, "books": {book.name: _summary(book) for book in books}}
    with deps.database.write() as tx:
        reconciled_days.write(tx, run, summary)


def _summary(book: Book) -> dict[str, Any]:
    """What the report is made of, together with the differences."""
    return {
        "account": book.account,
        "statement": book.statement,
        "sha1": book.sha1,
        "matched": list(astuple(book.comparison.matched)),
        "shifted": list(astuple(book.shifted)),
    }


def _record(deps: Deps, run: Day, book: Book, now: datetime) -> None:
    """Open what is new, resolve what agrees by now. What was recorded before has the last word."""
    with deps.database.read() as tx:
        found = [one for one in differences.of_day(tx, run.day) if one.pay_channel == book.channel]
    recorded = {name: one for (_book, name), one in newest_by_name(found).items()}
    versions = Counter(Facts.read(one.detail).name for one in found if one.source == book.source)
    for part in reconciliation.in_parts(book.comparison.findings, WRITTEN_AT_ONCE):
        with deps.database.write() as tx:
            reconciled_days.hold(tx, run)
            new = _those_new(tx, part, recorded, now)
            for finding in _unexplained(tx, run.day, book, new, now):
                _open(deps, tx, run.day, book, finding, versions[finding.name] + 1, now)
    still = {one.name for one in book.comparison.findings}
    caught_up = {one.name for one in book.comparison.caught_up}
    for name, one in recorded.items():
        if one.state == differences.OPEN and name not in still:
            with deps.database.write() as tx:
                reconciled_days.hold(tx, run)
                resolve(tx, one, AGREED if name in caught_up else WITHDRAWN, now)


def _those_new(
    tx: Connection, part: Sequence[Finding], recorded: Mapping[str, Difference], now: datetime
) -> list[Finding]:
    """Findings that were not recorded before; one whose amount has changed is recorded anew."""
    new = []
    for finding in part:
        before = recorded.get(finding.name)
        if before is None:
            new.append(finding)
        elif before.state == differences.OPEN and before.amount_fen != finding.amount_fen:
            resolve(tx, before, SUPERSEDED, now)
            new.append(finding)
    return new


def _unexplained(
    tx: Connection, day: date, book: Book, findings: Sequence[Finding], now: datetime
) -> list[Finding]:
    """Findings that no other day's difference is the opposite of. The others resolve that difference: one
    book shows the row on this day, the other on that."""
    numbers = [finding.row.order_id[:64] for finding in findings]
    others: dict[tuple[str, int], list[Difference]] = {}
    for one in differences.of_orders(tx, numbers, other_than=day):
        usable = one.state == differences.OPEN or one.resolution == matched(day)
        if usable and one.pay_channel == book.channel:
            others.setdefault((Facts.read(one.detail).name, one.amount_fen), []).append(one)
    left = []
    for finding in findings:
        one_sided = finding.ours is None or finding.theirs is None
        opposite = others.get((finding.name, -finding.amount_fen))
        if not one_sided or not opposite or finding.found is Class.DUPLICATE:
            left.append(finding)
            continue
        other = opposite.pop()
        if other.state == differences.OPEN:
            resolve(tx, other, matched(day), now)
        ours, theirs = finding.ours is not None, finding.theirs is not None
        book.shifted.add(ours, finding.ours_fen, theirs, finding.theirs_fen)
    return left


def _open(
    deps: Deps, tx: Connection, day: date, book: Book, finding: Finding, version: int, now: datetime
) -> None:
    row = finding.row
    differences.open_once(
        tx,
        kind=finding.found.value,
        reference=reference(day, book.name, finding.name, version),
        source=book.source,
        day=day,
        account=(finding.ours or row).account,
        amount_fen=finding.amount_fen,
        total_fen=abs(row.fen),
        detail=Facts.of(finding, no_statement=not book.statement).text(),
        due_on=due_on(day, deps.calendar),
        now=now,
        order_id=row.order_id,
        transaction_id=row.number if row.kind is RowKind.PAYMENT else None,
        pay_channel=book.channel,
    )


def _tell_missing(deps: Deps, day: date, book: Book, now: datetime) -> None:
    """A file that is not there is an empty day only when our book is empty too; otherwise one case."""
    subject = f"{day.isoformat()}:{book.name}"
    with deps.database.write() as tx:
        if book.statement or not book.comparison.findings:
            cases.resolve_about(tx, NO_STATEMENT, subject, "the file is there, or our book is empty", now)
            return
        cases.open_once(
            tx,
            level=2,
            kind=NO_STATEMENT,
            subject=subject,
            order_id=None,
            plan_due_at=plan_due_at(now, deps.calendar),
            now=now,
            more={"book": book.name, "day": day.isoformat(), "ours": len(book.comparison.findings)},
        )
