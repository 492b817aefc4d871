"""The card system's files: end-of-day batches, worked through in one go, and what was credited on a day."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import date, datetime, time, timedelta
from typing import Any

from app.domain.clock import SHANGHAI
from app.providers.card_system_files import (
    BATCH_COLUMNS,
    CREDIT_COLUMNS,
    LARGEST_BATCH_LINES,
    RESULT_COLUMNS,
    BadFile,
    read_file,
    whole,
    write_file,
)
from app.providers.sandbox.cards import book, checked_credit
from app.providers.sandbox.outages import BATCHES, Outage, mode_of, set_outage
from app.providers.sandbox.signed_edge import GatewayError
from app.providers.sandbox.world import World

_BATCH_ID = re.compile(r"[A-Za-z0-9_\-]{6,64}")

# order id, card number, amount in fen
Line = tuple[str, str, int]


class Batches:
    """Takes files in, works them through when their time has come, and tells what became of each line."""

    def __init__(self, world: World) -> None:
        self._world = world

    def submit(self, batch_id: str, raw: bytes) -> dict[str, Any]:
        """PUT /card-system/v1/batches/{batch_id}. The first file with an id decides."""
        lines = _lines(batch_id, raw)
        now = self._world.now()
        with self._world.store.write() as tx:
            found = tx.execute("SELECT lines FROM card_batches WHERE batch_id = ?", (batch_id,)).fetchone()
            if found is None:
                due_at = now + self._world.settings.batch_seconds
                row = (batch_id, json.dumps(lines), now, due_at)
                tx.execute("INSERT INTO card_batches VALUES (?, ?, ?, ?, NULL, NULL)", row)
            elif sorted(map(tuple, json.loads(found["lines"]))) != sorted(lines):
                raise GatewayError(409, "batch_conflict")
        return {"batch_id": batch_id, "lines": len(lines), "total_fen": sum(line[2] for line in lines)}

    def result(self, batch_id: str) -> bytes:
        """GET /card-system/v1/batches/{batch_id}: every line of the file with what became of it."""
        found = self._world.store.row("SELECT result FROM card_batches WHERE batch_id = ?", batch_id)
        if found is None:
            raise GatewayError(404, "batch_unknown")
        if found["result"] is None:
            raise GatewayError(202, "batch_working")
        return write_file(batch_id, RESULT_COLUMNS, json.loads(found["result"]))

    def credits_of(self, day_text: str) -> bytes:
        """GET /card-system/v1/files/credits/{day}: every credit of a day that is over, oldest first."""
        try:
            day = date.fromisoformat(day_text)
        except ValueError:
            raise GatewayError(422, "day_malformed") from None
        start = datetime.combine(day, time(), SHANGHAI)
        if self._world.clock.now() < start + timedelta(days=1):
            raise GatewayError(409, "file_not_ready")
        rows = self._world.store.rows(
            "SELECT * FROM card_credits WHERE credited_at >= ? AND credited_at < ?"
            " ORDER BY credited_at, order_id",
            start.timestamp(),
            (start + timedelta(days=1)).timestamp(),
        )
        for row in rows:
            moment = datetime.fromtimestamp(row["credited_at"], SHANGHAI)
            row["credited_at"] = moment.isoformat(timespec="milliseconds")
        return write_file(day_text, CREDIT_COLUMNS, ([row[name] for name in CREDIT_COLUMNS] for row in rows))

    # --- working ---

    def finish_due(self) -> None:
        """Work through the files whose time has come. Called before anybody looks, so that everything
        is as if each had been worked through at its very moment."""
        now = self._world.now()
        if self._world.store.row("SELECT 1 FROM card_batches WHERE due_at <= ?", now) is None:
            return  # the usual case takes no write lock
        with self._world.store.write() as tx:
            if mode_of(tx, BATCHES) is not Outage.NONE:
                return
            due = "SELECT * FROM card_batches WHERE due_at <= ? ORDER BY due_at, rowid"
            for batch in tx.execute(due, (now,)).fetchall():
                outcomes = [_worked(tx, line, batch["due_at"]) for line in json.loads(batch["lines"])]
                tx.execute(
                    "UPDATE card_batches SET due_at = NULL, done_at = due_at, result = ? WHERE batch_id = ?",
                    (json.dumps(outcomes), batch["batch_id"]),
                )

    def stall(self, stalled: bool) -> None:
        """Files are taken and none is worked through, until this is taken back."""
        with self._world.store.write() as tx:
            set_outage(tx, BATCHES, Outage.SILENT if stalled else Outage.NONE)
            if not stalled:
                tx.execute("UPDATE card_batches SET due_at = MAX(due_at, ?)", (self._world.now(),))


def _lines(batch_id: str, raw: bytes) -> list[Line]:
    """The file's lines. GatewayError for no whole, proper file; a bad *line* is that line's business."""
    if not _BATCH_ID.fullmatch(batch_id):
        raise GatewayError(422, "batch_malformed")
    try:
        rows = list(read_file(raw, batch_id, BATCH_COLUMNS))
        lines = [(row["order_id"], row["card_number"], whole(row["amount_fen"])) for row in rows]
    except BadFile:
        raise GatewayError(422, "batch_malformed") from None
    if len(lines) > LARGEST_BATCH_LINES:
        raise GatewayError(413, "batch_too_large")
    if not lines or len({line[0] for line in lines}) != len(lines):
        raise GatewayError(422, "batch_malformed")
    return lines


def _worked(tx: sqlite3.Connection, line: Line, at: float) -> list[str | int | None]:
    """One line, credited as if it had come singly, in the order of RESULT_COLUMNS."""
    try:
        order_id, amount_fen = checked_credit(line[0], line[2])
        done = book(tx, order_id, line[1], amount_fen, at)
    except GatewayError as no:
        return [*line, "refused", None, None, no.code]
    return [*line, done["state"], done["reference"], done["balance_fen"], None]
