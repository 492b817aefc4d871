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
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from app.ports import (
    CardFacts,
    CardMode,
    Clock,
    Credit,
    CreditState,
    OutsideError,
    Refused,
    Unavailable,
    Unknown,
)
from app.providers.http import Answer, HttpClient, Timeouts, segment

log = logging.getLogger(__name__)

BASE = "/card-system/v1"

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
_Fen = Annotated[int, Field(ge=0, le=100_000_000_00)]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Where the card system is, and the secret we share with it."""

    base_url: str
    key_id: str
    secret: str = field(repr=False)
    clock_window_seconds: int = 300
    timeouts: Timeouts = Timeouts(connect_seconds=3.0, read_seconds=8.0)


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


class CardSystemGateway:
    """ports.CardSystem over HTTP. Constructing it touches no network."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        """ValueError when the key id or the secret is missing."""
        if not config.key_id or len(config.secret) < 32:
            raise ValueError("the card system's key id is missing, or its secret is shorter than 32")
        self._config = config
        self._clock = clock
        self._http = HttpClient(config.base_url, config.timeouts)

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
        return Credit(order_id, done.state, done.reference, done.balance_fen)

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
        return Credit(order_id, done.state, done.reference, done.balance_fen)

    # --- the wire ---

    def _call(self, method: str, target: str, body: dict[str, Any] | None = None) -> bytes:
        raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        timestamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Card-Key": self._config.key_id,
            "X-Card-Timestamp": timestamp,
            "X-Card-Nonce": nonce,
            "X-Card-Signature": self._mac(method, target, timestamp, nonce, raw),
        }
        answer = self._http.send(method, target, headers, raw if body is not None else None)
        self._verify(answer, nonce)
        if answer.status == 200:
            return answer.body
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
