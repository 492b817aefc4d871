"""The shapes that cross the HTTP edge, for validation and for the OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from app.domain.clock import iso
from app.domain.screens import Screen
from app.flows import views
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.voice_recharge import Answer
from app.store.cards import Card

_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
OrderId = Annotated[str, Field(pattern=r"^ord_[0-9A-HJKMNP-TV-Z]{26}$")]
ClientKey = Annotated[str, Field(min_length=8, max_length=48, pattern=r"^[A-Za-z0-9_\-]+$")]


class Shape(BaseModel):
    """Unknown members are refused: a misspelt field must not be silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        """PostgreSQL keeps no NUL in a text, and half a surrogate pair is no text at all."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and ("\0" in text or _HALF_A_PAIR.search(text)):
                raise ValueError("not a text")
        return value


class LoginIn(Shape):
    code: str = Field(min_length=1, max_length=128)
    channel: Literal["mini_program", "h5"] = "mini_program"
    device: str | None = Field(
        None, min_length=8, max_length=64, description="Random; made once and kept by this installation"
    )


class ChoiceIn(Shape):
    client_key: ClientKey
    choice: str = Field(min_length=1, max_length=128)
    conversation_id: str | None = Field(default=None, max_length=32)
    version: int | None = Field(default=None, ge=0)


class CardIn(Shape):
    card_number: str = Field(min_length=1, max_length=64)
    nickname: str | None = Field(default=None, max_length=32)
    client_key: ClientKey | None = None


class OrderIn(Shape):
    card_id: str = Field(max_length=32)
    amount_fen: int = Field(gt=0, le=10_000_000, strict=True)
    method: str = Field(max_length=32)
    client_key: ClientKey
    bank: str | None = Field(None, max_length=32, description="Whose fee schedule is quoted; none: other")


class ConfirmIn(Shape):
    read_back: str = Field(min_length=1, max_length=32)


class PaymentResultIn(Shape):
    result: Literal["ok", "cancelled", "failed"]


class SubscriptionsIn(Shape):
    accepted: list[Annotated[str, Field(max_length=64)]] = Field(max_length=10)


class HistoryQuery(Shape):
    before: OrderId | SkipJsonSchema[None] = None  # an address has no null


class WechatRefusalOut(BaseModel):
    """What WeChat Pay v3 wants to read in an answer to a notice that is not taken."""

    code: Literal["FAIL"]
    message: str


class ErrorOut(BaseModel):
    code: str
    say: str
    next: str
    request_id: str


class LineOut(BaseModel):
    label: str | None
    text: str


class ChoiceOut(BaseModel):
    id: str
    label: str


class StepOut(BaseModel):
    at: int
    of: int


class OrderOut(BaseModel):
    id: str
    state: str
    truth: str
    amount_fen: int
    fee_fen: int
    card_id: str
    card_label: str
    read_back: str
    created_at: str
    paid_at: str | None
    promised_at: str | None
    credited_at: str | None


class EntryOut(BaseModel):
    way: str
    label: str
    most: int


class ScreenOut(BaseModel):
    say: str
    title: str
    body: list[LineOut]
    choices: list[ChoiceOut]
    next: str
    step: StepOut | None
    order: OrderOut | None = None
    payment: dict[str, str] | None = None
    entry: EntryOut | None = None


class SessionOut(BaseModel):
    token: str
    expires_at: str
    user_id: str
    screen: ScreenOut


class UnderstoodOut(BaseModel):
    intent: str
    amount_fen: int | None
    card_index: int | None
    decision: str
    confidence: float


class TurnOut(BaseModel):
    conversation_id: str
    version: int
    heard: list[str]
    understood: UnderstoodOut | None
    may_listen: bool  # the person agreed to be heard; asked by the choice ask_voice where not
    screen: ScreenOut


class CardOut(BaseModel):
    id: str
    label: str
    last_four: str
    balance_fen: int | None


class CardsOut(BaseModel):
    cards: list[CardOut]


class BoundOut(BaseModel):
    card: CardOut
    screen: ScreenOut


class OrderPageOut(BaseModel):
    order: OrderOut
    screen: ScreenOut


class HistoryOut(BaseModel):
    orders: list[OrderOut]
    screen: ScreenOut
    next_before: str | None


class TemplateOut(BaseModel):
    name: str
    template_id: str


class TemplatesOut(BaseModel):
    templates: list[TemplateOut]


class AboutOut(BaseModel):
    sandbox: bool
    city: str
    hotline: str


def screen_out(screen: Screen, order: dict[str, Any] | None = None) -> dict[str, Any]:
    """A screen as JSON."""
    out: dict[str, Any] = {
        "say": screen.say,
        "title": screen.title,
        "body": [{"label": line.label, "text": line.text} for line in screen.body],
        "choices": [{"id": choice.id, "label": choice.label} for choice in screen.choices],
        "next": screen.next.value,
        "step": {"at": screen.step.at, "of": screen.step.of} if screen.step else None,
    }
    if order is not None:
        out["order"] = order
    if screen.payment is not None:
        out["payment"] = screen.payment
    if screen.entry is not None:
        out["entry"] = asdict(screen.entry)
    return out


def order_out(deps: Deps, view: OrderView) -> dict[str, Any]:
    """An order as JSON: ids and truth, never the full card number."""
    order = view.order
    return {
        "id": order.id,
        "state": order.state.value,
        "truth": order.truth.value,
        "amount_fen": order.amount_fen,
        "fee_fen": order.fee_fen,
        "card_id": order.card_id,
        "card_label": views.card_label(deps.city, view.card),
        "read_back": order.read_back,
        "created_at": iso(order.created_at),
        "paid_at": iso(order.paid_at),
        "promised_at": iso(order.promised_at),
        "credited_at": iso(order.credited_at),
    }


def order_page(deps: Deps, view: OrderView) -> dict[str, Any]:
    """An order with its screen."""
    order = order_out(deps, view)
    return {"order": order, "screen": screen_out(view.screen, order)}


def turn_out(deps: Deps, answer: Answer) -> dict[str, Any]:
    """The conversation after a turn."""
    understood = answer.understood
    return {
        "conversation_id": answer.conversation.id,
        "version": answer.conversation.version,
        "heard": list(answer.heard),
        "understood": None
        if understood is None
        else {
            "intent": understood.intent.value,
            "amount_fen": understood.amount_fen,
            "card_index": understood.card_index,
            "decision": understood.decision.value,
            "confidence": round(understood.confidence, 3),
        },
        "may_listen": answer.may_listen,
        "screen": screen_out(answer.screen, order_out(deps, answer.order) if answer.order else None),
    }


def card_out(deps: Deps, card: Card, balance_fen: int | None) -> dict[str, Any]:
    """A card as JSON: its label and last four digits, never the number."""
    return {
        "id": card.id,
        "label": views.card_label(deps.city, card),
        "last_four": card.last_four,
        "balance_fen": balance_fen,
    }
