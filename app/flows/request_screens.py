"""A request as its two sides see it: the elder hears where it stands, the relative is asked one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.money import yuan_short
from app.domain.pay_requests import Answer, Reason, State
from app.domain.screens import Choice, Line, Screen
from app.flows import names, views
from app.flows.deps import Deps
from app.store import cards, orders, pay_requests, relatives
from app.store.cards import Card
from app.store.orders import Order
from app.store.pay_requests import Ask, PayRequest
from app.voice import replies
from app.voice.amounts import spoken_amount

_TEMPLATES = {
    State.ASKING: "asked",
    State.ACCEPTED: "asked_accepted",
    State.PAID: "asked_paid",
    State.DECLINED: "asked_nobody",
    State.UNANSWERED: "asked_nobody",
    State.WITHDRAWN: "asked_withdrawn",
}


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request with its screen. `turns` are (name, what they said, why not), for the elder only."""

    request: PayRequest
    card: Card
    screen: Screen
    turns: tuple[tuple[str, str | None, str | None], ...] = ()


def facts_of(deps: Deps, card: Card, amount_fen: int) -> dict[str, Any]:
    """Card and sum, for the eye and for the ear."""
    return {
        "card": views.card_label(deps.city, card),
        "spoken_card": views.spoken_card(deps.city, card),
        "yuan": yuan_short(amount_fen),
        "amount_words": spoken_amount(amount_fen),
    }


def of_elder(deps: Deps, request: PayRequest) -> RequestView:
    """Where it stands, whose turn it is, and what the others said."""
    with deps.database.read() as tx:
        card = cards.get(tx, request.card_id)
        asked = [turn for turn in pay_requests.asks(tx, request.id) if turn.asked_at is not None]
        ties = {tie.relative_id: tie.name for tie in relatives.ever_of_elder(tx, request.elder_id)}
        order = orders.find(tx, request.order_id) if request.order_id else None
    names = {
        turn.relative_id: ties.get(turn.relative_id) or replies.phrase("your_relative") for turn in asked
    }
    turns = tuple((names[turn.relative_id], turn.answer, turn.reason) for turn in asked)
    facts = facts_of(deps, card, request.amount_fen)
    screen = replies.screen(
        _template(request, order),
        body=[
            Line(facts["yuan"] + replies.phrase("unit_yuan"), replies.phrase("label_amount")),
            Line(facts["card"], replies.phrase("label_card")),
            *(Line(_said(turn), names[turn.relative_id]) for turn in asked),
        ],
        relative=_whose_turn(asked, names),
        told=replies.phrase(f"history_{order.truth.value}") if order else "",
        request_id=request.id,
        **facts,
    )
    return RequestView(request, card, screen, turns)


def _template(request: PayRequest, order: Order | None) -> str:
    """An accepted request whose order is paid by now is told as paid, before the worker has looked."""
    if request.state is State.ACCEPTED and order is not None and order.paid_at is not None:
        return _TEMPLATES[State.PAID]
    return _TEMPLATES[request.state]


def _whose_turn(asked: list[Ask], names: dict[str, str]) -> str:
    """Who said yes, or who was asked last."""
    yes = [turn for turn in asked if turn.answer == Answer.YES]
    last = yes or asked  # nobody: the relative erased what was theirs
    return names[last[-1].relative_id] if last else replies.phrase("your_relative")


def _said(turn: Ask) -> str:
    if turn.answer == Answer.NO and turn.reason:
        return replies.phrase(f"reason_{turn.reason}")
    return replies.phrase(f"answer_{turn.answer or 'none'}")


def of_relative(deps: Deps, request: PayRequest, relative_id: str) -> RequestView:
    """The question: card, sum, one button to say yes, and four reasons to say no."""
    with deps.database.read() as tx:
        card = cards.get(tx, request.card_id)
        name = names.of_elder(tx, request.elder_id, relative_id)
    facts = facts_of(deps, card, request.amount_fen)
    if request.state is not State.ASKING:
        return RequestView(request, card, replies.screen("family_asks_over", **facts))
    choices = [Choice(f"family:yes:{request.id}", replies.phrase("family_yes", yuan=facts["yuan"]))]
    choices += [
        Choice(f"family:{reason.value}:{request.id}", replies.phrase(f"no_{reason.value}"))
        for reason in Reason
    ]
    screen = replies.screen("family_asks", choices=choices, name=name, **facts)
    return RequestView(request, card, screen)
