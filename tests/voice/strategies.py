"""Hypotheses as a recogniser, or its worst day, may give them."""

from __future__ import annotations

from hypothesis import strategies as st

from app.ports import Hypothesis
from app.voice import State
from app.voice.numerals import numerals
from app.voice.words import lexicon

WORDS = sorted({word.text for word in lexicon().words})
SUMS = st.text(alphabet=numerals().characters, min_size=1, max_size=8)
# Words and sums in any order, with a stray character now and then: as near to commands as chance comes.
SENTENCES = st.lists(
    st.sampled_from(WORDS)
    | SUMS
    | st.sampled_from(["充", "给我", "五十块", "不", "卡", "，", "50"])
    | st.text(max_size=2),
    max_size=8,
).map("".join)
TEXTS = SENTENCES | st.text(max_size=40)
SCORES = st.floats(-12, 0)
HYPOTHESES = st.builds(Hypothesis, TEXTS, SCORES, st.sampled_from(["free", "free", "free", "constrained"]))
HEARD = st.lists(HYPOTHESES, max_size=6)
STATES = st.sampled_from(list(State))
