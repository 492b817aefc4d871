"""Words in, meaning out: what a person wants, from what a recogniser thinks it heard.

Not a list of phrases. Each hypothesis becomes syllables; words, sums and cards are found among them by
sound (`lattice`), the text is cut into them (`paths`), the cuts are read as wishes (`frames`, `top_ups`),
and the hypotheses vote (`decide`). What no word explains counts against every wish: that is how talk
that is not for us is refused. All words and costs are data under `dialects/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.ports import Hypothesis
from app.voice.decide import weigh
from app.voice.meaning import Candidate, Decision, Intent, State, Understanding

__all__ = ["Candidate", "Decision", "Intent", "State", "Understanding", "understand"]


def understand(hypotheses: Sequence[Hypothesis], state: State = State.ANY) -> Understanding:
    """What was meant, given what was asked last.

    Never raises for any text. Sums are exact fen. `decision`: accept; choose (2 to 5 `choices`, never a
    silent pick among near-equal sums); again (for us, but not clear enough or out of place); reject.
    The intent is NONE and the sum None unless the decision is accept or choose.
    """
    return weigh(hypotheses, state)
