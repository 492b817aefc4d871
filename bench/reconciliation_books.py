"""Two books of one busy day for bench.reconciliation: ours as rows, theirs as the sandbox would have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from app.domain.orders import Event, Money, posting
from app.domain.reconciliation import span
from app.providers.sandbox.keys import SandboxKeys
from app.providers.sandbox.store import Store
from app.providers.vault import Sm4Vault
from app.store import models
from app.store.database import Database

CARDS = 20_000
KEYS, LOOKUP_KEYS = "k1=00112233445566778899aabbccddeeff", f"l1={'l' * 40}"
AMOUNT_FEN = 5000
DIFFER = 40  # as many payments the bill lacks, and credits the card system lacks; half as many amounts


@dataclass(frozen=True, slots=True)
class Day:
    """What happened: payments numbered 0.. over the whole day, the first `refunds` of them sent home."""

    day: date
    payments: int
    refunds: int

    def at(self, number: int) -> datetime:
        """When payment `number` was made, never within five minutes of midnight."""
        first = span(self.day)[0] + timedelta(minutes=10)
        return first + timedelta(seconds=number * 84_600 // self.payments)


def order_id(number: int) -> str:
    return f"ord_{number:026d}"


def transaction_id(number: int) -> str:
    return f"4200{number:024d}"


def card_number(number: int) -> str:
    """The card that payment `number` was for."""
    return f"31048703{number % CARDS:011d}"


def refund_id(number: int) -> str:
    return f"rfd_{number:026d}"


# --- our book -----------------------------------------------------------------------------------------


def _orders(day: Day) -> Iterator[dict[str, Any]]:
    for number in range(day.payments):
        at = day.at(number)
        sent_home = number < day.refunds
        yield {
            "id": order_id(number),
            "user_id": "user",
            "beneficiary_id": "user",
            "payer_openid": "openid",
            "card_id": f"card-{number % CARDS}",
            "amount_fen": AMOUNT_FEN,
            "fee_fen": 0,
            "method": "wechat_balance",
            "channel": "h5",
            "state": "refunded" if sent_home else "completed",
            "client_key": f"key-{number}",
            "request_hash": "f" * 64,
            "read_back": "0" * 16,
            "pay_channel": "primary",
            "transaction_id": transaction_id(number),
            "created_at": at,
            "expires_at": at,
            "paid_at": at,
            "credited_at": None if sent_home else at + timedelta(seconds=2),
        }


def _entries(day: Day) -> Iterator[dict[str, Any]]:
    money = Money(AMOUNT_FEN, 0)
    for number in range(day.payments):
        ended = Event.REFUNDED if number < day.refunds else Event.CREDITED
        for event in (Event.PAYMENT_RECEIVED, ended):
            for line in posting(event, money):
                yield {
                    "id": f"{number}-{event.value[:12]}-{line.account[:8]}",
                    "subject": order_id(number),
                    "event": event.value,
                    "account": line.account,
                    "amount_fen": line.amount_fen,
                    "at": day.at(number),
                }


def _refunds(day: Day) -> Iterator[dict[str, Any]]:
    for number in range(day.refunds):
        yield {
            "id": refund_id(number),
            "subject": order_id(number),
            "attempt": 1,
            "order_id": order_id(number),
            "pay_channel": "primary",
            "refund_fen": AMOUNT_FEN,
            "total_fen": AMOUNT_FEN,
            "state": "success",
            "opened_at": day.at(number),
            "ended_at": day.at(number) + timedelta(seconds=30),
        }


def _cards(moment: datetime) -> Iterator[dict[str, Any]]:
    vault = Sm4Vault([tuple(KEYS.split("="))], [tuple(LOOKUP_KEYS.split("="))])
    for at in range(CARDS):
        number, card_id = card_number(at), f"card-{at}"
        yield {
            "id": card_id,
            "user_id": "user",
            "card_number": vault.seal(number.encode(), f"cards.card_number:{card_id}"),
            "card_number_lookup": vault.lookup(number, "cards.card_number"),
            "prefix": number[:8],
            "last_four": number[-4:],
            "city": "guangzhou",
            "mode": "account",
            "registered": True,
            "position": at,
            "created_at": moment,
        }


def fill_ours(database: Database, day: Day) -> None:
    """Write our book."""
    moment = day.at(0)
    person = {"id": "user", "created_at": moment}
    books = {"users": iter([person]), "cards": _cards(moment), "orders": _orders(day)}
    books |= {"ledger_entries": _entries(day), "refunds": _refunds(day)}
    for name, rows in books.items():
        part: list[dict[str, Any]] = []
        for row in rows:
            part.append(row)
            if len(part) == 5000:
                _insert(database, name, part)
                part = []
        _insert(database, name, part)


def _insert(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        with database.write() as tx:
            tx.execute(insert(models.metadata.tables[table]), rows)


# --- their books --------------------------------------------------------------------------------------


def fill_theirs(folder: Path, keys: SandboxKeys, day: Day) -> None:
    """Write what WeChat and the card system saw: the same day, with some differences."""
    store = Store(folder / "sandbox.sqlite3", keys.merchant_id)
    last = day.payments - 1
    lacking = range(last, last - DIFFER, -1)  # in the bill
    changed = range(lacking[-1] - 1, lacking[-1] - 1 - DIFFER // 2, -1)
    uncredited = range(changed[-1] - 1, changed[-1] - 1 - DIFFER, -1)
    request = json.dumps({"description": "羊城通充值 50.00 元"}, ensure_ascii=False)

    def trade(number: int) -> tuple[Any, ...]:
        fen = AMOUNT_FEN + (number in changed)
        at = day.at(number).timestamp()
        seen = (
            keys.merchant_id,
            order_id(number),
            request,
            fen,
            f"o{number:027d}",
            "http://x",
            at,
            "SUCCESS",
        )
        return (number + 1, *seen, transaction_id(number), at, "")

    def refund(number: int) -> tuple[Any, ...]:
        at = day.at(number).timestamp() + 5
        numbers = (keys.merchant_id, refund_id(number), "{}", number + 1, order_id(number))
        return (*numbers, f"5030{number:024d}", "SUCCESS", AMOUNT_FEN, at, at + 25)

    def credit(number: int) -> tuple[Any, ...]:
        at = day.at(number).timestamp() + 1
        return (order_id(number), card_number(number), AMOUNT_FEN, "credited", f"CR{number:012d}", 0, at)

    with store.write() as tx:
        tx.executemany(
            "INSERT INTO trades (seq, merchant_id, order_id, request, amount_fen, openid, notify_url,"
            " expires_at, state, transaction_id, paid_at, attach)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (trade(number) for number in range(day.payments) if number not in lacking),
        )
        tx.executemany(
            "INSERT INTO refunds (merchant_id, refund_id, request, trade_seq, order_id, wechat_refund_id,"
            " state, refund_fen, created_at, done_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            map(refund, range(day.refunds)),
        )
        tx.executemany(
            "INSERT INTO card_credits VALUES (?, ?, ?, ?, ?, ?, ?)",
            (credit(number) for number in range(day.refunds, day.payments) if number not in uncredited),
        )
