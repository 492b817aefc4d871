"""One-time codes: kept as keyed hashes, bound to what they are for, few tries, one use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from app.domain.identity import CODE_TRIES
from app.domain.ids import Kind, new_id
from app.store import models

_codes = models.metadata.tables["one_time_codes"]


class CodePurpose(StrEnum):
    ORDER = "order"  # by SMS, for one order
    PHONE = "phone"  # by SMS, to bind that phone
    DESK = "desk"  # by an operator, for one order
    INVITE = "invite"  # by an elder, for a relative


@dataclass(frozen=True, slots=True)
class Code:
    """A live code. `issued_by` is a person, or an operator's name."""

    id: str
    user_id: str
    issued_by: str


def issue(
    tx: Connection,
    purpose: CodePurpose,
    user_id: str,
    bound_to: str,
    code: str,
    issued_by: str,
    now: datetime,
    expires_at: datetime,
) -> str:
    """Keep a code's hash; whatever the same person had for the same purpose is worth nothing from now on.
    Returns the row's id."""
    void(tx, purpose, user_id, now)
    code_id = new_id(Kind.CODE)
    values = {
        "id": code_id,
        "purpose": purpose.value,
        "user_id": user_id,
        "bound_to": bound_to,
        "code": code,
        "issued_by": issued_by,
        "opened_at": now,
        "expires_at": expires_at,
        "tries": 0,
    }
    tx.execute(insert(_codes), values)
    return code_id


def void(tx: Connection, purpose: CodePurpose, user_id: str, now: datetime) -> None:
    """End what is still live of this person and purpose."""
    live = (_codes.c.user_id == user_id) & (_codes.c.purpose == purpose.value) & _codes.c.used_at.is_(None)
    tx.execute(update(_codes).where(live).values(used_at=now))


def use(
    tx: Connection,
    purpose: CodePurpose,
    user_id: str,
    bound_to: Collection[str],
    code: Collection[str],
    now: datetime,
) -> Code | None:
    """Take a code in: the right one, in time, for exactly this, is used up; None for anything else. Both are
    given as what they may be kept as, under each lookup key there is.

    A wrong one costs a try, and after CODE_TRIES the live code is worth nothing. Both are counted in the row
    itself, so that parallel guesses are counted too.
    """
    live = (
        (_codes.c.purpose == purpose.value)
        & (_codes.c.user_id == user_id)
        & _codes.c.used_at.is_(None)
        & (_codes.c.expires_at > now)
    )
    counted = update(_codes).where(live, _codes.c.tries < CODE_TRIES).values(tries=_codes.c.tries + 1)
    tx.execute(counted)
    right = _codes.c.bound_to.in_(bound_to) & _codes.c.code.in_(code) & (_codes.c.tries <= CODE_TRIES)
    taken = update(_codes).where(live, right).values(used_at=now)
    row = tx.execute(taken.returning(_codes.c.id, _codes.c.user_id, _codes.c.issued_by)).first()
    if row is None:
        tx.execute(update(_codes).where(live, _codes.c.tries >= CODE_TRIES).values(used_at=now))
        return None
    return Code(row.id, row.user_id, row.issued_by)


def find_invite(tx: Connection, code: Collection[str], now: datetime) -> str | None:
    """Whose live invitation this is; None for no such code. `code` is as for `use`."""
    statement = select(_codes.c.user_id).where(
        _codes.c.purpose == CodePurpose.INVITE.value,
        _codes.c.code.in_(code),
        _codes.c.used_at.is_(None),
        _codes.c.expires_at > now,
    )
    return tx.execute(statement).scalar()
