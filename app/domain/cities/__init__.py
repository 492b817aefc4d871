"""Cities are data: one TOML file each. Adding a city is adding a file (docs/CITIES.md).

Source of the numbers: PRODUCT.md "Cities" and "Money".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from app.domain.cities.model import (
    BATCH_PROMISE,
    Batch,
    CardKind,
    Channel,
    City,
    Clearing,
    Dialect,
    Entry,
    IdentityRule,
    LargePayment,
    Method,
    MethodName,
    Region,
    Service,
    Writing,
)
from app.domain.cities.reading import read_city
from app.domain.tables import load

__all__ = [
    "BATCH_PROMISE",
    "Batch",
    "CardKind",
    "Channel",
    "City",
    "Clearing",
    "Dialect",
    "Entry",
    "FaultyCity",
    "IdentityRule",
    "LargePayment",
    "Method",
    "MethodName",
    "Region",
    "Service",
    "Writing",
    "cities",
]

FOLDER = Path(__file__).parent


class FaultyCity(ValueError):
    """The city files are wrong; `faults` lists every fault of every file at once."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@cache
def cities(folder: Path = FOLDER) -> Mapping[str, City]:
    """Every city by name, in the order of the names. Raise FaultyCity with all faults of all files."""
    found: dict[str, City] = {}
    faults: list[str] = []
    files = sorted(folder.glob("*.toml"))
    for path in files:
        raw = load(path, faults)
        if raw is not None:
            found[path.stem] = read_city(path.stem, raw, faults)
    faults += _shared_prefixes(found)
    faults += _wrong_partners(found, {path.stem for path in files})
    if not files:
        faults.append(f"no city in {folder}")
    if faults:
        raise FaultyCity(faults)
    return found


def _shared_prefixes(found: Mapping[str, City]) -> list[str]:
    """A card number must lead to one city only."""
    owners: dict[str, list[str]] = {}
    for city in found.values():
        for prefix in city.card_prefixes:
            owners.setdefault(prefix, []).append(city.name)
    return [
        f"card prefix {prefix} belongs to {' and '.join(names)}"
        for prefix, names in owners.items()
        if len(names) > 1
    ]


def _wrong_partners(found: Mapping[str, City], known: set[str]) -> list[str]:
    """`known` also holds the cities whose files could not be read: those are no unknown partners."""
    faults = []
    for city in found.values():
        for name in city.accepts:
            partner = found.get(name)
            if name == city.name:
                faults.append(f"{city.name}: cross_region accepts the city itself")
            elif name not in known:
                faults.append(f"{city.name}: cross_region accepts {name!r}, which has no file")
            elif partner is not None and partner.card_kinds == (CardKind.CHIP,):
                faults.append(
                    f"{city.name}: cross_region accepts {name!r}, whose cards are chips only: "
                    "they are written by their own city"
                )
    return faults
