"""What is known about a payment, put before the risk rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.clock import SHANGHAI, day_start
from app.domain.identity import Factor
from app.domain.risk import Risk, Signals, assess, thresholds
from app.flows.deps import Deps
from app.store import checks, relatives
from app.store.orders import Order
from app.store.people import Actor


def risk_of(deps: Deps, tx: Connection, actor: Actor, order: Order, now: datetime) -> Risk:
    """What confirming this order needs, decided from the rows as they are in this transaction."""
    known = checks.facts(tx, order, actor.device_id, day_start(now), now)
    days = deps.city.entry.identity_days
    proven = known.entry_passed_at is not None and (days is None or (now - known.entry_passed_at).days < days)
    seen = Signals(
        amount_fen=order.amount_fen,
        today_fen=known.today_fen,
        hour=now.astimezone(SHANGHAI).hour,
        card_age=now - known.card_bound_at,
        device_age=None if known.device_seen_at is None else now - known.device_seen_at,
        relative_age=_relative_age(tx, order, now),
        first_in_city=not known.paid_before,
        entry_proven=proven,
    )
    risk = assess(deps.city, thresholds(deps.city, known.own), seen)
    # Faces are compared by one of two, as the installation says: the other's ways lead nowhere here.
    elsewhere = Factor.FACE if deps.settings.face.provider == "wechat" else Factor.REMOTE_FACE
    return replace(risk, ways=tuple(way for way in risk.ways if elsewhere not in way))


def _relative_age(tx: Connection, order: Order, now: datetime) -> timedelta | None:
    """For how long the payer has been a relative of whose card it is; None for one's own card."""
    if not order.delegated:
        return None
    tie = relatives.find(tx, order.beneficiary_id, order.user_id)
    return timedelta(0) if tie is None or tie.bound_at is None else now - tie.bound_at
