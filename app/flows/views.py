"""From rows to screens: the same order always looks and sounds the same, however it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.domain.arrival import promise
from app.domain.calendar import Calendar
from app.domain.cities import City
from app.domain.clock import SHANGHAI
from app.domain.money import yuan_short, yuan_text
from app.domain.orders import State
from app.domain.regions import issuer_of
from app.domain.screens import Choice, Line, Screen
from app.store.cards import Card
from app.store.orders import Order
from app.voice import replies
from app.voice.amounts import spoken_amount, spoken_digits

QUICK_AMOUNTS_FEN = (5_000, 10_000, 20_000)


def issuer(city: City, card: Card) -> City:
    """The city whose card this is: a partner's card is called what its own city calls it."""
    return issuer_of(card.prefix) or city


def card_name(city: City, card: Card) -> str:
    """The card's nickname, or its city's name for its cards."""
    return card.nickname or issuer(city, card).card_name


def card_label(city: City, card: Card) -> str:
    """What to call a card on screen: "羊城通，尾号0216"."""
    return replies.phrase("card", name=card_name(city, card), last_four=card.last_four)


def spoken_card(city: City, card: Card) -> str:
    """The same, as it is read aloud."""
    digits = spoken_digits(card.last_four)
    return replies.phrase("card", name=card_name(city, card), last_four=digits)


def fee_texts(fee_fen: int, total_fen: int) -> tuple[str, str]:
    """A fee for the eye and for the ear; the ear also hears what is paid in all."""
    if not fee_fen:
        return replies.phrase("fee_none"), replies.phrase("fee_none")
    said = replies.phrase("fee_aloud", fee_words=spoken_amount(fee_fen), total_words=spoken_amount(total_fen))
    return replies.phrase("fee", fee=yuan_short(fee_fen)), said


def _facts(city: City, order: Order, card: Card, days: Calendar | None) -> dict[str, Any]:
    fee, fee_words = fee_texts(order.fee_fen, order.total_fen)
    promised = promise(city, order.paid_at or order.created_at, days, issuer(city, card))
    words = promised.paid_words if order.paid_at else promised.words
    facts: dict[str, Any] = {
        "card": card_label(city, card),
        "spoken_card": spoken_card(city, card),
        "order_id": order.id,
        "read_back": order.read_back,
        "yuan": yuan_short(order.amount_fen),
        "amount_words": spoken_amount(order.amount_fen),
        "total": yuan_short(order.total_fen),
        "total_words": spoken_amount(order.total_fen),
        "fee": fee,
        "fee_words": fee_words,
        "promise": replies.phrase(words),
    }
    if order.balance_after_fen is not None:
        facts["balance"] = yuan_text(order.balance_after_fen)
        facts["balance_words"] = spoken_amount(order.balance_after_fen)
    if order.credit_fen is not None and order.rest_fen is not None:
        facts |= {
            "credit": yuan_short(order.credit_fen),
            "credit_words": spoken_amount(order.credit_fen),
            "rest": yuan_short(order.rest_fen),
            "rest_words": spoken_amount(order.rest_fen),
        }
    return facts


def _template(order: Order, now: datetime) -> str:
    if order.state is State.AWAITING_PAYMENT:
        if order.payer_said == "ok":
            return "checking"
        return "not_paid" if order.payer_said else "pay"
    if order.state is State.PAID and order.promised_at is not None and now > order.promised_at:
        return "late"
    if order.state is State.COMPLETED and order.rest_fen is not None:
        return "completed_in_part"
    return {State.AWAITING_CONFIRMATION: "read_back", State.AWAITING_CHECK: "read_back"}.get(
        order.state, order.state.value
    )


def order_screen(
    city: City,
    order: Order,
    card: Card,
    now: datetime,
    payment: dict[str, str] | None = None,
    days: Calendar | None = None,
) -> Screen:
    """The screen of an order as it stands at `now`. With `payment`, the payer is asked to pay.

    `days` is the calendar in force, by default the shipped one.
    """
    template = "pay" if payment is not None else _template(order, now)
    facts = _facts(city, order, card, days)
    return replies.screen(template, steps=city.step_budget, payment=payment, **facts)


def plain(city: City, name: str, **facts: Any) -> Screen:
    """A screen that needs no order: home, help, agent …"""
    return replies.screen(
        name,
        steps=city.step_budget,
        hotline=city.hotline,
        hotline_words=spoken_digits(city.hotline),
        **facts,
    )


def ask_amount(city: City, card: Card) -> Screen:
    """How much? Fixed sums inside the city's limits as buttons, none preselected; any sum by voice."""
    limits = city.methods[0]
    amounts = [fen for fen in QUICK_AMOUNTS_FEN if limits.min_fen <= fen <= limits.max_fen]
    choices = [
        Choice(f"amount:{fen}", replies.phrase("amount_choice", yuan=yuan_short(fen))) for fen in amounts
    ]
    choices.append(Choice("cancel", replies.phrase("intent_cancel")))
    return replies.screen(
        "ask_amount",
        steps=city.step_budget,
        choices=choices,
        card=card_label(city, card),
        spoken_card=spoken_card(city, card),
    )


def ask_card(city: City, cards: Sequence[Card]) -> Screen:
    """Which card? One button each."""
    choices = [Choice(f"card:{card.id}", card_label(city, card)) for card in cards]
    return replies.screen(
        "ask_card", steps=city.step_budget, choices=choices, count=spoken_digits(str(len(cards)))
    )


def balances(city: City, found: Sequence[tuple[Card, int]]) -> Screen:
    """What is on the cards, as the card system says now."""
    if len(found) == 1:
        card, fen = found[0]
        seen = yuan_text(fen)
        return replies.screen(
            "balance",
            body=[Line(replies.phrase("yuan", yuan=seen), card_label(city, card))],
            spoken_card=spoken_card(city, card),
            balance=seen,
            balance_words=spoken_amount(fen),
        )
    spoken = "".join(
        replies.phrase("card_holds", card=spoken_card(city, card), balance_words=spoken_amount(fen))
        for card, fen in found
    )
    body = [Line(replies.phrase("yuan", yuan=yuan_text(fen)), card_label(city, card)) for card, fen in found]
    return replies.screen("balances", body=body, count=spoken_digits(str(len(found))), list=spoken)


def history_line(order: Order) -> str:
    """One order as a sentence: when, how much, where the money is."""
    day = order.created_at.astimezone(SHANGHAI)
    told = replies.phrase(f"history_{order.truth.value}")
    yuan = yuan_short(order.amount_fen)
    return replies.phrase("history_line", month=day.month, day=day.day, yuan=yuan, told=told)


def history(city: City, orders: Sequence[Order], now: datetime) -> Screen:
    """The latest orders in sentences."""
    if not orders:
        return plain(city, "history_empty")
    lines = [Line(history_line(order)) for order in orders]
    count = spoken_digits(str(len(orders)))
    return replies.screen("history", body=lines, count=count, latest=lines[0].text)
