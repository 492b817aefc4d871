"""Who of a family is told of an elder's unusual payments, and what each of them is called by whom."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain.family import Role
from app.store import relatives
from app.store.relatives import Relative
from app.voice import replies


def guardians(tx: Connection, elder_id: str, now: datetime) -> list[Relative]:
    """The elder's relatives who may be told, and may hold, at this moment."""
    return [tie for tie in relatives.of_elder(tx, elder_id) if tie.may(Role.ALERTS, now)]


def family_of(tx: Connection, *people: str) -> frozenset[str]:
    """These people, the elders they look after, and whom any of those is bound to."""
    elders = {tie.elder_id for person in people for tie in relatives.of_relative(tx, person)} | set(people)
    ties = [tie for elder_id in elders for tie in relatives.of_elder(tx, elder_id)]
    return frozenset(elders | {tie.relative_id for tie in ties if tie.state == relatives.BOUND})


def called(tx: Connection, listener_id: str, person_id: str, elder_id: str, now: datetime) -> str:
    """What `listener_id` calls who did something to a card of `elder_id`.

    A relative hears the name of another relative only where the elder lets them know of payments; of
    everybody whom nobody gave a name it is said that it was one of the family.
    """
    if person_id == listener_id:
        return replies.phrase("who_you")
    tie = relatives.find(tx, elder_id, person_id)
    own = listener_id == elder_id
    mine = None if own else relatives.find(tx, elder_id, listener_id)
    may_know = own or (mine is not None and mine.may(Role.ALERTS, now))
    known = tie.name if tie is not None and tie.state == relatives.BOUND and may_know else None
    return known or replies.phrase("who_family")
