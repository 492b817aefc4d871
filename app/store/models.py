"""The tables. Statements are written with Core on these; nothing is loaded lazily.

Moments are stored as UTC. Amounts are BIGINT fen. Names of constraints are fixed, so that a migration can
name them on both databases.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON, TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
ID = String(32)


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment on both databases. ValueError for a naive one: it would be a guess."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment must be aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)
metadata = Base.metadata


class User(db.Model):  # type: ignore[name-defined,misc]
    """A person. Never addressed by openid: the same person has several."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment)


class WeChatIdentity(db.Model):  # type: ignore[name-defined,misc]
    """One openid within one app; unionid joins the apps of one person and may be filled in later."""

    __tablename__ = "wechat_identities"
    app_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    openid: Mapped[str] = mapped_column(String(128), primary_key=True)
    unionid: Mapped[str | None] = mapped_column(String(128), index=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)


class Session(db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    openid: Mapped[str] = mapped_column(String(128))
    channel: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class Card(db.Model):  # type: ignore[name-defined,misc]
    """A card one person bound. `position` is the order in which it was bound: 第一张, 第二张."""

    __tablename__ = "cards"
    __table_args__ = (
        UniqueConstraint("user_id", "card_number"),
        UniqueConstraint("user_id", "position"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    card_number: Mapped[str] = mapped_column(String(32))
    city: Mapped[str] = mapped_column(String(32))
    mode: Mapped[str] = mapped_column(String(16))
    registered: Mapped[bool]
    nickname: Mapped[str | None] = mapped_column(String(32))
    position: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Moment)


class Order(db.Model):  # type: ignore[name-defined,misc]
    """One top-up. `state` is written by store.orders.advance alone."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("user_id", "client_key"),
        CheckConstraint("amount_fen > 0", name="amount_positive"),
        CheckConstraint("fee_fen >= 0", name="fee_not_negative"),
        Index("ix_orders_user_id_id", "user_id", "id"),
        Index("ix_orders_state_expires_at", "state", "expires_at"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))  # the payer
    beneficiary_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    payer_openid: Mapped[str] = mapped_column(String(128))
    card_id: Mapped[str] = mapped_column(ID, ForeignKey("cards.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    fee_fen: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[str] = mapped_column(String(32))
    channel: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(32))
    client_key: Mapped[str] = mapped_column(String(64))
    request_hash: Mapped[str] = mapped_column(String(64))
    read_back: Mapped[str] = mapped_column(String(32))
    bank: Mapped[str | None] = mapped_column(String(32))  # whose fee schedule was quoted
    pay_channel: Mapped[str | None] = mapped_column(String(16))  # which merchant was asked; never changes
    prepay_id: Mapped[str | None] = mapped_column(String(128))
    payer_said: Mapped[str | None] = mapped_column(String(16))  # the phone's hint: ok | cancelled | failed
    transaction_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    card_reference: Mapped[str | None] = mapped_column(String(64))
    balance_after_fen: Mapped[int | None] = mapped_column(BigInteger)
    credit_fen: Mapped[int | None] = mapped_column(BigInteger)  # when the card had room for a part only
    rest_fen: Mapped[int | None] = mapped_column(BigInteger)  # what goes home then, fee included
    batch_id: Mapped[str | None] = mapped_column(ID, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    paid_at: Mapped[datetime | None] = mapped_column(Moment)
    promised_at: Mapped[datetime | None] = mapped_column(Moment)
    credited_at: Mapped[datetime | None] = mapped_column(Moment)


class OrderEvent(db.Model):  # type: ignore[name-defined,misc]
    """What happened, once each: UNIQUE(order_id, event) makes every repeat a no-op."""

    __tablename__ = "order_events"
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("orders.id"), primary_key=True)
    event: Mapped[str] = mapped_column(String(32), primary_key=True)
    state_after: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(Moment)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class LedgerEntry(db.Model):  # type: ignore[name-defined,misc]
    """Double entry, append-only: the lines of one (subject, event) sum to zero.

    `subject` is the id of the order, or of the difference, whose money moved.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("subject", "event", "account"),
        CheckConstraint("amount_fen <> 0", name="amount_not_zero"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    subject: Mapped[str] = mapped_column(ID)
    event: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(32), index=True)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Moment)


class OutboxRow(db.Model):  # type: ignore[name-defined,misc]
    """Work to do outside. Carries ids only: the handler reloads and checks the state again.

    `subject` is the id of an order, a difference or a batch.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("topic", "subject"),
        Index("ix_outbox_done_at_next_at", "done_at", "next_at"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    topic: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(ID)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime] = mapped_column(Moment)
    leased_by: Mapped[str | None] = mapped_column(String(96))
    done_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[str | None] = mapped_column(String(64))
    last_error: Mapped[str | None] = mapped_column(String(200))


class NoticeRow(db.Model):  # type: ignore[name-defined,misc]
    """Every verified notice, once. `verdict` tells what was made of it."""

    __tablename__ = "notices"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    event_type: Mapped[str] = mapped_column(String(32))
    order_id: Mapped[str] = mapped_column(String(64), index=True)
    verdict: Mapped[str] = mapped_column(String(32))
    received_at: Mapped[datetime] = mapped_column(Moment)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


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


class Alarm(db.Model):  # type: ignore[name-defined,misc]
    """Something an operator must look at. Opened once for each (kind, subject)."""

    __tablename__ = "alarms"
    __table_args__ = (UniqueConstraint("kind", "subject"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)


class RefundRow(db.Model):  # type: ignore[name-defined,misc]
    """One refund number: the way home of an order's or a difference's money.

    Asked again always under its own number; only a refund WeChat has CLOSED is followed by another attempt.
    """

    __tablename__ = "refunds"
    __table_args__ = (UniqueConstraint("subject", "attempt"),)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(ID)
    attempt: Mapped[int] = mapped_column(Integer)
    order_id: Mapped[str] = mapped_column(String(64), index=True)  # the number WeChat knows the trade by
    transaction_id: Mapped[str | None] = mapped_column(String(64))  # of a second payment
    pay_channel: Mapped[str] = mapped_column(String(16))
    refund_fen: Mapped[int] = mapped_column(BigInteger)
    total_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))  # asked | success | closed | abnormal | refused
    opened_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class Difference(db.Model):  # type: ignore[name-defined,misc]
    """What two books do not agree on. Its money sits in suspense until a rule or a person resolves it.

    `amount_fen` is positive for money that came and fits no order (long), negative for money we booked and
    the other side does not show (short), zero where only a state differs. `due_on` is the business day from
    which it is overdue.
    """

    __tablename__ = "differences"
    __table_args__ = (
        UniqueConstraint("kind", "reference"),
        Index("ix_differences_state_due_on", "state", "due_on"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(96))  # what is compared, e.g. "wechat:4200…"
    source: Mapped[str] = mapped_column(String(16))  # notice | wechat_bill | card_system_file
    day: Mapped[date] = mapped_column(Date)
    order_id: Mapped[str | None] = mapped_column(String(64), index=True)
    transaction_id: Mapped[str | None] = mapped_column(String(64))
    pay_channel: Mapped[str | None] = mapped_column(String(16))
    account: Mapped[str] = mapped_column(String(32))  # the account whose other side is in suspense
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    total_fen: Mapped[int] = mapped_column(BigInteger)  # of the payment it is about
    detail: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))  # open | resolved
    opened_at: Mapped[datetime] = mapped_column(Moment)
    due_on: Mapped[date] = mapped_column(Date)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    resolution: Mapped[str | None] = mapped_column(String(32))


class ReconciledDay(db.Model):  # type: ignore[name-defined,misc]
    """A business day (Asia/Shanghai) and how far its reconciliation came."""

    __tablename__ = "reconciled_days"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))  # open | closed
    runs: Mapped[int] = mapped_column(Integer)
    first_run_at: Mapped[datetime] = mapped_column(Moment)
    last_run_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)
    summary: Mapped[dict[str, Any]] = mapped_column(JSON)


class Case(db.Model):  # type: ignore[name-defined,misc]
    """Something a person must look at, with its evidence. A plan is due first, a resolution later."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("kind", "subject"),
        Index("ix_cases_resolved_at_plan_due_at", "resolved_at", "plan_due_at"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    level: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    order_id: Mapped[str | None] = mapped_column(String(64), index=True)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSON)
    opened_at: Mapped[datetime] = mapped_column(Moment)
    plan_due_at: Mapped[datetime] = mapped_column(Moment)
    plan: Mapped[str | None] = mapped_column(Text)
    planned_at: Mapped[datetime | None] = mapped_column(Moment)
    escalated_at: Mapped[datetime | None] = mapped_column(Moment)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)
    resolution: Mapped[str | None] = mapped_column(Text)


class OutsideQuery(db.Model):  # type: ignore[name-defined,misc]
    """What we asked WeChat or the card system about an order, and what they said: evidence."""

    __tablename__ = "outside_queries"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(64), index=True)
    asked: Mapped[str] = mapped_column(String(16))  # payment | credit | refund
    answer: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Moment)


class Batch(db.Model):  # type: ignore[name-defined,misc]
    """An end-of-day file for the card system: written with its orders, sent, and answered."""

    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    cutoff_at: Mapped[datetime] = mapped_column(Moment)
    state: Mapped[str] = mapped_column(String(16))  # open | done
    lines: Mapped[int] = mapped_column(Integer)
    total_fen: Mapped[int] = mapped_column(BigInteger)
    opened_at: Mapped[datetime] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)
