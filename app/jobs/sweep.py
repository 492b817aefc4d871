"""The sweep re-drives whatever stayed put: it is why a lost hint costs time and never money."""

from __future__ import annotations

from datetime import timedelta

from app.domain.orders import State, Topic
from app.flows import settle
from app.flows.deps import Deps
from app.store import conversations, orders, outbox

BATCH = 500
KEEP_TURNS = timedelta(days=7)
_WORK_OF = {State.PAID: Topic.DELIVER, State.REFUNDING: Topic.REFUND}


def sweep(deps: Deps) -> dict[str, int]:
    """Expire unpaid orders whose time is over, reopen the work of orders that hold money.

    Returns counts: expired, reopened, forgotten turns.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:
        overdue = orders.overdue(tx, now, BATCH)
        holding = orders.holding_money(tx, BATCH)
    expired = sum(settle.expire(deps, order, now).state is State.EXPIRED for order in overdue)
    reopened = 0
    with deps.database.write() as tx:
        for order_id, state in holding:
            if state in _WORK_OF:
                reopened += outbox.reopen(tx, _WORK_OF[state], order_id, now)
        forgotten = conversations.forget_turns(tx, now - KEEP_TURNS)
    return {"expired": expired, "reopened": reopened, "forgotten": forgotten}
