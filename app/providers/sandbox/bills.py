"""Trade bills of the sandbox's WeChat Pay: one a merchant and day, there from ten the next morning."""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import sqlite3
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Response, request

from app.domain.clock import SHANGHAI
from app.providers.sandbox.asks import BadAsk
from app.providers.sandbox.bill_format import BillRow, bill_file, with_wrong_summary
from app.providers.sandbox.merchants import Merchant
from app.providers.sandbox.pay_edge import Answer, PayError
from app.providers.sandbox.world import World

READY_AT = time(10, 0)
LINK_SECONDS = 300
KEPT_DAYS = 92  # "three months"
# Faults of the file itself: they stop when they are taken away.
SERVING_FAULTS = ("creating", "wrong_hash", "wrong_summary", "truncated", "expired_link")
# Faults of what stands in it, with sums and checksum that agree: only comparing finds these.
CONTENT_FAULTS = (
    "missing_row",
    "extra_row",
    "amount_changed",
    "state_changed",
    "duplicate_row",
    "shifted_row",
)
BILL_FAULTS = (*SERVING_FAULTS, *CONTENT_FAULTS, "none")

_PAYMENTS = """
SELECT transaction_id, order_id, openid, amount_fen, attach, json_extract(request, '$.description') AS words,
  paid_at AS at, NULL AS refund_id, NULL AS wechat_refund_id, '' AS state
FROM trades WHERE merchant_id = ? AND paid_at >= ? AND paid_at < ? ORDER BY seq
"""
_REFUNDS = """
SELECT t.transaction_id, t.order_id, t.openid, r.refund_fen AS amount_fen, t.attach,
  json_extract(t.request, '$.description') AS words, r.created_at AS at, r.refund_id,
  r.wechat_refund_id, r.state
FROM refunds r JOIN trades t ON t.seq = r.trade_seq
WHERE r.merchant_id = ? AND r.created_at >= ? AND r.created_at < ? ORDER BY r.seq
"""


