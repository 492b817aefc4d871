"""From the meanings of every hypothesis to one decision: accept, choose, again or reject.

A sum of money is never picked silently among near-equals, and a yes is believed only where no hypothesis
says no.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.ports import Hypothesis
from app.voice.digits import misread_digits
from app.voice.frames import Meaning, Reading
from app.voice.meaning import Candidate, Decision, Intent, State, Understanding
from app.voice.normalise import normalise
from app.voice.settings import Settings, settings
from app.voice.votes import MONEY, Ballot, Voice, constrained_reading, count, voices_of

MOST_CHOICES = 5
MOST_HYPOTHESES = 10


def weigh(hypotheses: Sequence[Hypothesis], state: State) -> Understanding:
    """See `app.voice.intents.understand`."""
    rules = settings()
    hypotheses = hypotheses[:MOST_HYPOTHESES]
    normalised = tuple(normalise(hypothesis.text) for hypothesis in hypotheses)
    voices = voices_of(hypotheses, normalised, rules)
    constrained = constrained_reading(hypotheses, normalised, state, rules)
    ballots = count(voices, constrained, state)
    ballots.sort(key=lambda ballot: (state not in ballot.reading.where, ballot.total(rules)))
    if not ballots:
        return _nothing(Decision.REJECT, normalised)
    meant = ballots[0].reading.meaning
    against = sum(voice.vote for voice in voices if voice.forbids(meant, state, rules))
    also = _also(ballots[0], constrained, rules) + misread_digits(hypotheses, meant)
    if (
        meant.intent is Intent.CONFIRM
        and state is State.CONFIRM
        and _doubtful_yes(ballots[0], voices, state, rules)
    ):
        return _nothing(Decision.AGAIN, normalised)
    return _decide(ballots, also, against, state, normalised, rules)


def _doubtful_yes(first: Ballot, voices: Sequence[Voice], state: State, rules: Settings) -> bool:
    """A yes is money. A short one must be what was heard best, some hypothesis must spell it (or both
    decodes agree: 重复 sounds like 充，付), and no hypothesis may say no."""
    if first.reading.size <= rules.short_yes and not (first.written or first.agreed):
        return True
    lost = 0.0
    for voice in voices:
        heard = next((r.meaning.intent for r in voice.wishes if state in r.where), Intent.NONE)
        lost += voice.vote if heard is Intent.CANCEL else 0.0
        if voice.behind == 0 and first.reading.size <= 2 and heard is not Intent.CONFIRM:
            return True
    return lost > rules.lost_yes


def _sure_of_sum(first: Ballot, rules: Settings) -> bool:
    """A sum without its 块 that was not written as one is believed only if both decodes agree."""
    worst = first.reading.worst
    guessed = first.reading.guessed > rules.guessed_sum and not first.agreed
    return worst <= rules.surest_numeral and not guessed


def _sure_of_word(first: Ballot, rules: Settings) -> bool:
    """One short word sounds like many: some hypothesis must spell it, or both decodes agree.

    Not a yes: where a yes counts, `_doubtful_yes` asks for more, and elsewhere it moves nothing.
    """
    if first.reading.meaning.intent is Intent.CONFIRM or first.reading.words > 1:
        return True
    return first.reading.size > rules.shortest_by_sound or first.written or first.agreed


def _also(first: Ballot, constrained: Reading | None, rules: Settings) -> tuple[Meaning, ...]:
    """Where money is at stake and the constrained hypothesis clearly says something else, it is asked."""
    if constrained is None or constrained.cost > rules.disagreement or constrained.meaning.blocked:
        return ()
    said = constrained.offers or (constrained.meaning,)
    known = {_choice_key(meaning) for meaning in (first.reading.meaning, *first.reading.offers)}
    if known >= {_choice_key(meaning) for meaning in said}:
        return ()
    return said if MONEY & {first.reading.meaning.intent, *(meaning.intent for meaning in said)} else ()


def _decide(
    ballots: Sequence[Ballot],
    also: Sequence[Meaning],
    against: float,
    state: State,
    normalised: tuple[str, ...],
    rules: Settings,
) -> Understanding:
    first = ballots[0]
    limit, cost = first.limit(rules), first.total(rules)
    outvoted = rules.blocked_vote if first.reading.meaning.intent in MONEY else rules.blocked_vote_other
    if first.forbidden_within > rules.blocked_by or against > outvoted:
        near = first.forbidden_within <= rules.blocked_margin and against <= outvoted
        return _nothing(Decision.AGAIN if near and cost <= limit else Decision.REJECT, normalised)
    if state not in first.reading.where or _said_elsewhere(ballots, state, rules):
        return _nothing(Decision.AGAIN if cost <= limit else Decision.REJECT, normalised)
    choices = _choices(ballots, also if cost <= limit else (), state, rules)
    sure = _sure_of_sum(first, rules) and _sure_of_word(first, rules)
    if _unheard_sum(choices):
        return _nothing(Decision.AGAIN, normalised)
    if len(choices) > 1 and cost <= limit * rules.again_factor and (sure or cost <= limit):
        return _understood(first, Decision.CHOOSE, choices, normalised, rules)
    if cost <= limit and sure and not first.reading.offers:
        return _understood(first, Decision.ACCEPT, (), normalised, rules)
    again = cost <= limit * rules.again_factor
    return _nothing(Decision.AGAIN if again else Decision.REJECT, normalised)


def _choices(
    ballots: Sequence[Ballot], also: Sequence[Meaning], state: State, rules: Settings
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


def _said_elsewhere(ballots: Sequence[Ballot], state: State, rules: Settings) -> bool:
    """A sum was heard exactly that nobody asked for here (九十); the rest only sounds like it (就是)."""
    exact = min(
        (
            ballot.cost
            for ballot in ballots
            if state not in ballot.reading.where and ballot.reading.meaning.amount_fen is not None
        ),
        default=math.inf,
    )
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
    ballot: Ballot,
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
