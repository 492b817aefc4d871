"""Two books of one Asia/Shanghai day, compared row by row (docs/RECONCILIATION.md).

A book is a run of rows. Each row of either book falls into exactly one class, and the classes' sums add up
to both totals. What is compared is the signed effect on one of our accounts, so that the differences say by
how much the account would have to change to tell what the other book tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.domain.clock import SHANGHAI

CUT_OFF = timedelta(minutes=5)  # the clocks of two books may differ by this much around midnight
_MIDNIGHT = time()


class Class(StrEnum):
    """What a comparison makes of a row. "Ours" is our ledger, "theirs" the file of the other side."""

    MATCHED = "matched"
    CUTOFF_SHIFT = "cutoff_shift"  # the other book shows it on another day, or very likely will
    MISSING_OURS = "missing_ours"  # they show it, we do not
    MISSING_THEIRS = "missing_theirs"  # we show it, they do not
    AMOUNT = "amount"  # both show it, with different amounts
    STATUS = "status"  # both know it, but only one says that money moved
    DUPLICATE = "duplicate"  # one book shows more than once what can only happen once


class RowKind(StrEnum):
    PAYMENT = "payment"  # number: WeChat's transaction; about: our order
    REFUND = "refund"  # number: our refund number; about: our order
    CREDIT = "credit"  # number: our order; about: the card


class Row(NamedTuple):
    """One line of a book. Rows are the same thing where kind, number and `about` agree.

    `fen` is what it does to our account (a refund or a credit is negative) once it `counts`; one that does
    not count yet, or never will, moved nothing.
    """

    kind: RowKind
    number: str
    about: str
    order_id: str
    fen: int
    at: datetime
    counts: bool = True
    account: str = ""

    @property
    def effect_fen(self) -> int:
        return self.fen if self.counts else 0


class Finding(NamedTuple):
    """A row, or a pair, and its class. `copy` numbers the rows of one number, where there are several."""

    found: Class
    ours: Row | None
    theirs: Row | None
    copy: int = 1

    @property
    def row(self) -> Row:
        """The row as the other side shows it, if it does."""
        row = self.theirs or self.ours
        assert row is not None
        return row

    @property
    def ours_fen(self) -> int:
        return self.ours.effect_fen if self.ours else 0

    @property
    def theirs_fen(self) -> int:
        return self.theirs.effect_fen if self.theirs else 0

    @property
    def amount_fen(self) -> int:
        """What our account lacks of telling what theirs tells: positive is long, negative is short."""
        return self.theirs_fen - self.ours_fen

    @property
    def name(self) -> str:
        """Kind and number; never a card number, for it is kept and shown."""
        copy = f"#{self.copy}" if self.copy > 1 else ""
        return f"{self.row.kind.value}:{self.row.number}{copy}"


@dataclass(slots=True)
class Tally:
    """How many rows of each book are in a class, and what they did to our account."""

    ours_count: int = 0
    ours_fen: int = 0
    theirs_count: int = 0
    theirs_fen: int = 0

    def add(self, ours: int, ours_fen: int, theirs: int, theirs_fen: int) -> None:
        self.ours_count += ours
        self.ours_fen += ours_fen
        self.theirs_count += theirs
        self.theirs_fen += theirs_fen


@dataclass(slots=True)
class Comparison:
    """`matched` counts the rows both books agree on, `findings` are all others, in a fixed order.

    `caught_up` are findings recorded in an earlier run (`watched`) on which the books agree by now.
    """

    matched: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    caught_up: list[Finding] = field(default_factory=list)


def compare(
    day: date, ours: Iterable[Row], theirs: Iterable[Row], watched: Collection[str] = frozenset()
) -> Comparison:
    """Compare two books of `day`. The order of the rows means nothing.

    Matched rows whose `Finding.name` is among `watched` go to `caught_up` instead.
    """
    found = Comparison()
    midnights = span(day)
    book, other = _by_number(ours), _by_number(theirs)
    for kind in RowKind:
        mine, others = book[kind], other[kind]
        for number, rows in mine.items():
            met = others.pop(number, None)
            for finding in _judge(midnights, rows, met):
                _note(found, finding, watched)
        for rows in others.values():
            for finding in _judge(midnights, None, rows):
                _note(found, finding, watched)
    found.findings.sort(key=_order)
    found.caught_up.sort(key=_order)
    return found


def tally(matched: Tally, findings: Iterable[Finding]) -> dict[Class, Tally]:
    """Counts and sums of every class that has rows, in the order of `Class`."""
    counted = {each: Tally() for each in Class}
    counted[Class.MATCHED] = matched
    for one in findings:
        counted[one.found].add(one.ours is not None, one.ours_fen, one.theirs is not None, one.theirs_fen)
    return {each: found for each, found in counted.items() if found.ours_count or found.theirs_count}


def span(day: date) -> tuple[datetime, datetime]:
    """The first moment of an Asia/Shanghai day, and of the one after it; UTC."""
    first = datetime.combine(day, _MIDNIGHT, SHANGHAI)
    return first.astimezone(UTC), datetime.combine(day + timedelta(days=1), _MIDNIGHT, SHANGHAI).astimezone(
        UTC
    )


# --- one number at a time -------------------------------------------------------------------------

# Almost every number occurs once, so its row stands there without a list around it: 100,000 lists less.
_Rows = Row | list[Row]


def _by_number(rows: Iterable[Row]) -> dict[RowKind, dict[str, _Rows]]:
    found: dict[RowKind, dict[str, _Rows]] = {kind: {} for kind in RowKind}
    for row in rows:
        of_kind = found[row.kind]
        there = of_kind.get(row.number)
        if there is None:
            of_kind[row.number] = row
        elif isinstance(there, list):
            there.append(row)
        else:
            of_kind[row.number] = [there, row]
    return found


def _judge(
    midnights: tuple[datetime, datetime], ours: _Rows | None, theirs: _Rows | None
) -> Iterable[Finding]:
    if isinstance(ours, Row) and isinstance(theirs, Row) and ours.about == theirs.about:
        return (Finding(_agreement(ours, theirs), ours, theirs),)
    return _sort_out(midnights, _several(ours), _several(theirs))


def _several(rows: _Rows | None) -> list[Row]:
    if rows is None:
        return []
    return [rows] if isinstance(rows, Row) else sorted(rows, key=_row_order)


def _row_order(row: Row) -> tuple[str, int, bool, datetime, str, str]:
    return row.about, row.fen, row.counts, row.at, row.order_id, row.account


def _order(finding: Finding) -> tuple[str, str, int]:
    return finding.row.kind.value, finding.row.number, finding.copy


def _note(found: Comparison, finding: Finding, watched: Collection[str]) -> None:
    if finding.found is not Class.MATCHED:
        found.findings.append(finding)
    elif watched and finding.name in watched:
        found.caught_up.append(finding)
    else:
        ours, theirs = finding.ours is not None, finding.theirs is not None
        found.matched.add(ours, finding.ours_fen, theirs, finding.theirs_fen)


def _agreement(ours: Row, theirs: Row) -> Class:
    if ours.counts != theirs.counts:
        return Class.STATUS
    return Class.MATCHED if ours.effect_fen == theirs.effect_fen else Class.AMOUNT


def _sort_out(midnights: tuple[datetime, datetime], ours: list[Row], theirs: list[Row]) -> Iterator[Finding]:
    """All rows of one number, where it is not one row on either side about the same thing.

    Rows that agree are paired first, then rows about the same thing. What stays over is missing on the other
    side, or a duplicate where its like was seen before. Their rows are numbered first: they never change.
    """
    mine = list(enumerate(ours, start=len(theirs) + 1))
    others = list(enumerate(theirs, start=1))
    seen: set[str] = set()
    for exactly in (True, False):
        for pair in [*others]:
            copy, other = pair
            met = next((one for one in mine if _belong(one[1], other, exactly)), None)
            if met is not None:
                mine.remove(met)
                others.remove(pair)
                seen.add(other.about)
                yield Finding(_agreement(met[1], other), met[1], other, copy)
    for copy, other in others:
        found = Class.DUPLICATE if other.about in seen else Class.MISSING_OURS
        yield Finding(found if other.counts else Class.MATCHED, None, other, copy)
        seen.add(other.about)
    for copy, row in mine:
        found = Class.DUPLICATE if row.about in seen else _absent(midnights, row.at)
        yield Finding(found if row.counts else Class.MATCHED, row, None, copy)
        seen.add(row.about)


def _belong(mine: Row, other: Row, exactly: bool) -> bool:
    if mine.about != other.about:
        return False
    return not exactly or (mine.fen == other.fen and mine.counts == other.counts)


def _absent(midnights: tuple[datetime, datetime], at: datetime) -> Class:
    """We show it, they do not: around midnight their clock may have put it into another day."""
    near = at - midnights[0] < CUT_OFF or midnights[1] - at <= CUT_OFF
    return Class.CUTOFF_SHIFT if near else Class.MISSING_THEIRS
