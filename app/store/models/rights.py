"""Tables of a person's rights: what they agreed to, the devices they use, and how often a door was tried."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, LOOKUP, Moment, db


class Consent(db.Model):  # type: ignore[name-defined,misc]
    """One act of one person about one purpose, append-only; the highest `number` is what counts."""

    __tablename__ = "consents"
    __table_args__ = (UniqueConstraint("user_id", "purpose", "number"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(String(32))
    number: Mapped[int] = mapped_column(Integer)  # 1, 2, 3 … of this person and purpose
    version: Mapped[int] = mapped_column(Integer)
    act: Mapped[str] = mapped_column(String(16))  # given | withdrawn
    at: Mapped[datetime] = mapped_column(Moment)
    channel: Mapped[str] = mapped_column(String(16))


class Device(db.Model):  # type: ignore[name-defined,misc]
    """An installation one person logged in from. `device_key` is a keyed hash of what it calls itself."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("user_id", "device_key"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    device_key: Mapped[str] = mapped_column(LOOKUP)
    first_seen_at: Mapped[datetime] = mapped_column(Moment)
    last_seen_at: Mapped[datetime] = mapped_column(Moment)
    told_at: Mapped[datetime | None] = mapped_column(Moment)  # when the person heard of it in WeChat


class RateCounter(db.Model):  # type: ignore[name-defined,misc]
    """How often something was tried in one window. `bucket` is a keyed hash: no address is kept."""

    __tablename__ = "rate_counters"
    bucket: Mapped[str] = mapped_column(LOOKUP, primary_key=True)
    window_start: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)
