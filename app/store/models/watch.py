"""Tables of what must be watched: work to do, notices, alarms, differences, days, cases."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, Moment, db


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


class Difference(db.Model):  # type: ignore[name-defined,misc]
    """What two books do not agree on. Its money sits in suspense until a rule or a person resolves it.

    `amount_fen` is positive for money that came and fits no order (long), negative for money we booked and
    the other side does not show (short), zero where only a state differs. It is overdue once
    the books of the business day `due_on` could be read.
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
    """What we asked WeChat or the card system about an order, and what they said: evidence.

    The same answer again is counted, so that asking every ten seconds does not fill a disk.
    """

    __tablename__ = "outside_queries"
    __table_args__ = (UniqueConstraint("order_id", "asked", "answer"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(64))
    asked: Mapped[str] = mapped_column(String(16))  # payment | credit | refund
    answer: Mapped[str] = mapped_column(String(64))
    times: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime] = mapped_column(Moment)
    last_at: Mapped[datetime] = mapped_column(Moment)
