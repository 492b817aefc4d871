"""Telling people how it went: one message for each end, through the outbox, never twice."""

from __future__ import annotations

from app.domain.clock import SHANGHAI
from app.domain.money import yuan_text
from app.domain.orders import State, Topic
from app.flows import views
from app.flows.deps import Deps
from app.flows.messages import send_once
from app.flows.verdicts import Done, Verdict
from app.ports import Message
from app.store import cards, differences, orders, people
from app.store.orders import Order
from app.voice import replies

RECEIPT = "receipt"


def _words(topic: Topic, order: Order) -> str:
    """Which phrase tells it; a message has room for five characters of it."""
    if topic is Topic.LATE:
        return "receipt_late"
    if order.state is State.COMPLETED and order.rest_fen is not None:
        return "receipt_completed_in_part"
    return f"receipt_{order.state.value}"


def _amount_fen(order: Order) -> int:
    """What the message is about: what arrived, or what went home."""
    if order.state is State.REFUNDED:
        return order.total_fen
    return order.amount_fen if order.credit_fen is None else order.credit_fen


def tell(deps: Deps, topic: Topic, order_id: str, work_id: str) -> Verdict:
    """Tell the payer once how an order ended, or that it is late."""
    with deps.database.read() as tx:
        order = orders.get(tx, order_id)
    if topic is Topic.LATE and order.state is not State.PAID:
        return Done("no_longer_late")
    if topic is Topic.ENDED_UNPAID and order.state not in (State.CANCELLED, State.EXPIRED, State.REJECTED):
        return Done("money_came_late")  # that money's own end is told instead
    return _send(deps, work_id, order, _amount_fen(order), _words(topic, order))


def topped_up_for_you(deps: Deps, order_id: str, work_id: str) -> Verdict:
    """Tell, once, whose card it is that a relative topped it up. Without an accept of theirs they find it in
    their history."""
    with deps.database.read() as tx:
        order = orders.get(tx, order_id)
        openid = people.openid_in(tx, deps.settings.wechat.app_id, order.beneficiary_id)
    if openid is None:
        return Done("nobody_known")  # erased meanwhile
    return _send(deps, work_id, order, _amount_fen(order), "receipt_for_you", openid)


def stray_returned(deps: Deps, difference_id: str, work_id: str) -> Verdict:
    """Tell who paid twice that the second payment went home: being charged twice frightens most."""
    with deps.database.read() as tx:
        found = differences.get(tx, difference_id)
        order = orders.find(tx, found.order_id or "")
    if order is None:
        return Done("nobody_known")
    return _send(deps, work_id, order, found.amount_fen, "receipt_second_payment")


def _send(
    deps: Deps, work_id: str, order: Order, amount_fen: int, words: str, openid: str | None = None
) -> Verdict:
    """The receipt of an order, once: to who paid it, unless it is somebody else's."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        card = cards.get(tx, order.card_id)
    message = Message(
        openid=openid or order.payer_openid,
        template_id=deps.settings.wechat.receipt_template,
        page=f"pages/index/index?order={order.id}",
        data={
            "thing1": views.card_label(deps.city, card),
            "amount2": f"￥{yuan_text(amount_fen)}",
            "character_string3": order.id,
            "time4": f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
            "phrase5": replies.phrase(words),
        },
    )
    return send_once(deps, work_id, RECEIPT, message, f"{words} of {order.id}")
