"""What the conversation does next: pure, one step at a time, voice and touch alike.

Voice fills in a form; it never moves money. A step only says what should happen (`Do`); the flow does
it. The memory is small and carries ids, never words or audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.domain.screens import Choice
from app.errors import AppError
from app.voice import replies
from app.voice.intents import Candidate, Decision, Intent, State, Understanding

MOST_FEN = 10_000_000  # a spoken or tapped amount above 100,000 yuan is a mistake, not a wish


class Do(StrEnum):
    """What the flow must do now."""

    HOME = "home"
    BIND_CARD = "bind_card"
    ASK_AMOUNT = "ask_amount"
    ASK_CARD = "ask_card"
    READ_BACK = "read_back"  # open an order for memory.card_id and memory.amount_fen
    CONFIRM = "confirm"
    CANCEL = "cancel"
    PAY = "pay"
    CHECK = "check"  # one way of the check before a payment
    ANSWER = "answer"  # the answer to a question before a payment
    UNDO = "undo"  # a paid order whose money shall go home
    SHOW_ORDER = "show_order"
    BALANCE = "balance"
    HISTORY = "history"
    HELP = "help"
    AGENT = "agent"
    ASK_FAMILY = "ask_family"
    # asking the family to pay (family_asks.py)
    ASK_RELATIVE = "ask_relative"
    ASK_READ_BACK = "ask_read_back"
    SEND_ASK = "send_ask"
    ASKED = "asked"
    UNASK = "unask"
    ANSWER_FAMILY = "answer_family"
    ANSWER_PROPOSAL = "answer_proposal"
    TOLD = "told"
    OFFER = "offer"
    AGAIN = "again"
    AGAIN_BUTTONS = "again_buttons"
    AGAIN_PERSON = "again_person"
    NOTHING_TO_CONFIRM = "nothing_to_confirm"
    ASK_VOICE_CONSENT = "ask_voice_consent"  # nobody listens before the person agreed to it
    AGREE_VOICE = "agree_voice"  # to the text of this version


_ACTS = frozenset({Do.READ_BACK, Do.CONFIRM, Do.CANCEL, Do.PAY, Do.CHECK, Do.ANSWER, Do.UNDO})


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A bound card, as the dialogue needs it. `words` is what its owner calls it."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the conversation stands. `shown` is the last thing done, for "say it again"."""

    state: State = State.HOME
    amount_fen: int | None = None
    card_id: str | None = None
    order_id: str | None = None
    failures: int = 0
    shown: Do = Do.HOME
    offered: tuple[tuple[str, str], ...] = ()
    asking: bool = False  # the form is for a relative to pay: relative_id
    relative_id: str | None = None

    @classmethod
    def load(cls, stored: dict[str, Any]) -> Memory:
        """From a conversation row; an empty one is a fresh start."""
        if not stored:
            return cls()
        return cls(
            state=State(stored["state"]),
            amount_fen=stored["amount_fen"],
            card_id=stored["card_id"],
            order_id=stored["order_id"],
            failures=stored["failures"],
            shown=Do(stored["shown"]),
            offered=tuple((choice, label) for choice, label in stored["offered"]),
            asking=stored.get("asking", False),
            relative_id=stored.get("relative_id"),
        )

    @property
    def again(self) -> Do:
        """How to show again what was shown: an order as it stands by now, everything else as it was.

        Never something that acts: hearing it again opens, confirms and cancels nothing.
        """
        if self.shown in _ACTS:
            return Do.SHOW_ORDER if self.order_id else Do.HOME
        return self.shown

    def dump(self) -> dict[str, Any]:
        """For a conversation row."""
        return {
            "state": self.state.value,
            "amount_fen": self.amount_fen,
            "card_id": self.card_id,
            "order_id": self.order_id,
            "failures": self.failures,
            "shown": self.shown.value,
            "offered": [list(pair) for pair in self.offered],
            "asking": self.asking,
            "relative_id": self.relative_id,
        }


@dataclass(frozen=True, slots=True)
class Move:
    """What to do, what to remember, and what a touch named: the read-back it was bound to, a factor."""

    do: Do
    memory: Memory
    read_back: str | None = None
    order_id: str | None = None
    factor: str | None = None  # for CHECK: which way was chosen
    version: int | None = None  # for AGREE_VOICE: of the text that was read out
    subject: str | None = None  # a request or a proposal, and `factor` the answer to it
    answer: tuple[str, str] | None = None  # for ANSWER: the kind of question, and what was said


_PLAIN: dict[Intent, Do] = {
    Intent.BALANCE: Do.BALANCE,
    Intent.HISTORY: Do.HISTORY,
    Intent.HELP: Do.HELP,
    Intent.AGENT: Do.AGENT,
    Intent.ASK_FAMILY: Do.ASK_FAMILY,
}


_ON_ORDER = {"pay": Do.PAY, "order": Do.SHOW_ORDER, "undo": Do.UNDO}


