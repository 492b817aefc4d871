"""What every flow is handed: the ports, the doors to the rows, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pybreaker import CircuitBreaker

from app.config import Settings
from app.domain.calendar import Calendar, calendar
from app.domain.cities import City, cities
from app.ports import (
    BankCards,
    Barcodes,
    CardSystem,
    Clock,
    Faces,
    Fingerprints,
    Messages,
    RemoteFace,
    Speech,
    Streams,
    Texts,
    Vault,
    WeChatLogin,
    WeChatPay,
)
from app.store.database import Database


class Nudge(Protocol):
    """Tells the worker to look at the outbox, now or in a while. Only a hint; never raises."""

    def __call__(self, after_seconds: float = 0.0) -> None: ...


def nobody_waits(after_seconds: float = 0.0) -> None:
    """The hint for when no worker listens: the outbox is swept anyway."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Built once in app.wiring; frozen, so that nothing is swapped behind a flow's back."""

    settings: Settings
    clock: Clock
    database: Database
    login: WeChatLogin
    pays: Mapping[str, WeChatPay]  # by channel, the primary one first
    breakers: Mapping[str, CircuitBreaker]  # one for each of them
    card_system: CardSystem
    messages: Messages
    remote_face: RemoteFace
    fingerprints: Fingerprints
    texts: Texts
    bank_cards: BankCards
    speech: Speech
    faces: Faces
    barcodes: Barcodes
    vault: Vault
    streams: Streams
    nudge: Nudge = nobody_waits

    @property
    def city(self) -> City:
        """The city this installation serves."""
        return cities()[self.settings.city]

    @property
    def calendar(self) -> Calendar:
        """The workdays in force: the shipped years and the installation's own."""
        return calendar(self.settings.calendar_dir)
