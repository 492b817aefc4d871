"""Relatives of an elder: invited, accepted, confirmed by the elder in person, ended by either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from app.domain.identity import MOST_RELATIVES
from app.errors import AppError
from app.store import models
from app.store.upsert import dialect_insert

_relatives = models.metadata.tables["relatives"]
_users = models.metadata.tables["users"]
ACCEPTED, BOUND, ENDED = "accepted", "bound", "ended"


@dataclass(frozen=True, slots=True)
class Relative:
    """One tie. `name` is what the elder calls them."""

    elder_id: str
    relative_id: str
    name: str | None
    state: str
    bound_at: datetime | None


def _from(row: object) -> Relative:
    return Relative(
        *(getattr(row, name) for name in ("elder_id", "relative_id", "name", "state", "bound_at"))
    )


def accept(tx: Connection, elder_id: str, relative_id: str) -> None:
    """The relative took the invitation; nothing may be done with it until the elder confirms. A tie that
    ended begins anew, one that is bound stays bound."""
    values = {"elder_id": elder_id, "relative_id": relative_id, "state": ACCEPTED}
    statement = dialect_insert(tx, _relatives).values(**values)
    begin_anew = {"state": ACCEPTED, "bound_at": None, "ended_at": None}
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["elder_id", "relative_id"],
            set_=begin_anew,
            where=_relatives.c.state != BOUND,
        )
    )


def bind(tx: Connection, elder_id: str, relative_id: str, name: str | None, now: datetime) -> Relative:
    """The elder confirms an accepted tie. AppError relative_not_found, too_many_relatives (in a race too)."""
    if tx.dialect.name == "postgresql":  # SQLite has one writer; here two binds must not both be the third
        tx.execute(select(_users.c.id).where(_users.c.id == elder_id).with_for_update())
    bound = select(func.count()).where(_relatives.c.elder_id == elder_id, _relatives.c.state == BOUND)
    if tx.execute(bound).scalar_one() >= MOST_RELATIVES:
        raise AppError("too_many_relatives")
    mine = (_relatives.c.elder_id == elder_id) & (_relatives.c.relative_id == relative_id)
    confirmed = update(_relatives).where(mine, _relatives.c.state == ACCEPTED)
    row = tx.execute(confirmed.values(state=BOUND, name=name, bound_at=now).returning(_relatives)).first()
    if row is None:
        raise AppError("relative_not_found")
    return _from(row)


def end(tx: Connection, elder_id: str, relative_id: str, now: datetime) -> bool:
    """Either side ends it, at once. False when there was nothing to end."""
    mine = (_relatives.c.elder_id == elder_id) & (_relatives.c.relative_id == relative_id)
    ended = update(_relatives).where(mine, _relatives.c.state != ENDED)
    return tx.execute(ended.values(state=ENDED, ended_at=now)).rowcount == 1


def of_elder(tx: Connection, elder_id: str) -> list[Relative]:
    """Who is bound or waits for the elder's yes, oldest first."""
    statement = select(_relatives).where(_relatives.c.elder_id == elder_id, _relatives.c.state != ENDED)
    return [_from(row) for row in tx.execute(statement.order_by(_relatives.c.relative_id))]


def of_relative(tx: Connection, relative_id: str) -> list[Relative]:
    """Whom this person looks after."""
    statement = select(_relatives).where(_relatives.c.relative_id == relative_id, _relatives.c.state == BOUND)
    return [_from(row) for row in tx.execute(statement.order_by(_relatives.c.elder_id))]
