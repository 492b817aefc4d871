"""The worker's part of a request: whose turn it is, and who is told what, once."""

from __future__ import annotations

from app.domain import orders as order_rules
from app.domain.pay_requests import LOOK_AGAIN, State
from app.flows import ask_family, family_messages, names, settle
from app.flows.deps import Deps
from app.flows.family_messages import News
from app.flows.verdicts import Done, Later, Verdict
from app.store import cards, orders, pay_requests
from app.store.outbox import Work


def look(deps: Deps, work: Work) -> Verdict:
    """Go on to the next relative when the time of the one before is over; note what was paid, or was not.

    The subject is a request: looked at when its turn ends. With `:position`, it is looked at each minute
    while that relative's order may still be paid.
    """
    now = deps.clock.now()
    request_id, _, of_order = work.subject.partition(":")
    with deps.database.read() as tx:
        request = pay_requests.find(tx, request_id)
        order = orders.find(tx, request.order_id) if request and request.order_id else None
    if order is not None and order.state in order_rules.UNPAID and order.expires_at <= now:
        settle.expire(deps, order, now)
    with deps.database.write() as tx:
        request = pay_requests.hold(tx, request_id)
        if request is None:
            return Done("gone")
        request = ask_family.caught_up(tx, request, now)
        if request.state is State.ASKING and request.next_at <= now:
            request = ask_family.next_turn(tx, request, now)
    deps.nudge()
    if not request.open or (of_order and request.state is State.ASKING):
        return Done(request.state.value)
    wait = LOOK_AGAIN if request.state is State.ACCEPTED else request.next_at - now
    return Later("waiting", wait, expected=True)


def tell_relative(deps: Deps, work: Work) -> Verdict:
    """The message of one relative's turn, while their answer is still wanted."""
    request_id, _, position = work.subject.partition(":")
    with deps.database.read() as tx:
        request = pay_requests.find(tx, request_id)
        turns = pay_requests.asks(tx, request_id)
        card = cards.get(tx, request.card_id) if request else None
        turn = next((turn for turn in turns if str(turn.position) == position), None)
        who = names.of_elder(tx, request.elder_id, turn.relative_id) if request and turn else None
    if request is None or turn is None or card is None:
        return Done("gone")
    if request.state is not State.ASKING or not turn.answerable:
        return Done("answered")
    news = News("news_asked", "pay_request", card, request.amount_fen, f"pay_request&id={request.id}", who)
    return family_messages.tell(deps, work.id, turn.relative_id, news)


def tell_elder(deps: Deps, work: Work) -> Verdict:
    """Nobody paid: the elder hears it, and what else can be done."""
    with deps.database.read() as tx:
        request = pay_requests.find(tx, work.subject)
        card = cards.get(tx, request.card_id) if request else None
    if request is None or card is None:
        return Done("gone")
    news = News("news_unmet", "request_unmet", card, request.amount_fen, f"pay_request&id={request.id}")
    return family_messages.tell(deps, work.id, request.elder_id, news)
