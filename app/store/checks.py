"""What an order needs before it may be paid, and what was proven for it so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from app.domain.identity import Factor, satisfied, still_needed
from app.domain.risk import Risk, Thresholds
from app.store import models
from app.store.order_rows import COLUMNS, Order, from_row
from app.store.upsert import dialect_insert, insert_once

_checks = models.metadata.tables["identity_checks"]
_factors = models.metadata.tables["check_factors"]
_limits = models.metadata.tables["own_limits"]
_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]
_devices = models.metadata.tables["devices"]


@dataclass(frozen=True, slots=True)
class Check:
    """One order's check. `proven` are the factors so far."""

    order_id: str
    user_id: str
    level: str
    reasons: tuple[str, ...]
    ways: tuple[tuple[str, ...], ...]
    proves_entry: bool
    passed_at: datetime | None
    relatives_asked_at: datetime | None
    proven: frozenset[Factor]

    @property
    def satisfied(self) -> bool:
        """Whether everything of one way is proven."""
        return satisfied(self.ways, self.proven)

    @property
    def needed(self) -> tuple[Factor, ...]:
        """Every factor that would still help."""
        return still_needed(self.ways, self.proven)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows for the risk rule. Sums are of this person or onto this card, oldest first."""

    today_fen: tuple[int, ...]
    card_bound_at: datetime
    device_seen_at: datetime | None
    paid_before: bool
    entry_passed_at: datetime | None
    own: Thresholds | None


def facts(tx: Connection, order: Order, device_id: str | None, day_start: datetime, now: datetime) -> Facts:
    """One look at everything that is known when `order` is confirmed.

    Sums count from the moment their payment may be made, so that several orders side by side do not slip
    under the day's threshold; money that went home again is no signal and no sum.
    """
    user_id, card_id = order.user_id, order.card_id
    mine = ((_orders.c.user_id == user_id) | (_orders.c.card_id == card_id)) & (_orders.c.id != order.id)
    kept = _orders.c.paid_at.is_not(None) & _orders.c.state.not_in(("refunding", "refunded"))
    may_be_paid = (_orders.c.state == "awaiting_payment") & (_orders.c.expires_at > now)
    today = select(_orders.c.amount_fen).where(mine, (kept & (_orders.c.paid_at >= day_start)) | may_be_paid)
    sums = tx.execute(today.order_by(func.coalesce(_orders.c.paid_at, _orders.c.created_at))).scalars()
    device = select(_devices.c.first_seen_at).where(_devices.c.id == device_id, _devices.c.user_id == user_id)
    before = select(func.max(_orders.c.id)).where(_orders.c.user_id == user_id, kept)
    entry = select(func.max(_checks.c.passed_at)).where(
        _checks.c.user_id == user_id, _checks.c.proves_entry.is_(True)
    )
    row = tx.execute(
        select(
            _cards.c.created_at,
            device.scalar_subquery().label("device_seen_at"),
            before.scalar_subquery().label("paid_before"),
            entry.scalar_subquery().label("entry_passed_at"),
            _limits.c.single_fen,
            _limits.c.day_fen,
        )
        .select_from(_cards.outerjoin(_limits, _limits.c.user_id == user_id))
        .where(_cards.c.id == card_id)
    ).one()
    return Facts(
        today_fen=tuple(sums),
        card_bound_at=row.created_at,
        device_seen_at=row.device_seen_at,
        paid_before=row.paid_before is not None,
        entry_passed_at=row.entry_passed_at,
        own=None if row.single_fen is None else Thresholds(row.single_fen, row.day_fen),
    )


def open_once(tx: Connection, order_id: str, user_id: str, risk: Risk, now: datetime) -> None:
    """Write down what this order needs; the first decision stands."""
    values = {
        "order_id": order_id,
        "user_id": user_id,
        "level": risk.level.value,
        "reasons": list(risk.reasons),
        "ways": [[factor.value for factor in Factor if factor in way] for way in risk.ways],
        "proves_entry": risk.proves_entry,
        "opened_at": now,
    }
    insert_once(tx, _checks, ("order_id",), values)


def find(tx: Connection, order_id: str) -> Check | None:
    """The check of this order; None when none was ever needed."""
    row = tx.execute(select(_checks).where(_checks.c.order_id == order_id)).first()
    if row is None:
        return None
    proven = tx.execute(select(_factors.c.factor).where(_factors.c.order_id == order_id)).scalars()
    return Check(
        order_id=row.order_id,
        user_id=row.user_id,
        level=row.level,
        reasons=tuple(row.reasons),
        ways=tuple(tuple(way) for way in row.ways),
        proves_entry=row.proves_entry,
        passed_at=row.passed_at,
        relatives_asked_at=row.relatives_asked_at,
        proven=frozenset(Factor(each) for each in proven),
    )


def prove(tx: Connection, order_id: str, factor: Factor, proven_by: str, now: datetime) -> bool:
    """Write a factor down, once. False when it was there already."""
    row = {"order_id": order_id, "factor": factor.value, "proven_by": proven_by, "at": now}
    return insert_once(tx, _factors, ("order_id", "factor"), row)


def passed(tx: Connection, order_id: str, now: datetime) -> None:
    """The check is over; its moment is kept for the city's first-use rule."""
    open_still = (_checks.c.order_id == order_id) & _checks.c.passed_at.is_(None)
    tx.execute(update(_checks).where(open_still).values(passed_at=now))


def ask_relatives(tx: Connection, order_id: str, now: datetime) -> bool:
    """Remember that relatives were asked. False when they were before."""
    first = (_checks.c.order_id == order_id) & _checks.c.relatives_asked_at.is_(None)
    return tx.execute(update(_checks).where(first).values(relatives_asked_at=now)).rowcount == 1


def asked_of_relatives(tx: Connection, elder_id: str, now: datetime) -> list[Order]:
    """This elder's orders that wait for a relative's word."""
    statement = (
        select(*COLUMNS)
        .join(_checks, _checks.c.order_id == _orders.c.id)
        .where(
            _orders.c.user_id == elder_id,
            _orders.c.state == "awaiting_check",
            _orders.c.expires_at > now,
            _checks.c.relatives_asked_at.is_not(None),
        )
        .order_by(_orders.c.id)
    )
    return [from_row(row) for row in tx.execute(statement)]


def set_own_limits(tx: Connection, user_id: str, own: Thresholds, now: datetime) -> None:
    """The person's own thresholds, as they are from now on."""
    values = {"single_fen": own.single_fen, "day_fen": own.day_fen, "at": now}
    statement = dialect_insert(tx, _limits).values(user_id=user_id, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


def drop_own_limits(tx: Connection, user_id: str) -> bool:
    """Back to the city's thresholds. False when the person had none of their own."""
    return tx.execute(delete(_limits).where(_limits.c.user_id == user_id)).rowcount == 1


def own_limits(tx: Connection, user_id: str) -> Thresholds | None:
    row = tx.execute(
        select(_limits.c.single_fen, _limits.c.day_fen).where(_limits.c.user_id == user_id)
    ).first()
    return None if row is None else Thresholds(row.single_fen, row.day_fen)
