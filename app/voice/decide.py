"""From the meanings of every hypothesis to one decision.

Hypotheses vote; a sum of money is never picked silently among near-equals; what forbids a wish in one
hypothesis counts against it in all. A constrained hypothesis reads commands into anything: it may
strengthen what free decoding already means, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.ports import Hypothesis
from app.voice.frames import Meaning, Reading, simple_readings
from app.voice.digits import misread_digits
from app.voice.lattice import lattice
from app.voice.meaning import Candidate, Decision, Intent, State, Understanding
from app.voice.normalise import normalise
from app.voice.paths import cheapest
from app.voice.settings import Settings, settings
from app.voice.top_ups import top_up_readings

MOST_CHOICES = 5
MOST_HYPOTHESES = 10
_MONEY = frozenset({Intent.TOP_UP, Intent.ASK_FAMILY, Intent.CONFIRM})
_Key = tuple[Meaning, tuple[Meaning, ...], frozenset[State]]


# A no is no reason against a cancellation.
_NO = frozenset({"neg", "no", "not_done"})


def _key(reading: Reading) -> _Key:
    """Readings with the same key differ only in how they were cut."""
    return (reading.meaning, reading.offers, reading.where)


@dataclass(frozen=True, slots=True)
class _Voice:
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
class _Ballot:
    """One meaning over all hypotheses."""

    reading: Reading
    cost: float
    support: float
    agreed: bool
    forbidden_within: float  # how much cheaper than this a forbidding reading of the same words is

    def total(self, rules: Settings) -> float:
        """The cost the decision looks at."""
        bonus = rules.agreement if self.agreed else 0.0
        return max(0.0, self.cost + rules.unsupported * (1 - self.support) - bonus)

    def limit(self, rules: Settings) -> float:
        """The most that may cost and still be believed."""
        earned = rules.accept_base + rules.accept_per_character * self.reading.size
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
    """Where a sum is written out exactly, sums that only sound like it are no rivals from this text."""
    written = {
        reading.meaning.intent
        for reading in readings
        if reading.meaning.amount_fen is not None and reading.worst == 0
    }
    for reading in readings:
        if reading.worst == 0 or reading.meaning.intent not in written:
            yield reading


def weigh(hypotheses: Sequence[Hypothesis], state: State) -> Understanding:
    """See `app.voice.intents.understand`."""
    rules = settings()
    hypotheses = hypotheses[:MOST_HYPOTHESES]
    normalised = tuple(normalise(hypothesis.text) for hypothesis in hypotheses)
    voices = _voices(hypotheses, normalised, rules)
    constrained = _constrained(hypotheses, normalised, state, rules)
    ballots = _count(voices, constrained, state)
    ballots.sort(key=lambda ballot: (state not in ballot.reading.where, ballot.total(rules)))
    if not ballots:
        return _nothing(Decision.REJECT, normalised)
    meant = ballots[0].reading.meaning
    against = sum(voice.vote for voice in voices if voice.forbids(meant, state, rules))
    also = _also(ballots[0], constrained, rules) + misread_digits(hypotheses, meant)
    return _decide(ballots, also, against, state, normalised, rules)


def _also(first: _Ballot, constrained: Reading | None, rules: Settings) -> tuple[Meaning, ...]:
    """Where money is at stake and the constrained hypothesis clearly says something else, it is asked."""
    if constrained is None or constrained.cost > rules.disagreement or constrained.meaning.blocked:
        return ()
    said = constrained.offers or (constrained.meaning,)
    known = {_choice_key(meaning) for meaning in (first.reading.meaning, *first.reading.offers)}
    if known >= {_choice_key(meaning) for meaning in said}:
        return ()
    return said if _MONEY & {first.reading.meaning.intent, *(meaning.intent for meaning in said)} else ()


def _voices(hypotheses: Sequence[Hypothesis], normalised: Sequence[str], rules: Settings) -> list[_Voice]:
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
        _Voice(
            readings=read(text),
            behind=min(rules.gap_at_most, rules.rank_gap * (best - score)),
            vote=weights[text] / whole,
        )
        for text, score in scores.items()
    ]


def _constrained(
    hypotheses: Sequence[Hypothesis], normalised: Sequence[str], state: State, rules: Settings
) -> Reading | None:
    """What a constrained hypothesis that is sure of itself means."""
    for hypothesis, text in zip(hypotheses, normalised, strict=True):
        if hypothesis.source != "free" and hypothesis.score >= rules.constrained_score and text:
            return next((reading for reading in read(text) if state in reading.where), None)
    return None


def _count(voices: Sequence[_Voice], constrained: Reading | None, state: State) -> list[_Ballot]:
    best: dict[_Key, _Ballot] = {}
    for voice in voices:
        for place, reading in enumerate(voice.wishes):
            key = _key(reading)
            before = best.get(key)
            within = reading.cost - voice.forbidding(reading.meaning, state)
            support = voice.vote if place == 0 else 0.0
            ballot = _Ballot(
                reading,
                reading.cost + voice.behind,
                support + (before.support if before else 0.0),
                constrained is not None and reading.meaning == constrained.meaning,
                within,
            )
            if before is not None and before.cost <= ballot.cost:
                ballot = replace(before, support=ballot.support)
            best[key] = ballot
    return list(best.values())


def _decide(
    ballots: Sequence[_Ballot],
    also: Sequence[Meaning],
    against: float,
    state: State,
    normalised: tuple[str, ...],
    rules: Settings,
) -> Understanding:
    first = ballots[0]
    limit, cost = first.limit(rules), first.total(rules)
    outvoted = rules.blocked_vote if first.reading.meaning.intent in _MONEY else rules.blocked_vote_other
    if first.forbidden_within > rules.blocked_by or against > outvoted:
        near = first.forbidden_within <= rules.blocked_margin and against <= outvoted
        return _nothing(Decision.AGAIN if near and cost <= limit else Decision.REJECT, normalised)
    if state not in first.reading.where or _said_elsewhere(ballots, state, rules):
        return _nothing(Decision.AGAIN if cost <= limit else Decision.REJECT, normalised)
    choices = _choices(ballots, also if cost <= limit else (), state, rules)
    sure = first.reading.worst <= rules.surest_numeral
    if _unheard_sum(choices):
        return _nothing(Decision.AGAIN, normalised)
    if len(choices) > 1 and cost <= limit * rules.again_factor and (sure or cost <= limit):
        return _understood(first, Decision.CHOOSE, choices, normalised, rules)
    if cost <= limit and sure and not first.reading.offers:
        return _understood(first, Decision.ACCEPT, (), normalised, rules)
    again = cost <= limit * rules.again_factor
    return _nothing(Decision.AGAIN if again else Decision.REJECT, normalised)


def _choices(
    ballots: Sequence[_Ballot], also: Sequence[Meaning], state: State, rules: Settings
) -> tuple[Candidate, ...]:
    """The best meaning and its near-equals, or what the words themselves offer. Fewer than two: no choice."""
    first = ballots[0]
    confidence = first.confidence(rules)
    meanings = (*(first.reading.offers or (first.reading.meaning,)), *also)
    found: dict[tuple[object, ...], Candidate] = {}
    for meaning in meanings:
        found.setdefault(_choice_key(meaning), _candidate(meaning, confidence))
    for other in ballots[1:]:
        meaning = other.reading.meaning
        if state not in other.reading.where or other.reading.offers or first.reading.offers:
            continue
        if meaning.intent is first.reading.meaning.intent and meaning.amount_fen is None:
            continue  # the same wish with its sum unheard is no other wish
        close = other.total(rules) - first.total(rules) <= _margin(first.reading.meaning, meaning, rules)
        if close and other.total(rules) <= other.limit(rules) * rules.again_factor:
            found.setdefault(_choice_key(meaning), _candidate(meaning, other.confidence(rules)))
    return tuple(found.values())[:MOST_CHOICES]


def _said_elsewhere(ballots: Sequence[_Ballot], state: State, rules: Settings) -> bool:
    """Something was heard exactly that nobody asked for here (九十), and the rest only sounds like it (就是)."""
    exact = min((ballot.cost for ballot in ballots if state not in ballot.reading.where), default=math.inf)
    return exact <= rules.exact and ballots[0].cost > exact + rules.exact


def _unheard_sum(choices: Sequence[Candidate]) -> bool:
    """A top-up without its sum beside one with a sum that is only guessed: better to hear it again."""
    wanted = [choice.amount_fen for choice in choices if choice.intent is Intent.TOP_UP]
    return len(wanted) > 1 and wanted[0] is None


def _margin(first: Meaning, other: Meaning, rules: Settings) -> float:
    if first.intent is other.intent and first.amount_fen != other.amount_fen:
        return rules.amount_margin
    return rules.margin


def _choice_key(meaning: Meaning) -> tuple[Intent, int | None, int | None]:
    """Candidates that differ only in how a card was called are one button."""
    return (meaning.intent, meaning.amount_fen, meaning.card_index)


def _candidate(meaning: Meaning, confidence: float) -> Candidate:
    return Candidate(meaning.intent, meaning.amount_fen, meaning.card_index, meaning.card_words, confidence)


def _understood(
    ballot: _Ballot,
    decision: Decision,
    choices: tuple[Candidate, ...],
    normalised: tuple[str, ...],
    rules: Settings,
) -> Understanding:
    meaning = ballot.reading.meaning
    return Understanding(
        meaning.intent,
        meaning.amount_fen,
        meaning.card_index,
        meaning.card_words,
        decision,
        choices,
        ballot.confidence(rules),
        normalised,
    )


def _nothing(decision: Decision, normalised: tuple[str, ...]) -> Understanding:
    """Not understood, or not for us: no intent leaks out that somebody could act on."""
    return Understanding(Intent.NONE, None, None, None, decision, (), 0.0, normalised)
