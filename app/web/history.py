"""What happened in a person's affairs, told in sentences."""

from __future__ import annotations

from typing import Annotated, Any

from apiflask import APIBlueprint
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from app.domain.clock import iso
from app.flows import told_history
from app.web.edge import actor, deps
from app.web.schemas import ScreenOut, Shape, screen_out

bp = APIBlueprint("history", __name__, url_prefix="/api/v1/me", tag="Me")

DeedId = Annotated[str, Field(pattern=r"^dee_[0-9A-HJKMNP-TV-Z]{26}$")]


class ToldQuery(Shape):
    before: DeedId | SkipJsonSchema[None] = None


class ToldOut(BaseModel):
    at: str
    text: str
    say: str


class ToldPageOut(BaseModel):
    history: list[ToldOut]
    screen: ScreenOut
    next_before: str | None


@bp.get("/history")
@bp.doc(summary="Who did what for this person, when, in sentences, newest first, 20 a page")
@bp.input(ToldQuery, location="query", arg_name="asked")
@bp.output(ToldPageOut)
def tell(asked: ToldQuery) -> dict[str, Any]:
    told, screen = told_history.page(deps(), actor(), asked.before)
    return {
        "history": [{"at": iso(each.at), "text": each.text, "say": each.say} for each in told],
        "screen": screen_out(screen),
        "next_before": told[-1].id if len(told) == told_history.PAGE else None,
    }
