"""How far two Chinese characters sound apart, with the confusions of accents and of small recognisers.

A syllable is (initial, final) without its tone. Costs run from 0 (the same character) to 1 (nothing in
common); the pairs and weights are data, `dialects/<name>/sounds.toml`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

# The phrase dictionary resolves heteronyms in context and takes 40 MB. A misheard text has no reliable
# context: every reading of a character counts instead.
os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")
from pypinyin import Style, pinyin
from pypinyin.contrib.tone_convert import to_finals, to_initials

DIALECTS = Path(__file__).parent / "dialects"
Syllable = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sounds:
    """The confusion costs of one dialect; pairs are stored in both directions."""

    initials: Mapping[tuple[str, str], float]
    finals: Mapping[tuple[str, str], float]
    initial_weight: float
    final_weight: float
    homophone: float
    rare_reading: float
    unlisted: float
    farthest: float


def _both_ways(pairs: Mapping[str, float]) -> dict[tuple[str, str], float]:
    table: dict[tuple[str, str], float] = {}
    for names, cost in pairs.items():
        left, right = ("" if name == "-" else name for name in names.split())
        table[left, right] = table[right, left] = cost
    return table


@cache
def sounds(dialect: str = "mandarin") -> Sounds:
    """Read once. A faulty file raises at the first use, which is start-up."""
    with (DIALECTS / dialect / "sounds.toml").open("rb") as file:
        data = tomllib.load(file)
    weights = data["weights"]
    return Sounds(
        initials=_both_ways(data["initials"]),
        finals=_both_ways(data["finals"]),
        initial_weight=weights["initial"],
        final_weight=weights["final"],
        homophone=weights["homophone"],
        rare_reading=weights["rare_reading"],
        unlisted=weights["unlisted"],
        farthest=weights["farthest"],
    )


@cache
def readings(character: str) -> tuple[Syllable, ...]:
    """All readings of one character, the commonest first; empty for anything that is not Chinese."""
    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    if not found:
        return ()
    return tuple(dict.fromkeys((to_initials(one), to_finals(one)) for one in found[0]))


def syllable_cost(heard: Syllable, meant: Syllable, dialect: str = "mandarin") -> float:
    """0 for the same syllable, up to 1."""
    table = sounds(dialect)
    initial = final = 0.0
    if heard[0] != meant[0]:
        initial = table.initials.get((heard[0], meant[0]), table.unlisted)
    if heard[1] != meant[1]:
        final = table.finals.get((heard[1], meant[1]), table.unlisted)
    return min(1.0, table.initial_weight * initial + table.final_weight * final)


@lru_cache(maxsize=65536)
def character_cost(heard: str, meant: str, dialect: str = "mandarin") -> float:
    """0 for the same character, a little for another one of the same sound, up to 1."""
    if heard == meant:
        return 0.0
    table = sounds(dialect)
    best = 1.0
    for i, one in enumerate(readings(heard)):
        for j, other in enumerate(readings(meant)):
            rare = table.rare_reading * ((i > 0) + (j > 0))
            best = min(best, syllable_cost(one, other, dialect) + rare + table.homophone)
    return min(1.0, best)


def alike(heard: str, among: Iterable[str], dialect: str = "mandarin") -> dict[str, float]:
    """Those of `among` that `heard` may have been, with their costs."""
    farthest = sounds(dialect).farthest
    costs = ((meant, character_cost(heard, meant, dialect)) for meant in among)
    return {meant: cost for meant, cost in costs if cost <= farthest}
