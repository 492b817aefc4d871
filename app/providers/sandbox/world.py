"""What every part of the sandbox shares: settings, keys, clock, state; and how an answer gets lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import sqlite3
import tomllib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

from flask import Response, request

from app.ports import Clock
from app.providers.sandbox.keys import SandboxKeys
from app.providers.sandbox.merchants import Merchants
from app.providers.sandbox.store import Store

_HERE = Path(__file__).parent
Delivery = Literal["background", "inline", "manual"]
NoticeKeys = Literal["alternate", "public_key", "certificate"]


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How a sandbox is set up.

    data_dir: keys and the SQLite file live here. notify_base: when set, every notice is posted to this
    scheme://host:port with the path of its notify_url, so that an app configured with its public https
    address can be reached locally; when None the notify_url itself is used.
    notice_delay_factor: scales WeChat's retry schedule (15 s ... 6 h). refund_seconds: how long a
    PROCESSING refund takes. batch_seconds: how long the card system works on a file. delivery: "background"
    (a thread, as they fall due), "inline" (the request that causes a notice waits until it was delivered
    once: for tests), or "manual" (explicit calls only).
    """

    data_dir: Path
    notify_base: str | None = None
    notice_keys: NoticeKeys = "alternate"
    notice_delay_factor: float = 1.0
    refund_seconds: float = 5.0
    batch_seconds: float = 2.0
    delivery: Delivery = "background"


class Magic(IntEnum):
    """The last two digits of an amount in fen choose a fault. docs/SANDBOX.md has this table in words."""

    NONE = 0
    PAYMENT_REFUSED = 1
    PREPAY_ERROR_ONCE = 2
    PREPAY_ANSWER_LOST_ONCE = 3
    NOTICE_TWICE = 4
    NOTICE_NEVER = 5
    NOTICE_HELD = 6
    NOTICE_WRONG_AMOUNT = 7
    REFUND_PROCESSING = 8
    REFUND_ABNORMAL = 9
    REFUND_CLOSED = 10
    PREPAY_REFUSED = 11
    PREPAY_BUSY_ONCE = 12
    REFUND_NOT_ENOUGH_ONCE = 13
    REFUND_ANSWER_LOST_ONCE = 14
    PREPAY_BADLY_SIGNED_ONCE = 15
    QUERY_ERROR_ONCE = 16
    PAID_WHILE_CLOSING = 17
    NOTICE_WRONG_MERCHANT = 18
    NOTICE_BEFORE_PREPAY_ANSWER = 19
    NOTICE_WRONG_CURRENCY = 20
    CREDIT_REFUSED = 31
    CREDIT_UNAVAILABLE_ONCE = 32
    CREDIT_ANSWER_LOST_ONCE = 33
    CREDIT_ERROR_ONCE = 34


_MAGIC = {item.value: item for item in Magic}


def magic(amount_fen: int) -> Magic:
    """The fault an amount asks for."""
    return _MAGIC.get(amount_fen % 100, Magic.NONE)


@dataclass(slots=True)
class World:
    """One sandbox. `notify_base` may be set once the app's port is known."""

    settings: SandboxSettings
    keys: SandboxKeys
    clock: Clock
    store: Store
    notify_base: str | None = field(default=None)
    merchants: Merchants = field(init=False)

    def __post_init__(self) -> None:
        self.merchants = Merchants(self.keys)

    def now(self) -> float:
        """UTC seconds since 1970."""
        return self.clock.now().timestamp()

    def openid(self, person: str) -> str:
        """The openid of a person in this app: the same name is always the same person."""
        digest = hmac.digest(self.keys.app_secret.encode(), person.encode(), hashlib.sha256)
        return "o" + base64.urlsafe_b64encode(digest).decode("ascii")[:27]

    def register(self, tx: sqlite3.Connection, person: str) -> str:
        """Make sure that WeChat knows this person; returns the openid."""
        openid = self.openid(person)
        tx.execute("INSERT OR IGNORE INTO people VALUES (?, ?)", (openid, person))
        return openid


class AnswerLost(Exception):
    """The connection is to break without an answer. Whether the work was done is the raiser's business."""


def break_connection(_fault: AnswerLost) -> Response:
    """Shut the client's socket so that it sees a broken connection, as on a real network."""
    connection = request.environ.get("werkzeug.socket")
    if connection is None:  # not behind our own server (a test client): the nearest thing a gateway says
        return Response(status=504)
    connection.shutdown(socket.SHUT_RDWR)
    return Response(status=504)


@cache
def words() -> dict[str, Any]:
    """Texts shown or sent by WeChat, as data."""
    with (_HERE / "words.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def seeds() -> dict[str, Any]:
    """Cards and templates that exist in every new sandbox."""
    with (_HERE / "seeds.toml").open("rb") as file:
        return tomllib.load(file)
