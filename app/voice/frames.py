"""From a cut of the heard text to what it may mean: wishes told by which classes of words occur."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from app.voice.cards import card_of
from app.voice.lattice import UNKNOWN_KINDS, Edge
from app.voice.meaning import Intent, State
from app.voice.paths import Path
from app.voice.settings import settings

DIALECTS = FilePath(__file__).parent / "dialects"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is meant, apart from how sure we are. `blocked` says why a sentence is no wish of ours."""

    intent: Intent
    amount_fen: int | None = None
    card_index: int | None = None
    card_words: str | None = None
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning of one cut. `size` counts the characters that carry it, `where` the states it holds in.

    `offers` is a choice that the words themselves ask for. `worst` is the least sure syllable of a sum
    and `guessed` the phonetic cost of a sum that was said without its 块;
    `sound` is the phonetic cost of everything
    and `words` how many words carry it. `lone_digit`: a sum of one character.
    """

    meaning: Meaning
    cost: float
    size: int
    where: frozenset[State]
    offers: tuple[Meaning, ...] = ()
    worst: float = 0.0
    guessed: float = 0.0
    sound: float = 0.0
    words: int = 2
    lone_digit: bool = False


EVERYWHERE = frozenset(State)
_COURTESIES = frozenset({"polite", "preamble"})


@dataclass(frozen=True, slots=True)
class Need:
    """Classes that must all occur, in this order if `ordered`."""

    kinds: tuple[str, ...]
    ordered: bool

    def met_by(self, edges: Sequence[Edge], present: frozenset[str]) -> bool:
        if not present.issuperset(self.kinds):
            return False
        if not self.ordered:
            return True
        left = list(self.kinds)
        for edge in edges:
            if left and left[0] in edge.kinds:
                left.pop(0)
        return not left


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry of frames.toml."""

    intent: Intent
    needs: tuple[Need, ...]
    allows: frozenset[str]
    where: frozenset[State]
    offers: tuple[Intent, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of one dialect."""

    frames: tuple[Frame, ...]
    blocking: frozenset[str]
    everywhere: frozenset[str]


@cache
def frames(dialect: str = "mandarin") -> Frames:
    """Read once."""
    with (DIALECTS / dialect / "frames.toml").open("rb") as file:
        data = tomllib.load(file)
    everywhere = frozenset(data["everywhere"]["kinds"].split())
    return Frames(
        frames=tuple(_frame(entry, everywhere) for entry in data["frame"]),
        blocking=frozenset(data["blocking"]["kinds"].split()),
        everywhere=everywhere,
    )


def _frame(entry: dict[str, Any], everywhere: frozenset[str]) -> Frame:
    needs = tuple(_need(need) for need in entry["needs"])
    return Frame(
        intent=Intent(entry["intent"]),
        needs=needs,
        allows=frozenset(entry["allows"].split()).union(everywhere, *(need.kinds for need in needs)),
        where=frozenset(map(State, entry["where"])) if "where" in entry else EVERYWHERE,
        offers=tuple(map(Intent, entry.get("offers", ()))),
    )


def _need(text: str) -> Need:
    return Need(tuple(text.replace(">", "+").split("+")), ordered=">" in text)


def kinds_of(edges: Sequence[Edge]) -> frozenset[str]:
    """Every class that occurs."""
    return frozenset().union(*(edge.kinds for edge in edges))


def surroundings(edges: Sequence[Edge], allows: frozenset[str]) -> tuple[float, str | None]:
    """What the words outside a wish cost, and the first that forbids it."""
    cost, blocked = 0.0, None
    blocking = frames().blocking
    for edge in edges:
        if edge.kinds & allows or edge.kinds is UNKNOWN_KINDS:
            continue
        forbids = edge.kinds & blocking
        if forbids and blocked is None:
            blocked = min(forbids)
        elif not forbids:
            cost += settings().unlicensed * (edge.end - edge.start)
    return cost, blocked


def carried(edges: Sequence[Edge], allows: frozenset[str]) -> int:
    """How many characters speak for a wish: all that belong to it, save for courtesies."""
    return sum(edge.end - edge.start for edge in edges if edge.kinds & allows - _COURTESIES)


def guessed(sums: Sequence[Edge]) -> float:
    """The phonetic cost of sums that no 块 marks as such."""
    return sum(edge.sound for edge in sums if not edge.with_unit)


def simple_readings(path: Path) -> Iterator[Reading]:
    """Every frame of frames.toml that this cut satisfies."""
    present = kinds_of(path.edges)
    for frame in frames().frames:
        if any(need.met_by(path.edges, present) for need in frame.needs):
            reading = _reading(path, frame)
            if reading is not None:
                yield reading


def _reading(path: Path, frame: Frame) -> Reading | None:
    around, blocked = surroundings(path.edges, frame.allows)
    amounts = [edge for edge in path.edges if "amount" in edge.kinds]
    places = {edge.value for edge in path.edges if edge.kinds & {"ordinal", "ordinal_bare"}}
    if len(places) > 1 or len({edge.value for edge in amounts}) > 1:
        return None
    meaning = Meaning(frame.intent, blocked=blocked)
    if frame.intent is Intent.CONFIRM and any(len(edge.text) == 1 for edge in amounts):
        return None  # 五，对 is a misheard 不对
    if frame.intent is Intent.CONFIRM and amounts:
        meaning = replace(meaning, amount_fen=amounts[0].value)
    if frame.intent is Intent.SELECT_CARD:
        place = min((place for place in places if place), default=None)
        words = None if place else card_of(path.edges).words
        if not place and not words:
            return None
        meaning = replace(meaning, card_index=place, card_words=words)
    return Reading(
        meaning,
        cost=path.cost + around,
        size=carried(path.edges, frame.allows),
        where=frame.where,
        offers=tuple(Meaning(intent) for intent in frame.offers),
        worst=max((edge.worst for edge in amounts), default=0.0),
        guessed=guessed(amounts),
        sound=sum(edge.sound for edge in path.edges),
        words=sum(bool(edge.kinds & frame.allows - _COURTESIES) for edge in path.edges),
        lone_digit=any(len(edge.text) == 1 for edge in amounts),
    )
