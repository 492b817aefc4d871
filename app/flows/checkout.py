"""Before money: open an order, read it back, have it confirmed, ask WeChat for the payment."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.domain import limits
from app.domain.identity import CHECK_WINDOW
from app.domain.orders import (
    PAYMENT_WINDOW,
    UNPAID,
    Event,
    InvalidTransition,
    State,
)
from app.domain.regions import allowed_route
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import (
    card_numbers,
    channels,
    check_screens,
    delegated,
    names,
    protect,
    protection_screens,
    settle,
    views,
    wish,
)
from app.flows.deps import Deps
from app.flows.risk_of import risk_of
from app.ports import CardMode, PaymentRequest, Refused, Unavailable, Unknown
from app.store import cards, checks, holds, orders, people
from app.store.cards import Card
from app.store.orders import Order
from app.store.people import Actor
from app.voice import replies


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its people see it."""

    order: Order
    card: Card
    screen: Screen


def view(
    deps: Deps, order: Order, payment: dict[str, str] | None = None, viewer_id: str | None = None
) -> OrderView:
    """Render an order as it stands now, for its payer or for another `viewer_id`, whose card it is."""
    with deps.database.read() as tx:
        return _seen(deps, tx, order, payment, viewer_id)


def _seen(
    deps: Deps, tx: Connection, order: Order, payment: dict[str, str] | None, viewer_id: str | None
) -> OrderView:
    card = cards.get(tx, order.card_id)
    if payment is None:
        viewer = viewer_id or order.user_id
        waits = protection_screens.standing(tx, deps.city, order, card, viewer, deps.clock.now())
        if waits is not None:
            return OrderView(order, card, waits)
    if viewer_id not in (None, order.user_id):
        who = names.of_relative(tx, order.beneficiary_id, order.user_id)
        return OrderView(order, card, views.screen_for_you(deps.city, order, card, who))
    check = checks.find(tx, order.id) if order.state is State.AWAITING_CHECK else None
    if check is not None:
        return OrderView(order, card, check_screens.screen(deps.city, order, card, check))
    now = deps.clock.now()
    return OrderView(order, card, views.order_screen(deps.city, order, card, now, payment, deps.calendar))


def open_order(
    deps: Deps,
    actor: Actor,
    card_id: str,
    amount_fen: int,
    method_name: str,
    client_key: str,
    bank: str | None = None,
) -> OrderView:
    """Write an order that awaits confirmation and read it back. Nothing outside is called.

    The same client key with the same wish is the same order. AppError: card_not_found, method_not_offered,
    amount_too_small, amount_too_large, real_name_required, card_needs_writing, client_key_reused.
    """
    now = deps.clock.now()
    values = wish.columns(deps, actor, actor.user_id, card_id, amount_fen, method_name, client_key, bank, now)
    with deps.database.write_one() as tx:
        order, card = orders.open_order(tx, values, CardMode.ACCOUNT, now)
    return OrderView(order, card, views.order_screen(deps.city, order, card, now, days=deps.calendar))


