"""What every flow is handed: the ports, the doors to the rows, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.config import Settings
from app.domain.cities import City, cities
from app.ports import (
    Barcodes,
    CardSystem,
    Clock,
    Messages,
    Speech,
    WeChatLogin,
    WeChatPay,
)
from app.store.database import Database


def nobody_waits() -> None:
    """The hint for when no worker listens: the outbox is swept anyway."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Built once in app.wiring; frozen, so that nothing is swapped behind a flow's back."""

    settings: Settings
    clock: Clock
    database: Database
    login: WeChatLogin
    pay: WeChatPay
    card_system: CardSystem
    messages: Messages
    speech: Speech
    barcodes: Barcodes
    nudge: Callable[[], None] = nobody_waits  # tells the worker to look at the outbox now

    @property
    def city(self) -> City:
        """The city this installation serves."""
        return cities()[self.settings.city]
