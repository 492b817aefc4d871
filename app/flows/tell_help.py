"""Telling a relative that they are asked for help, and ending what nobody ended."""

from __future__ import annotations

from datetime import timedelta

from app.domain.help import State
from app.errors import AppError
from app.flows import check_code
from app.flows.deps import Deps
from app.flows.help_session import settle
from app.flows.verdicts import Done, Later, Verdict
from app.store import help_rows
from app.voice import replies


def asked(deps: Deps, session_id: str) -> Verdict:
    """One text to the relative, if we know their phone; they also find the session in the app."""
    with deps.database.read() as tx:
        found = help_rows.find(tx, session_id)
    if found is None or found.state != State.OPEN.value or found.expires_at <= deps.clock.now():
        return Done("over")
    phone = check_code.phone_of(deps, found.relative_id)
    if phone is None:
        return Done("no_phone")
    facts = {"elder": replies.phrase("your_relative")}
    try:
        check_code.text(deps, found.relative_id, phone[0], session_id, "help_asked", facts)
    except AppError as fault:
        return Done(fault.code)
    return Done("texted")


def over(deps: Deps, session_id: str) -> Verdict:
    """At the end of the ten minutes."""
    by = settle(deps, session_id)
    return Later("going_on", timedelta(seconds=1), expected=True) if by is None else Done(by.value)
