"""What holds for every order that somebody pays for another person's card: the tie, its caps, its end.

Shared by checkout, which confirms and pays, by the relative's own story and by whatever ends a tie. A tie
that is over stops what is not paid; what was paid before is delivered as promised, and money that comes for
a stopped order goes home.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection

from app.domain.family import OverCap, Role, over_cap
from app.domain.money import yuan_short
from app.domain.orders import Event, State, Truth
from app.errors import AppError
from app.flows import card_numbers, settle
from app.flows.deps import Deps
from app.store import cards, delegated, relatives
from app.store.orders import Order
from app.store.relatives import Relative
from app.voice import replies


def tie_for(tx: Connection, elder_id: str, relative_id: str, role: Role, now: datetime) -> Relative:
    """The bound tie that lets this relative do that now. AppError elder_not_found (the same for everybody
    else's elder and for none), tie_over (frozen, or not agreed to any more), role_missing."""
    tie = relatives.find(tx, elder_id, relative_id)
    if tie is None or tie.state != relatives.BOUND:
        raise AppError("elder_not_found")
    if not tie.live(now):
        raise AppError("tie_over")
    if not tie.may(role, now):
        raise AppError("role_missing")
    return tie


def objection(deps: Deps, tx: Connection, order: Order, now: datetime) -> AppError | None:
    """Why this order may not go on, counted under the locks of its elder and its card: tie_over, over_cap,
    cap_used_up. None when it may, and for everybody's own card."""
    if not order.delegated:
        return None
    relatives.lock(tx, order.beneficiary_id)
    tie = relatives.find(tx, order.beneficiary_id, order.user_id)
    if tie is None or not tie.may(Role.PAY, now):
        return AppError("tie_over")
    card = delegated.lock_card(tx, card_numbers.found_by(deps, cards.get(tx, order.card_id)))
    by_relative, onto_card = delegated.spent(tx, order.user_id, order.beneficiary_id, card, order.id, now)
    assert tie.bound_at is not None
    passed = over_cap(
        order.amount_fen,
        tie.caps,
        by_relative,
        onto_card,
        tie_age=now - tie.bound_at,
        card_age=now - delegated.card_bound_at(tx, order.card_id),
    )
    return None if passed is None else _said(passed)


def _said(passed: OverCap) -> AppError:
    which = replies.phrase(f"cap_{passed.which}")
    if passed.left_fen == 0:
        return AppError("cap_used_up", which=which)
    return AppError("over_cap", which=which, left=yuan_short(passed.left_fen))


def still_allowed(deps: Deps, order: Order, now: datetime) -> Order:
    """The same order, before anybody is asked to pay it. AppError tie_over when its tie is over: then it is
    stopped, unless its money came first. AppError payment_unavailable when nobody can say."""
    if not _without_its_tie(deps, order, now):
        return order
    order = _stop(deps, order, now)
    if order.truth is Truth.CLOSED:
        raise AppError("tie_over")
    return order


def stop_if_over(deps: Deps, order: Order, now: datetime) -> Order:
    """For whoever looks again: what could not be stopped when its tie ended is stopped now, or stays."""
    if _without_its_tie(deps, order, now):
        with suppress(AppError):
            return _stop(deps, order, now)
    return order


def _without_its_tie(deps: Deps, order: Order, now: datetime) -> bool:
    if not order.delegated or order.truth not in (Truth.NOT_PAID, Truth.CLOSED):
        return False
    with deps.database.read() as tx:
        return not relatives.may(tx, order.beneficiary_id, order.user_id, Role.PAY, now)


def _stop(deps: Deps, order: Order, now: datetime) -> Order:
    """End it at WeChat and here, unless its money came first. AppError payment_unavailable."""
    if order.state is State.AWAITING_PAYMENT and order.pay_channel is not None:
        order = settle.close_at_wechat(deps, order, now)
    return settle.end_unpaid(deps, order, Event.CANCELLED, now, {"why": "tie_over"})


def stop_all(deps: Deps, elder_id: str, relative_id: str, now: datetime) -> None:
    """A tie is over or pays no more: end what is not paid. Where WeChat is silent, the watch over the payment
    does it; until then nobody is asked to pay it."""
    with deps.database.read() as tx:
        begun = delegated.unpaid(tx, relative_id, elder_id)
    for order in begun:
        stop_if_over(deps, order, now)
