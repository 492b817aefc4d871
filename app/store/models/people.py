"""Tables of people: who they are, their sessions, cards, conversations and consents to messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, LOOKUP, Moment, db

# An index of erased people only, on both databases.
_SOME = text("erased_at IS NOT NULL")
_ERASED: dict[str, Any] = {"postgresql_where": _SOME, "sqlite_where": _SOME}


class User(db.Model):  # type: ignore[name-defined,misc]
    """A person. Never addressed by openid: the same person has several."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_erased_at", "erased_at", **_ERASED),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    erased_at: Mapped[datetime | None] = mapped_column(Moment)  # only the number is left, for the books


class WeChatIdentity(db.Model):  # type: ignore[name-defined,misc]
    """One openid within one app; unionid joins the apps of one person and may be filled in later."""

    __tablename__ = "wechat_identities"
    app_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    openid: Mapped[str] = mapped_column(String(128), primary_key=True)
    unionid: Mapped[str | None] = mapped_column(String(128), index=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)


class Session(db.Model):  # type: ignore[name-defined,misc]
    """One login. `id` is the secret inside the token; `public_id` is what a list may show."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_id: Mapped[str] = mapped_column(ID, unique=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    device_id: Mapped[str | None] = mapped_column(ID, ForeignKey("devices.id"))
    openid: Mapped[str] = mapped_column(String(128))
    channel: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class Card(db.Model):  # type: ignore[name-defined,misc]
    """A card one person bound. `position` is the order in which it was bound: 第一张, 第二张.

    The number is sealed, and gone of an erased person; its first eight digits (the issuer's, the same for
    millions of cards) and its last four are plain, so that no screen and no order opens it.
    """

    __tablename__ = "cards"
    __table_args__ = (UniqueConstraint("user_id", "position"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    card_number: Mapped[str | None] = mapped_column(Text)
    card_number_lookup: Mapped[str | None] = mapped_column(LOOKUP, index=True)
    prefix: Mapped[str] = mapped_column(String(8))
    last_four: Mapped[str] = mapped_column(String(4))
    city: Mapped[str] = mapped_column(String(32))
    mode: Mapped[str] = mapped_column(String(16))
    registered: Mapped[bool]
    nickname: Mapped[str | None] = mapped_column(String(32))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Moment)


class Conversation(db.Model):  # type: ignore[name-defined,misc]
    """Where a person is. `version` grows by one a turn; a stale turn confirms nothing."""

    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), unique=True)
    version: Mapped[int] = mapped_column(Integer)
    memory: Mapped[dict[str, Any]] = mapped_column(JSON)
    updated_at: Mapped[datetime] = mapped_column(Moment)


class Turn(db.Model):  # type: ignore[name-defined,misc]
    """Idempotency of turns: the same key with the same body re-renders, with another body is a 409."""

    __tablename__ = "turns"
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    client_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Moment, index=True)


class Subscription(db.Model):  # type: ignore[name-defined,misc]
    """How many messages of a template a person still accepts (one accept = one send)."""

    __tablename__ = "subscriptions"
    openid: Mapped[str] = mapped_column(String(128), primary_key=True)
    template: Mapped[str] = mapped_column(String(32), primary_key=True)
    credits: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[datetime] = mapped_column(Moment)
