"""What becomes of a difference between two books: when it is due, and the rule that resolves it.

The rules are those of notes/domain.md 3.3 and PRODUCT.md "Money": money without an order is booked or goes
home, short money waits for the books of T+2, a state is asked about, and a person decides the rest. Nothing
is ever put right by crediting a card again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from app.domain.calendar import Calendar
from app.domain.clock import SHANGHAI, business_day
from app.domain.orders import PLAN_DUE
from app.domain.reconciliation import Class, Finding, RowKind

READY_AT = time(10)  # WeChat's bill of a day is there from 10:00 of the next (notes/wechat.md 4.10)
PATIENCE = timedelta(days=2)
_DAY = timedelta(days=1)
_LONGEST_REFERENCE = 96


@dataclass(frozen=True, slots=True)
class Facts:
    """What is kept of a finding beside its difference, as JSON: enough to work on it without the books.

    `ours_fen` and `theirs_fen` are None where that book has no such row. `no_statement`: the whole file was
    missing.
    """

    name: str
    row: RowKind
    number: str
    at: datetime
    ours_fen: int | None
    theirs_fen: int | None
    no_statement: bool = False

    @classmethod
    def of(cls, finding: Finding, no_statement: bool) -> Facts:
        row = finding.row
        ours_fen = None if finding.ours is None else finding.ours_fen
        theirs_fen = None if finding.theirs is None else finding.theirs_fen
        return cls(finding.name, row.kind, row.number, row.at, ours_fen, theirs_fen, no_statement)

    def text(self) -> str:
        return json.dumps(asdict(self) | {"at": self.at.astimezone(UTC).isoformat()})

    @classmethod
    def read(cls, text: str) -> Facts:
        """From `text()`. ValueError, TypeError or KeyError for anything else."""
        told = json.loads(text)
        return cls(**(told | {"row": RowKind(told["row"]), "at": datetime.fromisoformat(told["at"])}))


def reference(day: date, book: str, name: str, version: int = 1) -> str:
    """What names a difference for ever. `version` counts how often it was found anew with another amount."""
    told = f"{day.isoformat()}:{book}:{name}" + (f"~{version}" if version > 1 else "")
    if len(told) <= _LONGEST_REFERENCE:
        return told
    return f"{day.isoformat()}:{book}:sha256:{hashlib.sha256(told.encode()).hexdigest()}"


class Standing(StrEnum):
    """What our book, looked through on all days, knows of a row that only the other side shows."""

    ABSENT = "absent"
    ON_ITS_WAY = "on_its_way"  # a refund that was asked for, a paid order that waits for its credit
    NOT_DONE = "not_done"  # a refund that came to nothing
    ANOTHER_DAY = "another_day"  # booked alike, on another day
    THAT_DAY = "that_day"  # booked alike, since the books were compared


class Step(StrEnum):
    """What the rules do about an open difference."""

    WAIT = "wait"  # another day's books, or work that is under way, will tell
    BOOK = "book"  # hand the payment to settle, as if WeChat's notice had come
    ASK = "ask"  # an active query may settle it
    CASE = "case"  # a person has to look


def knowing(finding: Finding, standing: Standing) -> Finding:
    """A row that seemed missing in our book, in the light of what our book knows of it."""
    if finding.found is Class.MISSING_OURS:
        if standing is Standing.ANOTHER_DAY:
            return finding._replace(found=Class.CUTOFF_SHIFT)
        if standing in (Standing.ON_ITS_WAY, Standing.NOT_DONE):
            return finding._replace(found=Class.STATUS)
    return finding


def next_step(found: Class, kind: RowKind, overdue: bool) -> Step:
    """The rule for an open difference of this class about a row of this kind.

    An overdue shift is no longer one: call `overdue_class` first.
    """
    if found in (Class.AMOUNT, Class.DUPLICATE):
        return Step.CASE
    if found is Class.MISSING_OURS:
        return Step.BOOK if kind is RowKind.PAYMENT else Step.CASE
    if found in (Class.STATUS, Class.MISSING_THEIRS):
        return Step.ASK
    return Step.CASE if overdue else Step.WAIT


def overdue_class(found: Class, amount_fen: int, kind: RowKind) -> Class:
    """What a shift becomes that no other day's book has explained: the sign tells whose row it was."""
    if found is not Class.CUTOFF_SHIFT:
        return found
    their_sign = 1 if kind is RowKind.PAYMENT else -1
    return Class.MISSING_OURS if amount_fen * their_sign > 0 else Class.MISSING_THEIRS


def ready_at(day: date) -> datetime:
    """From when on a day can be reconciled; UTC."""
    return datetime.combine(day + _DAY, READY_AT, SHANGHAI).astimezone(UTC)


def due_on(day: date, days: Calendar) -> date:
    """The last day whose books may explain a difference of `day`: T+2, or the first workday after."""
    due = day + PATIENCE
    return due if days.is_workday(due) else days.next_workday(due)


def is_overdue(due: date, now: datetime) -> bool:
    """Whether the books of the day `due` can be read by now, so that they would have explained it."""
    return now >= ready_at(due)


def plan_due_at(now: datetime, days: Calendar) -> datetime:
    """When a person's written plan is due: in two hours; found on a day off, two hours into the first
    workday's reconciliation."""
    today = business_day(now)
    if days.is_workday(today):
        return now + PLAN_DUE
    return datetime.combine(days.next_workday(today), READY_AT, SHANGHAI).astimezone(UTC) + PLAN_DUE
