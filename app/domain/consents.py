"""What a person may agree to, one purpose at a time, and the text that stands in force for each.

The texts are data (`app/copy/consents.toml`). A consent counts only for the version it was given for: a text
that changes gets a new version, and then everybody is asked again (PIPL 14).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

TEXTS_FILE = Path(__file__).parent.parent / "copy" / "consents.toml"


class Purpose(StrEnum):
    """Each needs a consent of its own (PIPL 14, 23, 29; Face Measures 2025, 5)."""

    VOICE = "voice"
    VOICE_SAMPLES = "voice_samples"
    FACE = "face"
    CONTACTS = "contacts"
    DAILY_PROFILE = "daily_profile"
    PROACTIVE_MESSAGES = "proactive_messages"


class Act(StrEnum):
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class ConsentText:
    """What is read to a person before they agree: what we do, why, for how long, how to take it back."""

    version: int
    title: str
    what: str
    why: str
    how_long: str
    take_back: str

    @property
    def spoken(self) -> str:
        """All of it, in the order it is read aloud."""
        return self.what + self.why + self.how_long + self.take_back


@cache
def texts() -> dict[Purpose, ConsentText]:
    """The text in force for every purpose. TypeError or KeyError at start-up when the data is faulty."""
    with TEXTS_FILE.open("rb") as file:
        told = tomllib.load(file)
    if set(told) != set(Purpose):
        raise KeyError(f"texts of {sorted(told)}, not of {sorted(Purpose)}")
    return {purpose: ConsentText(**told[purpose.value]) for purpose in Purpose}


def purpose_of(text: str) -> Purpose | None:
    """The purpose of this name, or None."""
    return Purpose(text) if text in set(Purpose) else None
