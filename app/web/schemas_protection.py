"""The shapes of questions before a payment, of alerts and of holds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.web.schemas import OrderId, ScreenOut, Shape


class AnswerIn(Shape):
    answer: Literal["own", "told", "relatives", "again", "stop"]


class HoldIn(Shape):
    order_id: OrderId
    reason: Literal["not_known", "stranger", "wrong_card", "too_much"] = Field(
        description="What the elder hears as the reason"
    )


class HoldOut(BaseModel):
    order_id: str
    reason: str
    until: str
    yours: bool
    screen: ScreenOut


class HeldOut(BaseModel):
    reason: str
    until: str
    yours: bool


class AlertOut(BaseModel):
    order_id: str
    elder_id: str
    amount_fen: int
    last_four: str
    reason: str
    paid: bool
    held: HeldOut | None
    may_hold: bool = Field(description="False once it was held: an order waits once")


class AlertsOut(BaseModel):
    alerts: list[AlertOut]
    screen: ScreenOut
