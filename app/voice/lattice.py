"""Everything a stretch of misheard text may be: words found by sound, sums of money, and the unknown.

`lattice(text)` gives, for each place in the text, the edges that start there. Costs are phonetic
(see `phonetics`) plus the price of a word's class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from app.voice.normalise import PAUSE
from app.voice.numerals import Numerals, Sum, numerals
from app.voice.phonetics import alike
from app.voice.settings import Settings, settings
from app.voice.words import Lexicon, Node, Word, lexicon

UNKNOWN_KINDS = frozenset({"unknown"})
AMOUNT_KINDS = frozenset({"amount"})


@dataclass(frozen=True, slots=True)
class Edge:
    """One reading of characters [start, end) of the heard text.

    `sound` is the phonetic part of `cost`; `worst` the largest cost of one syllable of a sum.
    """

    start: int
    end: int
    kinds: frozenset[str]
    text: str
    cost: float
    sound: float
    value: int | None = None
    worst: float = 0.0
    with_unit: bool = False


@dataclass(frozen=True, slots=True)
class Lattice:
    """The heard characters without pauses, and the edges by their start."""

    heard: str
    edges: tuple[tuple[Edge, ...], ...]
    pauses: frozenset[int]  # a pause comes before this character


@lru_cache(maxsize=1024)
def _near_words(character: str) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(alike(character, _word_characters()).items(), key=lambda pair: pair[1]))


@lru_cache(maxsize=1)
def _word_characters() -> tuple[str, ...]:
    return tuple(sorted(lexicon().characters))


@lru_cache(maxsize=1024)
def _near_numerals(character: str) -> tuple[tuple[str, float], ...]:
    words = numerals()
    by_sound = [meant for meant in words.characters if meant not in words.written_only]
    found = alike(character, by_sound)
    if character in words.characters:
        found[character] = 0.0
    return tuple(found.items())


def lattice(text: str) -> Lattice:
    """`text` as `normalise` gives it."""
    heard = text.replace(PAUSE, "")
    pauses = frozenset(_pauses(text))
    rules = settings()
    spoken_for = _exact_other_words(heard)
    sums = _written_sums(heard, pauses)
    vague = [match.span() for match in _vague().finditer(heard)]
    edges = []
    for start in range(len(heard)):
        found = list(_words_from(heard, start, lexicon(), rules))
        found += (
            edge
            for edge in _sums_from(heard, start, numerals(), rules, pauses)
            if not any(edge.start < last and edge.end > first for first, last in vague)
        )
        found = [_less_likely(edge, spoken_for, sums, rules) for edge in found]
        unknown = Edge(start, start + 1, UNKNOWN_KINDS, heard[start], rules.unknown, 0.0)
        edges.append((*_best_of_each(found, rules.edges_at_most), unknown))
    return Lattice(heard, tuple(edges), pauses)


@cache
def _vague() -> re.Pattern[str]:
    """几十块, 十几块, 三四十块, 一两百: nobody knows how much that is, so no sum may be read into it."""
    words = numerals()
    units, money = "".join(words.units), words.yuan + words.jiao
    counts = "".join(digit for digit, value in words.digits.items() if value)
    some = words.vague
    return re.compile(f"{some}[{units}{money}]+|[{units}]{some}|[{counts}][{counts}][{units}][{money}]?")


def _pauses(text: str) -> Iterator[int]:
    at = 0
    for character in text:
        if character == PAUSE:
            yield at
        else:
            at += 1


def _exact_other_words(heard: str) -> list[bool]:
    """Which characters belong to a well-known word that is no command word, written just so."""
    taken = [False] * len(heard)
    for word in lexicon().other_words:
        at = heard.find(word)
        while at >= 0:
            taken[at : at + len(word)] = [True] * len(word)
            at = heard.find(word, at + 1)
    return taken


def _written_sums(heard: str, pauses: frozenset[int]) -> list[tuple[int, int]]:
    """Where sums of two characters or more are written out, as long as they go."""
    words = numerals()
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(heard):
        state: Sum | None = Sum()
        end = at
        for place in range(at, len(heard)):
            state = (
                state.step(heard[place], words) if state and (place == at or place not in pauses) else None
            )
            if state is None:
                break
            if state.amount_fen():
                end = place + 1
        if end - at > 1:
            start = at
            while start > 0 and start not in pauses and heard[start - 1] in words.digits:
                start -= 1  # 三五十 and 一两百 are no sums, but no other words either
            found.append((start, end))
        at = max(end, at + 1)
    return found


def _less_likely(edge: Edge, spoken_for: list[bool], sums: list[tuple[int, int]], rules: Settings) -> Edge:
    """A guess by sound across a well-known word, or across part of a written sum, costs more."""
    extra = rules.override * sum(spoken_for[edge.start : edge.end]) if edge.sound else 0.0
    for start, end in sums:
        if edge.start >= end or edge.end <= start:
            continue
        whole = edge.start <= start and edge.end >= end
        if edge.sound and not whole:
            extra += rules.override * (min(edge.end, end) - max(edge.start, start))
        if edge.kinds is AMOUNT_KINDS and not whole:
            extra += rules.split_sum
    if not extra:
        return edge
    return replace(edge, cost=edge.cost + extra, sound=edge.sound + extra)


def _best_of_each(found: list[Edge], at_most: int) -> tuple[Edge, ...]:
    """The cheapest edge of each meaning, cheapest per character first."""
    best: dict[tuple[int, frozenset[str], int | None], Edge] = {}
    for edge in found:
        key = (edge.end, edge.kinds, edge.value)
        if key not in best or edge.cost < best[key].cost:
            best[key] = edge
    ranked = sorted(best.values(), key=lambda edge: edge.cost / (edge.end - edge.start))
    return tuple(ranked[:at_most])


def _words_from(heard: str, start: int, lexical: Lexicon, rules: Settings) -> Iterator[Edge]:
    """Walk the tree of words along the sounds of the text; one syllable may be missing or too many."""
    stack: list[tuple[Node, int, float, bool]] = [(lexical.root, start, 0.0, False)]
    while stack:
        node, at, cost, edited = stack.pop()
        for word in node.words:
            edge = _word_edge(heard, start, at, word, cost, edited, rules)
            if edge is not None:
                yield edge
        if at < len(heard):
            stack.extend(_next_nodes(heard[at], node, at, cost, edited))
        if not edited and at > start:
            stack.extend(_edited(node, at, cost, len(heard), rules))


def _next_nodes(
    character: str, node: Node, at: int, cost: float, edited: bool
) -> Iterator[tuple[Node, int, float, bool]]:
    exact = node.next.get(character)
    if exact is not None and cost <= exact.slackest:
        yield exact, at + 1, cost, edited
    for meant, sound in _near_words(character):
        child = node.next.get(meant)
        if child is not None and meant != character and cost + sound <= child.slackest:
            yield child, at + 1, cost + sound, edited


def _edited(
    node: Node, at: int, cost: float, length: int, rules: Settings
) -> Iterator[tuple[Node, int, float, bool]]:
    """A syllable swallowed (go on in the word) or one too many (go on in the text)."""
    if at < length and node.next and cost + rules.inserted <= node.slackest:
        yield node, at + 1, cost + rules.inserted, True
    for child in node.next.values():
        if cost + rules.swallowed <= child.slackest:
            yield child, at, cost + rules.swallowed, True


def _word_edge(
    heard: str, start: int, end: int, word: Word, cost: float, edited: bool, rules: Settings
) -> Edge | None:
    if end == start or cost > word.farthest or (edited and len(word.text) < rules.shortest_edited):
        return None
    kinds, price = word.heard_at(cost)
    return Edge(start, end, kinds, word.text, cost + price + rules.word, cost, word.value)


def _sums_from(
    heard: str, start: int, words: Numerals, rules: Settings, pauses: frozenset[int]
) -> Iterator[Edge]:
    """Every sum of money that can be heard from `start`, with how unlikely it is asked for."""
    stack: list[tuple[Sum, int, float, float, str]] = [(Sum(), start, 0.0, 0.0, "")]
    while stack:
        state, at, cost, worst, said = stack.pop()
        amount_fen = state.amount_fen()
        if amount_fen and _worth_hearing(said, cost, rules):
            rare = unlikely(amount_fen, words.likelihood) + _oddly_said(state, said, words)
            likely = cost + rare + rules.word
            yield Edge(start, at, AMOUNT_KINDS, said, likely, cost, amount_fen, worst, state.with_unit)
        if at >= len(heard) or (at > start and at in pauses):
            continue
        for meant, sound in _near_numerals(heard[at]):
            after = state.step(meant, words)
            if after is None or _spelt_by_sound(after, cost + sound):
                continue
            if cost + sound <= rules.sum_slack * (at - start + 1) + 0.2:
                stack.append((after, at + 1, cost + sound, max(worst, sound), said + meant))


def _spelt_by_sound(state: Sum, cost: float) -> bool:
    """一五零 digit by digit is believed only as written: any three syllables sound like three digits."""
    spelt = state.number.spelt
    return cost > 0 and spelt is not None and len(spelt) > 1


def _worth_hearing(said: str, cost: float, rules: Settings) -> bool:
    """Any syllable sounds like some numeral: a sum of one syllable must be heard well."""
    return bool(said) and (len(said) > 1 or cost <= rules.lone_numeral)


def _oddly_said(state: Sum, said: str, words: Numerals) -> float:
    """What a form costs in which people rarely say a sum: 二点五 without 块, 百 without 一, a bare digit."""
    cost = 0.0
    if state.fen % 100 and not state.with_unit:
        cost += words.likelihood["without_unit_decimal"]
    if words.units.get(said[0], 0) == 100:
        cost += words.likelihood["bare_hundred"]
    if said.startswith(words.speech["digits"][1] + words.speech["ten"]):
        cost += words.likelihood["ten_with_one"]
    if len(said) == 1 and said in words.digits:
        cost += words.likelihood["lone_digit"]
    return cost


def unlikely(amount_fen: int, likelihood: Mapping[str, float]) -> float:
    """What a sum costs for being one that people rarely ask for."""
    yuan, rest = divmod(amount_fen, 100)
    if rest:
        cost = likelihood["with_fen"] if rest % 10 else likelihood["with_jiao"]
    else:
        cost = likelihood["whole_yuan"] if yuan % 10 else likelihood["whole_tens"]
    return cost + _unlikely_size(yuan, likelihood)


def _unlikely_size(yuan: int, likelihood: Mapping[str, float]) -> float:
    if yuan < 1:
        return likelihood["below_one_yuan"]
    if yuan < 5:
        return likelihood["below_five_yuan"]
    if yuan > 5000:
        return likelihood["above_five_thousand"]
    return likelihood["above_thousand_uneven"] if yuan > 1000 and yuan % 100 else 0.0
