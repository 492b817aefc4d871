"""The live side of help: a ticket joins one stream once; then its events are read in order."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.domain.help import MINUTE, TICKET_LIFE, TICKETS_A_MINUTE, EventKind, Side, State
from app.domain.ids import Kind, is_id
from app.errors import AppError
from app.flows.deps import Deps
from app.flows.help_session import open_seat, settle, why_over
from app.store import help_rows, relatives
from app.store.help_rows import HelpEvent
from app.store.people import Actor

LONGEST_TICKET = 64
PURPOSE = "help_ticket"  # what the keyed hash of a ticket is for


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to open the stream, until when. The address opens it once."""

    url: str
    expires_at: datetime


def ticket(deps: Deps, actor: Actor, session_id: str) -> Ticket:
    """A right to join this person's side once, within a minute. AppError help_not_found, help_too_fast."""
    now, secret = deps.clock.now(), secrets.token_urlsafe(32)
    with deps.database.write() as tx:
        found = open_seat(tx, actor, session_id, now, Side.ELDER, Side.RELATIVE)
        if help_rows.tickets_since(tx, session_id, now - MINUTE) >= TICKETS_A_MINUTE:
            raise AppError("help_too_fast", after_seconds=10)
        kept = deps.vault.lookup(secret, PURPOSE)
        help_rows.add_ticket(tx, kept, session_id, found.side, now)
    url = f"{deps.settings.live_url}/live/help/{session_id}?ticket={secret}"
    return Ticket(url, now + TICKET_LIFE)


def join(deps: Deps, session_id: str, secret: str) -> Side:
    """Use a ticket up: whose side it joins. The elder hears of the relative's first joining.

    AppError help_not_found for a ticket that is unknown, used, too old or another session's, and for a
    session that is over.
    """
    now = deps.clock.now()
    if not is_id(session_id, Kind.HELP) or not 0 < len(secret) <= LONGEST_TICKET:
        raise AppError("help_not_found")
    with deps.database.write() as tx:
        found = help_rows.find(tx, session_id, lock=True)
        side = help_rows.use_ticket(tx, deps.vault.lookups(secret, PURPOSE), session_id, now)
        if found is None or side is None or found.state != State.OPEN.value:
            raise AppError("help_not_found")
        if why_over(found, relatives.find(tx, found.elder_id, found.relative_id), now) is not None:
            raise AppError("help_not_found")
        if side is Side.RELATIVE and help_rows.newest(tx, session_id, EventKind.JOINED) is None:
            help_rows.append(tx, session_id, side, EventKind.JOINED, {}, now)
    return side


def news(deps: Deps, session_id: str, after: int) -> list[HelpEvent]:
    """What happened after the event of that number."""
    with deps.database.read() as tx:
        return help_rows.after(tx, session_id, after)


def last_numbers(deps: Deps, followed: Collection[str]) -> dict[str, int]:
    """The number of the last event of each of these sessions that goes on. What is over is written down as
    over on the way, and left out: its last events are still to be read."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found, ties = help_rows.open_sessions(tx), relatives.of_open_help(tx)
    going_on = {
        session.id: last
        for session, last in found
        if why_over(session, ties.get((session.elder_id, session.relative_id)), now) is None
    }
    for session_id in set(followed) - set(going_on):
        settle(deps, session_id)
    return {session_id: going_on[session_id] for session_id in followed if session_id in going_on}
