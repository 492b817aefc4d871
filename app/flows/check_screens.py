"""The screens of a check before a payment: why, which ways there are, how far it came."""

from __future__ import annotations

from typing import Any

from app.domain.cities import City
from app.domain.identity import Factor
from app.domain.money import yuan_short
from app.domain.screens import MAX_CHOICES, Choice, Line, Screen
from app.flows import views
from app.store.cards import Card
from app.store.checks import Check
from app.store.orders import Order
from app.voice import replies
from app.voice.amounts import spoken_amount

# A fingerprint is not offered as a button: a phone that can read one asks for it by itself.
OFFERED = (Factor.FACE, Factor.SMS, Factor.RELATIVE, Factor.BANK_CARD, Factor.DESK)


def offered(check: Check) -> tuple[Factor, ...]:
    """The ways as buttons, at most four: the face and its equals side by side. WeChat's face check and our
    own are one button; which of them is asked is the installation's."""
    helps = {Factor.FACE if factor is Factor.REMOTE_FACE else factor for factor in check.needed}
    shown = [factor for factor in OFFERED if factor in helps]
    if len(shown) >= MAX_CHOICES:  # needed beside every other way, so it is asked for when another is done
        shown.remove(Factor.BANK_CARD)
    return tuple(shown)


def facts_of(city: City, order: Order, card: Card) -> dict[str, Any]:
    """What every screen of a check may name."""
    return {
        "order_id": order.id,
        "yuan": yuan_short(order.amount_fen),
        "amount_words": spoken_amount(order.amount_fen),
        "card": views.card_label(city, card),
        "spoken_card": views.spoken_card(city, card),
        "hotline": city.hotline,
    }


def screen(city: City, order: Order, card: Card, check: Check, name: str = "check") -> Screen:
    """Where the check of this order stands, with every way that would still help as a button."""
    facts = facts_of(city, order, card)
    reason = replies.phrase(f"risk_{check.reasons[0]}")
    done = "".join(replies.phrase(f"proven_{factor.value}") for factor in Factor if factor in check.proven)
    choices = [
        Choice(f"check:{factor.value}:{order.id}", replies.phrase(f"factor_{factor.value}"))
        for factor in offered(check)
    ]
    choices.append(Choice("cancel", replies.phrase("intent_cancel")))
    body = [
        Line(replies.phrase("yuan", yuan=facts["yuan"]), replies.phrase("label_amount")),
        Line(facts["card"], replies.phrase("label_card")),
        Line(reason, replies.phrase("label_reason")),  # the heaviest: more of them frighten and hide the ways
    ]
    if done:
        body.append(Line(done, replies.phrase("label_done")))
    return replies.screen(name, choices=choices, body=body, reason=reason, done=done, **facts)
