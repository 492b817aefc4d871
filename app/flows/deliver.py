"""Delivery: paid money onto the card, exactly once, and the receipt that says so."""

from __future__ import annotations

import logging
from datetime import datetime

from app.domain.clock import SHANGHAI
from app.domain.money import yuan_text
from app.domain.orders import Event, State
from app.flows import views
from app.flows.deps import Deps
from app.flows.settle import Done, Later, Verdict
from app.ports import Credit, CreditState, Message, Refused, Unavailable, Unknown
from app.store import cards, notices, orders, outbox
from app.store.orders import Order
from app.voice import replies

log = logging.getLogger(__name__)

RECEIPT = "receipt"


def deliver(deps: Deps, order_id: str) -> Verdict:
    """Credit a paid order at the card system. The order id is the request id, so a repeat credits nothing.

    Refused sends the money home; Unknown is asked about and then repeated, never given up.
    """
    now = deps.clock.now()
    with deps.database.read() as tx:
        order = orders.get(tx, order_id)
        card = cards.get(tx, order.card_id)
    if order.state is not State.PAID:
        return Done(order.state.value)
    try:
        credit = deps.card_system.credit(order.id, card.card_number, order.amount_fen)
    except Refused as no:
        return _send_home(deps, order, no, now)
    except Unavailable as not_done:
        return Later(not_done.code)
    except Unknown as silence:
        return Later(silence.code)  # the same id again: either it was done, or it is done then
    return _book(deps, order, credit, now)


def _book(deps: Deps, order: Order, credit: Credit, now: datetime) -> Verdict:
    changes = {"card_reference": credit.reference, "balance_after_fen": credit.balance_fen}
    event = Event.WRITE_ISSUED
    if credit.state is CreditState.CREDITED:
        event = Event.CREDITED
        changes["credited_at"] = now
    with deps.database.write() as tx:
        order, _moved = orders.advance(tx, order, event, now, changes)
    deps.nudge()
    return Done(order.state.value)


def _send_home(deps: Deps, order: Order, no: Refused, now: datetime) -> Verdict:
    """A refusal is final only when the card system never saw a credit for this order."""
    try:
        credit = deps.card_system.query(order.id)
    except (Refused, Unavailable, Unknown) as silence:
        return Later(silence.code)
    if credit is not None:
        return _book(deps, order, credit, now)
    with deps.database.write() as tx:
        orders.advance(tx, order, Event.DELIVERY_REFUSED, now, facts={"refused": no.code})
    deps.nudge()
    return Done("delivery_refused")


def receipt(deps: Deps, order_id: str, work_id: str) -> Verdict:
    """Tell the payer once that the order ended. A message without an answer is not sent again."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        order = orders.get(tx, order_id)
        card = cards.get(tx, order.card_id)
        if not outbox.start_once(tx, work_id):
            return Done("unknown")
        if not notices.use_subscription(tx, order.payer_openid, RECEIPT, now):
            return Done("not_subscribed")
    told = {State.COMPLETED: "receipt_completed", State.REFUNDED: "receipt_refunded"}[order.state]
    message = Message(
        openid=order.payer_openid,
        template_id=deps.settings.wechat.receipt_template,
        page=f"pages/index/index?order={order.id}",
        data={
            "thing1": views.card_label(deps.city, card),
            "amount2": f"￥{yuan_text(order.amount_fen)}",
            "character_string3": order.id,
            "time4": f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            "phrase5": replies.phrase(told),
        },
    )
    try:
        deps.messages.send(message)
    except Refused as no:
        with deps.database.write() as tx:
            notices.drop_subscription(tx, order.payer_openid, RECEIPT, now)
        return Done(f"refused:{no.code}")
    except Unavailable as not_sent:
        with deps.database.write() as tx:
            outbox.start_over(tx, work_id)
            notices.add_subscription(tx, order.payer_openid, RECEIPT, now)
        return Later(not_sent.code)
    except Unknown:
        return Done("unknown")
    return Done("sent")
