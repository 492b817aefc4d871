"""The processes that hold the streams of help sessions open, seen from the others."""

from __future__ import annotations

from typing import Protocol


class Streams(Protocol):
    """Asked for /readyz only: nothing that people do waits for it."""

    def problem(self) -> str | None:
        """None when help is live, else a short English reason."""
        ...
