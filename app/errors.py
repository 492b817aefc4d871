"""Every fault a person can meet, with what to say and what they can do next.

The words live in `app/copy/errors.toml`, one table a code: `status` (HTTP), `say` (spoken Chinese, says
what happened, whether money moved, and what to do) and `next` (a screen's `next`, or "login").
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATALOGUE_FILE = Path(__file__).parent / "copy" / "errors.toml"


@dataclass(frozen=True, slots=True)
class ErrorCopy:
    """One entry of the catalogue."""

    status: int
    say: str
    next: str


@cache
def catalogue() -> dict[str, ErrorCopy]:
    """All error codes. Raises TypeError or KeyError at start-up when the data file is faulty."""
    with CATALOGUE_FILE.open("rb") as file:
        return {code: ErrorCopy(**entry) for code, entry in tomllib.load(file).items()}


class AppError(Exception):
    """A fault with a code of the catalogue. `facts` fill the placeholders of its `say`."""

    def __init__(self, code: str, **facts: object) -> None:
        copy = catalogue()[code]  # an unknown code is a programmer's mistake: fail loudly
        super().__init__(code)
        self.code = code
        self.status = copy.status
        self.say = copy.say.format(**facts) if facts else copy.say
        self.next = copy.next
        self.facts = facts

    def __reduce__(self) -> tuple[object, ...]:
        """Crosses process boundaries (the speech pool) without losing its code."""
        return (_rebuild, (self.code, self.facts))


def _rebuild(code: str, facts: dict[str, object]) -> AppError:
    return AppError(code, **facts)
