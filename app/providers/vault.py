"""The vault's adapter: SM4-GCM with key ids, and HMAC-SM3 under a key of its own for what is searched."""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence

from app.ports import VaultFault
from app.providers.gm import NONCE_BYTES, TAG_BYTES, GmFault, hmac_sm3, sm4_gcm_open, sm4_gcm_seal


class Sm4Vault:
    """Seals under the first key and opens under all: a key is replaced by putting another before it.

    Each seal draws 12 random bytes as its nonce, so a key may seal 2**32 times (NIST SP 800-38D 8.3);
    a city of ten million sealing ten values each stays below a fortieth of that.
    """

    def __init__(self, keys: Sequence[tuple[str, str]], lookup_keys: Sequence[tuple[str, str]]) -> None:
        """`keys` are (id, 32 hex digits), `lookup_keys` (id, text), the newest first; app.config has looked
        at them already."""
        self._keys = {key_id: bytes.fromhex(digits) for key_id, digits in keys}
        self._newest = keys[0][0]
        self._lookup_keys = [(key_id, key.encode()) for key_id, key in lookup_keys]

    def seal(self, plain: bytes, context: str) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = sm4_gcm_seal(self._keys[self._newest], nonce, plain, context.encode())
        return f"{self._newest}:{b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, context: str) -> bytes:
        key_id, colon, text = sealed.partition(":")
        key = self._keys.get(key_id)
        if not colon or key is None:
            raise VaultFault("sealed under a key that is not among ANXIN_VAULT_KEYS")
        raw = _decoded(text)
        try:
            return sm4_gcm_open(key, raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode())
        except GmFault as fault:
            raise VaultFault(f"does not open: {fault}") from None

    def current(self, sealed: str) -> bool:
        return sealed.partition(":")[0] == self._newest

    def lookup(self, text: str, purpose: str) -> str:
        return _lookup(*self._lookup_keys[0], text, purpose)

    def lookups(self, text: str, purpose: str) -> tuple[str, ...]:
        return tuple(_lookup(key_id, key, text, purpose) for key_id, key in self._lookup_keys)

    def current_lookup(self, lookup: str) -> bool:
        return lookup.partition(":")[0] == self._lookup_keys[0][0]


def _lookup(key_id: str, key: bytes, text: str, purpose: str) -> str:
    # A key for each purpose: no text can be chosen so that it collides with one of another purpose.
    of_purpose = hmac_sm3(key, purpose.encode())
    return f"{key_id}:{hmac_sm3(of_purpose, text.encode()).hex()}"


def _decoded(text: str) -> bytes:
    """Raise VaultFault for anything but the one way to write these bytes: base64 has spare bits at its end,
    and a changed text shall not open."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VaultFault("not base64") from None
    if b64encode(raw).decode() != text or len(raw) < NONCE_BYTES + TAG_BYTES:
        raise VaultFault("not what this vault writes")
    return raw
