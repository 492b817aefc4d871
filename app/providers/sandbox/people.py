"""The invented citizens of seeds.toml: what the state, WeChat and the banks know of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from app.providers.sandbox.world import seeds


@dataclass(frozen=True, slots=True)
class Citizen:
    """One person. `behaviour` is what the bank's answer about their card does."""

    name: str
    id_number: str
    phone: str
    bank_card: str
    behaviour: str = "normal"
    picture: bool = True  # whether the state has a picture to compare a face with


@cache
def citizens() -> tuple[Citizen, ...]:
    return tuple(Citizen(**person) for person in seeds()["people"])


def by_id_number(id_number: str) -> Citizen | None:
    return next((one for one in citizens() if one.id_number == id_number), None)


def by_bank_card(card_number: str) -> Citizen | None:
    return next((one for one in citizens() if one.bank_card == card_number), None)
