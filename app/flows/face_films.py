"""Films that were used before: kept as sealed traces of the movements, never as pictures."""

from __future__ import annotations

from app.domain import replay
from app.domain.consents import Purpose
from app.flows import consents
from app.flows.deps import Deps
from app.store import challenges

MOST = 300  # films compared, the newest; each takes 0.7 ms


def shown_before(deps: Deps, user_id: str, challenge_id: str, trace: replay.Trace) -> bool:
    """Keep how the head moved in this film; whether an earlier one of this person's moved just so.

    A film without movements is not kept: it proves nothing when it is played again. AppError
    consent_missing: nothing is kept then."""
    if not trace:
        return False
    sealed = deps.vault.seal(replay.pack(trace), _place(user_id, challenge_id))
    with deps.database.write() as tx:
        consents.required(tx, user_id, Purpose.FACE)  # it may have been taken back while we looked
        earlier = challenges.keep_trace(tx, user_id, challenge_id, sealed, deps.clock.now(), MOST)
    return any(
        replay.alike(trace, replay.unpack(deps.vault.open(kept, _place(user_id, other))))
        for other, kept in earlier
    )


def _place(user_id: str, challenge_id: str) -> str:
    return f"motion_traces.trace:{user_id}:{challenge_id}"
