"""The elder's side of the family: relatives invited and confirmed, what they may do, the end of it."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.ids import Kind, is_id
from app.errors import AppError
from app.flows import bind_relative, change_relative, relative_topup
from app.web import schemas_family as shapes
from app.web.edge import actor, deps
from app.web.schemas import screen_out

bp = APIBlueprint("family", __name__, url_prefix="/api/v1", tag="Family")

_WRONG = {422: "Not well-formed, or wrong", 429: "Too often"}
_NOBODY = {404: "No such relative"}


def user_id_of(text: str, unknown: str) -> str:
    """The id in an address; AppError `unknown` when it cannot be one."""
    if not is_id(text, Kind.USER):
        raise AppError(unknown)
    return text


def _relative_id(text: str) -> str:
    return user_id_of(text, "relative_not_found")


@bp.get("/relatives")
@bp.doc(summary="The person's relatives, and the elders they look after")
@bp.output(shapes.RelativesOut)
def list_relatives() -> dict[str, Any]:
    mine, screen = change_relative.list_mine(deps(), actor())
    elders, _screen = relative_topup.list_elders(deps(), actor())
    now = deps().clock.now()
    return {
        "relatives": [shapes.relative_out(tie, tie.relative_id, now) for tie in mine],
        "elders": [shapes.relative_out(tie, tie.elder_id, now) for tie in elders],
        "screen": screen_out(screen),
    }


@bp.post("/relatives/invites")
@bp.doc(
    summary="A code to tell and a card to send on, for one relative, 24 hours", responses={429: "Too often"}
)
@bp.output(shapes.InviteOut)
def invite_relative() -> dict[str, Any]:
    made = bind_relative.invite(deps(), actor())
    return {"code": made.code, "page": made.page, "screen": screen_out(made.screen)}


@bp.post("/relatives/accept")
@bp.doc(summary="Take an elder's invitation by code or card; the elder must still say yes", responses=_WRONG)
@bp.input(shapes.AcceptIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def accept_invite(told: shapes.AcceptIn) -> dict[str, Any]:
    return {"screen": screen_out(bind_relative.accept(deps(), actor(), told.code, told.card, told.name))}


@bp.post("/relatives/<relative_id>/confirm")
@bp.doc(
    summary="The elder says yes, with the code that belongs to who accepted",
    responses={**_NOBODY, **_WRONG, 409: "Three already"},
)
@bp.input(shapes.BindIn, location="json", arg_name="told")
@bp.output(shapes.RelativePageOut)
def confirm_relative(relative_id: str, told: shapes.BindIn) -> dict[str, Any]:
    tie, screen = bind_relative.confirm(
        deps(), actor(), _relative_id(relative_id), told.code, told.name, told.roles
    )
    return shapes.relative_page(tie, tie.relative_id, screen, deps().clock.now())


@bp.patch("/relatives/<relative_id>")
@bp.doc(summary="Other roles, caps below the house's, another name", responses={**_NOBODY, 422: "Above"})
@bp.input(shapes.ChangeIn, location="json", arg_name="told")
@bp.output(shapes.RelativePageOut)
def update_relative(relative_id: str, told: shapes.ChangeIn) -> dict[str, Any]:
    wanted = told.model_dump(include=told.model_fields_set)
    tie, screen = change_relative.change(deps(), actor(), _relative_id(relative_id), wanted)
    return shapes.relative_page(tie, tie.relative_id, screen, deps().clock.now())


@bp.post("/relatives/<relative_id>/agree")
@bp.doc(summary="Agree to another 180 days", responses=_NOBODY)
@bp.output(shapes.RelativePageOut)
def agree_again(relative_id: str) -> dict[str, Any]:
    tie, screen = change_relative.agree(deps(), actor(), _relative_id(relative_id))
    return shapes.relative_page(tie, tie.relative_id, screen, deps().clock.now())


@bp.delete("/relatives/<relative_id>")
@bp.doc(summary="The elder ends it at once", responses=_NOBODY)
@bp.output(shapes.ScreenOnlyOut)
def end_relative(relative_id: str) -> dict[str, Any]:
    other = _relative_id(relative_id)
    return {"screen": screen_out(change_relative.end(deps(), actor(), actor().user_id, other))}
