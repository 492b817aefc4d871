"""Challenges of faces and fingers, templates, and by what frames and films that were used are known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.ids import Kind, new_id
from app.store import models
from app.store.upsert import dialect_insert, insert_once

_challenges = models.metadata.tables["challenges"]
_frames = models.metadata.tables["frames_seen"]
_traces = models.metadata.tables["motion_traces"]
_users = models.metadata.tables["users"]
_templates = models.metadata.tables["face_templates"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One question that may be answered once, until `expires_at`."""

    id: str
    kind: str
    order_id: str
    bound_to: str
    nonce: str
    actions: tuple[str, ...]
    reference: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Template:
    """A stored template, still sealed."""

    model_id: str
    sealed: str
    enrolled_at: datetime
    expires_at: datetime


def open_challenge(tx: Connection, values: dict[str, Any]) -> str:
    """Keep a new challenge; whatever of this kind was open for the same order is void. Returns its id.

    `values`: kind, user_id, order_id, bound_to, nonce, actions, opened_at, expires_at, and reference.
    """
    older = (
        (_challenges.c.order_id == values["order_id"])
        & (_challenges.c.kind == values["kind"])
        & _challenges.c.used_at.is_(None)
    )
    tx.execute(update(_challenges).where(older).values(used_at=values["opened_at"], outcome="void"))
    challenge_id = new_id(Kind.CHALLENGE)
    tx.execute(insert(_challenges), {"id": challenge_id, **values})
    return challenge_id


def take(
    tx: Connection, challenge_id: str, user_id: str, order_id: str, kind: str, bound_to: str, now: datetime
) -> Challenge | None:
    """Use a challenge up: of this person, order, amount and device, in time, once. None for anything else."""
    live = (
        (_challenges.c.id == challenge_id)
        & (_challenges.c.user_id == user_id)
        & (_challenges.c.order_id == order_id)
        & (_challenges.c.kind == kind)
        & (_challenges.c.bound_to == bound_to)
        & _challenges.c.used_at.is_(None)
        & (_challenges.c.expires_at > now)
    )
    taken = update(_challenges).where(live).values(used_at=now, outcome="unanswered").returning(_challenges)
    row = tx.execute(taken).first()
    if row is None:
        return None
    return Challenge(
        row.id,
        row.kind,
        row.order_id,
        row.bound_to,
        row.nonce,
        tuple(row.actions),
        row.reference,
        row.expires_at,
    )


def end(tx: Connection, challenge_id: str, outcome: str) -> None:
    """What became of it: a band, never a score."""
    tx.execute(update(_challenges).where(_challenges.c.id == challenge_id).values(outcome=outcome))


def give_back(tx: Connection, challenge_id: str) -> None:
    """An answer nobody looked at (our engine was busy) costs nothing: it may be given once more in time."""
    mine = (_challenges.c.id == challenge_id) & (_challenges.c.outcome == "unanswered")
    tx.execute(update(_challenges).where(mine).values(used_at=None, outcome=None))


def outcomes(tx: Connection, user_id: str, since: datetime, order_id: str | None = None) -> dict[str, int]:
    """How many challenges of this person ended how since a moment, all or for one order."""
    mine = (_challenges.c.user_id == user_id) & (_challenges.c.opened_at >= since)
    if order_id is not None:
        mine &= _challenges.c.order_id == order_id
    counted = select(_challenges.c.outcome, func.count()).where(mine, _challenges.c.outcome.is_not(None))
    return {row[0]: row[1] for row in tx.execute(counted.group_by(_challenges.c.outcome))}


def frames_are_new(tx: Connection, user_id: str, frames: Sequence[str], now: datetime) -> bool:
    """Remember these frames (hashes); False when one of them was used before: a recording, not a face."""
    fresh = [
        insert_once(tx, _frames, ("user_id", "frame"), {"user_id": user_id, "frame": frame, "at": now})
        for frame in frames
    ]
    return all(fresh)


def keep_trace(
    tx: Connection, user_id: str, challenge_id: str, sealed: str, now: datetime, most: int
) -> list[tuple[str, str]]:
    """Keep a film's sealed trace. Returns the (challenge id, sealed trace) of the `most` newest before it.

    Locks the person's row: of two films that arrive together, the second sees the first."""
    tx.execute(select(_users.c.id).where(_users.c.id == user_id).with_for_update())
    newest = select(_traces.c.challenge_id, _traces.c.trace).where(_traces.c.user_id == user_id)
    earlier = tx.execute(newest.order_by(_traces.c.at.desc(), _traces.c.challenge_id).limit(most)).all()
    values = {"user_id": user_id, "challenge_id": challenge_id, "trace": sealed, "at": now}
    tx.execute(insert(_traces), values)
    return [(row.challenge_id, row.trace) for row in earlier]


def keep_template(tx: Connection, user_id: str, template: Template) -> None:
    """The one template of this person, in place of any older one."""
    values = {
        "model_id": template.model_id,
        "template": template.sealed,
        "enrolled_at": template.enrolled_at,
        "expires_at": template.expires_at,
    }
    statement = dialect_insert(tx, _templates).values(user_id=user_id, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


def template_of(tx: Connection, user_id: str, now: datetime) -> Template | None:
    """A template that has not expired."""
    live = (_templates.c.user_id == user_id) & (_templates.c.expires_at > now)
    row = tx.execute(select(_templates).where(live)).first()
    return None if row is None else Template(row.model_id, row.template, row.enrolled_at, row.expires_at)
