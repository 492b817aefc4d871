"""How a call to the outside can end without a result, and what every part says of its health."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class OutsideError(Exception):
    """Base of the three ways an outside call can end without a result.

    `code` is the vendor's own code (for logs and operators), never shown to the elder.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(OutsideError):
    """The other side said no, finally. Nothing was done and asking again changes nothing."""


class Unavailable(OutsideError):
    """Certainly not done (not sent, or rejected before any effect). Retry with the same id."""


class Unknown(OutsideError):
    """Sent, and no usable answer came back. Query, or retry with the same id; never assume failure."""


class Clock(Protocol):
    """Read once at the top of a flow and passed down as `now`."""

    def now(self) -> datetime:
        """The current moment, timezone-aware, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """One line of /readyz."""

    name: str
    ok: bool
    detail: str = field(default="")
