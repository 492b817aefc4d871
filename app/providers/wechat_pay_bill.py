"""A trade bill of WeChat Pay (type ALL): unpacked, checked against its SHA1, its rows and its own sums.

The format (official "申请交易账单"; the published example of the PHP SDK passes): UTF-8 with a BOM, CRLF; a
header line; rows whose every value begins with a backquote, so that values may hold commas; a summary header;
one summary row. Columns are found by name. Whatever does not add up is no bill: BadBill.
"""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from app.ports import BillLine

LARGEST_BILL_BYTES = 256 * 1024 * 1024
LONGEST_VALUE = 128
FEN_PER_YUAN_DIGITS, FEE_DIGITS = 2, 5  # fees carry five decimals in the rows
_BOM = b"\xef\xbb\xbf"
_YUAN = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,5}))?", re.ASCII)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)


class BadBill(Exception):
    """The file is no bill, or not a whole one. `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def unpacked(file: bytes, sha1: str) -> bytes:
    """The bill inside the gzip `file`; its SHA1 (over the unpacked bytes) must be `sha1`."""
    opener = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        raw = opener.decompress(file, LARGEST_BILL_BYTES)
    except zlib.error:
        raise BadBill("gzip") from None
    if not opener.eof or opener.unused_data:
        raise BadBill("gzip")  # cut off, too large, or something behind it
    if hashlib.sha1(raw, usedforsecurity=False).hexdigest() != sha1.lower():
        raise BadBill("sha1")
    return raw


def parse_bill(raw: bytes, merchant_id: str, day: date) -> tuple[BillLine, ...]:
    """The rows of `merchant_id`'s bill of `day`, in the file's order. BadBill when anything is off."""
    lines = _lines(raw)
    rows = _Rows(next(lines, ""), merchant_id, day)
    found = []
    for line in lines:
        if not line.startswith("`"):
            break
        found.append(rows.read(line[1:].split(",`")))
    else:
        raise BadBill("summary_missing")
    _check_summary(line, next(lines, ""), len(found), rows.sums)
    if any(lines):
        raise BadBill("after_summary")
    return tuple(found)


def units(text: str, digits: int) -> int:
    """A decimal text as a whole number of 10**-digits, exactly: units("1.5", 2) is 150. BadBill otherwise."""
    matched = _YUAN.fullmatch(text)
    decimals = (matched[3] or "") if matched else ""
    if matched is None or decimals[digits:].strip("0"):
        raise BadBill("amount")
    whole = int(matched[2] + decimals[:digits].ljust(digits, "0"))
    return -whole if matched[1] else whole


@lru_cache(maxsize=4096)  # the same few amounts stand in a hundred thousand rows
def _fen(text: str) -> int:
    amount_fen = units(text, FEN_PER_YUAN_DIGITS)
    if amount_fen < 0:
        raise BadBill("amount")
    return amount_fen


@lru_cache(maxsize=4096)
def _fee_units(text: str) -> int:
    return units(text, FEE_DIGITS)


def _lines(raw: bytes) -> Iterator[str]:
    """Line by line, because the whole text at once would take twice the file's memory again."""
    with io.BytesIO(raw) as file:
        file.seek(len(_BOM) if raw.startswith(_BOM) else 0)
        for line in file:
            try:
                yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError:
                raise BadBill("encoding") from None


@cache
def _columns() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _places(header: str, wanted: Sequence[str]) -> tuple[list[int], int]:
    """Where the wanted columns stand, and how many there are in all."""
    names = header.split(",")
    if len(set(names)) != len(names) or not set(wanted) <= set(names):
        raise BadBill("columns")
    return [names.index(name) for name in wanted], len(names)


class _Rows:
    """Reads rows of one header, and adds their columns up."""

    def __init__(self, header: str, merchant_id: str, day: date) -> None:
        columns = _columns()
        texts, amounts = columns["detail"], columns["sums"]
        wanted = [*texts.values(), *(detail for detail, _summary in amounts.values())]
        places, self._width = _places(header, wanted)
        self._pick = itemgetter(*places)
        self._names = (*texts, *amounts)
        self._merchant_id = merchant_id
        self._day = day.isoformat()
        self.sums = dict.fromkeys(amounts, 0)  # fen; the fee in units of 0.00001 yuan

    def read(self, values: list[str]) -> BillLine:
        if len(values) != self._width:
            raise BadBill("row")
        row = dict(zip(self._names, self._pick(values), strict=True))
        if row["merchant_id"] != self._merchant_id:
            raise BadBill("merchant")
        amounts_fen = {name: _fen(row[name]) for name in self.sums if name != "fee"}
        for name, amount_fen in amounts_fen.items():
            self.sums[name] += amount_fen
        self.sums["fee"] += _fee_units(row["fee"])
        return self._line(row, amounts_fen)

    def _line(self, row: Mapping[str, str], amounts_fen: Mapping[str, int]) -> BillLine:
        at, order_id, transaction_id = self._moment(row["at"]), row["order_id"], row["transaction_id"]
        numbers = (row["wechat_refund_id"], row["refund_id"])
        given = (order_id, transaction_id, *numbers)
        if not all(given) or max(map(len, given)) > LONGEST_VALUE:
            raise BadBill("row")
        if row["kind"] == "SUCCESS" and numbers == ("0", "0"):
            return BillLine(at, transaction_id, order_id, amounts_fen["ordered"], "SUCCESS")
        if row["kind"] == "REFUND" and "0" not in numbers and 0 < len(row["refund_state"]) <= LONGEST_VALUE:
            asked_fen = amounts_fen["refund_asked"]
            return BillLine(
                at, transaction_id, order_id, asked_fen, row["refund_state"], numbers[1], numbers[0]
            )
        raise BadBill("row")

    def _moment(self, text: str) -> datetime:
        if not text.startswith(self._day) or not _MOMENT.fullmatch(text):
            raise BadBill("day")
        try:
            return datetime.fromisoformat(text + "+08:00").astimezone(UTC)
        except ValueError:
            raise BadBill("day") from None


def _check_summary(header: str, line: str, count: int, sums: Mapping[str, int]) -> None:
    """The file's own count and sums are those of its rows."""
    columns = _columns()
    names = [columns["summary"]["count"], *(summary for _detail, summary in columns["sums"].values())]
    places, width = _places(header, names)
    values = line[1:].split(",`")
    if not line.startswith("`") or len(values) != width:
        raise BadBill("summary_missing")
    told_count, *told = itemgetter(*places)(values)
    if units(told_count, 1) != count * 10:  # written like 45.0
        raise BadBill("count")
    for (name, total), text in zip(sums.items(), told, strict=True):
        if not (_is_fee(text, total) if name == "fee" else units(text, FEN_PER_YUAN_DIGITS) == total):
            raise BadBill(f"sum_{name}")


def _is_fee(text: str, total: int) -> bool:
    """Whether `text` is the fees' sum, rounded to the decimals it shows (two at least; 0.0 means 0.00)."""
    shown = max(len(text.partition(".")[2]), 2)
    last_place: int = 10 ** max(FEE_DIGITS - shown, 0)
    return 2 * abs(units(text, FEE_DIGITS) - total) <= last_place
