"""The words a command can contain, from data, arranged for search by sound.

`dialects/<name>/words.toml` lists the words class by class; ordinals (第二张卡) are made from numerals.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from app.voice.numerals import numerals

DIALECTS = Path(__file__).parent / "dialects"
MOST_CARDS = 9


@dataclass(frozen=True, slots=True)
class Sense:
    """One class a word belongs to, with that class's slack and price (see words.toml)."""

    kind: str
    slack: float
    price: float = 0.0


@dataclass(slots=True)
class Word:
    """One word with every class it stands in. `value` is an ordinal's place or an expression's sum."""

    text: str
    senses: list[Sense]
    value: int | None = None

    @property
    def farthest(self) -> float:
        """The most phonetic cost at which it is still taken for this word."""
        return max(sense.slack for sense in self.senses) * len(self.text) + 1e-9

    def heard_at(self, cost: float) -> tuple[frozenset[str], float]:
        """The classes that bear this phonetic cost, and the lowest price among them."""
        limit = cost / len(self.text) - 1e-9
        bearing = [sense for sense in self.senses if sense.slack >= limit]
        return frozenset(sense.kind for sense in bearing), min(sense.price for sense in bearing)


@dataclass(slots=True)
class Node:
    """One step of the search tree: the words that end here and the characters that can follow."""

    words: list[Word] = field(default_factory=list)
    next: dict[str, Node] = field(default_factory=dict)
    slackest: float = 0.0  # the most that any word below may cost


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All words of one dialect."""

    words: tuple[Word, ...]
    root: Node
    characters: frozenset[str]
    other_words: tuple[str, ...]
    not_that: str
    begs: str
    moves: tuple[str, ...]
    somebody: str


@cache
def lexicon(dialect: str = "mandarin") -> Lexicon:
    """Read once; about 1,800 words."""
    with (DIALECTS / dialect / "words.toml").open("rb") as file:
        data: dict[str, Any] = tomllib.load(file)
    marks, places = data.pop("marks"), data.pop("ordinals")
    words: dict[tuple[str, int | None], Word] = {}
    for text, sense, value in chain(_listed(data), _ordinals(places), _expressions()):
        word = words.setdefault((text, value), Word(text, [], value))
        word.senses.append(sense)
    root = Node()
    for word in words.values():
        _plant(root, word)
    return Lexicon(
        words=tuple(words.values()),
        root=root,
        characters=frozenset("".join(word.text for word in words.values() if word.farthest > 0.01)),
        other_words=tuple(data["other_word"]["words"].split()),
        not_that=marks["not_that"],
        begs=marks["begs"],
        moves=tuple(marks["moves"].split()),
        somebody=marks["somebody"],
    )


_Entry = tuple[str, Sense, int | None]


def _listed(data: Mapping[str, Any]) -> Iterator[_Entry]:
    for kind, entry in data.items():
        sense = Sense(entry.get("kind", kind), entry["slack"], entry.get("price", 0.0))
        for text in dict.fromkeys(entry["words"].split()):
            yield text, sense, None


def _ordinals(forms: Mapping[str, str]) -> Iterator[_Entry]:
    """第二张卡, 二号卡 for up to nine cards; 第二 alone counts only where a card was asked for."""
    unused = forms["no_places"].split()
    digits = {value: name for name, value in numerals().digits.items() if name not in unused}
    full = Sense("ordinal", 0.2)
    short = Sense("ordinal_bare", 0.15)
    for place in range(1, MOST_CARDS + 1):
        for form in forms["anywhere"].split():
            yield form.format(digits[place]), full, place
        for form in forms["when_asked"].split():
            yield form.format(digits[place]), short, place


def _expressions() -> Iterator[_Entry]:
    for text, amount_fen in numerals().expressions.items():
        yield text, Sense("amount", 0.1), amount_fen


def _plant(root: Node, word: Word) -> None:
    node = root
    node.slackest = max(node.slackest, word.farthest)
    for character in word.text:
        node = node.next.setdefault(character, Node())
        node.slackest = max(node.slackest, word.farthest)
    node.words.append(word)
