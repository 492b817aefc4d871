"""请我女儿帮我充五十: whom, which card, how much, and a yes, by voice or touch alike. Pure.

The form is the top-up's own (`dialogue.Memory`) with a relative in it; whatever is not about it is left to
`dialogue`. A name is a hint: heard alike with exactly one relative, it is that one; otherwise it is asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.errors import AppError
from app.ports import Hypothesis
from app.voice.dialogue import MOST_FEN, Do, KnownCard, Memory, Move, not_understood
from app.voice.dialogue import on_choice as top_up_choice
from app.voice.intents import Decision, Intent, State, Understanding, understand
from app.voice.phonetics import character_cost
from app.voice.words import lexicon

ALIKE = 0.3  # of 1 a character: as far as the parser lets a word for one of the family be misheard


@dataclass(frozen=True, slots=True)
class KnownRelative:
    """A relative who may pay. `name` is what the elder calls them."""

    id: str
    name: str


def named(words: str | None, family: Sequence[KnownRelative]) -> str | None:
    """Whom these words mean: the only one whose name they are, hold, or sound like; else None."""
    if not words:
        return family[0].id if len(family) == 1 else None
    fitting = [each.id for each in family if words in each.name or each.name in words]
    fitting = fitting or [each.id for each in family if _alike(words, each.name)]
    return fitting[0] if len(fitting) == 1 else None


def _alike(heard: str, name: str) -> bool:
    if len(heard) != len(name):
        return False
    costs = (character_cost(one, other) for one, other in zip(heard, name, strict=True))
    return sum(costs) <= ALIKE * len(name)


def understood(
    hypotheses: Sequence[Hypothesis], state: State, family: Sequence[KnownRelative]
) -> Understanding:
    """What was meant, where a relative may be called by a name that is no word of ours: 让小梅帮我充五十.

    A text with exactly one relative's name in it is first read with a word for the family in its place. Only
    if that asks the family is it believed; everything else is read as it was heard.
    """
    for relative in family:
        swapped = [replace(each, text=_swapped(each.text, relative.name)) for each in hypotheses]
        others = [other for other in family if other is not relative]
        if swapped == list(hypotheses) or any(
            _swapped(each.text, other.name) != each.text for other in others for each in hypotheses
        ):
            continue
        meant = understand(swapped, state)
        if meant.intent is Intent.ASK_FAMILY and meant.decision is Decision.ACCEPT:
            return replace(meant, card_words=relative.name)
    return understand(hypotheses, state)


def _swapped(text: str, name: str) -> str:
    """The text with the first place that sounds like this name as a word for one of the family."""
    length = len(name)
    for at in range(len(text) - length + 1 if length > 1 else 0):
        if _alike(text[at : at + length], name):
            return text[:at] + lexicon().somebody + text[at + length :]
    return text


def on_speech(
    memory: Memory, heard: Understanding, cards: Sequence[KnownCard], family: Sequence[KnownRelative]
) -> Move | None:
    """The step after something was said; None where it is not about asking the family."""
    if heard.decision is not Decision.ACCEPT:
        return None
    if heard.intent is Intent.ASK_FAMILY:
        form = Memory(asking=True, relative_id=named(heard.card_words, family), amount_fen=heard.amount_fen)
        return _fill(form, cards, family)
    if not memory.asking:
        return None
    if heard.intent is Intent.SELECT_CARD:
        # A name nobody has must never become a card of one's own, and so a top-up with one's own money.
        return _selected(memory, heard, cards, family) or not_understood(memory)
    if heard.intent is Intent.TOP_UP:
        if heard.amount_fen is None:  # 充值: another wish than this one
            return top_up_choice(Memory(), Intent.TOP_UP, cards)
        return _fill(replace(memory, amount_fen=heard.amount_fen), cards, family)
    if heard.intent is Intent.CONFIRM and memory.state is State.CONFIRM:
        if heard.amount_fen not in (None, memory.amount_fen):  # a yes to something else is a correction
            return _fill(replace(memory, amount_fen=heard.amount_fen), cards, family)
        return _send(memory)
    return None


def _selected(
    memory: Memory, heard: Understanding, cards: Sequence[KnownCard], family: Sequence[KnownRelative]
) -> Move | None:
    if memory.shown is Do.ASK_RELATIVE:
        if heard.card_index is not None and 1 <= heard.card_index <= len(family):
            return _fill(replace(memory, relative_id=family[heard.card_index - 1].id), cards, family)
        found = named(heard.card_words, family) if heard.card_words else None
        return _fill(replace(memory, relative_id=found), cards, family) if found else None
    if heard.card_index is not None and 1 <= heard.card_index <= len(cards):
        return _fill(replace(memory, card_id=cards[heard.card_index - 1].id), cards, family)
    words = heard.card_words or ""
    fitting = [card.id for card in cards if words and (words in card.words or card.words in words)]
    return _fill(replace(memory, card_id=fitting[0]), cards, family) if len(fitting) == 1 else None


def _fill(memory: Memory, cards: Sequence[KnownCard], family: Sequence[KnownRelative]) -> Move:
    """Ask for what is missing, or read back what is complete. One question a turn."""
    memory = replace(memory, failures=0, offered=(), order_id=None)
    if not cards:
        return Move(Do.BIND_CARD, Memory(shown=Do.BIND_CARD))
    if not family:
        return Move(Do.ASK_FAMILY, Memory(shown=Do.ASK_FAMILY))
    if memory.relative_id not in {each.id for each in family}:
        memory = replace(memory, relative_id=None, state=State.CARD, shown=Do.ASK_RELATIVE)
        return Move(Do.ASK_RELATIVE, memory)
    if memory.card_id not in {card.id for card in cards}:
        memory = replace(memory, card_id=cards[0].id if len(cards) == 1 else None)
    if memory.card_id is None:
        return Move(Do.ASK_CARD, replace(memory, state=State.CARD, shown=Do.ASK_CARD))
    if memory.amount_fen is None:
        return Move(Do.ASK_AMOUNT, replace(memory, state=State.AMOUNT, shown=Do.ASK_AMOUNT))
    return Move(Do.ASK_READ_BACK, replace(memory, state=State.CONFIRM, shown=Do.ASK_READ_BACK))


def _send(memory: Memory) -> Move:
    """Ask them. What is shown again later is where it stands: hearing it again asks nobody twice."""
    return Move(Do.SEND_ASK, replace(memory, state=State.HOME, failures=0, asking=False, shown=Do.ASKED))


def on_choice(
    memory: Memory, choice: str, cards: Sequence[KnownCard], family: Sequence[KnownRelative]
) -> Move | None:
    """The step after a button; None where it is not about asking the family. AppError choice_unknown."""
    if choice == "told":
        return Move(Do.TOLD, Memory(shown=Do.TOLD))
    if choice == Intent.ASK_FAMILY:
        return _fill(Memory(asking=True, relative_id=named(None, family)), cards, family)
    name, _, rest = choice.partition(":")
    if name == "relative" and rest in {each.id for each in family}:
        return _fill(replace(memory, asking=True, relative_id=rest), cards, family)
    if name == "ask":
        return _sent(rest, cards, family)
    if name in ("asked", "unask") and rest:
        do = Do.ASKED if name == "asked" else Do.UNASK
        return Move(do, Memory(shown=Do.ASKED), subject=rest)
    if name in ("family", "proposal") and rest:
        answer, _, subject = rest.partition(":")
        do = Do.ANSWER_FAMILY if name == "family" else Do.ANSWER_PROPOSAL
        return Move(do, Memory(), subject=subject, factor=answer)
    if memory.asking and name == "amount" and _is_sum(rest):
        return _fill(replace(memory, amount_fen=int(rest)), cards, family)
    if memory.asking and name == "card" and rest in {card.id for card in cards}:
        return _fill(replace(memory, card_id=rest), cards, family)
    return None


def _sent(rest: str, cards: Sequence[KnownCard], family: Sequence[KnownRelative]) -> Move:
    """A yes is bound to what was read back: whom, which card, how much."""
    relative_id, card_id, amount = (rest.split(":") + ["", "", ""])[:3]
    known = relative_id in {each.id for each in family} and card_id in {card.id for card in cards}
    if not known or not _is_sum(amount):
        raise AppError("choice_unknown")
    return _send(Memory(relative_id=relative_id, card_id=card_id, amount_fen=int(amount)))


def _is_sum(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 8 and 0 < int(text) <= MOST_FEN
