"""Which card is meant: its place in the list, what it is called, or whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.voice.lattice import UNKNOWN_KINDS, Edge
from app.voice.settings import settings


@dataclass(frozen=True, slots=True)
class Card:
    """Whose or which card; `rebate` is what a name we do not know should not have cost."""

    words: str | None = None
    index: int | None = None
    rebate: float = 0.0
    edges: frozenset[int] = frozenset()


def card_of(edges: Sequence[Edge]) -> Card:
    index = next((edge.value for edge in edges if "ordinal" in edge.kinds), None)
    for at, edge in enumerate(edges):
        if "family" in edge.kinds:
            return Card(edge.text, index)
        if edge.kinds & {"give", "for_me"}:
            named = _unknown_name(edges, at)
            if named is not None:
                return named
    words = next((edge.text for edge in edges if "card" in edge.kinds and len(edge.text) > 1), None)
    return Card(words, index)


def _unknown_name(edges: Sequence[Edge], at: int) -> Card | None:
    """给王阿姨的卡: up to four characters that we need not know, between 给 and 的卡."""
    rules = settings()
    end = next((i for i, edge in enumerate(edges) if i > at and edge.kinds & {"of", "card"}), None)
    if end is None or not any("card" in edge.kinds for edge in edges[end : end + 3]):
        return None
    name = edges[at + 1 : end]
    length = sum(edge.end - edge.start for edge in name)
    if not any(edge.kinds is UNKNOWN_KINDS for edge in name) or length > rules.longest_name:
        return None
    unknown = sum(edge.cost for edge in name if edge.kinds is UNKNOWN_KINDS)
    rebate = unknown - rules.name_syllable * length
    words = "".join(edge.text for edge in name)
    return Card(words, None, max(0.0, rebate), frozenset(range(at + 1, end)))
