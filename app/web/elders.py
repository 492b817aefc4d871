"""The relative's side of the family: the elders they look after, and topping up for one of them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.flows import change_relative, relative_topup
from app.web import schemas
from app.web import schemas_family as shapes
from app.web.edge import actor, deps
from app.web.family import user_id_of

bp = APIBlueprint("elders", __name__, url_prefix="/api/v1", tag="Family")

_NOBODY = {404: "No such elder of this person's"}


def elder_id_of(text: str) -> str:
    """The id in an address; AppError elder_not_found when it cannot be one."""
    return user_id_of(text, "elder_not_found")


@bp.get("/elders")
@bp.doc(summary="The elders this person looks after")
@bp.output(shapes.EldersOut)
def list_elders() -> dict[str, Any]:
    found, screen = relative_topup.list_elders(deps(), actor())
    now = deps().clock.now()
    return {
        "elders": [shapes.elder_out(tie, now) for tie in found],
        "screen": schemas.screen_out(screen),
    }


@bp.get("/elders/<elder_id>")
@bp.doc(
    summary="One elder: cards by name and last four, balances only with that role",
    responses={**_NOBODY, 409: "Frozen, or not agreed to any more"},
)
@bp.output(shapes.ElderPageOut)
def show_elder(elder_id: str) -> dict[str, Any]:
    found = relative_topup.show_elder(deps(), actor(), elder_id_of(elder_id))
    return {
        "elder": shapes.elder_out(found.tie, deps().clock.now()),
        "cards": [schemas.card_out(deps(), card, balance_fen) for card, balance_fen in found.cards],
        "caps": shapes.caps_out(found.caps),
        "screen": schemas.screen_out(found.screen),
    }


@bp.post("/elders/<elder_id>/orders")
@bp.doc(
    summary="Open an order that this relative pays for the elder's card; then like every other",
    responses={
        **_NOBODY,
        403: "Not in the role",
        409: "Tie over, or key reused",
        422: "Outside the limits or caps",
    },
)
@bp.input(schemas.OrderIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def open_order(elder_id: str, told: schemas.OrderIn) -> dict[str, Any]:
    view = relative_topup.open_order(
        deps(),
        actor(),
        elder_id_of(elder_id),
        told.card_id,
        told.amount_fen,
        told.method,
        told.client_key,
        told.bank,
    )
    return schemas.order_page(deps(), view)


@bp.delete("/elders/<elder_id>")
@bp.doc(summary="The relative ends it at once", responses=_NOBODY)
@bp.output(shapes.ScreenOnlyOut)
def leave_elder(elder_id: str) -> dict[str, Any]:
    screen = change_relative.end(deps(), actor(), elder_id_of(elder_id), actor().user_id)
    return {"screen": schemas.screen_out(screen)}
