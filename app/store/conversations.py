"""Where each person is, one conversation a person, and the turns that led there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from app.domain.ids import Kind, new_id
from app.errors import AppError
from app.store import models
from app.store.upsert import insert_once

_conversations = models.metadata.tables["conversations"]
_turns = models.metadata.tables["turns"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """`memory` is the dialogue's own; this room only keeps it."""

    id: str
    user_id: str
    version: int
    memory: dict[str, Any]
    updated_at: datetime


def of_user(tx: Connection, user_id: str, now: datetime) -> Conversation:
    """The person's conversation, made at first sight."""
    mine = select(_conversations).where(_conversations.c.user_id == user_id)
    row = tx.execute(mine).first()
    if row is None:
        values = {
            "id": new_id(Kind.CONVERSATION),
            "user_id": user_id,
            "version": 0,
            "memory": {},
            "updated_at": now,
        }
        insert_once(tx, _conversations, ("user_id",), values)
        row = tx.execute(mine).one()
    return Conversation(**row._mapping)


def save(tx: Connection, conversation: Conversation, memory: dict[str, Any], now: datetime) -> Conversation:
    """One turn on. AppError turn_overtaken when another turn was quicker."""
    done = tx.execute(
        update(_conversations)
        .where(_conversations.c.id == conversation.id, _conversations.c.version == conversation.version)
        .values(version=conversation.version + 1, memory=memory, updated_at=now)
    )
    if done.rowcount != 1:
        raise AppError("turn_overtaken")
    return Conversation(conversation.id, conversation.user_id, conversation.version + 1, memory, now)


def seen(tx: Connection, user_id: str, client_key: str, request_hash: str) -> bool:
    """Whether this turn was taken before. AppError client_key_reused when its key meant another turn."""
    known = select(_turns.c.request_hash).where(
        _turns.c.user_id == user_id, _turns.c.client_key == client_key
    )
    before = tx.execute(known).scalar()
    if before is not None and before != request_hash:
        raise AppError("client_key_reused")
    return before is not None


def first_time(tx: Connection, user_id: str, client_key: str, request_hash: str, now: datetime) -> bool:
    """Take the turn's key. False when the same turn took it first; AppError client_key_reused as above."""
    values = {"user_id": user_id, "client_key": client_key, "request_hash": request_hash, "at": now}
    if insert_once(tx, _turns, ("user_id", "client_key"), values):
        return True
    return not seen(tx, user_id, client_key, request_hash)
