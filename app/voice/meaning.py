"""What understanding speech can come to: the states of a conversation, intents, decisions, results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What was asked last. ANY: no conversation, any question may have been asked except for an amount."""

    ANY = "any"
    HOME = "home"
    CARD = "card"
    AMOUNT = "amount"
    CONFIRM = "confirm"


class Intent(StrEnum):
    """What a person wants."""

    TOP_UP = "top_up"
    BALANCE = "balance"
    HISTORY = "history"
    ASK_FAMILY = "ask_family"
    AGENT = "agent"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    REPEAT = "repeat"
    BACK = "back"
    SELECT_CARD = "select_card"
    HELP = "help"
    NONE = "none"


class Decision(StrEnum):
    """What to do with it: believe it, offer a choice, ask again, or take it as not meant for us."""

    ACCEPT = "accept"
    CHOOSE = "choose"
    AGAIN = "again"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible meaning. `card_index` counts from 1; `card_words` name the card or whose it is.

    `confidence` (0..1) orders candidates; it is no measured probability.
    """

    intent: Intent
    amount_fen: int | None
    card_index: int | None
    card_words: str | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Understanding:
    """The best meaning and what to do with it. `choices` holds 2 to 5 candidates when the decision is
    choose and is empty otherwise; `normalised` is each hypothesis as it was read."""

    intent: Intent
    amount_fen: int | None
    card_index: int | None
    card_words: str | None
    decision: Decision
    choices: tuple[Candidate, ...]
    confidence: float
    normalised: tuple[str, ...]
