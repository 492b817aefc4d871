"""The screens of protection: a calm question with its reason, a payment that waits, and a kind end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.domain.cities import City
from app.domain.clock import SHANGHAI, business_day
from app.domain.orders import UNPAID, State
from app.domain.protection import ANSWERS, Kind, Said
from app.domain.screens import Choice, Line, Screen
from app.flows import check_screens, names
from app.flows.guardians import guardians
from app.store import holds, questions
from app.store.cards import Card
from app.store.holds import Hold
from app.store.orders import Order
from app.store.questions import Question
from app.voice import replies
from app.voice.amounts import spoken_amount, spoken_count, spoken_digits


def standing(
    tx: Connection, city: City, order: Order, card: Card, viewer_id: str, now: datetime
) -> Screen | None:
    """What protection has to show about an order as it stands, before anything else; None when nothing."""
    if order.state in UNPAID or order.state is State.PAID:
        hold = holds.active(tx, order.id, now)
        if hold is not None:
            return _held(tx, city, order, card, hold, viewer_id, now)
    if order.state in (State.AWAITING_CONFIRMATION, State.CANCELLED):
        asked = questions.of_order(tx, order.id)
        told = asked.get(Kind.TOLD_TO)
        if order.state is State.CANCELLED:
            return _told(city, order, card) if told is not None and told.answer == Said.TOLD else None
        if viewer_id == order.user_id:
            return next(
                (_ask(tx, city, order, card, each, now) for each in asked.values() if each.open), None
            )
    return None


def facts_of(city: City, order: Order, card: Card) -> dict[str, Any]:
    """What every screen of protection may name."""
    total = {"total_words": spoken_amount(order.total_fen), "hotline_words": spoken_digits(city.hotline)}
    return check_screens.facts_of(city, order, card) | total


def reasons_words(question: Question) -> str:
    """All reasons, each a sentence: "这张卡刚绑上不久。现在是半夜。"."""
    return "".join(replies.phrase(f"protect_{reason}") for reason in question.reasons)


def _body(facts: dict[str, Any], *more: Line) -> list[Line]:
    amount = Line(replies.phrase("yuan", yuan=facts["yuan"]), replies.phrase("label_amount"))
    return [amount, Line(facts["card"], replies.phrase("label_card")), *more]


def _choices(order: Order, kind: Kind, said: list[Said], after_look: bool = False) -> list[Choice]:
    def label(each: Said) -> str:
        return f"said_{each.value}_after_look" if after_look and each is Said.OWN else f"said_{each.value}"

    found = [
        Choice(f"question:{kind.value}:{each.value}:{order.id}", replies.phrase(label(each))) for each in said
    ]
    if Said.STOP not in said:
        found.append(Choice("cancel", replies.phrase("intent_cancel")))
    return [*found, Choice("agent", replies.phrase("intent_agent"))]


def _ask(tx: Connection, city: City, order: Order, card: Card, question: Question, now: datetime) -> Screen:
    facts = facts_of(city, order, card)
    if question.kind == Kind.DUPLICATE:
        who = names.heard_by(tx, order.user_id, question.facts["payer"], order.beneficiary_id, now)
        key = "duplicate_paid" if question.facts["paid"] else "duplicate_payable"
        told = replies.phrase(key, who=who, sum=facts["amount_words"])
        shown = replies.phrase(key, who=who, sum=replies.phrase("yuan", yuan=facts["yuan"]))
        choices = _choices(order, Kind.DUPLICATE, list(ANSWERS[Kind.DUPLICATE]))
        body = _body(facts, Line(shown, replies.phrase("label_reason")))
        return replies.screen(
            "question_duplicate", choices=choices, body=body, told=told, shown=shown, **facts
        )
    reason = reasons_words(question)
    body = _body(facts, Line(reason, replies.phrase("label_reason")))
    if question.answer == Said.RELATIVES:
        choices = _choices(order, Kind.TOLD_TO, [Said.OWN, Said.TOLD], after_look=True)
        return replies.screen("question_relatives", choices=choices, body=body, reason=reason, **facts)
    possible = list(ANSWERS[Kind.TOLD_TO])
    if not guardians(tx, order.user_id, now):
        possible.remove(Said.RELATIVES)
    choices = _choices(order, Kind.TOLD_TO, possible)
    return replies.screen("question_told_to", choices=choices, body=body, reason=reason, **facts)


def _told(city: City, order: Order, card: Card) -> Screen:
    return replies.screen("question_told", **facts_of(city, order, card))


def _held(
    tx: Connection, city: City, order: Order, card: Card, hold: Hold, viewer_id: str, now: datetime
) -> Screen:
    facts = facts_of(city, order, card) | {
        "who": names.heard_by(tx, viewer_id, hold.placed_by, hold.elder_id, now),
        "why": replies.phrase(f"hold_{hold.reason}"),
        "until": moment_words(hold.until, now),
    }
    return replies.screen("held_paid" if order.state is State.PAID else "held_unpaid", **facts)


def moment_words(at: datetime, now: datetime) -> str:
    """A moment of today or tomorrow as it is said: 明天十五点零五分, 今天两点整."""
    local = at.astimezone(SHANGHAI)
    today = business_day(now)
    day = "day_today" if local.date() == today else "day_tomorrow"
    assert today <= local.date() <= today + timedelta(days=1), "a hold is no longer than a day"
    minutes = replies.phrase("minutes_none")
    if local.minute:
        minutes = replies.phrase("minutes", minute=spoken_count(local.minute))
    hour = spoken_count(local.hour)
    return replies.phrase("moment", day=replies.phrase(day), hour=hour, minutes=minutes)
