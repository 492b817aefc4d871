"""Standing orders of relatives, and the proposals they answer with one tap."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.ids import Kind, is_id
from app.errors import AppError
from app.flows import proposals, standing_orders
from app.flows.standing_orders import Wish
from app.voice import replies
from app.voice.amounts import spoken_count
from app.web import schemas
from app.web import schemas_asks as shapes
from app.web.edge import actor, deps

bp = APIBlueprint("standing_orders", __name__, url_prefix="/api/v1", tag="Family")

_FAULTS = {403: "May not pay", 404: "No such proposal", 409: "Over"}


def _standing_id(text: str) -> str:
    if not is_id(text, Kind.STANDING_ORDER):
        raise AppError("standing_not_found")
    return text


def _proposal_id(text: str) -> str:
    if not is_id(text, Kind.PROPOSAL):
        raise AppError("proposal_not_found")
    return text


@bp.post("/standing-orders")
@bp.doc(
    summary="A relative's wish that repeats: each time it is due they are asked; nothing is paid by itself",
    responses={404: "No such elder or card", 409: "There is one", 422: "Not well-formed"},
)
@bp.input(shapes.StandingIn, location="json", arg_name="told")
@bp.output(shapes.StandingPageOut)
def make(told: shapes.StandingIn) -> dict[str, Any]:
    view = standing_orders.make(deps(), actor(), Wish(**told.model_dump()))
    return shapes.standing_page(deps(), view, actor().user_id)


@bp.get("/standing-orders")
@bp.doc(summary="Those the person set up, and those others set up for them")
@bp.output(shapes.StandingListOut)
def list_all() -> dict[str, Any]:
    found = standing_orders.all_of(deps(), actor())
    screen = replies.screen("standing_list", count=spoken_count(len(found)))
    return {
        "standing_orders": [shapes.standing_page(deps(), view, actor().user_id) for view in found],
        "screen": schemas.screen_out(screen),
    }


@bp.delete("/standing-orders/<standing_id>")
@bp.doc(summary="Either side ends it at once", responses={404: "No such standing order"})
@bp.output(shapes.ScreenOnlyOut)
def end(standing_id: str) -> dict[str, Any]:
    screen = standing_orders.end(deps(), actor(), _standing_id(standing_id))
    return {"screen": schemas.screen_out(screen)}


@bp.get("/proposals")
@bp.doc(summary="What waits for this relative's tap")
@bp.output(shapes.ProposalsOut)
def list_proposals() -> dict[str, Any]:
    found = proposals.waiting(deps(), actor())
    return {"proposals": [shapes.proposal_page(deps(), view) for view in found]}


@bp.post("/proposals/<proposal_id>/yes")
@bp.doc(
    summary="One tap: the relative's own order, read back; tapping again is the same order",
    responses={**_FAULTS, 422: "Outside the limits or caps"},
)
@bp.input(shapes.YesIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def accept(proposal_id: str, told: shapes.YesIn) -> dict[str, Any]:
    view = proposals.accept(deps(), actor(), _proposal_id(proposal_id), told.method, told.bank)
    return schemas.order_page(deps(), view)


@bp.post("/proposals/<proposal_id>/no")
@bp.doc(summary="Not this time", responses=_FAULTS)
@bp.output(shapes.ScreenOnlyOut)
def decline(proposal_id: str) -> dict[str, Any]:
    screen = proposals.decline(deps(), actor(), _proposal_id(proposal_id))
    return {"screen": schemas.screen_out(screen)}
