"""A person's own logins: which are open, and closing the ones that are not theirs any more."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.clock import SHANGHAI
from app.domain.screens import Line, Screen
from app.errors import AppError
from app.flows.deps import Deps
from app.store import sessions
from app.store.people import Actor
from app.store.sessions import Login
from app.voice import replies
from app.voice.amounts import spoken_count


def list_open(deps: Deps, actor: Actor) -> tuple[Sequence[Login], Screen]:
    """The person's open logins, this one first."""
    with deps.database.read() as tx:
        found = sessions.live(tx, actor.user_id, actor.session_id, deps.clock.now())
    body = [_line(login) for login in found]
    return found, replies.screen("sessions", body=body, count=spoken_count(len(found)))


def _line(login: Login) -> Line:
    kind = replies.phrase(f"session_{login.channel}")
    at = login.created_at.astimezone(SHANGHAI)
    when = replies.phrase("session_line", month=at.month, day=at.day, hour=at.hour)
    return Line(when, replies.phrase("session_here", kind=kind) if login.current else kind)


def end_one(deps: Deps, actor: Actor, public_id: str) -> Screen:
    """Close one of the person's logins at once, this one too. AppError session_not_found for anybody else's,
    the same as for none."""
    with deps.database.write() as tx:
        if not sessions.end_one(tx, actor.user_id, public_id, deps.clock.now()):
            raise AppError("session_not_found")
    return _ended(1)


def end_others(deps: Deps, actor: Actor) -> tuple[int, Screen]:
    """Close all of the person's logins but this one. Returns how many."""
    with deps.database.write() as tx:
        ended = sessions.end_others(tx, actor.user_id, actor.session_id, deps.clock.now())
    return ended, _ended(ended)


def _ended(count: int) -> Screen:
    return replies.screen("sessions_ended", count=spoken_count(count))
