"""Sums that recognisers write in digits and that may have been spoken otherwise.

Whisper turns number words into digits on its own: 五六十块 (fifty or sixty) comes out as "560块", and
把五十块钱充到卡里 as "850块钱充到卡里". Where no hypothesis spells such a sum in words, it is a choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.ports import Hypothesis
from app.voice.frames import Meaning
from app.voice.meaning import Intent
from app.voice.normalise import normalise, spoken_number
from app.voice.words import lexicon

_MISHEARD_BA = 8  # 把 and 八 are one sound


def misread_digits(hypotheses: Sequence[Hypothesis], meant: Meaning) -> tuple[Meaning, ...]:
    """The other sums that may have been spoken where `meant` was written; empty when there is none."""
    hundreds, tens, rest = _places(meant.amount_fen or 0)
    if not 2 <= hundreds <= 9 or not tens or rest:
        return ()
    yuan = hundreds * 100 + tens * 10
    written = [hypothesis.text for hypothesis in hypotheses if hypothesis.source == "free"]
    if any(spoken_number(yuan) in normalise(re.sub(r"\d", " ", text)) for text in written):
        return ()
    others = []
    if tens == hundreds + 1:
        others += [hundreds * 10, tens * 10]
    if hundreds == _MISHEARD_BA and any(_verb_follows(text, str(yuan)) for text in written):
        others.append(tens * 10)
    return tuple(
        Meaning(Intent.TOP_UP, other * 100, meant.card_index, meant.card_words)
        for other in dict.fromkeys(others)
    )


def _places(amount_fen: int) -> tuple[int, int, int]:
    """Hundreds and tens of yuan, and everything smaller in fen."""
    hundreds, rest = divmod(amount_fen, 10_000)
    tens, rest = divmod(rest, 1_000)
    return hundreds, tens, rest


def _verb_follows(text: str, digits: str) -> bool:
    _, found, after = text.partition(digits)
    return bool(found) and any(verb in normalise(after) for verb in lexicon().moves)
