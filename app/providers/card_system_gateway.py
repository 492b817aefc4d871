"""The city card system behind our gateway protocol (docs/CARD_SYSTEM.md): signed JSON, exactly-once credits.

Requests and answers are signed with HMAC-SHA256 over a shared secret. An answer that does not verify is
Unknown, also a refusal: a stranger must not be able to send an elder's money home, or to keep it away.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from app.domain.clock import business_day
from app.ports import (
    BatchLine,
    BatchOutcome,
    CardFacts,
    CardMode,
    Clock,
    Credit,
    CreditLine,
    CreditState,
    OutsideError,
    Refused,
    Unavailable,
    Unknown,
)
from app.providers.card_system_files import (
    BATCH_COLUMNS,
    CREDIT_COLUMNS,
    LARGEST_BATCH_BYTES,
    LARGEST_BATCH_LINES,
    RESULT_COLUMNS,
    BadFile,
    credit_of,
    outcome_of,
    read_file,
    write_file,
)
from app.providers.http import FILE_TIMEOUTS, Answer, HttpClient, Limits, Timeouts, segment

log = logging.getLogger(__name__)

BASE = "/card-system/v1"
LARGEST_FILE_BYTES = 64 * 1024 * 1024

# What an error code of the protocol means. Faults of our own clock or secret are Unavailable: an operator
# repairs them, and the paid order waits instead of going home. Unlisted codes are Unknown.
OUTCOMES: dict[str, type[OutsideError]] = {
    "card_unknown": Refused,
    "card_blocked": Refused,
    "credit_refused": Refused,
    "credit_unknown": Refused,  # a query's "never seen"; `query` turns it into None
    "ceiling_exceeded": Refused,
    "conflict": Refused,
    "amount_malformed": Refused,
    "order_id_malformed": Refused,
    "batch_conflict": Refused,
    "batch_malformed": Refused,
    "batch_too_large": Refused,
    "batch_unknown": Refused,  # a result nobody can have; `batch_result` turns it into None
    "batch_working": Unavailable,  # and so this one
    "day_malformed": Refused,
    "file_not_ready": Unavailable,
    "unavailable": Unavailable,
    "busy": Unavailable,
    "key_unknown": Unavailable,
    "stale": Unavailable,
    "signature": Unavailable,
    "nonce_used": Unavailable,
    "nonce_malformed": Unavailable,
    "internal": Unknown,
}

_Shape = TypeVar("_Shape", bound=BaseModel)
_Row = TypeVar("_Row")
_Fen = Annotated[int, Field(ge=0, le=100_000_000_00)]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where the card system is, and the secret we share with it."""

    base_url: str
    key_id: str
    secret: str = field(repr=False)
    clock_window_seconds: int = 300
    timeouts: Timeouts = Timeouts(connect_seconds=3.0, read_seconds=8.0)
    file_timeouts: Timeouts = FILE_TIMEOUTS


class _Problem(BaseModel):
    code: str


class _Card(BaseModel):
    card_number: str
    city: str
    mode: CardMode
    registered: bool
    balance_fen: _Fen
    holder_masked: str | None = None


class _Credit(BaseModel):
    order_id: str
    card_number: str
    amount_fen: _Fen
    state: CreditState
    reference: Annotated[str, Field(min_length=1, max_length=64)]
    balance_fen: _Fen


class _Accepted(BaseModel):
    """A batch that was taken in. The total is what it asks for, also in lines that will be refused."""

    batch_id: str
    lines: Annotated[int, Field(ge=0)]
    total_fen: _Fen


