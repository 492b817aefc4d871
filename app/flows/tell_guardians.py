"""Texts about protection: to the relatives who are told of payments, and to the elder when one is held."""

from __future__ import annotations

from datetime import timedelta

from app.domain.money import yuan_short
from app.domain.orders import State, Topic
from app.domain.protection import Kind, Said
from app.errors import AppError
from app.flows import check_code
from app.flows.deps import Deps
from app.flows.guardians import guardians
from app.flows.verdicts import Done, Later, Verdict
from app.store import cards, holds, orders, questions
from app.store.outbox import Work
from app.voice import replies

_AGAIN = timedelta(minutes=1)
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
    texts = [(person, template) for person in people]
    if work.topic is Topic.HELD:
        texts.append((order.user_id, "held_elder"))
    return _send(deps, work, texts)


def _send(deps: Deps, work: Work, texts: list[tuple[str, str]]) -> Verdict:
    """The same request ids each time, so that who was reached is not told twice."""
    with deps.database.read() as tx:
        order = orders.get(tx, work.subject)
        card = cards.get(tx, order.card_id)
    sent = waiting = 0
    for person, template in texts:
        phone = check_code.phone_of(deps, person)
        if phone is None:
            continue
        facts = {"card": card.last_four, "amount": yuan_short(order.amount_fen)}
        if person != order.user_id:
            facts["elder"] = replies.phrase("your_relative")
        request_id = f"{order.id[4:]}-{person[4:]}-{template[-4:]}"
        try:
            check_code.text(deps, person, phone[0], request_id, template, facts)
            sent += 1
        except AppError as fault:
            waiting += fault.code == "text_unavailable"
    return Later("text_unavailable", _AGAIN) if waiting else Done(f"texted:{sent}")
