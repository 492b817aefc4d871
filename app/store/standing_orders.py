"""Standing orders of relatives, and the proposals they make."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.ids import Kind as IdKind
from app.domain.ids import new_id
from app.domain.standing import ANSWER_WITHIN, Answer, Kind
from app.store import models, relatives
from app.store.upsert import insert_once

_standing = models.metadata.tables["standing_orders"]
_proposals = models.metadata.tables["proposals"]
_orders = models.metadata.tables["orders"]
ACTIVE, ENDED = "active", "ended"
_CAME_TO_NOTHING = ("cancelled", "expired", "rejected", "refunding", "refunded")


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """One row of `standing_orders`."""

    id: str
    relative_id: str
    elder_id: str
    card_id: str
    kind: Kind
    amount_fen: int
    day_of_month: int | None
    threshold_fen: int | None
    month_ceiling_fen: int
    state: str
    created_at: datetime
    ended_at: datetime | None

    @property
    def active(self) -> bool:
        return self.state == ACTIVE

    @property
    def wish(self) -> tuple[Any, ...]:
        """What it asks for: the same wish of the same relative for the same card is the same one."""
        return self.kind, self.amount_fen, self.day_of_month, self.threshold_fen, self.month_ceiling_fen


@dataclass(frozen=True, slots=True)
class Proposal:
    """One time of a standing order."""

    id: str
    standing_order_id: str
    period: str
    amount_fen: int
    state: Answer
    opened_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    order_id: str | None


_columns = [_standing.c[field.name] for field in fields(StandingOrder)]
_proposal_columns = [_proposals.c[field.name] for field in fields(Proposal)]


def _from(row: Any) -> StandingOrder:
    values = dict(row._mapping)
    return StandingOrder(**{**values, "kind": Kind(values["kind"])})


def _proposal(row: Any) -> Proposal:
    values = dict(row._mapping)
    return Proposal(**{**values, "state": Answer(values["state"])})


def _select(*where: Any) -> Any:
    return select(*_columns).where(*where).order_by(_standing.c.id)


def add(tx: Connection, made: StandingOrder) -> None:
    row = {field.name: getattr(made, field.name) for field in fields(StandingOrder)}
    tx.execute(insert(_standing), {**row, "kind": made.kind.value})


def find(tx: Connection, standing_id: str) -> StandingOrder | None:
    row = tx.execute(_select(_standing.c.id == standing_id)).first()
    return None if row is None else _from(row)


def hold(tx: Connection, standing_id: str) -> StandingOrder | None:
    """The same, and it stays so until the commit, under the elder's lock like everything of their family."""
    found = find(tx, standing_id)
    if found is None:
        return None
    relatives.lock(tx, found.elder_id)
    return find(tx, standing_id)


def active_on(tx: Connection, card_id: str) -> list[StandingOrder]:
    """Active ones for this card, of all relatives."""
    rows = tx.execute(_select(_standing.c.card_id == card_id, _standing.c.state == ACTIVE))
    return [_from(row) for row in rows]


def of_person(tx: Connection, user_id: str) -> list[StandingOrder]:
    """Active ones this person made, and those made for them."""
    mine = (_standing.c.relative_id == user_id) | (_standing.c.elder_id == user_id)
    return [_from(row) for row in tx.execute(_select(mine, _standing.c.state == ACTIVE))]


def end(tx: Connection, standing_id: str, now: datetime) -> None:
    """End it, and what it still proposes."""
    tx.execute(update(_standing).where(_standing.c.id == standing_id).values(state=ENDED, ended_at=now))
    waiting = (_proposals.c.standing_order_id == standing_id) & (_proposals.c.state == Answer.OPEN.value)
    tx.execute(update(_proposals).where(waiting).values(state=Answer.EXPIRED.value, answered_at=now))


def propose(tx: Connection, standing: StandingOrder, period: str, now: datetime) -> Proposal | None:
    """Put it before the relative, once for each period; None when this period has its proposal."""
    made = Proposal(
        id=new_id(IdKind.PROPOSAL),
        standing_order_id=standing.id,
        period=period,
        amount_fen=standing.amount_fen,
        state=Answer.OPEN,
        opened_at=now,
        expires_at=now + ANSWER_WITHIN,
        answered_at=None,
        order_id=None,
    )
    row = {field.name: getattr(made, field.name) for field in fields(Proposal)}
    row["state"] = made.state.value
    return made if insert_once(tx, _proposals, ("standing_order_id", "period"), row) else None


def proposal(tx: Connection, proposal_id: str) -> Proposal | None:
    row = tx.execute(select(*_proposal_columns).where(_proposals.c.id == proposal_id)).first()
    return None if row is None else _proposal(row)


def proposals(tx: Connection, standing_id: str, limit: int) -> list[Proposal]:
    """The newest first."""
    statement = select(*_proposal_columns).where(_proposals.c.standing_order_id == standing_id)
    return [_proposal(row) for row in tx.execute(statement.order_by(_proposals.c.id.desc()).limit(limit))]


def open_proposals(tx: Connection, relative_id: str, now: datetime) -> list[tuple[Proposal, StandingOrder]]:
    """What waits for this relative's tap, oldest first."""
    statement = (
        select(_proposals.c.id, _standing.c.id)
        .join(_standing, _standing.c.id == _proposals.c.standing_order_id)
        .where(
            _standing.c.relative_id == relative_id,
            _proposals.c.state == Answer.OPEN.value,
            _proposals.c.expires_at > now,
        )
    )
    found = []
    for proposal_id, standing_id in tx.execute(statement.order_by(_proposals.c.id)).all():
        made, standing = proposal(tx, proposal_id), find(tx, standing_id)
        assert made is not None and standing is not None, "joined"
        found.append((made, standing))
    return found


def change(tx: Connection, proposal_id: str, **values: Any) -> None:
    """Write into a proposal whose standing order is held."""
    tx.execute(update(_proposals).where(_proposals.c.id == proposal_id).values(**values))


def proposed_since(tx: Connection, standing_id: str, since: datetime) -> int:
    """What its proposals from that moment on come to in fen: open, or accepted and not come to nothing."""
    nothing = select(_orders.c.id).where(_orders.c.state.in_(_CAME_TO_NOTHING))
    counts = (
        (_proposals.c.standing_order_id == standing_id)
        & (_proposals.c.opened_at >= since)
        & _proposals.c.state.in_((Answer.OPEN.value, Answer.ACCEPTED.value))
        & (_proposals.c.order_id.is_(None) | _proposals.c.order_id.not_in(nothing))
    )
    total = select(func.coalesce(func.sum(_proposals.c.amount_fen), 0)).where(counts)
    return int(tx.execute(total).scalar_one())