class CardSystemGateway:
    """ports.CardSystem over HTTP. Constructing it touches no network."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        """ValueError when the key id or the secret is missing."""
        if not config.key_id or len(config.secret) < 32:
            raise ValueError("the card system's key id is missing, or its secret is shorter than 32")
        self._config = config
        self._clock = clock
        self._http = HttpClient(config.base_url, config.timeouts)
        self._limits = Limits(config.timeouts)
        self._file_limits = Limits(config.file_timeouts, LARGEST_FILE_BYTES)

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._http.close()

    def find(self, card_number: str) -> CardFacts:
        """The card as its issuer knows it. The number goes in the body, so it stands in no log."""
        found = _read(_Card, self._call("POST", f"{BASE}/cards/find", {"card_number": card_number}))
        if found.card_number != card_number:
            raise Unknown("answer_mismatch", "another card")
        return CardFacts(
            card_number=found.card_number,
            city=found.city,
            mode=found.mode,
            registered=found.registered,
            balance_fen=found.balance_fen,
            holder_masked=found.holder_masked,
        )

    def credit(self, order_id: str, card_number: str, amount_fen: int) -> Credit:
        """Put money on a card, once for each order id. Refused("conflict") for an id used differently."""
        body = {"order_id": order_id, "card_number": card_number, "amount_fen": amount_fen}
        done = _read(_Credit, self._call("POST", f"{BASE}/credits", body))
        if (done.order_id, done.card_number, done.amount_fen) != (order_id, card_number, amount_fen):
            raise Unknown("answer_mismatch", "another credit")
        return Credit(order_id, done.state, done.reference, done.amount_fen, done.balance_fen)

    def query(self, order_id: str) -> Credit | None:
        """What became of a credit; None when the card system never saw it."""
        try:
            raw = self._call("GET", f"{BASE}/credits/{segment(order_id)}")
        except Refused as no:
            if no.code == "credit_unknown":
                return None
            raise
        done = _read(_Credit, raw)
        if done.order_id != order_id:
            raise Unknown("answer_mismatch", "another credit")
        return Credit(order_id, done.state, done.reference, done.amount_fen, done.balance_fen)

    # --- files ---

    def submit_batch(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        """Hand an end-of-day file in; repeating it is safe.

        Refused("batch_conflict") for a batch id used with other lines, "batch_too_large" for more than
        LARGEST_BATCH_LINES, "batch_malformed" for none or an order that stands there twice.
        """
        rows = [(line.order_id, line.card_number, line.amount_fen) for line in lines]
        try:
            file = write_file(batch_id, BATCH_COLUMNS, rows)
        except ValueError:
            raise Refused("batch_malformed") from None
        if len(rows) > LARGEST_BATCH_LINES or len(file) > LARGEST_BATCH_BYTES:
            raise Refused("batch_too_large")
        target = f"{BASE}/batches/{segment(batch_id)}"
        answer = self._send("PUT", target, file, self._file_limits, "text/csv")
        taken = _read(_Accepted, answer.body)
        if taken != _Accepted(batch_id=batch_id, lines=len(rows), total_fen=sum(row[2] for row in rows)):
            raise Unknown("answer_mismatch", "another batch")

    def batch_result(self, batch_id: str) -> tuple[BatchOutcome, ...] | None:
        """An outcome for every line; None while there is none."""
        target = f"{BASE}/batches/{segment(batch_id)}"
        try:
            return self._file(target, batch_id, RESULT_COLUMNS, outcome_of)
        except (Refused, Unavailable) as no:
            if no.code in ("batch_unknown", "batch_working"):
                return None
            raise

    def credits_of(self, day: date) -> tuple[CreditLine, ...]:
        """Every credit of an Asia/Shanghai day. Unavailable("file_not_ready") until the day is over."""
        name = day.isoformat()
        found = self._file(f"{BASE}/files/credits/{name}", name, CREDIT_COLUMNS, credit_of)
        if any(business_day(line.at) != day for line in found):
            raise Unknown("file_malformed", "a credit of another day")
        return found

    def _file(
        self, target: str, name: str, columns: Sequence[str], read_row: Callable[[Mapping[str, str]], _Row]
    ) -> tuple[_Row, ...]:
        """The rows of a whole file; Unknown when it does not add up."""
        raw = self._send("GET", target, None, self._file_limits).body
        try:
            return tuple(map(read_row, read_file(raw, name, columns)))
        except BadFile as bad:
            raise Unknown("file_malformed", str(bad)) from None

    # --- the wire ---

    def _call(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        raw = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        return self._send(method, target, raw, self._limits).body

    def _send(
        self,
        method: str,
        target: str,
        body: bytes | None,
        limits: Limits,
        content_type: str = "application/json",
    ) -> Answer:
        """One signed exchange; a verified 200, or what its code means."""
        raw = body or b""
        timestamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        headers = {
            "Accept": "application/json, text/csv",
            "Content-Type": content_type,
            "X-Card-Key": self._config.key_id,
            "X-Card-Timestamp": timestamp,
            "X-Card-Nonce": nonce,
            "X-Card-Signature": self._mac(method, target, timestamp, nonce, raw),
        }
        answer = self._http.send(method, target, headers, body, limits)
        self._verify(answer, nonce)
        if answer.status == 200:
            return answer
        code = _read(_Problem, answer.body).code
        log.warning("card system refused or failed", extra={"status": answer.status, "vendor_code": code})
        raise OUTCOMES.get(code, Unknown)(code)

    def _verify(self, answer: Answer, nonce: str) -> None:
        """The answer is the card system's, to this very request, and fresh."""
        timestamp = answer.headers.get("X-Card-Timestamp", "")
        expected = self._mac("ANSWER", str(answer.status), timestamp, nonce, answer.body)
        given = answer.headers.get("X-Card-Signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise Unknown(f"unverified_{answer.status}")
        now, window = int(self._clock.now().timestamp()), self._config.clock_window_seconds
        if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp[:12])) > window:
            raise Unknown("answer_stale")

    def _mac(self, first: str, second: str, timestamp: str, nonce: str, body: bytes) -> str:
        lines = [first, second, timestamp, nonce, hashlib.sha256(body).hexdigest()]
        secret = self._config.secret.encode()
        return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def _read(shape: type[_Shape], raw: bytes) -> _Shape:
    """A verified answer as `shape`; Unknown when it is not."""
    try:
        return shape.model_validate_json(raw, strict=True)
    except ValidationError:
        raise Unknown("answer_shape", shape.__name__) from None
