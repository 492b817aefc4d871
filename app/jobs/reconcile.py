"""The clock of reconciliation: each day once its books can be read, again while a side is silent.

Called each minute; almost every call looks at a few rows and leaves.
"""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta

from app.domain.clock import business_day
from app.domain.differences import ready_at
from app.flows.deps import Deps
from app.flows.reconcile import go_on, reconcile
from app.flows.reconcile_books import Silent
from app.flows.trouble import quarantine
from app.store import reconciled_days
from app.store.reconciled_days import Day, Superseded

log = logging.getLogger(__name__)

RETRY = timedelta(minutes=30)  # WeChat asks for this while it makes a bill (notes/wechat.md 4.10)
LATE = timedelta(hours=6)  # a day without its books by then rings the alarm
LONGEST_GAP = timedelta(days=90)  # bills can be had for three months
_DAY = timedelta(days=1)


def reconcile_due(deps: Deps) -> list[date]:
    """Reconcile the days whose turn it is, oldest first; returns those whose books were read.

    A day's turn comes at ten of the next, then every half hour until all its books were read, then once a
    day until it is closed. Between, open differences are worked every half hour.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:
        waiting = reconciled_days.open_days(tx)
        newest = reconciled_days.newest(tx)
    turn = [day.day for day in waiting if _is_due(day, now)] + _new_days(newest, now)
    done = [day for day in turn if _run(deps, day, now)]
    if waiting and not done and now.minute % 30 == 0:
        go_on(deps, now)
    return done


def _is_due(day: Day, now: datetime) -> bool:
    if not day.complete:
        return day.last_run_at + RETRY <= now
    this_mornings = ready_at(business_day(now) - _DAY)
    return day.last_run_at < this_mornings <= now


def _new_days(newest: date | None, now: datetime) -> list[date]:
    """Days nobody has begun, up to yesterday: usually one, more when no worker ran for a while."""
    yesterday = business_day(now) - _DAY
    day = yesterday if newest is None else max(newest + _DAY, yesterday - LONGEST_GAP)
    found = []
    while day <= yesterday and ready_at(day) <= now:
        found.append(day)
        day += _DAY
    return found


def _run(deps: Deps, day: date, now: datetime) -> bool:
    try:
        reconcile(deps, day)
    except Silent as silence:
        log.warning("not reconciled", extra={"day": day.isoformat(), "waits_for": str(silence)})
        if now >= ready_at(day) + LATE:
            with deps.database.write() as tx:
                quarantine(tx, "reconciliation_late", day.isoformat(), str(silence), now)
        return False
    except Superseded as newer:
        log.warning("not reconciled", extra={"day": day.isoformat(), "waits_for": str(newer)})
        return False
    return True
