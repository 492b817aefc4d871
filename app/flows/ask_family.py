"""请我女儿帮我充: an elder asks a relative to pay; unanswered it goes to the next, and the elder always hears
where it stands.

Every change of a request is made under the elder's lock (`pay_requests.hold`). Money is never moved here: a
yes opens an order of the relative's like any other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from app.domain import limits
from app.domain import orders as order_rules
from app.domain.clock import day_start
from app.domain.family import Role
from app.domain.ids import Kind, new_id
from app.domain.orders import Event, Topic
from app.domain.orders import State as OrderState
from app.domain.pay_requests import A_DAY, TURN, Answer, State, ended_as, in_turn
from app.errors import AppError
from app.flows import request_screens, settle
from app.flows.deps import Deps
from app.flows.request_screens import RequestView
from app.store import cards, deeds, orders, outbox, pay_requests, relatives
from app.store.pay_requests import PayRequest
from app.store.people import Actor

SHOWN = 20
_NOT_PAID = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)


def ask(
    deps: Deps, actor: Actor, relative_id: str, card_id: str, amount_fen: int, client_key: str
) -> RequestView:
    """Ask this relative; the same client key with the same wish is the same request.

    AppError: amount_too_small, amount_too_large, card_not_found, relative_not_found (also one who may not
    pay), asked_already (one open request a card), asked_enough (five a day), client_key_reused.
    """
    now = deps.clock.now()
    limits.check_amount(deps.city.methods[0], amount_fen)
    with deps.database.write() as tx:
        relatives.lock(tx, actor.user_id)
        request = pay_requests.by_key(tx, actor.user_id, client_key)
        if request is None:
            cards.get_for(tx, actor.user_id, card_id)
            request = _opened(tx, actor, relative_id, card_id, amount_fen, client_key, now)
        else:
            first = next((turn.relative_id for turn in pay_requests.asks(tx, request.id)), None)
            if (request.card_id, request.amount_fen, first) != (card_id, amount_fen, relative_id):
                raise AppError("client_key_reused")
    deps.nudge()
    return request_screens.of_elder(deps, request)


def _opened(
    tx: Connection,
    actor: Actor,
    relative_id: str,
    card_id: str,
    amount_fen: int,
    client_key: str,
    now: datetime,
) -> PayRequest:
    elder_id = actor.user_id
    payers = [tie.relative_id for tie in relatives.of_elder(tx, elder_id) if tie.may(Role.PAY, now)]
    if relative_id not in payers:
        raise AppError("relative_not_found")
    open_one = pay_requests.open_on(tx, card_id)
    if open_one is not None and caught_up(tx, open_one, now).open:
        raise AppError("asked_already")
    if pay_requests.opened_since(tx, elder_id, day_start(now)) >= A_DAY:
        raise AppError("asked_enough")
    request = PayRequest(
        id=new_id(Kind.PAY_REQUEST),
        elder_id=elder_id,
        card_id=card_id,
        amount_fen=amount_fen,
        client_key=client_key,
        state=State.ASKING,
        opened_at=now,
        next_at=now,
        ended_at=None,
        order_id=None,
    )
    pay_requests.add(tx, request, in_turn(relative_id, payers))
    outbox.add(tx, Topic.REQUEST_NEXT, request.id, now + TURN)
    return next_turn(tx, request, now, elder_id)


def next_turn(tx: Connection, request: PayRequest, now: datetime, actor_id: str | None = None) -> PayRequest:
    """Ask the next relative who may still pay; the request ends when nobody is left. `actor_id` is the elder
    for the first, and None when the house goes on by itself."""
    turns = pay_requests.asks(tx, request.id)
    facts = {"card_id": request.card_id, "amount_fen": request.amount_fen}
    for turn in turns:
        if turn.asked_at is not None or not relatives.may(
            tx, request.elder_id, turn.relative_id, Role.PAY, now
        ):
            continue
        subject = f"{request.id}:{turn.position}"
        pay_requests.ask(tx, turn, now)
        pay_requests.change(tx, request.id, state=State.ASKING.value, next_at=now + TURN, order_id=None)
        outbox.add(tx, Topic.PAY_REQUEST, subject, now)
        kind = "asked_relative" if actor_id else "request_passed_on"
        facts |= {"relative_id": turn.relative_id}
        deeds.write(tx, request.elder_id, actor_id, kind, subject, now, facts)
        return _as_is(tx, request)
    ended = ended_as([turn.answer for turn in turns if turn.asked_at is not None])
    pay_requests.change(tx, request.id, state=ended.value, ended_at=now, order_id=None)
    deeds.write(tx, request.elder_id, None, "request_unanswered", request.id, now, facts)
    outbox.add(tx, Topic.REQUEST_UNMET, request.id, now)
    return _as_is(tx, request)


def _as_is(tx: Connection, request: PayRequest) -> PayRequest:
    found = pay_requests.find(tx, request.id)
    assert found is not None, "held"
    return found


def caught_up(tx: Connection, request: PayRequest, now: datetime) -> PayRequest:
    """The held request with what its order came to: paid, or not, and then it is the next one's turn."""
    if request.state is not State.ACCEPTED:
        return request
    order = orders.find(tx, request.order_id) if request.order_id else None
    if order is None:
        # Said yes and gone before the order was written: as long as a tap may take, it may still come.
        return lapsed(tx, request, now) if now >= request.next_at else request
    if order.state in order_rules.UNPAID:
        return request
    if order.state in _NOT_PAID:
        return lapsed(tx, request, now)
    pay_requests.change(tx, request.id, state=State.PAID.value, ended_at=now)
    return _as_is(tx, request)


