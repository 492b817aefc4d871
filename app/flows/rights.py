"""A person's rights over their data: to have all of it, and to have it deleted (PIPL 45 and 47)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import Signer
from sqlalchemy import Connection

from app.domain.clock import iso
from app.domain.orders import Event, State
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import rates
from app.flows.deps import Deps
from app.store import orders, personal
from app.store.people import Actor
from app.voice import replies

EXPORTS_A_DAY = 10
TIME_TO_CONFIRM = timedelta(minutes=10)
_WITHOUT_MONEY = frozenset({State.AWAITING_CONFIRMATION, State.AWAITING_CHECK})


@dataclass(frozen=True, slots=True)
class Asked:
    """The question whether everything shall be deleted. `token` answers it, in this session and in time."""

    token: str
    expires_at: datetime
    screen: Screen


def export(deps: Deps, actor: Actor) -> dict[str, Any]:
    """Everything we keep about the person. AppError too_many_tries above EXPORTS_A_DAY."""
    rates.spend(deps, f"export:{actor.user_id}", EXPORTS_A_DAY, timedelta(days=1))
    return export_of(deps, actor.user_id)


def export_of(deps: Deps, user_id: str) -> dict[str, Any]:
    """{"user_id", "exported_at", "data": {table: rows}}: numbers masked, no secret, of templates only that
    there is one. LookupError for a person who never was."""

    def opened(sealed: str, context: str) -> str:
        return deps.vault.open(sealed, context).decode()

    with deps.database.read() as tx:
        data = personal.export(tx, user_id, opened)
    if "users" not in data:
        raise LookupError(user_id)
    return {"user_id": user_id, "exported_at": iso(deps.clock.now()), "data": data}


def ask_to_erase(deps: Deps, actor: Actor) -> Asked:
    """Say what would be deleted and what is kept. AppError erase_money_moving while money is on its way."""
    with deps.database.read() as tx:
        if _money_moving(tx, actor.user_id, personal.orders_under_way(tx, actor.user_id)):
            raise AppError("erase_money_moving")
    expires_at = deps.clock.now() + TIME_TO_CONFIRM
    token = _token(deps, actor, int(expires_at.timestamp()))
    return Asked(token, expires_at, replies.screen("erase_ask", token=token))


def erase(deps: Deps, actor: Actor, token: str) -> Screen:
    """Delete everything the law does not make us keep, at once; the session ends with it.

    AppError erase_token_invalid for a token of another session or out of time, erase_money_moving.
    """
    until, _, _signature = token.partition(".")
    intime = until.isascii() and until.isdigit() and int(deps.clock.now().timestamp()) < int(until)
    if not intime or not _same(token, _token(deps, actor, int(until))):
        raise AppError("erase_token_invalid")
    erase_user(deps, actor.user_id)
    return replies.screen("erased")


def erase_user(deps: Deps, user_id: str) -> None:
    """The same, for a person who asked an operator. LookupError for one who is not there, or is erased.

    What was not confirmed yet is cancelled. AppError erase_money_moving while money is on its way: nothing
    is deleted then.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        if not personal.exists_unerased(tx, user_id):
            raise LookupError(user_id)
        under_way = personal.orders_under_way(tx, user_id, lock=True)
        if _money_moving(tx, user_id, under_way):
            raise AppError("erase_money_moving")
        for order_id in under_way:
            orders.advance(tx, orders.get(tx, order_id), Event.CANCELLED, now, facts={"by": "erasure"})
        personal.erase(tx, user_id, now)


def _money_moving(tx: Connection, user_id: str, under_way: Mapping[str, State]) -> bool:
    """A payment that was asked for may still come: it counts as money on its way."""
    return bool(set(under_way.values()) - _WITHOUT_MONEY) or personal.money_unsettled(tx, user_id)


def _token(deps: Deps, actor: Actor, until: int) -> str:
    """Good until this second, for this session of this person. Only the time and our signature are in it."""
    signer = Signer(deps.settings.session_keys[0], salt="anxin.erase", digest_method=hashlib.sha256)
    signature = signer.get_signature(f"{actor.user_id}|{actor.session_id}|{until}").decode()
    return f"{until}.{signature}"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
