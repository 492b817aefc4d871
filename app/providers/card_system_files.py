"""Files of the card system protocol (docs/CARD_SYSTEM.md): a header line, rows, a trailer that adds up.

Plain ASCII, LF, no quoting: no value may hold a comma. Columns are found by name; whatever does not add up
is no file: BadFile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from app.ports import BatchOutcome, Credit, CreditLine, CreditState

LARGEST_BATCH_LINES = 5_000
LARGEST_BATCH_BYTES = 1024 * 1024

BATCH_COLUMNS = ("order_id", "card_number", "amount_fen")
RESULT_COLUMNS = (*BATCH_COLUMNS, "state", "reference", "balance_fen", "refused")
CREDIT_COLUMNS = (*BATCH_COLUMNS, "state", "reference", "credited_at")

_TRAILER = "#end"
_VALUE = re.compile(r"[0-9A-Za-z_:.+\-]*", re.ASCII)
_FEN = re.compile(r"[0-9]{1,11}", re.ASCII)


class BadFile(Exception):
    """The file is none, or not a whole one."""


def write_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> bytes:
    """A file called `name` (a batch id, or a day); None becomes an empty value. ValueError for a value that
    no file can hold. One of `columns` is amount_fen, which the trailer adds up.
    """
    place, lines, total_fen = list(columns).index("amount_fen"), [",".join(columns)], 0
    for row in rows:
        values = ["" if value is None else str(value) for value in row]
        if len(values) != len(columns) or not all(map(_VALUE.fullmatch, values)):
            raise ValueError("a value that no card system file can hold")
        lines.append(",".join(values))
        total_fen += int(values[place])
    lines.append(f"{_TRAILER},{name},{len(lines) - 1},{total_fen}")
    return ("\n".join(lines) + "\n").encode("ascii")


def read_file(raw: bytes, name: str, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The wanted columns of every row. BadFile at the latest at the end: use nothing before it is reached."""
    try:
        lines = raw.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise BadFile("not ASCII") from None
    if len(lines) < 3 or lines[-1] != "":
        raise BadFile("cut off")
    names = lines[0].split(",")
    if len(set(names)) != len(names) or not set(columns) <= set(names):
        raise BadFile("columns")
    total_fen = 0
    for line in lines[1:-2]:
        values = line.split(",")
        if len(values) != len(names) or not all(map(_VALUE.fullmatch, values)):
            raise BadFile("row")
        row = dict(zip(names, values, strict=True))
        total_fen += whole(row["amount_fen"])
        yield {column: row[column] for column in columns}
    if lines[-2] != f"{_TRAILER},{name},{len(lines) - 3},{total_fen}":
        raise BadFile("trailer")


def whole(text: str) -> int:
    """A whole number of fen. BadFile otherwise."""
    if not _FEN.fullmatch(text):
        raise BadFile("amount")
    return int(text)


def outcome_of(row: Mapping[str, str]) -> BatchOutcome:
    """A line of a result file. It is credited, or refused with a code, never both; BadFile otherwise."""
    order_id, state, refused = row["order_id"], row["state"], row["refused"]
    if state == "refused" and refused:
        return BatchOutcome(order_id, None, refused)
    if state not in set(CreditState) or refused or not row["reference"]:
        raise BadFile("neither credited nor refused")
    amount_fen, balance_fen = whole(row["amount_fen"]), whole(row["balance_fen"])
    credit = Credit(order_id, CreditState(state), row["reference"], amount_fen, balance_fen)
    return BatchOutcome(order_id, credit, None)


def credit_of(row: Mapping[str, str]) -> CreditLine:
    """A line of a day's file. BadFile for a moment without a zone, or no reference."""
    try:
        at = datetime.fromisoformat(row["credited_at"])
    except ValueError:
        raise BadFile("moment") from None
    if at.tzinfo is None or not row["reference"]:
        raise BadFile("moment or reference")
    amount_fen = whole(row["amount_fen"])
    return CreditLine(row["order_id"], row["card_number"], amount_fen, row["reference"], at.astimezone(UTC))