class Bills:
    """Builds a day's bill when it is first asked for, keeps it, and serves it by a short-lived link."""

    def __init__(self, world: World) -> None:
        self._world = world

    # --- WeChat's side ---

    def link(self, merchant: Merchant) -> Answer:
        """GET /v3/bill/tradebill?bill_date=&bill_type=ALL&tar_type=GZIP."""
        day = _day(request.args.get("bill_date", ""))
        tar_type = request.args.get("tar_type")
        if day is None or request.args.get("bill_type", "ALL") != "ALL" or tar_type not in (None, "GZIP"):
            raise PayError(400, "PARAM_ERROR", "bill_date, bill_type or tar_type")
        self._check_time(day)
        with self._world.store.write() as tx:
            faults = _faults(tx, merchant, day)
            if "creating" in faults:
                raise PayError(400, "STATEMENT_CREATING")
            raw = self._served(tx, merchant, day)
            token, now = secrets.token_hex(32), self._world.now()
            ends = now if "expired_link" in faults else now + LINK_SECONDS
            tx.execute("DELETE FROM bill_links WHERE expires_at <= ?", (now - 86_400,))
            tx.execute(
                "INSERT INTO bill_links VALUES (?, ?, ?, ?, ?)",
                (token, merchant.id, day.isoformat(), int(tar_type is None), ends),
            )
        sha1 = hashlib.sha1(b"x" + raw if "wrong_hash" in faults else raw, usedforsecurity=False)
        url = f"{request.host_url}v3/billdownload/file?token={token}"
        return Answer(200, {"hash_type": "SHA1", "hash_value": sha1.hexdigest(), "download_url": url})

    def download(self, merchant: Merchant) -> Response:
        """GET /v3/billdownload/file?token=: the file itself, unsigned as the real one."""
        found = self._world.store.row(
            "SELECT * FROM bill_links WHERE token = ? AND merchant_id = ? AND expires_at > ?",
            request.args.get("token", ""),
            merchant.id,
            self._world.now(),
        )
        if found is None:
            raise PayError(400, "INVALID_REQUEST", "token")
        day = date.fromisoformat(found["day"])
        with self._world.store.write() as tx:
            raw, faults = self._served(tx, merchant, day), _faults(tx, merchant, day)
        file = raw if found["plain"] else gzip.compress(raw, mtime=0)
        if "truncated" in faults:
            file = file[: len(file) // 2]
        return Response(file, content_type="application/octet-stream")

    def _check_time(self, day: date) -> None:
        now = self._world.clock.now().astimezone(SHANGHAI)
        if not now.date() - timedelta(days=KEPT_DAYS) <= day < now.date():
            raise PayError(400, "PARAM_ERROR", "bill_date")
        if now < datetime.combine(day + timedelta(days=1), READY_AT, SHANGHAI):
            raise PayError(400, "STATEMENT_CREATING")

    def _served(self, tx: sqlite3.Connection, merchant: Merchant, day: date) -> bytes:
        """The day's file as it was first served; NO_STATEMENT_EXIST when nothing stands in it."""
        of = (merchant.id, day.isoformat())
        kept = tx.execute("SELECT raw FROM bills WHERE merchant_id = ? AND day = ?", of).fetchone()
        if kept is None:
            rows = self._bent_rows(tx, merchant, day)
            if not rows:
                raise PayError(400, "NO_STATEMENT_EXIST")
            raw = bill_file(rows)
            tx.execute("INSERT INTO bills VALUES (?, ?, ?)", (*of, raw))
        else:
            raw = bytes(kept["raw"])
        return with_wrong_summary(raw) if "wrong_summary" in _faults(tx, merchant, day) else raw

    # --- what stands in it ---

    def _rows(self, tx: sqlite3.Connection, merchant: Merchant, day: date) -> list[BillRow]:
        """What really happened at this merchant on that Asia/Shanghai day, payments first."""
        start = datetime.combine(day, time(), SHANGHAI)
        between = (merchant.id, start.timestamp(), (start + timedelta(days=1)).timestamp())
        return [self._row(merchant, row) for sql in (_PAYMENTS, _REFUNDS) for row in tx.execute(sql, between)]

    def _row(self, merchant: Merchant, row: sqlite3.Row) -> BillRow:
        return BillRow(
            at=_shown(datetime.fromtimestamp(row["at"], SHANGHAI)),
            app_id=self._world.keys.app_id,
            merchant_id=merchant.id,
            transaction_id=row["transaction_id"],
            order_id=row["order_id"],
            openid=row["openid"],
            amount_fen=row["amount_fen"],
            description=row["words"] or "",
            attach=row["attach"],
            refund_id=row["refund_id"],
            wechat_refund_id=row["wechat_refund_id"],
            refund_state=row["state"],
        )

    def _bent_rows(self, tx: sqlite3.Connection, merchant: Merchant, day: date) -> list[BillRow]:
        rows = self._rows(tx, merchant, day)
        for fault, details in _faults(tx, merchant, day).items():
            for detail in details:
                rows = self._bent(rows, fault, detail, merchant, day)
        yesterday = day - timedelta(days=1)
        shifted = {detail["number"] for detail in _faults(tx, merchant, yesterday).get("shifted_row", [])}
        if shifted:
            midnight = _shown(datetime.combine(day, time()))
            rows += [
                replace(row, at=midnight)
                for row in self._rows(tx, merchant, yesterday)
                if row.number in shifted
            ]
        return rows

    def _bent(
        self, rows: list[BillRow], fault: str, detail: dict[str, Any], merchant: Merchant, day: date
    ) -> list[BillRow]:
        if fault == "extra_row":
            return [*rows, self._stranger(detail, merchant, day)]
        meant = [row for row in rows if row.number == detail.get("number")]
        if fault in ("missing_row", "shifted_row"):
            return [row for row in rows if row not in meant]
        if fault == "duplicate_row":
            return rows + meant
        changes = {"amount_changed": "amount_fen", "state_changed": "refund_state"}
        if fault not in changes:
            return rows
        changed = {changes[fault]: detail["to"]}
        return [replace(row, **changed) if row in meant else row for row in rows]

    def _stranger(self, detail: dict[str, Any], merchant: Merchant, day: date) -> BillRow:
        """A payment that nobody here ever took."""
        return BillRow(
            at=_shown(datetime.combine(day, time(12))),
            app_id=self._world.keys.app_id,
            merchant_id=merchant.id,
            transaction_id=detail["transaction_id"],
            order_id=detail["order_id"],
            openid=self._world.openid("a stranger"),
            amount_fen=detail["amount_fen"],
            description="",
            attach="",
        )

    # --- the tester's side ---

    def set_fault(
        self, merchant: Merchant, day_text: str, fault: str, asked: dict[str, Any]
    ) -> dict[str, Any]:
        """Bend a day's bill. BadAsk for a row that is not there, or a day whose bill was served already."""
        day = _day(day_text)
        if day is None:
            raise BadAsk("day is a date, 2026-11-23")
        of = (merchant.id, day.isoformat())
        with self._world.store.write() as tx:
            if fault == "none":
                tx.execute("DELETE FROM bill_faults WHERE merchant_id = ? AND day = ?", of)
                return {"day": day_text, "merchant": merchant.name, "fault": fault}
            detail: dict[str, Any] = {}
            if fault in CONTENT_FAULTS:
                served = tx.execute("SELECT 1 FROM bills WHERE merchant_id = ? AND day = ?", of).fetchone()
                if served:
                    raise BadAsk("that day's bill was served already, and a bill never changes")
                detail = self._detail(tx, merchant, day, fault, asked)
            tx.execute(
                "INSERT INTO bill_faults (merchant_id, day, fault, details) VALUES (?, ?, ?, ?)",
                (*of, fault, json.dumps(detail)),
            )
        return {"day": day_text, "merchant": merchant.name, "fault": fault} | detail

    def _detail(
        self, tx: sqlite3.Connection, merchant: Merchant, day: date, fault: str, asked: dict[str, Any]
    ) -> dict[str, Any]:
        amount_fen = asked.get("amount_fen", 5000 if fault == "extra_row" else None)
        if amount_fen is not None and (type(amount_fen) is not int or amount_fen <= 0):
            raise BadAsk("amount_fen is a whole number of fen")
        if fault == "extra_row":
            return {
                "order_id": str(asked.get("order_id") or f"ord_{secrets.token_hex(13).upper()}"),
                "transaction_id": str(asked.get("transaction_id") or f"42{secrets.randbelow(10**26):026d}"),
                "amount_fen": amount_fen,
            }
        row = _meant(self._rows(tx, merchant, day), asked)
        if fault == "amount_changed":
            return {"number": row.number, "to": amount_fen or row.amount_fen + 1}
        if fault == "state_changed":
            if row.refund_id is None:
                raise BadAsk("state_changed is for a refund: refund_id names it")
            return {"number": row.number, "to": str(asked.get("state", "PROCESSING"))}
        return {"number": row.number}


def _meant(rows: list[BillRow], asked: dict[str, Any]) -> BillRow:
    """The row a tester names by refund_id, transaction_id or order_id; the first one without a name."""
    if asked.get("refund_id"):
        found = [row for row in rows if row.refund_id == asked["refund_id"]]
    else:
        found = [
            row
            for row in rows
            if row.transaction_id == asked.get("transaction_id", row.transaction_id)
            and row.order_id == asked.get("order_id", row.order_id)
        ]
    if not found:
        raise BadAsk("no such row in that day's bill")
    return found[0]


def _faults(tx: sqlite3.Connection, merchant: Merchant, day: date) -> dict[str, list[dict[str, Any]]]:
    """The faults asked for, oldest first, each with its details."""
    found: dict[str, list[dict[str, Any]]] = {}
    sql = "SELECT fault, details FROM bill_faults WHERE merchant_id = ? AND day = ? ORDER BY seq"
    for row in tx.execute(sql, (merchant.id, day.isoformat())):
        found.setdefault(row["fault"], []).append(json.loads(row["details"]))
    return found


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-23") else None
    except ValueError:
        return None


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
