"""Texts about protection: to the relatives who are told of payments, and to the elder when one is held."""

from __future__ import annotations

from sqlalchemy import Connection

from app.domain.money import yuan_short
from app.domain.orders import State, Topic
from app.domain.protection import Kind, Said
from app.flows import names
from app.flows.deps import Deps
from app.flows.guardians import guardians
from app.flows.texts import Text, to_each
from app.flows.verdicts import Done, Verdict
from app.store import cards, holds, orders, questions
from app.store.orders import Order
from app.store.outbox import Work

_OF_ANSWERS = {Said.TOLD.value: "alert_told", Said.RELATIVES.value: "alert_look"}


def tell(deps: Deps, work: Work) -> Verdict:
    """One text to each relative who may know and left a phone number, once for each thing that happened.
    Who has none finds it in the app."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        order = orders.get(tx, work.subject)
        told = questions.of_order(tx, order.id).get(Kind.TOLD_TO)
        hold = holds.active(tx, order.id, now)
        people = [tie.relative_id for tie in guardians(tx, order.beneficiary_id, now)]
    answer = None if told is None else told.answer
    if work.topic is Topic.HELD:
        if hold is None:
            return Done("held_no_longer")
        template = "held_relatives"
        people = [person for person in people if person != hold.placed_by]
    elif work.topic is Topic.ALERT_ANSWER:
        if answer not in _OF_ANSWERS:
            return Done("went_on")
        template = _OF_ANSWERS[answer]
    elif order.state is State.CANCELLED:
        return Done(order.state.value)
    else:
        template = "alert_unusual"
    whom = [(person, template) for person in people]
    if work.topic is Topic.HELD:
        whom.append((order.user_id, "held_elder"))
    with deps.database.read() as tx:
        texts = [_text(tx, order, person, template) for person, template in whom]
    return to_each(deps, texts)


def _text(tx: Connection, order: Order, person: str, template: str) -> Text:
    facts = {"card": cards.get(tx, order.card_id).last_four, "amount": yuan_short(order.amount_fen)}
    if person != order.user_id:
        facts["elder"] = names.of_elder(tx, order.user_id, person)
    return Text(person, f"{order.id[4:]}-{person[4:]}-{template[-4:]}", template, facts)
