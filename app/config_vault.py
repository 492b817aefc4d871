"""Settings of the vault: the keys that seal personal columns, and those for searched columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

KEY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
KEY = re.compile(r"[0-9a-f]{32}")
SHORTEST_LOOKUP_KEY = 32

Keys = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """`keys` are (id, 32 hex digits): the first seals, all open. `lookup_keys` are (id, text): what the first
    one makes is stored, what any makes is found. Empty in development until wiring has made and kept them."""

    keys: Keys = field(default=(), repr=False)
    lookup_keys: Keys = field(default=(), repr=False)


def vault_settings(
    text: Callable[[str, str | None], str], faults: list[str], production: bool
) -> VaultSettings:
    """Read ANXIN_VAULT_KEYS and ANXIN_LOOKUP_KEYS by `text(name, default)`. Faults never hold a key."""
    needed = None if production else ""
    keys = _read("VAULT_KEYS", text("VAULT_KEYS", needed), faults, _sealing, str.lower)
    lookup_keys = _read("LOOKUP_KEYS", text("LOOKUP_KEYS", needed), faults, _searching)
    sealing = {digits for _key_id, digits in keys}
    if any(key.lower() in sealing for _key_id, key in lookup_keys):
        faults.append("ANXIN_LOOKUP_KEYS has one of ANXIN_VAULT_KEYS: it must be a key of its own")
    return VaultSettings(keys, lookup_keys)


def _sealing(digits: str) -> str | None:
    if not KEY.fullmatch(digits):
        return "is not 32 hex digits"
    return "is not a random key" if len(set(digits)) < 4 else None


def _searching(key: str) -> str | None:
    return f"is shorter than {SHORTEST_LOOKUP_KEY}" if len(key) < SHORTEST_LOOKUP_KEY else None


def _read(
    name: str,
    given: str,
    faults: list[str],
    wrong: Callable[[str], str | None],
    spelt: Callable[[str], str] = str,
) -> Keys:
    """The pairs of `id=key id=key`; `wrong` says what is the matter with a key as it is `spelt`."""
    keys: dict[str, str] = {}
    for number, pair in enumerate(given.split(), 1):
        key_id, _, key = pair.partition("=")
        what = f"ANXIN_{name}: key {number}"
        key = spelt(key)
        fault = wrong(key)
        if not KEY_ID.fullmatch(key_id):
            faults.append(f"{what} has no id of small letters, digits and hyphens, 16 at most, before a =")
        elif fault is not None:
            faults.append(f"{what} ({key_id}) {fault}")
        elif key_id in keys:
            faults.append(f"{what} has the id of another one, {key_id}")
        elif key in keys.values():
            faults.append(f"{what} ({key_id}) is the same key as another one")
        else:
            keys[key_id] = key
    return tuple(keys.items())