def _shown(do: Do, memory: Memory) -> Move:
    """Show something that leaves the form aside: a later "yes" confirms nothing."""
    return Move(do, Memory(shown=do))


def _fill(memory: Memory, cards: Sequence[KnownCard]) -> Move:
    """Ask for what is missing, or read back what is complete. One question a turn."""
    memory = replace(memory, failures=0, offered=(), order_id=None)
    if not cards:
        return Move(Do.BIND_CARD, Memory(shown=Do.BIND_CARD))
    if memory.card_id not in {card.id for card in cards}:
        memory = replace(memory, card_id=cards[0].id if len(cards) == 1 else None)
    if memory.card_id is None:
        return Move(Do.ASK_CARD, replace(memory, state=State.CARD, shown=Do.ASK_CARD))
    if memory.amount_fen is None:
        return Move(Do.ASK_AMOUNT, replace(memory, state=State.AMOUNT, shown=Do.ASK_AMOUNT))
    return Move(Do.READ_BACK, replace(memory, state=State.CONFIRM, shown=Do.READ_BACK))


def _card_named(index: int | None, words: str | None, cards: Sequence[KnownCard]) -> tuple[str | None, bool]:
    """(card id, understood). A place that does not exist or a name nobody gave is not understood."""
    if index is not None:
        if 1 <= index <= len(cards):
            return cards[index - 1].id, True
        return None, False
    if words:
        fitting = [card.id for card in cards if card.words and (words in card.words or card.words in words)]
        if len(fitting) == 1:
            return fitting[0], True
        return None, True  # ask which one: a name is a hint, never a guess
    return None, True


def not_understood(memory: Memory) -> Move:
    """First say it differently, then buttons, then a person. The form is kept."""
    failures = memory.failures + 1
    do = {1: Do.AGAIN, 2: Do.AGAIN_BUTTONS}.get(failures, Do.AGAIN_PERSON)
    return Move(do, replace(memory, failures=failures, offered=()))


def _offer(candidates: Sequence[Candidate], memory: Memory, cards: Sequence[KnownCard]) -> Move:
    buttons = (_button(candidate, cards) for candidate in candidates)
    offered = tuple(dict.fromkeys(button for button in buttons if button))
    if len(offered) < 2:
        return not_understood(memory)
    named = {candidate.card_index for candidate in candidates if candidate.intent is Intent.TOP_UP}
    none = (("again", replies.phrase("none_of_these")),)
    memory = replace(memory, offered=offered[:4] + none, shown=Do.OFFER)
    return Move(Do.OFFER, memory if named else replace(memory, amount_fen=None))


def _button(candidate: Candidate, cards: Sequence[KnownCard]) -> tuple[str, str] | None:
    """(choice, label), or None for what cannot be had: too large a sum, a card nobody has."""
    if candidate.intent is Intent.TOP_UP and candidate.amount_fen is not None:
        if candidate.amount_fen > MOST_FEN:
            return None
        yuan = replies.phrase("amount_choice", yuan=_short(candidate.amount_fen))
        return f"amount:{candidate.amount_fen}", yuan
    if candidate.intent is Intent.SELECT_CARD:
        card_id, _ = _card_named(candidate.card_index, candidate.card_words, cards)
        place = next((at for at, card in enumerate(cards, 1) if card.id == card_id), None)
        return (f"card_at:{place}", replies.phrase("intent_select_card", index=place)) if place else None
    return candidate.intent.value, replies.phrase(f"intent_{candidate.intent.value}")


def _short(amount_fen: int) -> str:
    from app.domain.money import yuan_short

    return yuan_short(amount_fen)


def on_speech(memory: Memory, heard: Understanding, cards: Sequence[KnownCard]) -> Move:
    """The step after something was said."""
    if heard.decision is Decision.CHOOSE:
        return _offer(heard.choices, memory, cards)
    if heard.decision is not Decision.ACCEPT or heard.intent is Intent.NONE:
        return not_understood(memory)
    if heard.intent in _PLAIN:
        return _shown(_PLAIN[heard.intent], memory)
    if heard.intent in (Intent.TOP_UP, Intent.SELECT_CARD):
        return _top_up(memory, heard, cards)
    if heard.intent is Intent.CONFIRM:
        return _said_yes(memory, heard, cards)
    if heard.intent is Intent.CANCEL:
        return _cancel(memory)
    if heard.intent is Intent.BACK:
        return _back(memory, cards)
    return Move(memory.again, memory)  # REPEAT


def _top_up(memory: Memory, heard: Understanding, cards: Sequence[KnownCard]) -> Move:
    card_id, understood = _card_named(heard.card_index, heard.card_words, cards)
    if not understood:
        return not_understood(memory)
    if heard.intent is Intent.TOP_UP and memory.state is State.HOME:
        memory = Memory(failures=memory.failures)  # a new wish starts a new form
    if card_id is not None or heard.card_words:
        memory = replace(memory, card_id=card_id)
    if heard.amount_fen is not None:
        memory = replace(memory, amount_fen=heard.amount_fen)
    return _fill(memory, cards)


