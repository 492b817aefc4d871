"""Cities are data: one TOML file each. Adding a city is adding a file.

Source of the numbers: PRODUCT.md "Cities" and "Money".
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


class Clearing(StrEnum):
    REALTIME = "realtime"
    STANDARD = "standard"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay. Limits are inclusive, in fen; the fee is in basis points, rounded half up."""

    name: str
    label: str
    min_fen: int
    max_fen: int
    fee_bps: int

    def fee_fen(self, amount_fen: int) -> int:
        """The fee for `amount_fen`, quoted before confirming; quoted = charged."""
        return (amount_fen * self.fee_bps + 5_000) // 10_000


@dataclass(frozen=True, slots=True)
class City:
    name: str
    label: str
    card_name: str
    card_prefixes: tuple[str, ...]
    step_budget: int
    clearing: Clearing
    hotline: str
    dialects: tuple[str, ...]
    methods: tuple[Method, ...]

    def method(self, name: str) -> Method | None:
        return next((method for method in self.methods if method.name == name), None)


class FaultyCity(ValueError):
    """The city files are wrong; `faults` lists every fault at once."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def _faults(stem: str, raw: dict[str, Any], city: City) -> list[str]:
    faults = []
    if city.name != stem:
        faults.append(f"{stem}: name is {city.name!r}")
    if not 1 <= city.step_budget <= 5:
        faults.append(f"{stem}: step_budget {city.step_budget} is not 1..5")
    if not city.methods:
        faults.append(f"{stem}: no payment method")
    for method in city.methods:
        if not 0 < method.min_fen <= method.max_fen:
            faults.append(f"{stem}: {method.name} has limits {method.min_fen}..{method.max_fen}")
        if not 0 <= method.fee_bps < 10_000:
            faults.append(f"{stem}: {method.name} has fee_bps {method.fee_bps}")
    for prefix in city.card_prefixes:
        if not (len(prefix) == 8 and prefix.isdigit()):
            faults.append(f"{stem}: card prefix {prefix!r} is not 8 digits")
    unknown = set(raw) - set(City.__dataclass_fields__)
    faults += [f"{stem}: unknown key {key!r}" for key in sorted(unknown)]
    return faults


def _read(path: Path) -> tuple[City | None, list[str]]:
    with path.open("rb") as file:
        raw = tomllib.load(file)
    try:
        city = City(
            name=raw["name"],
            label=raw["label"],
            card_name=raw["card_name"],
            card_prefixes=tuple(raw["card_prefixes"]),
            step_budget=raw["step_budget"],
            clearing=Clearing(raw["clearing"]),
            hotline=raw["hotline"],
            dialects=tuple(raw["dialects"]),
            methods=tuple(Method(**method) for method in raw["methods"]),
        )
    except (KeyError, TypeError, ValueError) as fault:
        return None, [f"{path.stem}: {fault!r}"]
    return city, _faults(path.stem, raw, city)


@cache
def cities(folder: Path = FOLDER) -> dict[str, City]:
    """Every city by name. Raise FaultyCity with all faults of all files."""
    found: dict[str, City] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        city, wrong = _read(path)
        faults += wrong
        if city is not None:
            found[city.name] = city
    if faults:
        raise FaultyCity(faults)
    return found