def find(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """An order as it stands. AppError order_not_found for anybody else's."""
    with deps.database.read() as tx:
        order = orders.get_for(tx, actor.user_id, order_id)
    return view(deps, order, viewer_id=actor.user_id)


def history(deps: Deps, actor: Actor, limit: int, before: str | None = None) -> list[OrderView]:
    """The person's orders, and those that relatives paid for their cards, newest first."""
    with deps.database.read() as tx:
        found = orders.history(tx, actor.user_id, limit, before)
        return [_seen(deps, tx, order, None, actor.user_id) for order in found]


def confirm(deps: Deps, actor: Actor, order_id: str, read_back: str) -> OrderView:
    """The person said yes to exactly what was read back: ask WeChat for the payment.

    Repeating is safe: WeChat's prepay is re-entrant by order id. AppError: order_not_found,
    read_back_changed, order_over, real_name_required, balance_ceiling, card_blocked, card_other_city (the
    partner's cards are no longer taken), card_system_unavailable, payment_unavailable (confirm again),
    payment_refused (the order is cancelled), cooling_off; for another's card tie_over, over_cap, cap_used_up
    (cancelled too), card_cannot_take. Where a question or a check comes first, or a relative holds the
    order, that screen is shown instead.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:
        order = payers_own(orders.get_for(tx, actor.user_id, order_id), actor)
        card = cards.get(tx, order.card_id)
        held = holds.active(tx, order.id, now) is not None
    if not hmac.compare_digest(order.read_back.encode(), read_back.encode()):
        raise AppError("read_back_changed")
    order = delegated.still_allowed(deps, order, now)
    if order.state not in UNPAID:
        return view(deps, order)
    if order.expires_at <= now:
        return view(deps, settle.expire(deps, order, now))
    if held:
        return view(deps, order)
    if order.state is State.AWAITING_CONFIRMATION:
        holder = _check_card(deps, card, order)
        order = _confirmed(deps, actor, order, card, holder, now)
    elif order.state is State.AWAITING_CHECK:
        return view(deps, order)
    else:
        order = settle.ask_wechat(deps, order, now)  # confirmed before: never offer to pay twice
    return _ask_for_payment(deps, order, card, now)


def _confirmed(
    deps: Deps, actor: Actor, order: Order, card: Card, holder: str | None, now: datetime
) -> Order:
    """To the payment, or first to the check that the risk rule asks for: decided and written as one. An
    order that something must be answered about stays as it is."""
    with deps.database.write() as tx:
        people.stay(tx, order.user_id)
        no = delegated.objection(deps, tx, order, now)
        if no is None and protect.due(deps, tx, order, card, holder, now):
            return orders.get(tx, order.id)
        if no is None:
            order = _moved_on(deps, tx, actor, order, now)
    if no is not None:
        settle.end_unpaid(deps, order, Event.CANCELLED, now, {"why": no.code})
        raise no
    return order


def _moved_on(deps: Deps, tx: Connection, actor: Actor, order: Order, now: datetime) -> Order:
    risk = risk_of(deps, tx, actor, order, now)
    window = CHECK_WINDOW if risk.ways else PAYMENT_WINDOW
    event = Event.CHECK_REQUIRED if risk.ways else Event.CONFIRMED
    try:
        order, _moved = orders.advance(tx, order, event, now, {"expires_at": now + window})
    except InvalidTransition:
        raise AppError("order_over") from None
    if risk.ways:
        checks.open_once(tx, order.id, order.user_id, risk, now)
    return order


def pay(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """Open the payment of a confirmed order once more (the sheet was closed, the phone slept)."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        order = payers_own(orders.get_for(tx, actor.user_id, order_id), actor)
        card = cards.get(tx, order.card_id)
        held = holds.active(tx, order.id, now) is not None
    order = delegated.still_allowed(deps, order, now)
    if order.state is not State.AWAITING_PAYMENT or held:
        return view(deps, order)
    if order.expires_at <= now:
        return view(deps, settle.expire(deps, order, now))
    order = settle.ask_wechat(deps, order, now)  # never offer to pay twice
    return _ask_for_payment(deps, order, card, now)


def payers_own(order: Order, actor: Actor) -> Order:
    """Only who opened the order may pay for it: WeChat binds the prepay to that openid."""
    if order.user_id != actor.user_id:
        raise AppError("order_not_found")
    return order


def _check_card(deps: Deps, card: Card, order: Order) -> str | None:
    """The card can take it; returns its owner's name as the issuer masks it."""
    allowed_route(card.prefix, deps.city)
    number = card_numbers.number_of(deps, card)
    try:
        facts = deps.card_system.find(number)
    except Refused as no:
        raise AppError("card_blocked") from no
    except (Unavailable, Unknown) as silence:
        raise AppError("card_system_unavailable") from silence
    limits.check_real_name(deps.city, facts.registered)
    if order.delegated and order.amount_fen > limits.room_fen(facts.balance_fen, facts.registered):
        raise AppError("card_cannot_take")  # how much still fits would tell what is on it
    limits.check_ceiling(facts.balance_fen, order.amount_fen, facts.registered)
    return facts.holder_masked


def _ask_for_payment(deps: Deps, order: Order, card: Card, now: datetime) -> OrderView:
    if order.state is not State.AWAITING_PAYMENT:
        return view(deps, order)
    prepay_id, channel = order.prepay_id, order.pay_channel
    if prepay_id is None or channel is None:
        card_name = views.issuer(deps.city, card).card_name
        request = PaymentRequest(
            order_id=order.id,
            amount_fen=order.total_fen,
            description=replies.phrase("payment_description", card_name=card_name),
            payer_openid=order.payer_openid,
            expires_at=order.expires_at,
        )
        try:
            prepay_id, channel = channels.open_payment(deps, order, request, now)
        except Refused as no:
            return _refused(deps, order, no, now)
        except (Unavailable, Unknown) as silence:
            raise AppError("payment_unavailable") from silence
        with deps.database.write() as tx:
            moved = orders.set_prepay(tx, order.id, prepay_id) is not State.AWAITING_PAYMENT
            order = orders.get(tx, order.id) if moved else order
        if moved:  # paid or cancelled while WeChat was preparing its sheet
            return view(deps, order)
    return view(deps, order, deps.pays[channel].pay_parameters(prepay_id, now))


def _refused(deps: Deps, order: Order, no: Refused, now: datetime) -> OrderView:
    if no.code == "ORDER_PAID":
        with deps.database.read() as tx:
            order = orders.get(tx, order.id)  # by now it says which merchant was asked
        return view(deps, settle.ask_wechat(deps, order, now))
    settle.end_unpaid(deps, order, Event.CANCELLED, now, {"refused": no.code})
    raise AppError("payment_refused") from no


def cancel(deps: Deps, actor: Actor, order_id: str) -> OrderView:
    """Stop an unpaid order: who pays for it may, and whose card it is. WeChat is asked first, so that
    "nothing was taken" is true when it is said.

    Cancelling what is already over shows it as it is. AppError payment_already_made, payment_unavailable.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:
        order = orders.get_for(tx, actor.user_id, order_id)
    if order.state is State.AWAITING_PAYMENT and order.pay_channel is not None:
        order = settle.close_at_wechat(deps, order, now)
    order = settle.end_unpaid(deps, order, Event.CANCELLED, now)
    if order.state in (State.PAID, State.AWAITING_WRITE):
        raise AppError("payment_already_made")
    return view(deps, order, viewer_id=actor.user_id)


def payment_result(deps: Deps, actor: Actor, order_id: str, result: str) -> OrderView:
    """The phone came back from the payment sheet. A hint only: WeChat is asked before anything is said."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        order = payers_own(orders.get_for(tx, actor.user_id, order_id), actor)
        if order.state is State.AWAITING_PAYMENT:
            orders.set_payer_said(tx, order.id, result)
            order = orders.get(tx, order.id)
    if order.state is State.AWAITING_PAYMENT:
        asked = settle.ask_wechat(deps, order, now, certain=result != "ok")
        return view(deps, asked)
    return view(deps, order)
