"""The sweep re-drives whatever stayed put: it is why a lost hint costs time and never money."""

from __future__ import annotations

from app.domain.clock import business_day
from app.domain.orders import State, Topic
from app.flows import batch, settle
from app.flows.deps import Deps
from app.store import cases, notices, orders, outbox, personal

BATCH = 500
FACES_BEFORE_FILING = 90_000  # at 100 000 stored faces the operator must file (Face Measures 2025)
_WORK_OF = {
    State.PAID: Topic.DELIVER,
    State.RETURNING_REST: Topic.REFUND,
    State.REFUNDING: Topic.REFUND,
}


def sweep(deps: Deps) -> dict[str, int]:
    """Expire unpaid orders whose time is over, reopen the work of orders that hold money, close an
    end-of-day file that is due, forget what is kept for a time only (docs/RETENTION.md), and call again
    about plans that are overdue.

    Returns counts: expired, reopened, forgotten turns, batches, overdue plans.
    """
    now = deps.clock.now()
    batches = batch.collect(deps)
    with deps.database.read() as tx:
        overdue = orders.overdue(tx, now, BATCH)
        holding = orders.holding_money(tx, BATCH)
    expired = sum(settle.expire(deps, order, now).state is State.EXPIRED for order in overdue)
    reopened = 0
    with deps.database.write() as tx:
        for order_id, state in holding:
            if state in _WORK_OF:
                reopened += outbox.reopen(tx, _WORK_OF[state], order_id, now)
        forgotten = personal.forget_expired(tx, now)["turns"]
        personal.mask_cards(tx, now)
        if personal.faces_stored(tx) >= FACES_BEFORE_FILING:
            notices.alarm(tx, "face_filing", "face_templates", "file within 30 working days of 100 000", now)
        overdue_plans = len(cases.escalate_overdue(tx, now))
        for year in deps.calendar.unannounced(business_day(now)):
            notices.alarm(tx, "calendar_missing", str(year), "bring it by ANXIN_CALENDAR_DIR", now)
    return {
        "expired": expired,
        "reopened": reopened,
        "forgotten": forgotten,
        "batches": batches,
        "overdue_plans": overdue_plans,
    }
