"""The shapes of help from afar."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.domain.clock import iso
from app.domain.help import LONGEST_MESSAGE
from app.flows import help_session
from app.flows.deps import Deps
from app.flows.help_session import HelpView
from app.web.schemas import ClientKey, ScreenOut, Shape, screen_out


class HelpIn(Shape):
    relative_id: str = Field(max_length=32)


class PointIn(Shape):
    screen: int = Field(gt=0, le=1_000_000, strict=True, description="The number of the screen's event")
    choice: int = Field(gt=0, le=5, strict=True, description="Which of its choices, from 1")


class MessageIn(Shape):
    text: str = Field(min_length=1, max_length=LONGEST_MESSAGE)


class FormIn(Shape):
    card_id: str = Field(max_length=32)
    amount_fen: int = Field(gt=0, le=10_000_000, strict=True)
    method: str = Field(max_length=32)
    client_key: ClientKey


class HelpCardOut(BaseModel):
    id: str
    label: str


class HelpOut(BaseModel):
    id: str
    side: Literal["elder", "relative"]
    state: Literal["asked", "open", "ended"]
    expires_at: str


class HelpPageOut(BaseModel):
    help: HelpOut
    cards: list[HelpCardOut]
    screen: ScreenOut


class HelpListOut(BaseModel):
    sessions: list[HelpOut]
    screen: ScreenOut


class HelpActOut(BaseModel):
    number: int
    screen: ScreenOut


class HelpTicketOut(BaseModel):
    url: str
    expires_at: str


def help_out(view: HelpView) -> dict[str, Any]:
    """A session as JSON."""
    session = view.session
    return {
        "id": session.id,
        "side": view.side.value,
        "state": session.state,
        "expires_at": iso(session.expires_at),
    }


def help_page(deps: Deps, view: HelpView) -> dict[str, Any]:
    """A session with its screen, and for the relative the cards a form may be prepared for."""
    cards = [{"id": card_id, "label": label} for card_id, label in help_session.card_labels(deps, view)]
    return {"help": help_out(view), "cards": cards, "screen": screen_out(view.screen)}
