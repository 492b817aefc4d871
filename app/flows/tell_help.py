"""Telling a relative that they are asked for help, and ending what nobody ended."""

from __future__ import annotations

from datetime import timedelta

from app.domain.help import State
from app.flows import names
from app.flows.deps import Deps
from app.flows.help_session import settle
from app.flows.texts import Text, to_each
from app.flows.verdicts import Done, Later, Verdict
from app.store import help_rows


def asked(deps: Deps, session_id: str) -> Verdict:
    """One text to the relative, if we know their phone; they also find the session in the app."""
    with deps.database.read() as tx:
        found = help_rows.find(tx, session_id)
        elder = names.of_elder(tx, found.elder_id, found.relative_id) if found is not None else ""
    if found is None or found.state != State.OPEN.value or found.expires_at <= deps.clock.now():
        return Done("over")
    return to_each(deps, [Text(found.relative_id, session_id, "help_asked", {"elder": elder})])


def over(deps: Deps, session_id: str) -> Verdict:
    """At the end of the ten minutes."""
    by = settle(deps, session_id)
    return Later("going_on", timedelta(seconds=1), expected=True) if by is None else Done(by.value)
