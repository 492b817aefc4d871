"""The answers to a calm question: go on, stop kindly, or let the family have a look first."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain.orders import Event, InvalidTransition, State, Topic
from app.domain.protection import ANSWERS, FALSE_ALARM, GOES_ON, JUSTIFIED, RELATIVES_LOOK, Kind, Said
from app.errors import AppError
from app.flows import checkout, settle
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.guardians import guardians
from app.store import deeds, orders, outbox, questions
from app.store.orders import Order
from app.store.people import Actor

_VERDICT = {Said.OWN: FALSE_ALARM, Said.AGAIN: FALSE_ALARM, Said.TOLD: JUSTIFIED, Said.STOP: JUSTIFIED}


def answer(deps: Deps, actor: Actor, order_id: str, kind: str, said: str) -> OrderView:
    """The payer's word on what was asked about this order. The last word stands; saying it again goes on as
    the first time did.

    AppError: order_not_found (anybody else's), question_not_found (nothing of that kind was asked),
    answer_unknown, relative_missing (nobody could look), order_over, and what confirming raises.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        order = checkout.payers_own(orders.get_for(tx, actor.user_id, order_id), actor)
        question = questions.of_order(tx, order.id).get(kind)
        if question is None:
            raise AppError("question_not_found")
        word = next((each for each in ANSWERS[Kind(kind)] if each.value == said), None)
        if word is None:
            raise AppError("answer_unknown")
        waits = order.state is State.AWAITING_CONFIRMATION and order.expires_at > now
        repeated = question.answer == word.value
        taken = waits and not repeated and questions.answer(tx, question, word, _VERDICT.get(word), now)
        facts = {"amount_fen": order.amount_fen}
        if taken and word is Said.RELATIVES:
            if not guardians(tx, actor.user_id, now):
                raise AppError("relative_missing")
            outbox.reopen(tx, Topic.ALERT_ANSWER, order.id, now)
            orders.wait_until(tx, order.id, now + RELATIVES_LOOK)
            deeds.write(tx, actor.user_id, actor.user_id, "question_family", order.id, now, facts)
        if taken and word in (Said.TOLD, Said.STOP):
            order = _cancelled(tx, order, now)
        if taken and word is Said.TOLD:
            if guardians(tx, actor.user_id, now):
                outbox.reopen(tx, Topic.ALERT_ANSWER, order.id, now)
            deeds.write(tx, actor.user_id, actor.user_id, "question_told", order.id, now, facts)
    deps.nudge()
    if not taken and order.state is State.AWAITING_CONFIRMATION and order.expires_at <= now:
        return checkout.view(deps, settle.expire(deps, order, now))
    if (taken or repeated) and word in GOES_ON:  # the first answer to it may have been lost on its way
        return checkout.confirm(deps, actor, order.id, order.read_back)
    return checkout.find(deps, actor, order_id)


def _cancelled(tx: Connection, order: Order, now: datetime) -> Order:
    try:
        return orders.advance(tx, order, Event.CANCELLED, now)[0]
    except InvalidTransition:  # its time ran out in this very moment
        raise AppError("order_over") from None
