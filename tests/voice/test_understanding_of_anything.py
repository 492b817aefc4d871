"""Any words, any list of readings, in any order and any process: an answer of the promised shape."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from app.config import REPOSITORY
from app.ports import Hypothesis
from app.voice import Candidate, Decision, Intent, State, Understanding, understand
from tests.voice.kept_hearings import DATA
from tests.voice.strategies import HEARD, SENTENCES, STATES, TEXTS


def free(*texts: str) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(text, -0.3) for text in texts)


def check_shape(meant: Understanding, heard: int) -> None:
    assert isinstance(meant.decision, Decision) and isinstance(meant.intent, Intent)
    assert len(meant.normalised) == min(heard, 10)
    assert 0 <= meant.confidence <= 1
    if meant.decision in (Decision.AGAIN, Decision.REJECT):
        nothing = (Intent.NONE, None, None, None, ())
        assert nothing == (
            meant.intent,
            meant.amount_fen,
            meant.card_index,
            meant.card_words,
            meant.choices,
        )
        return
    assert meant.intent is not Intent.NONE
    assert (2 <= len(meant.choices) <= 5) if meant.decision is Decision.CHOOSE else meant.choices == ()
    for each in (meant, *meant.choices):
        check_slots(each)
    keys = [(choice.intent, choice.amount_fen, choice.card_index) for choice in meant.choices]
    assert len(set(keys)) == len(keys)


def check_slots(meant: Understanding | Candidate) -> None:
    assert meant.intent is not Intent.NONE
    if meant.amount_fen is not None:
        assert type(meant.amount_fen) is int and meant.amount_fen > 0
        assert meant.intent in (Intent.TOP_UP, Intent.ASK_FAMILY, Intent.CONFIRM)
    if meant.card_index is not None:
        assert 1 <= meant.card_index <= 9
    assert meant.card_words != ""


@given(HEARD, STATES)
@settings(max_examples=250, deadline=None)
def test_any_readings_in_any_state_give_an_answer_of_the_promised_shape(
    heard: list[Hypothesis], state: State
) -> None:
    check_shape(understand(heard, state), len(heard))


@given(SENTENCES, STATES)
@settings(max_examples=250, deadline=None)
def test_any_words_in_any_order_give_an_answer_of_the_promised_shape(text: str, state: State) -> None:
    check_shape(understand(free(text), state), 1)


@given(st.lists(TEXTS, min_size=2, max_size=4, unique=True), STATES, st.data())
@settings(max_examples=150, deadline=None)
def test_the_order_of_readings_that_are_equally_sure_does_not_matter(
    texts: list[str], state: State, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(texts))
    assert essence(understand(free(*texts), state)) == essence(understand(free(*other), state))


def essence(meant: Understanding) -> tuple[object, ...]:
    """What was decided. The order of equal choices is not part of it."""
    if meant.decision is Decision.CHOOSE:
        return (meant.decision, frozenset((each.intent, each.amount_fen) for each in meant.choices))
    return (meant.decision, meant.intent, meant.amount_fen, meant.card_index, meant.card_words)


@given(st.lists(TEXTS, max_size=3), TEXTS, STATES)
@settings(max_examples=150, deadline=None)
def test_what_free_decoding_rejects_stays_unaccepted_whatever_constrained_decoding_says(
    texts: list[str], forced: str, state: State
) -> None:
    alone = understand(free(*texts), state)
    both = understand((*free(*texts), Hypothesis(forced, 0.0, "constrained")), state)
    if alone.decision is Decision.REJECT:
        assert both.decision is not Decision.ACCEPT


PROGRAM = """
import hashlib, sys
from app.cli.voice_evaluation import read_labels
from app.ports import Hypothesis
from pathlib import Path
from app.voice import State, understand
found = hashlib.sha256()
for path in sorted(Path(sys.argv[1]).glob("paraphrases_*.tsv")):
    for row in read_labels(path):
        heard = (Hypothesis(row["text"], -0.3), Hypothesis(row["text"][:-1], -0.5))
        found.update(repr(understand(heard, State(row["state"]))).encode())
print(found.hexdigest())
"""


def test_the_same_words_mean_the_same_in_every_process() -> None:
    """Python hashes strings with another seed in every process; no decision may rest on that order."""
    told = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(DATA)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] and len(told[0].strip()) == 64
