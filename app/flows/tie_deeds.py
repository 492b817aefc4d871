"""What happens to a tie, told to both: each hears the name they gave the other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain.family import Role
from app.domain.ids import Kind, new_id
from app.store import deeds
from app.store.relatives import Relative
from app.voice import replies

_LIST = "、"


def bound(tx: Connection, tie: Relative, actor_id: str, now: datetime) -> None:
    _tell_elder(tx, tie, actor_id, "relative_bound", now, roles=_spoken(tie.roles))
    _tell_relative(tx, tie, actor_id, "care_bound", now)


def ended(tx: Connection, tie: Relative, actor_id: str, now: datetime) -> None:
    _tell_elder(tx, tie, actor_id, "relative_ended", now)
    _tell_relative(tx, tie, actor_id, "care_ended", now)


def changed(tx: Connection, tie: Relative, actor_id: str, now: datetime) -> None:
    _tell_elder(tx, tie, actor_id, "roles_changed", now, roles=_spoken(tie.roles))


def capped(tx: Connection, tie: Relative, actor_id: str, now: datetime) -> None:
    caps = tie.caps
    sums = {"single_fen": caps.single_fen, "day_fen": caps.day_fen, "month_fen": caps.month_fen}
    _tell_elder(tx, tie, actor_id, "caps_changed", now, **sums)


def agreed(tx: Connection, tie: Relative, actor_id: str, now: datetime) -> None:
    _tell_elder(tx, tie, actor_id, "agreed_again", now)


def frozen(tx: Connection, tie: Relative, now: datetime) -> None:
    _tell_elder(tx, tie, None, "tie_frozen", now, reason=tie.frozen_why)
    _tell_relative(tx, tie, None, "care_frozen", now, reason=tie.frozen_why)


def unfrozen(tx: Connection, tie: Relative, reason: str, now: datetime) -> None:
    _tell_elder(tx, tie, None, "tie_unfrozen", now, reason=reason)
    _tell_relative(tx, tie, None, "care_unfrozen", now, reason=reason)


def _spoken(roles: frozenset[Role]) -> str:
    said = [replies.phrase(f"role_{role.value}") for role in Role if role in roles]
    return _LIST.join(said) or replies.phrase("role_none")


def _tell_elder(
    tx: Connection, tie: Relative, actor_id: str | None, kind: str, now: datetime, **facts: str | int | None
) -> None:
    """Each time is a deed of its own: the same tie may be bound and ended more than once."""
    told = {"name": tie.name or replies.phrase("your_relative"), **facts}
    deeds.write(tx, tie.elder_id, actor_id, kind, _subject(tie.relative_id), now, told)


def _tell_relative(
    tx: Connection, tie: Relative, actor_id: str | None, kind: str, now: datetime, **facts: str | int | None
) -> None:
    told = {"name": tie.elder_name or replies.phrase("your_elder"), **facts}
    deeds.write(tx, tie.relative_id, actor_id, kind, _subject(tie.elder_id), now, told)


def _subject(other_id: str) -> str:
    return f"{other_id}:{new_id(Kind.EVENT)}"
