"""Relatives of an elder: invited, accepted, confirmed by the elder in person, ended by either."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from app.domain.family import AGREED, Caps, Role, own_caps
from app.domain.identity import MOST_RELATIVES
from app.errors import AppError
from app.store import bell, models
from app.store.upsert import dialect_insert

_relatives = models.metadata.tables["relatives"]
_users = models.metadata.tables["users"]
ACCEPTED, BOUND, ENDED = "accepted", "bound", "ended"


@dataclass(frozen=True, slots=True)
class Relative:
    """One tie. `name` is what the elder calls the relative, `elder_name` what that one calls the elder;
    `roles` count only while the tie is `live`."""

    elder_id: str
    relative_id: str
    name: str | None
    state: str
    bound_at: datetime | None
    roles: frozenset[Role]
    agreed_until: datetime | None
    single_fen: int | None
    day_fen: int | None
    month_fen: int | None
    frozen_at: datetime | None
    frozen_why: str | None
    elder_name: str | None

    @property
    def caps(self) -> Caps:
        """What this relative may pay at most: the elder's own sums, or the house's."""
        return own_caps((self.single_fen, self.day_fen, self.month_fen))

    def live(self, now: datetime) -> bool:
        """Bound, agreed to within 180 days, and not frozen by an operator."""
        agreed = self.agreed_until is not None and now < self.agreed_until
        return self.state == BOUND and agreed and self.frozen_at is None

    def may(self, role: Role, now: datetime) -> bool:
        """Whether this relative may do that for this elder at this moment."""
        return role in self.roles and self.live(now)


_columns = [_relatives.c[field.name] for field in fields(Relative)]


def _from(row: Any) -> Relative:
    values = dict(row._mapping)
    return Relative(**{**values, "roles": frozenset(Role(role) for role in values["roles"])})


def _tie(elder_id: Any, relative_id: Any) -> Any:
    return (_relatives.c.elder_id == elder_id) & (_relatives.c.relative_id == relative_id)


def accept(tx: Connection, elder_id: str, relative_id: str, elder_name: str | None) -> None:
    """The relative took the invitation; nothing may be done with it until the elder confirms. A tie that
    ended begins anew, one that is bound stays bound. A frozen one stays frozen."""
    values: dict[str, Any] = {"elder_id": elder_id, "relative_id": relative_id, "elder_name": elder_name}
    values |= {"state": ACCEPTED, "roles": []}
    statement = dialect_insert(tx, _relatives).values(**values)
    begin_anew: dict[str, Any] = {
        "state": ACCEPTED,
        "bound_at": None,
        "ended_at": None,
        "roles": [],
        "agreed_until": None,
        "elder_name": elder_name,
        **dict.fromkeys(("single_fen", "day_fen", "month_fen")),
    }
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["elder_id", "relative_id"],
            set_=begin_anew,
            where=_relatives.c.state != BOUND,
        )
    )


def bind(
    tx: Connection, elder_id: str, relative_id: str, name: str | None, roles: frozenset[Role], now: datetime
) -> Relative:
    """The elder confirms an accepted tie. AppError relative_not_found, too_many_relatives (in a race too)."""
    lock(tx, elder_id)
    bound = select(func.count()).where(_relatives.c.elder_id == elder_id, _relatives.c.state == BOUND)
    if tx.execute(bound).scalar_one() >= MOST_RELATIVES:
        raise AppError("too_many_relatives")
    values = {"state": BOUND, "name": name, "bound_at": now, "agreed_until": now + AGREED}
    return _changed(tx, elder_id, relative_id, ACCEPTED, {**values, "roles": _sorted(roles)})


def change(tx: Connection, elder_id: str, relative_id: str, values: dict[str, Any]) -> Relative:
    """Other roles, caps, or another 180 days for a bound tie. AppError relative_not_found."""
    if "roles" in values:
        values = {**values, "roles": _sorted(values["roles"])}
    return _changed(tx, elder_id, relative_id, BOUND, values)


def _changed(tx: Connection, elder_id: str, relative_id: str, state: str, values: dict[str, Any]) -> Relative:
    mine = update(_relatives).where(_tie(elder_id, relative_id), _relatives.c.state == state)
    row = tx.execute(mine.values(**values).returning(*_columns)).first()
    if row is None:
        raise AppError("relative_not_found")
    bell.ring_for_tie(tx, elder_id, relative_id)
    return _from(row)


def _sorted(roles: frozenset[Role]) -> list[str]:
    return [role.value for role in Role if role in roles]


def end(tx: Connection, elder_id: str, relative_id: str, now: datetime) -> Relative | None:
    """Either side ends it, at once. The tie as it was; None when there was nothing to end."""
    lock(tx, elder_id)
    before = find(tx, elder_id, relative_id)
    ended = update(_relatives).where(_tie(elder_id, relative_id), _relatives.c.state != ENDED)
    changed = tx.execute(ended.values(state=ENDED, ended_at=now)).rowcount == 1
    bell.ring_for_tie(tx, elder_id, relative_id)
    return before if changed else None


def freeze(tx: Connection, elder_id: str, relative_id: str, why: str, now: datetime) -> Relative | None:
    """An operator stops a tie until they let it go on, whoever ends it or begins it anew meanwhile. The tie;
    None when there is none, or it is frozen already."""
    lock(tx, elder_id)
    mine = update(_relatives).where(_tie(elder_id, relative_id), _relatives.c.frozen_at.is_(None))
    row = tx.execute(mine.values(frozen_at=now, frozen_why=why).returning(*_columns)).first()
    bell.ring_for_tie(tx, elder_id, relative_id)
    return None if row is None else _from(row)


def unfreeze(tx: Connection, elder_id: str, relative_id: str) -> Relative | None:
    """Let it go on. The tie; None when none is frozen."""
    mine = update(_relatives).where(_tie(elder_id, relative_id), _relatives.c.frozen_at.is_not(None))
    row = tx.execute(mine.values(frozen_at=None, frozen_why=None).returning(*_columns)).first()
    return None if row is None else _from(row)


def lock(tx: Connection, elder_id: str) -> None:
    """What is counted about an elder's family stays so until the commit. SQLite has one writer anyway.

    NO KEY UPDATE: rows that point to the person are written meanwhile, so that two people who pay for each
    other never wait for each other.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(select(_users.c.id).where(_users.c.id == elder_id).with_for_update(key_share=True))


