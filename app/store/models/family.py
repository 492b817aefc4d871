"""Tables of the family: what a relative may do, what is asked of them, help from afar, holds, and the deeds
that an elder's history is told from.

The tie itself is `relatives` (models/identity.py). A money sum is fen; a moment is UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, LOOKUP, Moment, db


class PayRequest(db.Model):  # type: ignore[name-defined,misc]
    """An elder asks a relative to top up a card: answered by one of those asked, in turn, or by none."""

    __tablename__ = "pay_requests"
    __table_args__ = (Index("ix_pay_requests_state_next_at", "state", "next_at"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    card_id: Mapped[str] = mapped_column(ID, ForeignKey("cards.id"))
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    client_key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))  # domain/pay_requests.py State
    opened_at: Mapped[datetime] = mapped_column(Moment)
    next_at: Mapped[datetime] = mapped_column(Moment)  # when the next relative is asked, or nobody is left
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    order_id: Mapped[str | None] = mapped_column(ID, ForeignKey("orders.id"), index=True)


class PayRequestAsk(db.Model):  # type: ignore[name-defined,misc]
    """One relative's turn in a request."""

    __tablename__ = "pay_request_asks"
    request_id: Mapped[str] = mapped_column(ID, ForeignKey("pay_requests.id"), primary_key=True)
    relative_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(Integer)  # 1 is asked first
    asked_at: Mapped[datetime | None] = mapped_column(Moment)  # None: their turn has not come
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    answer: Mapped[str | None] = mapped_column(String(16))  # yes | no | lapsed
    reason: Mapped[str | None] = mapped_column(String(64))


class StandingOrder(db.Model):  # type: ignore[name-defined,misc]
    """A relative's wish that repeats. It pays nothing: each time it makes a proposal to that relative."""

    __tablename__ = "standing_orders"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    relative_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    card_id: Mapped[str] = mapped_column(ID, ForeignKey("cards.id"))
    kind: Mapped[str] = mapped_column(String(16))  # monthly | low_balance
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    day_of_month: Mapped[int | None] = mapped_column(Integer)  # 1..31; the last day in a shorter month
    threshold_fen: Mapped[int | None] = mapped_column(BigInteger)
    month_ceiling_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), index=True)  # active | ended
    created_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)


class Proposal(db.Model):  # type: ignore[name-defined,misc]
    """One time of a standing order, put before the relative, who says yes with one tap or lets it be."""

    __tablename__ = "proposals"
    __table_args__ = (UniqueConstraint("standing_order_id", "period"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    standing_order_id: Mapped[str] = mapped_column(ID, ForeignKey("standing_orders.id"))
    period: Mapped[str] = mapped_column(String(16))  # "2026-12", or the Shanghai day of a low balance
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), index=True)  # open | accepted | declined | expired
    opened_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    order_id: Mapped[str | None] = mapped_column(ID, ForeignKey("orders.id"), index=True)


class HelpSession(db.Model):  # type: ignore[name-defined,misc]
    """Ten minutes in which a relative sees what the elder is shown. Granted by a spoken yes and a touch."""

    __tablename__ = "help_sessions"
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    relative_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    state: Mapped[str] = mapped_column(String(16))  # asked | open | ended
    asked_at: Mapped[datetime] = mapped_column(Moment)
    spoken_at: Mapped[datetime | None] = mapped_column(Moment)
    touched_at: Mapped[datetime | None] = mapped_column(Moment)
    opened_at: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_by: Mapped[str | None] = mapped_column(String(16))  # elder | relative | time | desk | tie


class HelpEvent(db.Model):  # type: ignore[name-defined,misc]
    """What happened in a help session, in its order. Never a code, a face or a full number."""

    __tablename__ = "help_events"
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("help_sessions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)  # 1, 2, 3 … without gaps
    side: Mapped[str] = mapped_column(String(16))  # elder | relative | house
    kind: Mapped[str] = mapped_column(String(16))  # screen | point | message | form | ended …
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(Moment)


class HelpTicket(db.Model):  # type: ignore[name-defined,misc]
    """A right to join one side's stream once, for a minute; kept as a keyed hash."""

    __tablename__ = "help_tickets"
    ticket: Mapped[str] = mapped_column(LOOKUP, primary_key=True)
    session_id: Mapped[str] = mapped_column(ID, ForeignKey("help_sessions.id"), index=True)
    side: Mapped[str] = mapped_column(String(16))
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class Question(db.Model):  # type: ignore[name-defined,misc]
    """A calm question before an order is confirmed, and what the person said to it."""

    __tablename__ = "questions"
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("orders.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # told_to | duplicate
    reasons: Mapped[list[str]] = mapped_column(JSON)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    asked_at: Mapped[datetime] = mapped_column(Moment)
    answer: Mapped[str | None] = mapped_column(String(16))
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    verdict: Mapped[str | None] = mapped_column(String(16))  # false_alarm | justified: for the counter


class Hold(db.Model):  # type: ignore[name-defined,misc]
    """A relative stops one order for a while. It takes nothing and redirects nothing."""

    __tablename__ = "holds"
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("orders.id"), primary_key=True)
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    placed_by: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    reason: Mapped[str] = mapped_column(String(64))
    placed_at: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime] = mapped_column(Moment)
    released_at: Mapped[datetime | None] = mapped_column(Moment)
    released_by: Mapped[str | None] = mapped_column(String(64))  # a user, or desk:<operator>


class Deed(db.Model):  # type: ignore[name-defined,misc]
    """Who did what in an elder's affairs, when: the history they can hear. Ids sort by time."""

    __tablename__ = "deeds"
    __table_args__ = (
        UniqueConstraint("elder_id", "kind", "subject"),
        Index("ix_deeds_elder_id_id", "elder_id", "id"),
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    actor_id: Mapped[str | None] = mapped_column(ID, ForeignKey("users.id"), index=True)  # None: the house
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))  # what it is about: told once for each
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(Moment)
