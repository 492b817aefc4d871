"""The shapes of checks before a payment, of faces and real names."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from app.web.schemas import OrderOut, ScreenOut, Shape

Code = Annotated[str, Field(pattern=r"^[0-9]{6,8}$")]
Id = Annotated[str, Field(max_length=32)]


class CodeIn(Shape):
    code: Code


class ChallengeIn(Shape):
    challenge_id: Id


class FingerIn(Shape):
    challenge_id: Id
    result_json: str = Field(min_length=2, max_length=2048)
    signature: str = Field(min_length=1, max_length=1024)


class BankCardIn(Shape):
    bank_card: str = Field(min_length=1, max_length=32)


class AnswerIn(Shape):
    yes: bool = Field(strict=True)


class RealNameIn(Shape):
    name: str = Field(min_length=1, max_length=64)
    id_number: str = Field(min_length=1, max_length=32)


class PhoneIn(Shape):
    phone: str = Field(min_length=1, max_length=24)


class PhoneCodeIn(PhoneIn):
    code: Code


class LimitsIn(Shape):
    single_fen: int = Field(gt=0, le=10_000_000, strict=True)
    day_fen: int = Field(gt=0, le=10_000_000, strict=True)


class CheckOut(BaseModel):
    level: str
    reasons: list[str]
    needed: list[str]
    proven: list[str]


class CheckPageOut(BaseModel):
    check: CheckOut
    order: OrderOut
    screen: ScreenOut


class ChallengeOut(BaseModel):
    challenge_id: str
    kind: str
    nonce: str
    actions: list[str]
    verify_id: str | None
    expires_at: str
    order: OrderOut
    screen: ScreenOut


class ScreenOnlyOut(BaseModel):
    screen: ScreenOut


class FaceOut(BaseModel):
    enrolled_at: str | None
    expires_at: str | None
    screen: ScreenOut


class RealNameOut(BaseModel):
    name: str | None
    id_number: str | None
    phone: str | None
    bank_card: str | None
    screen: ScreenOut


class LimitsOut(BaseModel):
    single_fen: int
    day_fen: int
    screen: ScreenOut


class RequestOut(BaseModel):
    order_id: str
    amount_fen: int
    last_four: str
    screen: ScreenOut


class RequestsOut(BaseModel):
    requests: list[RequestOut]
    screen: ScreenOut
