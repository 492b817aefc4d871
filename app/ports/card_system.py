"""The city's card system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol


class CardMode(StrEnum):
    ACCOUNT = "account"  # the balance lives on the server
    CHIP = "chip"  # the balance lives on the chip and must be written to it


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card as its issuer knows it."""

    card_number: str
    city: str
    mode: CardMode
    registered: bool  # real-name registered: ceiling 5000 yuan, else 1000
    balance_fen: int
    holder_masked: str | None = None  # e.g. "王*英"


class CreditState(StrEnum):
    CREDITED = "credited"
    WRITE_ISSUED = "write_issued"  # chip cards: the load is authorised and waits for the chip


@dataclass(frozen=True, slots=True)
class Credit:
    """What the card system did for an order: `amount_fen` is what it credited, whatever was asked last."""

    order_id: str
    state: CreditState
    reference: str
    amount_fen: int
    balance_fen: int


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One credit asked for in an end-of-day file."""

    order_id: str
    card_number: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of one line: exactly one of `credit` and `refused` (the card system's code) is set."""

    order_id: str
    credit: Credit | None
    refused: str | None


@dataclass(frozen=True, slots=True)
class CreditLine:
    """One credit in the card system's own file of a day."""

    order_id: str
    card_number: str
    amount_fen: int
    reference: str
    at: datetime


class CardSystem(Protocol):
    """The city card system. `order_id` is the request id: the same id never credits twice."""

    def find(self, card_number: str) -> CardFacts:
        """Refused("card_unknown" | "card_blocked") when it cannot be topped up."""
        ...

    def credit(self, order_id: str, card_number: str, amount_fen: int) -> Credit: ...

    def query(self, order_id: str) -> Credit | None:
        """What became of this credit; None when the card system never saw it."""
        ...

    def submit_batch(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        """Hand an end-of-day file in. Repeating it is safe; Refused("batch_conflict") for other lines."""
        ...

    def batch_result(self, batch_id: str) -> tuple[BatchOutcome, ...] | None:
        """An outcome for every line; None while the file is being worked through or was never seen."""
        ...

    def credits_of(self, day: date) -> tuple[CreditLine, ...]:
        """Every credit of an Asia/Shanghai day, by the card system's clock (also those of batches)."""
        ...
