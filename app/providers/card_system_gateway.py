"""The city card system behind our gateway protocol (docs/CARD_SYSTEM.md): signed JSON, exactly-once credits.

What does not verify is Unknown: a stranger must not be able to send an elder's money home or keep it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field

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
from app.providers.http import Limits, segment
from app.providers.signed_gateway import (
    COMMON_OUTCOMES,
    GatewayConfig,
    Outcomes,
    Party,
    SignedGateway,
    read_answer,
)

BASE = "/card-system/v1"
LARGEST_FILE_BYTES = 64 * 1024 * 1024

# An Unavailable card system lets the paid order wait instead of sending the money home.
OUTCOMES: Outcomes = {
    **COMMON_OUTCOMES,
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
}
PARTY = Party("card system", "X-Card", OUTCOMES)

_Row = TypeVar("_Row")
_Fen = Annotated[int, Field(ge=0, le=100_000_000_00)]


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
        self._gateway = SignedGateway(PARTY, config, clock)
        self._file_limits = Limits(config.file_timeouts, LARGEST_FILE_BYTES)

    def close_connections(self) -> None:
        """Give the pooled connections back."""
        self._gateway.close()

    def find(self, card_number: str) -> CardFacts:
        """The card as its issuer knows it. The number goes in the body, so it stands in no log."""
        found = read_answer(
            _Card, self._gateway.call("POST", f"{BASE}/cards/find", {"card_number": card_number})
        )
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
        done = read_answer(_Credit, self._gateway.call("POST", f"{BASE}/credits", body))
        if (done.order_id, done.card_number, done.amount_fen) != (order_id, card_number, amount_fen):
            raise Unknown("answer_mismatch", "another credit")
        return Credit(order_id, done.state, done.reference, done.amount_fen, done.balance_fen)

    def query(self, order_id: str) -> Credit | None:
        """What became of a credit; None when the card system never saw it."""
        try:
            raw = self._gateway.call("GET", f"{BASE}/credits/{segment(order_id)}")
        except Refused as no:
            if no.code == "credit_unknown":
                return None
            raise
        done = read_answer(_Credit, raw)
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
        answer = self._gateway.send("PUT", target, file, self._file_limits, "text/csv")
        taken = read_answer(_Accepted, answer.body)
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
        raw = self._gateway.send("GET", target, None, self._file_limits).body
        try:
            return tuple(map(read_row, read_file(raw, name, columns)))
        except BadFile as bad:
            raise Unknown("file_malformed", str(bad)) from None
