"""Tables of identity: checks of one order, their challenges and codes, templates, real names, relatives.

Whatever names a person is sealed (`app.ports.Vault`); what must be found again has a keyed hash beside it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.store.models.base import ID, LOOKUP, Moment, db


class IdentityCheck(db.Model):  # type: ignore[name-defined,misc]
    """What one order needs before it may be paid: any one of `ways`, each a set of factors, is enough."""

    __tablename__ = "identity_checks"
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("orders.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), index=True)
    level: Mapped[str] = mapped_column(String(16))
    reasons: Mapped[list[str]] = mapped_column(JSON)
    ways: Mapped[list[list[str]]] = mapped_column(JSON)
    proves_entry: Mapped[bool]  # passing it also serves the city's first-use rule
    opened_at: Mapped[datetime] = mapped_column(Moment)
    passed_at: Mapped[datetime | None] = mapped_column(Moment)
    relatives_asked_at: Mapped[datetime | None] = mapped_column(Moment)


class CheckFactor(db.Model):  # type: ignore[name-defined,misc]
    """One factor that was proven for one order, once. `proven_by`: the person, a relative, a desk."""

    __tablename__ = "check_factors"
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("identity_checks.order_id"), primary_key=True)
    factor: Mapped[str] = mapped_column(String(16), primary_key=True)
    proven_by: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Moment)


class Challenge(db.Model):  # type: ignore[name-defined,misc]
    """A question for one face or finger, bound to user, order, amount and device; single use.

    `outcome` is a band, never a score: pass, middle, no_match, retry, refused.
    """

    __tablename__ = "challenges"
    __table_args__ = (Index("ix_challenges_user_id_opened_at", "user_id", "opened_at"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # face | remote_face | fingerprint
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    order_id: Mapped[str] = mapped_column(ID, ForeignKey("orders.id"), index=True)
    bound_to: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    actions: Mapped[list[str]] = mapped_column(JSON)
    reference: Mapped[str | None] = mapped_column(String(128))  # the provider's own id
    opened_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    outcome: Mapped[str | None] = mapped_column(String(16))


class FrameSeen(db.Model):  # type: ignore[name-defined,misc]
    """Fingerprints of frames that were used, so that no recording counts twice. No picture is kept."""

    __tablename__ = "frames_seen"
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    frame: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, index=True)


class OneTimeCode(db.Model):  # type: ignore[name-defined,misc]
    """A code that was sent or handed out, as a keyed hash: bound to what it is for, few tries, one use."""

    __tablename__ = "one_time_codes"
    __table_args__ = (Index("ix_one_time_codes_user_id_purpose", "user_id", "purpose"),)
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))  # order | phone | desk | invite
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"))
    bound_to: Mapped[str] = mapped_column(LOOKUP)
    code: Mapped[str] = mapped_column(LOOKUP, index=True)
    issued_by: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class FaceTemplate(db.Model):  # type: ignore[name-defined,misc]
    """The mean of three enrolled frames, sealed. Useless with another model; gone on withdrawal."""

    __tablename__ = "face_templates"
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(Text)
    enrolled_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class RealName(db.Model):  # type: ignore[name-defined,misc]
    """Who a person is, as far as they told us: sealed, shown masked."""

    __tablename__ = "real_names"
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    id_number: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    bank_card: Mapped[str | None] = mapped_column(Text)
    id_number_lookup: Mapped[str | None] = mapped_column(LOOKUP, index=True)
    phone_lookup: Mapped[str | None] = mapped_column(LOOKUP, index=True)
    bank_card_lookup: Mapped[str | None] = mapped_column(LOOKUP, index=True)
    named_at: Mapped[datetime | None] = mapped_column(Moment)
    phone_at: Mapped[datetime | None] = mapped_column(Moment)
    bank_card_at: Mapped[datetime | None] = mapped_column(Moment)


class Relative(db.Model):  # type: ignore[name-defined,misc]
    """One relative of one elder, and what they may do. The elder confirmed in person; either side may end it.

    Caps that are null are the house's (`app.domain.family`); an elder may only lower them.
    """

    __tablename__ = "relatives"
    elder_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    relative_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True, index=True)
    name: Mapped[str | None] = mapped_column(String(32))  # what the elder calls them
    state: Mapped[str] = mapped_column(String(16))  # accepted | bound | ended
    bound_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    roles: Mapped[list[str]] = mapped_column(JSON, server_default="[]")
    agreed_until: Mapped[datetime | None] = mapped_column(Moment)  # then the elder is asked again
    single_fen: Mapped[int | None] = mapped_column(BigInteger)
    day_fen: Mapped[int | None] = mapped_column(BigInteger)
    month_fen: Mapped[int | None] = mapped_column(BigInteger)
    frozen_at: Mapped[datetime | None] = mapped_column(Moment)
    frozen_why: Mapped[str | None] = mapped_column(String(200))


class OwnLimit(db.Model):  # type: ignore[name-defined,misc]
    """From here on this person wants a check: never above the city's own thresholds."""

    __tablename__ = "own_limits"
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id"), primary_key=True)
    single_fen: Mapped[int] = mapped_column(BigInteger)
    day_fen: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Moment)
