"""A relative answers an elder who asked them to pay: a yes opens their order, a no says why."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.family import Role
from app.domain.orders import Event, Topic
from app.domain.pay_requests import LOOK_AGAIN, Answer, Reason, State
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import ask_family, relative_topup, request_screens, settle
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.request_screens import RequestView
from app.store import deeds, orders, outbox, pay_requests, relatives
from app.store.pay_requests import Ask, PayRequest
from app.store.people import Actor
from app.voice import replies

TIME_TO_OPEN = timedelta(minutes=2)  # from a yes to its order: longer than any request lasts


def asked(deps: Deps, actor: Actor) -> list[RequestView]:
    """What waits for this person's word, from elders whose cards they may top up."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found = [
            request
            for request in pay_requests.asked_of(tx, actor.user_id)
            if relatives.may(tx, request.elder_id, actor.user_id, Role.PAY, now)
        ]
    return [request_screens.of_relative(deps, request, actor.user_id) for request in found]


def show(deps: Deps, actor: Actor, request_id: str) -> RequestView:
    """One of them. AppError request_not_found for one this person was never asked, as for none."""
    with deps.database.read() as tx:
        request = pay_requests.find(tx, request_id)
        turn = _turn(tx, request, actor, deps.clock.now())
    if request is None or turn is None:
        raise AppError("request_not_found")
    return request_screens.of_relative(deps, request, actor.user_id)


def seen_by(deps: Deps, actor: Actor, request_id: str) -> RequestView:
    """A request as this person may see it: their own, or one they were asked. AppError request_not_found."""
    with deps.database.read() as tx:
        request = pay_requests.find(tx, request_id)
    if request is not None and request.elder_id == actor.user_id:
        return request_screens.of_elder(deps, request)
    return show(deps, actor, request_id)


def _turn(tx: Connection, request: PayRequest | None, actor: Actor, now: datetime) -> Ask | None:
    """This person's turn, if it has come and they may still pay."""
    if request is None or not relatives.may(tx, request.elder_id, actor.user_id, Role.PAY, now):
        return None
    turns = pay_requests.asks(tx, request.id)
    mine = (turn for turn in turns if turn.relative_id == actor.user_id and turn.asked_at is not None)
    return next(mine, None)


def _held(tx: Connection, request_id: str, actor: Actor, now: datetime) -> tuple[PayRequest, Ask]:
    request = pay_requests.hold(tx, request_id)
    turn = _turn(tx, request, actor, now)
    if request is None or turn is None:
        raise AppError("request_not_found")
    return request, turn


def accept(
    deps: Deps, actor: Actor, request_id: str, method_name: str | None = None, bank: str | None = None
) -> OrderView:
    """Say yes: the relative's order, read back to them. Saying it again shows the same order.

    AppError: request_not_found, request_over (answered by somebody else, withdrawn, or answered before),
    and those of `relative_topup.open_order`, after which the request waits as before.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        request, turn = _held(tx, request_id, actor, now)
        again = request.state is State.ACCEPTED and turn.answer == Answer.YES
        if not again:
            if request.state is not State.ASKING or not turn.answerable:
                raise AppError("request_over")
            pay_requests.answer(tx, turn, Answer.YES, now)
            until = now + TIME_TO_OPEN
            pay_requests.change(tx, request_id, state=State.ACCEPTED.value, next_at=until)
            subject = f"{request_id}:{turn.position}"
            outbox.add(tx, Topic.REQUEST_NEXT, subject, now + LOOK_AGAIN)
    try:
        view = relative_topup.open_order(
            deps,
            actor,
            request.elder_id,
            request.card_id,
            request.amount_fen,
            method_name or deps.city.methods[0].name,
            f"ask:{request_id}",
            bank,
        )
    except AppError:
        if not again:
            _take_back(deps, request, actor, now)
        raise
    return _written_down(deps, request, actor, view, now)


def _take_back(deps: Deps, before: PayRequest, actor: Actor, now: datetime) -> None:
    """The order could not be opened (a cap, say): the request waits for an answer as it did."""
    with deps.database.write() as tx:
        request, turn = _held_by_yes(tx, before.id, actor)
        if request is not None and turn is not None and request.order_id is None:
            pay_requests.answer(tx, turn, None, now)
            pay_requests.change(tx, before.id, state=State.ASKING.value, next_at=before.next_at)


def _held_by_yes(tx: Connection, request_id: str, actor: Actor) -> tuple[PayRequest | None, Ask | None]:
    """The request while this person's yes is the one that counts."""
    request = pay_requests.hold(tx, request_id)
    if request is None or request.state is not State.ACCEPTED:
        return None, None
    turns = pay_requests.asks(tx, request_id)
    mine = (turn for turn in turns if turn.relative_id == actor.user_id and turn.answer == Answer.YES)
    return request, next(mine, None)


def _written_down(deps: Deps, before: PayRequest, actor: Actor, view: OrderView, now: datetime) -> OrderView:
    """Bind the order to the request; an order that came too late (withdrawn meanwhile) is closed at once."""
    with deps.database.write() as tx:
        request, turn = _held_by_yes(tx, before.id, actor)
        counts = request is not None and turn is not None
        if counts and request is not None and turn is not None and request.order_id is None:
            pay_requests.change(tx, before.id, order_id=view.order.id)
            facts = {"card_id": request.card_id, "amount_fen": request.amount_fen}
            subject = f"{request.id}:{turn.position}"
            deeds.write(tx, request.elder_id, actor.user_id, "relative_answered_yes", subject, now, facts)
    if not counts:
        with deps.database.read() as tx:
            order = orders.get(tx, view.order.id)
        settle.end_unpaid(deps, order, Event.CANCELLED, now, {"by": "withdrawn"})
        raise AppError("request_over")
    return view


def decline(deps: Deps, actor: Actor, request_id: str, reason: Reason) -> Screen:
    """Say no, and why: the elder hears it, and the next relative is asked at once.

    AppError request_not_found, request_over. The same no again changes nothing.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        request, turn = _held(tx, request_id, actor, now)
        if turn.answer != Answer.NO:
            if request.state is not State.ASKING or not turn.answerable:
                raise AppError("request_over")
            pay_requests.answer(tx, turn, Answer.NO, now, reason.value)
            facts = {
                "card_id": request.card_id,
                "amount_fen": request.amount_fen,
                "reason_phrase": f"reason_{reason.value}",
            }
            subject = f"{request.id}:{turn.position}"
            deeds.write(tx, request.elder_id, actor.user_id, "relative_answered_no", subject, now, facts)
            asked_last = max(each.position for each in pay_requests.asks(tx, request_id) if each.asked_at)
            if turn.position == asked_last:  # a late no of one before waits for the answer of the one after
                ask_family.next_turn(tx, request, now)
    deps.nudge()
    return replies.screen("family_declined")
