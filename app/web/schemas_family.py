"""The shapes of the family: relatives, elders, and what one lets the other do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from app.domain.clock import iso
from app.domain.family import Caps, Role, ask_again
from app.domain.screens import Screen
from app.store.relatives import BOUND, Relative
from app.web.schemas import CardOut, ScreenOut, Shape, screen_out
from app.web.schemas_checks import ScreenOnlyOut

__all__ = ["ScreenOnlyOut"]

Name = Annotated[str, Field(max_length=32)]
Roles = Annotated[list[Role], Field(max_length=len(Role))]
Cap = Annotated[int, Field(gt=0, le=10_000_000, strict=True)]


class AcceptIn(Shape):
    """One of `code` and `card`."""

    code: str | None = Field(None, min_length=1, max_length=16)
    card: str | None = Field(None, min_length=1, max_length=64, description="From the page that was sent on")
    name: Name | None = Field(None, description="What the relative calls the elder")


class BindIn(Shape):
    code: str = Field(min_length=1, max_length=16, description="The one the relative used, or was shown")
    name: Name | None = Field(None, description="What the elder calls the relative")
    roles: Roles | None = Field(None, description="Without: alerts")


class ChangeIn(Shape):
    """What is left out stays; a cap of null is the house's."""

    name: Name | None = None
    roles: Roles = Field(default_factory=list)
    single_fen: Cap | None = None
    day_fen: Cap | None = None
    month_fen: Cap | None = None

    @field_validator("roles", mode="before")
    @classmethod
    def _not_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("roles are a list; leave it out to keep them")
        return value


class CapsOut(BaseModel):
    single_fen: int
    day_fen: int
    month_fen: int


class RelativeOut(BaseModel):
    user_id: str
    name: str | None
    state: str
    roles: list[str]
    live: bool
    bound_at: str | None
    agreed_until: str | None
    agree_again: bool
    frozen_why: str | None
    caps: CapsOut


class RelativesOut(BaseModel):
    relatives: list[RelativeOut]
    elders: list[RelativeOut]
    screen: ScreenOut


class RelativePageOut(BaseModel):
    relative: RelativeOut
    screen: ScreenOut


class InviteOut(BaseModel):
    code: str
    page: str
    screen: ScreenOut


class ElderOut(BaseModel):
    elder_id: str
    name: str | None
    roles: list[str]
    live: bool
    agreed_until: str | None
    frozen_why: str | None


class EldersOut(BaseModel):
    elders: list[ElderOut]
    screen: ScreenOut


class ElderPageOut(BaseModel):
    elder: ElderOut
    cards: list[CardOut]
    caps: CapsOut
    screen: ScreenOut


def caps_out(caps: Caps) -> dict[str, Any]:
    return {"single_fen": caps.single_fen, "day_fen": caps.day_fen, "month_fen": caps.month_fen}


def _roles(tie: Relative) -> list[str]:
    return [role.value for role in Role if role in tie.roles]


def relative_out(tie: Relative, other_id: str, now: datetime) -> dict[str, Any]:
    """A tie as JSON for one of its sides: `other_id` is the other one, `name` what that one is called."""
    return {
        "user_id": other_id,
        "name": tie.name if other_id == tie.relative_id else tie.elder_name,
        "state": tie.state,
        "roles": _roles(tie),
        "live": tie.live(now),
        "bound_at": iso(tie.bound_at),
        "agreed_until": iso(tie.agreed_until),
        "agree_again": tie.state == BOUND and ask_again(tie.agreed_until, now),
        "frozen_why": tie.frozen_why,
        "caps": caps_out(tie.caps),
    }


def relative_page(tie: Relative, other_id: str, screen: Screen, now: datetime) -> dict[str, Any]:
    return {"relative": relative_out(tie, other_id, now), "screen": screen_out(screen)}


def elder_out(tie: Relative, now: datetime) -> dict[str, Any]:
    """An elder as the relative sees them."""
    return {
        "elder_id": tie.elder_id,
        "name": tie.elder_name,
        "roles": _roles(tie),
        "live": tie.live(now),
        "agreed_until": iso(tie.agreed_until),
        "frozen_why": tie.frozen_why,
    }
