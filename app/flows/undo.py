"""Taking a payment back before its money was sent to the card: it goes home, whole."""

from __future__ import annotations

from app.domain.orders import UNPAID, Event, State, Topic
from app.domain.protection import JUSTIFIED
from app.errors import AppError
from app.flows import checkout
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store import deeds, holds, orders, outbox, questions
from app.store.people import Actor

_GONE_TO_THE_CARD = (State.COMPLETED, State.RETURNING_REST, State.AWAITING_WRITE)


def undo(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """The payer wants it back. An unpaid order is cancelled; one on its way home is shown as it is.

    Once a credit was sent, or the order stands in an end-of-day file, nobody can say any more that the card
    will not get it: AppError undo_too_late, undo_arrived. Decided under the order's lock, as delivery is.
    AppError order_not_found for anybody else's, and what cancelling raises.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        checkout.payers_own(orders.get_for(tx, actor.user_id, order_id), actor)
        order = orders.locked(tx, order_id)
        if order.state is State.PAID:
            if order.batch_id is not None or outbox.begun(tx, Topic.DELIVER, order.id):
                raise AppError("undo_too_late")
            whole = {"credit_fen": None, "rest_fen": None}
            by = {"by": actor.user_id}
            order, _moved = orders.advance(tx, order, Event.UNDONE, now, whole, facts=by)
            if holds.end(tx, order.id, actor.user_id, now):
                questions.judge(tx, order.id, JUSTIFIED)
            facts = {"amount_fen": order.amount_fen}
            deeds.write(tx, order.beneficiary_id, actor.user_id, "order_undone", order.id, now, facts)
    if order.state in _GONE_TO_THE_CARD:
        raise AppError("undo_arrived" if order.state is State.COMPLETED else "undo_too_late")
    if order.state in UNPAID:
        return checkout.cancel(deps, actor, order_id)
    deps.nudge()
    return checkout.view(deps, order)
