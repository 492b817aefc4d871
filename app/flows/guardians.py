"""Who of a family is told of an elder's unusual payments."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain.family import Role
from app.store import relatives
from app.store.relatives import Relative


def guardians(tx: Connection, elder_id: str, now: datetime) -> list[Relative]:
    """The elder's relatives who may be told, and may hold, at this moment."""
    return [tie for tie in relatives.of_elder(tx, elder_id) if tie.may(Role.ALERTS, now)]


def family_of(tx: Connection, *people: str) -> frozenset[str]:
    """These people, the elders they look after, and whom any of those is bound to."""
    elders = {tie.elder_id for person in people for tie in relatives.of_relative(tx, person)} | set(people)
    ties = [tie for elder_id in elders for tie in relatives.of_elder(tx, elder_id)]
    return frozenset(elders | {tie.relative_id for tie in ties if tie.state == relatives.BOUND})
