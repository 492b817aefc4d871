"""Stuck money becomes a case: its evidence, and a plan that is due."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.domain.orders import PLAN_DUE, RESPONSE_DUE
from app.flows.deps import Deps
from app.store import cases, notices

log = logging.getLogger(__name__)

OUTAGE = "channel_outage"


def quarantine(tx: Connection, kind: str, subject: str, detail: str, now: datetime) -> str:
    """Ring the alarm about something that does not fit our books; returns `kind`, the verdict."""
    if notices.alarm(tx, kind, subject, detail, now):
        log.error("alarm", extra={"kind": kind, "subject": subject})
    return kind


def stuck(
    tx: Connection, kind: str, order_id: str, now: datetime, subject: str | None = None, **more: Any
) -> bool:
    """Level 2: money of this order is stuck. One case a kind and subject; its plan is due in two hours."""
    opened = cases.open_once(
        tx,
        level=2,
        kind=kind,
        subject=subject or order_id,
        order_id=order_id,
        plan_due_at=now + PLAN_DUE,
        now=now,
        more=more,
    )
    if opened:
        log.error("case", extra={"kind": kind, "subject": subject or order_id})
    return opened


def outage(deps: Deps, channel: str, over: bool) -> None:
    """Level 3: a payment channel stopped answering, or answers again. The breaker calls this.

    The first response is the switch itself, so the case begins with that plan.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        waiting = [case for case in cases.unresolved(tx) if case.kind == OUTAGE]
        mine = [case for case in waiting if case.subject.startswith(f"{channel}:")]
        if over:
            for case in mine:
                cases.resolve(tx, case.id, "the channel answers again", now)
            return
        if mine:
            return
        subject = f"{channel}:{now:%Y%m%dT%H%M%S}"
        cases.open_once(
            tx,
            level=3,
            kind=OUTAGE,
            subject=subject,
            order_id=None,
            plan_due_at=now + RESPONSE_DUE,
            now=now,
            more={"channel": channel},
        )
        others = [name for name in deps.pays if name != channel]
        if others:
            opened = next(case for case in cases.unresolved(tx) if case.subject == subject)
            cases.plan(tx, opened.id, f"new orders go through {others[0]} by themselves", now)
