"""Help from afar: how long, how often, and what of an elder's screen a relative may see. Pure rules.

What a relative sees is what was *said and written* on the screen, made from a list of what may be seen, not
by taking away what may not: no payment parameters, no entry fields, no pictures, no ids (an id may carry a
token), and no number longer than the last four digits of a card (PRODUCT.md "Family").
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

_COPY = Path(__file__).parent.parent / "copy" / "help.toml"

LENGTH = timedelta(minutes=10)
TIME_TO_OPEN = timedelta(minutes=10)  # from asking to the touch
TICKET_LIFE = timedelta(minutes=1)
SESSIONS_A_DAY = 5  # of one elder
EVENTS_A_MINUTE = 60  # of one side of one session: faster than anybody points and speaks
TICKETS_A_MINUTE = 20  # of one session: a bad line comes back often
LONGEST_MESSAGE = 60
MINUTE = timedelta(minutes=1)


class Side(StrEnum):
    ELDER = "elder"
    RELATIVE = "relative"
    HOUSE = "house"


class State(StrEnum):
    ASKED = "asked"  # the elder chose a relative and has not said and touched yes yet
    OPEN = "open"
    ENDED = "ended"


class EventKind(StrEnum):
    """What can happen in a session; `body` of each."""

    OPENED = "opened"  # {}
    JOINED = "joined"  # {}: the relative is there
    SCREEN = "screen"  # `describe` of what the elder is shown
    POINT = "point"  # {screen: number of its event, choice: from 1}
    MESSAGE = "message"  # {text}
    FORM = "form"  # {order_id, amount_fen, card}: an order that waits for the elder's own yes
    ENDED = "ended"  # {by}


class EndedBy(StrEnum):
    ELDER = "elder"
    RELATIVE = "relative"
    TIME = "time"
    DESK = "desk"  # an operator froze the tie
    TIE = "tie"  # it ended, or no longer holds the role


def masked(text: str) -> str:
    """Every number of five digits or more is left out, written or spelled out to be read aloud."""
    pattern, hidden = _long_number()
    return pattern.sub(hidden, text)


@cache
def _long_number() -> tuple[re.Pattern[str], str]:
    with _COPY.open("rb") as file:
        copy = tomllib.load(file)
    digit = r"\d"  # of any script, full-width ones too
    spoken = f"[{copy['spoken_digits']}]"
    return re.compile(rf"{digit}(?:[\s\-]?{digit}){{4,}}|{spoken}{{5,}}"), str(copy["hidden"])


def describe(screen: Mapping[str, Any]) -> dict[str, Any]:
    """What a relative sees of a screen (as it is sent to the elder's phone), or of a fault, which has `say`.

    `choices` are labels; one is pointed at by its place, counted from 1.
    """
    say = masked(str(screen.get("say", "")))
    step = screen.get("step")
    return {
        "title": masked(str(screen.get("title") or "")) or say,
        "say": say,
        "body": [
            {"label": line.get("label"), "text": masked(str(line.get("text", "")))}
            for line in screen.get("body") or []
        ],
        "choices": [masked(str(choice.get("label", ""))) for choice in screen.get("choices") or []],
        "next": str(screen.get("next", "")),
        "step": {"at": step["at"], "of": step["of"]} if step else None,
    }


def clean_message(text: str) -> str | None:
    """A message fit to be spoken by the elder's phone: one line, without long numbers; None when empty."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return masked(line)[:LONGEST_MESSAGE] or None
