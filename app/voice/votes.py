"""Each hypothesis read on its own, and what each meaning is worth over all of them.

Hypotheses vote by their scores. What forbids a wish in one hypothesis counts against it in all. A
constrained hypothesis reads commands into anything: it may strengthen what free decoding already means,
and ask for a choice, but it has no vote.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.ports import Hypothesis
from app.voice.frames import Meaning, Reading, simple_readings
from app.voice.lattice import lattice
from app.voice.meaning import Intent, State
from app.voice.paths import cheapest
from app.voice.settings import Settings, settings
from app.voice.top_ups import top_up_readings

MONEY = frozenset({Intent.TOP_UP, Intent.ASK_FAMILY, Intent.CONFIRM})
_Key = tuple[Meaning, tuple[Meaning, ...], frozenset[State]]
# A no is no reason against a cancellation.
_NO = frozenset({"neg", "no", "not_done"})


def _key(reading: Reading) -> _Key:
    """Readings with the same key differ only in how they were cut."""
    return (reading.meaning, reading.offers, reading.where)


@dataclass(frozen=True, slots=True)
class Voice:
    """One free hypothesis: its readings, cheapest first, what its rank costs and its share of the vote."""

    readings: tuple[Reading, ...]
    behind: float
    vote: float

    @property
    def wishes(self) -> tuple[Reading, ...]:
        return tuple(reading for reading in self.readings if reading.meaning.blocked is None)

    def forbidding(self, meant: Meaning, state: State) -> float:
        """The cost of the cheapest reading by which these words are no such wish."""
        costs = (
            reading.cost
            for reading in self.readings
            if reading.meaning.blocked is not None
            and state in reading.where
            and not (meant.intent is Intent.CANCEL and reading.meaning.blocked in _NO)
        )
        return min(costs, default=math.inf)

    def forbids(self, meant: Meaning, state: State, rules: Settings) -> bool:
        """What this hypothesis says is rather no wish of that kind."""
        wished = min((reading.cost for reading in self.wishes if state in reading.where), default=math.inf)
        return wished > self.forbidding(meant, state) + rules.blocked_by


@dataclass(frozen=True, slots=True)
class Ballot:
    """One meaning over all hypotheses."""

    reading: Reading
    cost: float
    support: float
    agreed: bool
    written: bool  # some hypothesis spells it exactly
    forbidden_within: float  # how much cheaper than this a forbidding reading of the same words is

    def total(self, rules: Settings) -> float:
        """The cost the decision looks at."""
        bonus = rules.agreement if self.agreed else 0.0
        return max(0.0, self.cost + rules.unsupported * (1 - self.support) - bonus)

    def limit(self, rules: Settings) -> float:
        """The most that may cost and still be believed."""
        earned = rules.accept_base + rules.accept_per_character * self.reading.size
        if self.reading.meaning.intent not in MONEY:
            earned += rules.harmless
        return min(rules.accept_at_most, earned)

    def confidence(self, rules: Settings) -> float:
        return round(math.exp(-self.total(rules) / (2 * self.limit(rules))), 3)


def read(text: str) -> tuple[Reading, ...]:
    """Every meaning of one normalised text, cheapest first, each meaning once."""
    best: dict[_Key, Reading] = {}
    paths = cheapest(lattice(text))
    for path in paths:
        # The better the words explain themselves without any wish, the less a wish is believed.
        doubt = settings().explained * (path.cost - paths[0].cost)
        for reading in (*simple_readings(path), *top_up_readings(path)):
            reading = replace(reading, cost=reading.cost + doubt)
            key = _key(reading)
            if key not in best or reading.cost < best[key].cost:
                best[key] = reading
    found = sorted(best.values(), key=lambda reading: reading.cost)
    return tuple(_without_sounds_of_written_sums(found))


def _without_sounds_of_written_sums(readings: Sequence[Reading]) -> Iterable[Reading]:
    """Where a sum is written out exactly, wishes with sums that only sound like it are no rivals from this
    text. A lone digit is no such sum (the 五 of 五使快钱 is part of fifty); what forbids a wish stays.
    """
    written = {
        reading.meaning.intent
        for reading in readings
        if reading.meaning.amount_fen is not None and reading.worst == 0 and not reading.lone_digit
    }
    for reading in readings:
        exact = reading.worst == 0 or reading.meaning.blocked is not None
        if exact or reading.meaning.intent not in written:
            yield reading


def voices_of(hypotheses: Sequence[Hypothesis], normalised: Sequence[str], rules: Settings) -> list[Voice]:
    """Free hypotheses that are the same after normalising speak once, with all their votes."""
    free = [
        (text, hypothesis.score)
        for hypothesis, text in zip(hypotheses, normalised, strict=True)
        if hypothesis.source == "free" and text
    ]
    best = max((score for _, score in free), default=0.0)
    scores: dict[str, float] = {}
    weights: dict[str, float] = {}
    for text, score in free:
        scores[text] = max(score, scores.get(text, -math.inf))
        weights[text] = weights.get(text, 0.0) + math.exp(rules.weight_per_gap * (score - best))
    whole = sum(weights.values())
    return [
        Voice(
            readings=read(text),
            behind=min(rules.gap_at_most, rules.rank_gap * (best - score)),
            vote=weights[text] / whole,
        )
        for text, score in scores.items()
    ]


def constrained_reading(
    hypotheses: Sequence[Hypothesis], normalised: Sequence[str], state: State, rules: Settings
) -> Reading | None:
    """What a constrained hypothesis that is sure of itself means."""
    for hypothesis, text in zip(hypotheses, normalised, strict=True):
        if hypothesis.source != "free" and hypothesis.score >= rules.constrained_score and text:
            return next((reading for reading in read(text) if state in reading.where), None)
    return None


def count(voices: Sequence[Voice], constrained: Reading | None, state: State) -> list[Ballot]:
    """One ballot a meaning that some hypothesis has, at its best cost and with all its votes."""
    best: dict[_Key, Ballot] = {}
    for voice in voices:
        for place, reading in enumerate(voice.wishes):
            key = _key(reading)
            before = best.get(key)
            within = reading.cost - voice.forbidding(reading.meaning, state)
            support = voice.vote if place == 0 else 0.0
            ballot = Ballot(
                reading,
                reading.cost + voice.behind,
                support + (before.support if before else 0.0),
                constrained is not None and reading.meaning == constrained.meaning,
                reading.sound == 0 or (before is not None and before.written),
                within,
            )
            if before is not None and before.cost <= ballot.cost:
                ballot = replace(before, support=ballot.support, written=ballot.written)
            best[key] = ballot
    return list(best.values())
