"""Settings of the vault: the keys that seal personal columns, and the one for searched columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

KEY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
KEY = re.compile(r"[0-9a-fA-F]{32}")
SHORTEST_LOOKUP_KEY = 32


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """`keys` are (id, 32 hex digits): the first seals, all open. Empty in development until wiring has made
    and kept them."""

    keys: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    lookup_key: str = field(default="", repr=False)


def vault_settings(
    text: Callable[[str, str | None], str], faults: list[str], production: bool
) -> VaultSettings:
    """Read ANXIN_VAULT_KEYS and ANXIN_LOOKUP_KEY by `text(name, default)`. Faults never hold key material."""
    needed = None if production else ""
    keys = _keys(text("VAULT_KEYS", needed), faults)
    lookup_key = text("LOOKUP_KEY", needed)
    if lookup_key and len(lookup_key) < SHORTEST_LOOKUP_KEY:
        faults.append(f"ANXIN_LOOKUP_KEY is shorter than {SHORTEST_LOOKUP_KEY}")
    if lookup_key and any(lookup_key.lower() == digits for _key_id, digits in keys):
        faults.append("ANXIN_LOOKUP_KEY is one of ANXIN_VAULT_KEYS: it must be a key of its own")
    return VaultSettings(keys, lookup_key)


def _keys(given: str, faults: list[str]) -> tuple[tuple[str, str], ...]:
    keys: dict[str, str] = {}
    for number, pair in enumerate(given.split(), 1):
        key_id, _, digits = pair.partition("=")
        what = f"ANXIN_VAULT_KEYS: key {number}"
        digits = digits.lower()
        if not KEY_ID.fullmatch(key_id):
            faults.append(f"{what} has no id of small letters, digits and hyphens, 16 at most, before a =")
        elif not KEY.fullmatch(digits):
            faults.append(f"{what} ({key_id}) is not 32 hex digits")
        elif len(set(digits)) < 4:
            faults.append(f"{what} ({key_id}) is not a random key")
        elif key_id in keys:
            faults.append(f"{what} has the id of another one, {key_id}")
        elif digits in keys.values():
            faults.append(f"{what} ({key_id}) is the same key as another one")
        else:
            keys[key_id] = digits
    return tuple(keys.items())
