"""Notices: kept in the store, sealed and signed like WeChat's, delivered until somebody says 2xx.

Each attempt is sealed and signed afresh, so a retry hours later is still inside the receiver's window.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import requests

from app.providers.sandbox.merchants import Merchant
from app.providers.sandbox.world import Magic, World, words
from app.providers.wechat_pay_signing import SCHEMA, answer_message, seal, sign

log = logging.getLogger(__name__)

# Seconds between attempts, as documented: 24 h 4 min in all. The first attempt goes out at once.
RETRY_SECONDS = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
ANSWER_SECONDS = 5  # WeChat gives up on an answer after five seconds
_POLL_SECONDS = 0.1

# (url, headers, body) -> HTTP status, or None when nobody answered.
Post = Callable[[str, dict[str, str], bytes], int | None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: who was told what, and the answer (None: no answer)."""

    order_id: str
    event_type: str
    status: int | None


def post_over_http(url: str, headers: dict[str, str], body: bytes) -> int | None:
    """The default transport."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.post(
                url, data=body, headers=headers, timeout=(2, ANSWER_SECONDS), allow_redirects=False
            ).status_code
        except requests.RequestException:
            return None


class NoticeBook:
    """Writes notices with the trade they tell of, and delivers what is due."""

    def __init__(self, world: World, post: Post) -> None:
        self._world = world
        self._post = post
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="sandbox-notice")
        self._in_flight: dict[int, Future[Attempt]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- writing ---

    def payment(self, tx: sqlite3.Connection, url: str, transaction: dict[str, Any], fault: Magic) -> None:
        """Note down what a payment tells its merchant, bent as `fault` asks."""
        merchant_id = transaction["mchid"]
        shown = json.loads(json.dumps(transaction))
        if fault is Magic.NOTICE_WRONG_AMOUNT:
            shown["amount"]["total"] -= 1
        elif fault is Magic.NOTICE_WRONG_MERCHANT:
            shown["mchid"] = "1900000001"
        elif fault is Magic.NOTICE_WRONG_CURRENCY:
            shown["amount"]["currency"] = "HKD"
        states = {Magic.NOTICE_NEVER: [], Magic.NOTICE_HELD: ["held"], Magic.NOTICE_TWICE: ["due", "due"]}
        notice_id = str(uuid.uuid4())
        for state in states.get(fault, ["due"]):
            self._add(tx, merchant_id, notice_id, url, "TRANSACTION.SUCCESS", shown, state)

    def refund(self, tx: sqlite3.Connection, url: str, refund: dict[str, Any]) -> None:
        """Note down how a refund ended: SUCCESS, ABNORMAL or CLOSED."""
        event_type = f"REFUND.{refund['refund_status']}"
        self._add(tx, refund["mchid"], str(uuid.uuid4()), url, event_type, refund, "due")

    def _add(  # a row's columns; a record for them would only be unpacked here
        self,
        tx: sqlite3.Connection,
        merchant_id: str,
        notice_id: str,
        url: str,
        event_type: str,
        resource: Any,
        state: str,
    ) -> None:
        tx.execute(
            "INSERT INTO notices (merchant_id, notice_id, order_id, url, event_type, resource, state, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                merchant_id,
                notice_id,
                resource["out_trade_no"],
                url,
                event_type,
                json.dumps(resource, ensure_ascii=False),
                state,
                self._world.now(),
            ),
        )

    def release(self, order_id: str | None) -> int:
        """Let held notices go (of one order, or all); returns how many."""
        with self._world.store.write() as tx:
            released = tx.execute(
                "UPDATE notices SET state = 'due', due_at = ? WHERE state = 'held' AND order_id = ?"
                if order_id
                else "UPDATE notices SET state = 'due', due_at = ? WHERE state = 'held'",
                (self._world.now(), order_id) if order_id else (self._world.now(),),
            )
            count = released.rowcount
        self.wake()
        return count

    # --- sealing ---

    def sealed(
        self, notice_id: str, event_type: str, resource: dict[str, Any], serial: str
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of one attempt, signed now by the key called `serial`, and sealed for the
        merchant that WeChat signs for with that key."""
        kind = "refund" if event_type.startswith("REFUND") else "transaction"
        plaintext = json.dumps(resource, ensure_ascii=False).encode()
        merchant = self._world.merchants.signing_with(serial)
        opened = seal(merchant.keys.apiv3_key.encode(), plaintext, secrets.token_hex(6), kind)
        body = json.dumps(
            {
                "id": notice_id,
                "create_time": self._world.clock.now()
                .astimezone(timezone(timedelta(hours=8)))
                .isoformat(timespec="seconds"),
                "resource_type": "encrypt-resource",
                "event_type": event_type,
                "summary": words()["summary"][event_type],
                "resource": {"original_type": kind, **asdict(opened)},
            },
            ensure_ascii=False,
        ).encode()
        return self.signed(body, serial, self._world.clock.now()), body

    def signed(self, body: bytes, serial: str, at: datetime) -> dict[str, str]:
        """The headers of a notice over `body`."""
        key = self._world.merchants.signing_with(serial).signs_with[serial]
        timestamp, nonce = str(int(at.timestamp())), secrets.token_hex(16)
        return {
            "Content-Type": "application/json",
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature-Type": SCHEMA,
            "Wechatpay-Signature": sign(key, answer_message(timestamp, nonce, body)),
        }

    def serial_for(self, merchant: Merchant, turn: int) -> str:
        """Which key signs: one kind only, or both in turn as during WeChat's migration."""
        serials = list(merchant.signs_with)
        chosen = self._world.settings.notice_keys
        if chosen == "alternate":
            return serials[turn % 2]
        return serials[0] if chosen == "public_key" else serials[1]

    # --- delivering ---

    def start(self, before: Callable[[], None]) -> None:
        """Deliver in the background until `stop`; `before` runs before each look."""
        self._thread = threading.Thread(target=self._run, args=(before,), name="sandbox-notices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop delivering; what is undelivered stays in the store. Idempotent."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wake(self) -> None:
        """Something is due: do not wait for the next look."""
        if self._world.settings.delivery == "inline":
            self.deliver_due()
        self._wake.set()

    def _run(self, before: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                before()
                self._submit_due()
            except Exception:
                log.exception("sandbox notices: this round failed, the next one follows")
            self._wake.wait(_POLL_SECONDS)  # also how a fake clock's ticks are noticed
            self._wake.clear()

    def deliver_due(self) -> list[Attempt]:
        """Deliver everything due now and wait for the answers, also those already on their way."""
        return [future.result() for future in self._submit_due()]

    def _submit_due(self) -> list[Future[Attempt]]:
        with self._lock:  # reading inside it: an attempt is recorded before it leaves _in_flight
            due = self._world.store.rows(
                "SELECT * FROM notices WHERE state = 'due' AND due_at <= ? ORDER BY seq", self._world.now()
            )
            for notice in due:
                if notice["seq"] not in self._in_flight and not self._stop.is_set():
                    self._in_flight[notice["seq"]] = self._pool.submit(self._attempt, notice)
            return list(self._in_flight.values())

    def _attempt(self, notice: dict[str, Any]) -> Attempt:
        try:
            merchant = self._world.merchants.by_id(notice["merchant_id"])
            serial = self.serial_for(merchant, notice["seq"] + notice["attempts"])
            headers, body = self.sealed(
                notice["notice_id"], notice["event_type"], json.loads(notice["resource"]), serial
            )
            status = self.post(notice["url"], headers, body)
            self._record(notice, status, headers, body)
            return Attempt(notice["order_id"], notice["event_type"], status)
        finally:
            with self._lock:
                del self._in_flight[notice["seq"]]

    def post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        """Send to `url`, or to its path at the sandbox's notify_base."""
        base = self._world.notify_base
        return self._post(base.rstrip("/") + urlsplit(url).path if base else url, headers, body)

    def _record(
        self, notice: dict[str, Any], status: int | None, headers: dict[str, str], body: bytes
    ) -> None:
        taken = status in (200, 204)
        attempts = notice["attempts"] + 1
        over = attempts > len(RETRY_SECONDS)
        wait = 0 if over else RETRY_SECONDS[attempts - 1] * self._world.settings.notice_delay_factor
        with self._world.store.write() as tx:
            tx.execute(
                "UPDATE notices SET state = ?, attempts = ?, due_at = ?, answered = ?, sent = ?"
                " WHERE seq = ?",
                (
                    "taken" if taken else "given_up" if over else "due",
                    attempts,
                    self._world.now() + wait,
                    status,
                    json.dumps([headers, body.decode()]),
                    notice["seq"],
                ),
            )
