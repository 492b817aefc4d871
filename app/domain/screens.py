"""The screen: the one reply shape for people. Voice and touch are two ways to give the same answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MAX_CHOICES = 5


class Next(StrEnum):
    """What the client does after it has shown and spoken the screen."""

    CONFIRM = "confirm"
    FACE = "face"
    PAY = "pay"
    WAIT = "wait"
    DONE = "done"
    CHOOSE = "choose"
    LISTEN = "listen"


@dataclass(frozen=True, slots=True)
class Choice:
    """One big button. `id` comes back as the next turn's `choice`."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the body, with an optional label ("金额")."""

    text: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    at: int
    of: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Digits to be typed for one way of a check: at most `most` of them, under this label."""

    way: str
    label: str
    most: int


@dataclass(frozen=True, slots=True)
class Screen:
    """`say` is read aloud. At most five choices; ValueError otherwise."""

    say: str
    title: str
    next: Next
    body: tuple[Line, ...] = ()
    choices: tuple[Choice, ...] = ()
    step: Step | None = None
    payment: dict[str, str] | None = field(default=None, repr=False)
    entry: Entry | None = None

    def __post_init__(self) -> None:
        if len(self.choices) > MAX_CHOICES:
            raise ValueError("a screen has at most five choices")
        if not self.say or not self.title:
            raise ValueError("a screen can always be spoken")