def find(tx: Connection, elder_id: str, relative_id: str) -> Relative | None:
    """The tie between the two, whatever its state."""
    row = tx.execute(select(*_columns).where(_tie(elder_id, relative_id))).first()
    return None if row is None else _from(row)


def may(tx: Connection, elder_id: str, relative_id: str, role: Role, now: datetime) -> bool:
    """Whether this relative may do that for this elder at this moment; nobody may without a tie."""
    tie = find(tx, elder_id, relative_id)
    return tie is not None and tie.may(role, now)


def of_elder(tx: Connection, elder_id: str) -> list[Relative]:
    """Who is bound or waits for the elder's yes, by id."""
    statement = select(*_columns).where(_relatives.c.elder_id == elder_id, _relatives.c.state != ENDED)
    return [_from(row) for row in tx.execute(statement.order_by(_relatives.c.relative_id))]


def ever_of_elder(tx: Connection, elder_id: str) -> list[Relative]:
    """Everybody who ever took an invitation of this elder, ended ties too: the history names them."""
    return [_from(row) for row in tx.execute(select(*_columns).where(_relatives.c.elder_id == elder_id))]


def of_relative(tx: Connection, relative_id: str) -> list[Relative]:
    """Whom this person looks after, by id: bound ties, live or not."""
    statement = select(*_columns).where(_relatives.c.relative_id == relative_id, _relatives.c.state == BOUND)
    return [_from(row) for row in tx.execute(statement.order_by(_relatives.c.elder_id))]


def of_open_help(tx: Connection) -> dict[tuple[str, str], Relative]:
    """The ties behind all open help sessions, by (elder, relative)."""
    help_sessions = models.metadata.tables["help_sessions"]
    theirs = _tie(help_sessions.c.elder_id, help_sessions.c.relative_id)
    statement = select(*_columns).join(help_sessions, theirs).where(help_sessions.c.state == "open")
    ties = [_from(row) for row in tx.execute(statement)]
    return {(tie.elder_id, tie.relative_id): tie for tie in ties}