def lapsed(tx: Connection, request: PayRequest, now: datetime) -> PayRequest:
    """Who said yes did not pay in time: the next one's turn."""
    for turn in pay_requests.asks(tx, request.id):
        if turn.answer == Answer.YES:
            pay_requests.answer(tx, turn, Answer.LAPSED, now)
            facts = {"relative_id": turn.relative_id, "amount_fen": request.amount_fen}
            subject = f"{request.id}:{turn.position}"
            deeds.write(tx, request.elder_id, None, "request_lapsed", subject, now, facts)
    return next_turn(tx, request, now)


def own(deps: Deps, actor: Actor, request_id: str) -> PayRequest:
    """The elder's request. AppError request_not_found for anybody else's, the same as for none."""
    with deps.database.read() as tx:
        request = pay_requests.find(tx, request_id)
    if request is None or request.elder_id != actor.user_id:
        raise AppError("request_not_found")
    return request


def show(deps: Deps, actor: Actor, request_id: str) -> RequestView:
    """Where the elder's request stands."""
    return request_screens.of_elder(deps, own(deps, actor, request_id))


def mine(deps: Deps, actor: Actor) -> list[RequestView]:
    """The elder's requests, newest first."""
    with deps.database.read() as tx:
        found = pay_requests.of_elder(tx, actor.user_id, SHOWN)
    return [request_screens.of_elder(deps, request) for request in found]


def withdraw(deps: Deps, actor: Actor, request_id: str) -> RequestView:
    """The elder does not want it any more. What is over is shown as it is.

    AppError payment_already_made, payment_unavailable (WeChat is asked before it is said that nothing moved).
    """
    now = deps.clock.now()
    for _attempt in range(3):  # somebody may say yes meanwhile
        request = own(deps, actor, request_id)
        if not request.open:
            break
        if request.order_id is not None:
            _stop(deps, request.order_id, actor, now)
        with deps.database.write() as tx:
            held = pay_requests.hold(tx, request_id)
            if held is None or not held.open or held.order_id != request.order_id:
                continue
            pay_requests.change(tx, request_id, state=State.WITHDRAWN.value, ended_at=now)
            facts = {"amount_fen": held.amount_fen}
            deeds.write(tx, held.elder_id, actor.user_id, "request_withdrawn", request_id, now, facts)
    return show(deps, actor, request_id)


def _stop(deps: Deps, order_id: str, actor: Actor, now: datetime) -> None:
    with deps.database.read() as tx:
        order = orders.get(tx, order_id)
    if order.state is OrderState.AWAITING_PAYMENT and order.pay_channel is not None:
        order = settle.close_at_wechat(deps, order, now)
    order = settle.end_unpaid(deps, order, Event.CANCELLED, now, {"by": actor.user_id})
    if order.state not in _NOT_PAID:
        raise AppError("payment_already_made")
