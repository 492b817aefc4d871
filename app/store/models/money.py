"""Tables of money: orders, what happened to them, the ledger, refunds and end-of-day files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, Moment, db


def _where(condition: str) -> dict[str, Any]:
    """An index of some rows only, on both databases."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


class Order(db.Model):  # type: ignore[name-defined,misc]
    """One top-up. `state` is written by store.orders.advance alone."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("user_id", "client_key"),
        CheckConstraint("amount_fen > 0", name="amount_positive"),
        CheckConstraint("fee_fen >= 0", name="fee_not_negative"),
        Index("ix_orders_user_id_id", "user_id", "id"),
        Index("ix_orders_state_expires_at", "state", "expires_at"),
        # What relatives paid for an elder; one's own orders do not write it.
        Index("ix_orders_beneficiary_id", "beneficiary_id", **_where("user_id <> beneficiary_id")),
        # What reconciliation reads a day by; opening an order writes neither.
        Index("ix_orders_paid_at", "paid_at", **_where("paid_at IS NOT NULL")),
        Index("ix_orders_credited_at", "credited_at", **_where("credited_at IS NOT NULL")),
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
