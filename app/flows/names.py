"""What people of a family call each other: the name one gave, or that it is one of the family."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain.family import Role
from app.store import relatives
from app.voice import replies


def of_elder(tx: Connection, elder_id: str, relative_id: str) -> str:
    """What this relative calls the elder."""
    tie = relatives.find(tx, elder_id, relative_id)
    return (tie and tie.elder_name) or replies.phrase("your_relative")


def of_relative(tx: Connection, elder_id: str, relative_id: str) -> str:
    """What the elder calls this relative; after the tie is gone, a relative of theirs."""
    tie = relatives.find(tx, elder_id, relative_id)
    return (tie and tie.name) or replies.phrase("your_relative")


def heard_by(tx: Connection, listener_id: str, person_id: str, elder_id: str, now: datetime) -> str:
    """What `listener_id` hears of who did something to a card of `elder_id`.

    A relative hears the name of another relative only where the elder lets them know of payments; of
    everybody whom nobody gave a name it is said that it was one of the family.
    """
    if person_id == listener_id:
        return replies.phrase("who_you")
    tie = relatives.find(tx, elder_id, person_id)
    may_know = listener_id == elder_id or relatives.may(tx, elder_id, listener_id, Role.ALERTS, now)
    known = tie.name if tie is not None and tie.state == relatives.BOUND and may_know else None
    return known or replies.phrase("who_family")