def _said_yes(memory: Memory, heard: Understanding, cards: Sequence[KnownCard]) -> Move:
    if memory.state is not State.CONFIRM or memory.order_id is None:
        return _shown(Do.NOTHING_TO_CONFIRM, memory)
    if heard.amount_fen is not None and heard.amount_fen != memory.amount_fen:
        # "确认充一百" while fifty was read back: a yes to something else is a correction.
        return _fill(replace(memory, amount_fen=heard.amount_fen), cards)
    return Move(Do.CONFIRM, replace(memory, failures=0, shown=Do.SHOW_ORDER), order_id=memory.order_id)


def _cancel(memory: Memory) -> Move:
    if memory.order_id is not None:
        return Move(Do.CANCEL, replace(memory, shown=Do.SHOW_ORDER, failures=0), order_id=memory.order_id)
    return _shown(Do.HOME, memory)


def _back(memory: Memory, cards: Sequence[KnownCard]) -> Move:
    if memory.state is State.CONFIRM and memory.order_id is not None:
        return _fill(replace(memory, amount_fen=None), cards)
    return _shown(Do.HOME, memory)


def on_choice(memory: Memory, choice: str, cards: Sequence[KnownCard]) -> Move:
    """The step after a button. AppError choice_unknown for an id no screen gives."""
    name, _, rest = choice.partition(":")
    if rest:
        return _parametrised(memory, name, rest, cards)
    if name == "top_up":
        keep = memory.card_id if memory.state is not State.HOME else None
        return _fill(Memory(card_id=keep), cards)
    if name in {intent.value for intent in _PLAIN}:
        return _shown(_PLAIN[Intent(name)], memory)
    if name == "confirm":
        return Move(Do.SHOW_ORDER, memory) if memory.order_id else _shown(Do.NOTHING_TO_CONFIRM, memory)
    if name == "again":
        return not_understood(memory)
    simple = {
        "home": lambda: _shown(Do.HOME, memory),
        "bind_card": lambda: _shown(Do.BIND_CARD, memory),
        "ask_voice": lambda: not_agreed(memory),
        "resume": lambda: Move(memory.again, memory),
        "cancel": lambda: _cancel(memory),
        "back": lambda: _back(memory, cards),
        "repeat": lambda: Move(memory.again, memory),
    }
    if name not in simple:
        raise AppError("choice_unknown")
    return simple[name]()


def _parametrised(memory: Memory, name: str, rest: str, cards: Sequence[KnownCard]) -> Move:
    if name == "amount" and rest.isascii() and rest.isdigit() and 0 < int(rest) <= MOST_FEN:
        return _fill(replace(memory, amount_fen=int(rest)), cards)
    if name == "card" and rest in {card.id for card in cards}:
        return _fill(replace(memory, card_id=rest), cards)
    if name == "card_at" and rest.isascii() and rest.isdigit() and 1 <= int(rest) <= len(cards):
        return _fill(replace(memory, card_id=cards[int(rest) - 1].id), cards)
    if name == "confirm":
        order_id, _, read_back = rest.partition(":")
        memory = replace(memory, state=State.CONFIRM, order_id=order_id, failures=0, shown=Do.SHOW_ORDER)
        return Move(Do.CONFIRM, memory, read_back=read_back, order_id=order_id)
    if name in _ON_ORDER:
        memory = replace(memory, state=State.CONFIRM, order_id=rest, failures=0, shown=Do.SHOW_ORDER)
        return Move(_ON_ORDER[name], memory, order_id=rest)
    if name == "question":
        kind, _, more = rest.partition(":")
        said, _, order_id = more.partition(":")
        memory = replace(memory, state=State.CONFIRM, order_id=order_id, failures=0, shown=Do.SHOW_ORDER)
        return Move(Do.ANSWER, memory, order_id=order_id, answer=(kind, said))
    if name == "check":
        factor, _, order_id = rest.partition(":")
        memory = replace(memory, state=State.CONFIRM, order_id=order_id, failures=0, shown=Do.SHOW_ORDER)
        return Move(Do.CHECK, memory, order_id=order_id, factor=factor)
    if name == "agree_voice" and rest.isascii() and rest.isdigit() and len(rest) < 9:
        return Move(Do.AGREE_VOICE, memory, version=int(rest))
    raise AppError("choice_unknown")


def not_agreed(memory: Memory) -> Move:
    """The person spoke, or is about to, and has not agreed to be heard: what they had begun stays."""
    return Move(Do.ASK_VOICE_CONSENT, memory)


def offered_choices(memory: Memory) -> tuple[Choice, ...]:
    """The buttons of the last ambiguous hearing."""
    return tuple(Choice(choice, label) for choice, label in memory.offered)
