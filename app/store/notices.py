"""Verified notices, subscriptions to messages, and alarms for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from app.domain.ids import Kind, new_id
from app.store import models
from app.store.upsert import dialect_insert, insert_once

_notices = models.metadata.tables["notices"]
_subscriptions = models.metadata.tables["subscriptions"]
_alarms = models.metadata.tables["alarms"]


def keep(
    tx: Connection,
    notice_id: str,
    event_type: str,
    order_id: str,
    verdict: str,
    facts: dict[str, Any],
    now: datetime,
) -> bool:
    """Keep a verified notice and what was made of it. False when this notice was kept before."""
    values = {
        "id": notice_id[:64],
        "event_type": event_type[:32],
        "order_id": order_id[:64],
        "verdict": verdict,
        "received_at": now,
        "facts": facts,
    }
    return insert_once(tx, _notices, ("id",), values)


def of_order(tx: Connection, order_id: str) -> list[tuple[str, str]]:
    """(event_type, verdict) of an order's notices, oldest first."""
    statement = select(_notices.c.event_type, _notices.c.verdict)
    statement = statement.where(_notices.c.order_id == order_id).order_by(_notices.c.received_at)
    return [(row.event_type, row.verdict) for row in tx.execute(statement)]


def add_subscription(tx: Connection, openid: str, template: str, now: datetime) -> None:
    """One accept is one message."""
    statement = dialect_insert(tx, _subscriptions).values(
        openid=openid, template=template, credits=1, updated_at=now
    )
    more = {"credits": _subscriptions.c.credits + 1, "updated_at": now}
    tx.execute(statement.on_conflict_do_update(index_elements=["openid", "template"], set_=more))


def use_subscription(tx: Connection, openid: str, template: str, now: datetime) -> bool:
    """Take one credit; False when there is none."""
    here = (_subscriptions.c.openid == openid) & (_subscriptions.c.template == template)
    taken = update(_subscriptions).where(here, _subscriptions.c.credits > 0)
    return tx.execute(taken.values(credits=_subscriptions.c.credits - 1, updated_at=now)).rowcount == 1


def drop_subscription(tx: Connection, openid: str, template: str, now: datetime) -> None:
    """WeChat says the quota is used up: our count was too hopeful."""
    here = (_subscriptions.c.openid == openid) & (_subscriptions.c.template == template)
    tx.execute(update(_subscriptions).where(here).values(credits=0, updated_at=now))


def alarm(tx: Connection, kind: str, subject: str, detail: str, now: datetime) -> bool:
    """Open an alarm once for each (kind, subject). True when it is new."""
    values = {
        "id": new_id(Kind.EVENT),
        "kind": kind,
        "subject": subject[:64],
        "detail": detail,
        "opened_at": now,
    }
    return insert_once(tx, _alarms, ("kind", "subject"), values)


def open_alarms(tx: Connection) -> int:
    statement = select(func.count()).select_from(_alarms).where(_alarms.c.closed_at.is_(None))
    return int(tx.execute(statement).scalar_one())
