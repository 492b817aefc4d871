"""The vault: what is personal is sealed before it is stored, and found again without being opened."""

from __future__ import annotations

from typing import Protocol


class VaultFault(ValueError):
    """What was to be opened is not what was sealed: changed, of another place, or of a key we do not have.

    The message never holds any of the sealed text or of the plain one.
    """


class Vault(Protocol):
    """Seals personal columns. Safe to use from many threads; never reaches outside the process."""

    def seal(self, plain: bytes, context: str) -> str:
        """The text "keyid:base64" of `plain` under the newest key. Sealing the same twice gives two texts.

        `context` says where it stands, "table.column:key" ("face_templates.template:usr_…"), and is bound
        to it: a sealed text copied into another row or column does not open.
        """
        ...

    def open(self, sealed: str, context: str) -> bytes:
        """What was sealed for this `context`, under any key we still have. Raise VaultFault."""
        ...

    def current(self, sealed: str) -> bool:
        """Whether it was sealed under the newest key, by its key id alone: it is not opened."""
        ...

    def lookup(self, text: str, purpose: str) -> str:
        """What is stored for `text` in a column that is searched: "keyid:64 hex digits" (HMAC-SM3) under the
        newest lookup key.

        The same text gives another value for another `purpose`, so that two columns cannot be joined by
        who holds the database alone. Bring `text` into one spelling first: nothing is normalised here.
        """
        ...

    def lookups(self, text: str, purpose: str) -> tuple[str, ...]:
        """What `text` is found by: the same under every lookup key we have, the newest first. While a key is
        replaced some rows stand under the old one, and other processes may write more of them."""
        ...

    def current_lookup(self, lookup: str) -> bool:
        """Whether it was made with the newest lookup key, by its key id alone."""
        ...
