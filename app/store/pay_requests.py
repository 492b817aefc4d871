"""Requests of elders to their relatives, and each relative's turn in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from app.domain.pay_requests import OPEN, Answer, State
from app.store import models, relatives

_requests = models.metadata.tables["pay_requests"]
_asks = models.metadata.tables["pay_request_asks"]


@dataclass(frozen=True, slots=True)
class PayRequest:
    """One row of `pay_requests`."""

    id: str
    elder_id: str
    card_id: str
    amount_fen: int
    client_key: str
    state: State
    opened_at: datetime
    next_at: datetime
    ended_at: datetime | None
    order_id: str | None

    @property
    def open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Ask:
    """One relative's turn; `asked_at` None: it has not come."""

    request_id: str
    relative_id: str
    position: int
    asked_at: datetime | None
    answered_at: datetime | None
    answer: str | None
    reason: str | None

    @property
    def answerable(self) -> bool:
        """Asked, and not answered: also after the next one was asked, a late yes is welcome."""
        return self.asked_at is not None and self.answer is None


_columns = [_requests.c[field.name] for field in fields(PayRequest)]
_ask_columns = [_asks.c[field.name] for field in fields(Ask)]


def _from(row: Any) -> PayRequest:
    values = dict(row._mapping)
    return PayRequest(**{**values, "state": State(values["state"])})


def add(tx: Connection, request: PayRequest, relative_ids: Sequence[str]) -> None:
    """Write a request with the turns of these relatives, none of whom is asked yet."""
    row = {field.name: getattr(request, field.name) for field in fields(PayRequest)}
    tx.execute(insert(_requests), {**row, "state": request.state.value})
    turns = [
        {"request_id": request.id, "relative_id": relative_id, "position": position}
        for position, relative_id in enumerate(relative_ids, 1)
    ]
    tx.execute(insert(_asks), turns)


def find(tx: Connection, request_id: str) -> PayRequest | None:
    row = tx.execute(select(*_columns).where(_requests.c.id == request_id)).first()
    return None if row is None else _from(row)


def hold(tx: Connection, request_id: str) -> PayRequest | None:
    """The same, and it stays so until the commit: the elder's lock is taken before any other row of theirs,
    so that answers, the elder and the worker take turns and never wait for each other in a circle."""
    found = find(tx, request_id)
    if found is None:
        return None
    relatives.lock(tx, found.elder_id)
    return find(tx, request_id)


def by_key(tx: Connection, elder_id: str, client_key: str) -> PayRequest | None:
    """The request this elder made with this client key."""
    mine = (_requests.c.elder_id == elder_id) & (_requests.c.client_key == client_key)
    row = tx.execute(select(*_columns).where(mine)).first()
    return None if row is None else _from(row)


def open_on(tx: Connection, card_id: str) -> PayRequest | None:
    """The open request for this card."""
    still = _requests.c.state.in_([state.value for state in OPEN])
    row = tx.execute(select(*_columns).where(_requests.c.card_id == card_id, still)).first()
    return None if row is None else _from(row)


def opened_since(tx: Connection, elder_id: str, since: datetime) -> int:
    """How many this elder opened from that moment on."""
    mine = (_requests.c.elder_id == elder_id) & (_requests.c.opened_at >= since)
    return int(tx.execute(select(func.count()).select_from(_requests).where(mine)).scalar_one())


def of_elder(tx: Connection, elder_id: str, limit: int) -> list[PayRequest]:
    """The elder's requests, newest first."""
    statement = select(*_columns).where(_requests.c.elder_id == elder_id)
    return [_from(row) for row in tx.execute(statement.order_by(_requests.c.id.desc()).limit(limit))]


def asked_of(tx: Connection, relative_id: str) -> list[PayRequest]:
    """What still waits for this relative's word, oldest first."""
    statement = (
        select(*_columns)
        .join(_asks, _asks.c.request_id == _requests.c.id)
        .where(
            _asks.c.relative_id == relative_id,
            _asks.c.asked_at.is_not(None),
            _asks.c.answer.is_(None),
            _requests.c.state == State.ASKING.value,
        )
    )
    return [_from(row) for row in tx.execute(statement.order_by(_requests.c.id))]


def asks(tx: Connection, request_id: str) -> list[Ask]:
    """The turns of a request, in their order."""
    statement = select(*_ask_columns).where(_asks.c.request_id == request_id).order_by(_asks.c.position)
    return [Ask(**row._mapping) for row in tx.execute(statement)]


def change(tx: Connection, request_id: str, **values: Any) -> None:
    """Write into a request that is held."""
    tx.execute(update(_requests).where(_requests.c.id == request_id).values(**values))


def ask(tx: Connection, turn: Ask, now: datetime) -> None:
    """This relative's turn has come."""
    tx.execute(update(_asks).where(*_this(turn)).values(asked_at=now))


def answer(tx: Connection, turn: Ask, said: Answer | None, now: datetime, reason: str | None = None) -> None:
    """What the relative said; None takes back a yes that came to nothing, as if it was not said."""
    values = {"answer": said and said.value, "answered_at": said and now, "reason": reason}
    tx.execute(update(_asks).where(*_this(turn)).values(**values))


def _this(turn: Ask) -> tuple[Any, Any]:
    return _asks.c.request_id == turn.request_id, _asks.c.relative_id == turn.relative_id
