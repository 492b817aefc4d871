"""The thresholds of one dialect, read once from `dialects/<name>/thresholds.toml` (which explains them)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIALECTS = Path(__file__).parent / "dialects"


@dataclass(frozen=True, slots=True)
class Settings:
    """Costs and limits; their meaning stands beside each value in the file."""

    unknown: float
    override: float
    word: float
    swallowed: float
    inserted: float
    shortest_edited: int
    sum_slack: float
    lone_numeral: float
    edges_at_most: int
    paths_at_most: int
    worse_by: float
    name_syllable: float
    longest_name: int
    unlicensed: float
    weak_verb: float
    no_sum: float
    explained: float
    stray: float
    split_sum: float
    rank_gap: float
    gap_at_most: float
    weight_per_gap: float
    disagreement: float
    agreement: float
    constrained_score: float
    unsupported: float
    accept_base: float
    accept_per_character: float
    accept_at_most: float
    harmless: float
    again_factor: float
    margin: float
    amount_margin: float
    shortest_by_sound: int
    surest_numeral: float
    surest_verb: float
    no_unit_factor: float
    guessed_sum: float
    blocked_by: float
    exact: float
    lost_yes: float
    short_yes: int
    blocked_margin: float
    blocked_vote: float
    blocked_vote_other: float


@cache
def settings(dialect: str = "mandarin") -> Settings:
    """TypeError when the file has a value too many or too few."""
    with (DIALECTS / dialect / "thresholds.toml").open("rb") as file:
        data = tomllib.load(file)
    return Settings(**data["parser"], **data["reading"], **data["decision"])
