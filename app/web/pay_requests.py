"""An elder asks a relative to pay; the relative says yes, or no and why."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.ids import Kind, is_id
from app.errors import AppError
from app.flows import answer_family, ask_family
from app.voice import replies
from app.voice.amounts import spoken_count
from app.web import schemas
from app.web import schemas_asks as shapes
from app.web.edge import actor, deps

bp = APIBlueprint("pay_requests", __name__, url_prefix="/api/v1/pay-requests", tag="Family")

_FAULTS = {403: "May not pay", 404: "No such request", 409: "Over"}


def _id(text: str) -> str:
    if not is_id(text, Kind.PAY_REQUEST):
        raise AppError("request_not_found")
    return text


@bp.post("")
@bp.doc(
    summary="Ask a relative to top up a card; the same client key is the same request",
    responses={
        404: "No such relative or card",
        409: "One is open",
        422: "Outside the limits",
        429: "Too often",
    },
)
@bp.input(shapes.PayRequestIn, location="json", arg_name="told")
@bp.output(shapes.PayRequestPageOut)
def ask(told: shapes.PayRequestIn) -> dict[str, Any]:
    view = ask_family.ask(deps(), actor(), told.relative_id, told.card_id, told.amount_fen, told.client_key)
    return shapes.request_page(deps(), view)


@bp.get("")
@bp.doc(summary="What this person asked for, newest first, and what they are asked")
@bp.output(shapes.PayRequestsOut)
def list_requests() -> dict[str, Any]:
    mine, asked = ask_family.mine(deps(), actor()), answer_family.asked(deps(), actor())
    name = "family_requests" if asked else "family_requests_none"
    return {
        "mine": [shapes.request_page(deps(), view) for view in mine],
        "asked_of_me": [shapes.request_page(deps(), view) for view in asked],
        "screen": schemas.screen_out(replies.screen(name, count=spoken_count(len(asked)))),
    }


@bp.get("/<request_id>")
@bp.doc(
    summary="Where it stands, for the elder; the question, for a relative who was asked", responses=_FAULTS
)
@bp.output(shapes.PayRequestPageOut)
def show(request_id: str) -> dict[str, Any]:
    return shapes.request_page(deps(), answer_family.seen_by(deps(), actor(), _id(request_id)))


@bp.delete("/<request_id>")
@bp.doc(
    summary="The elder does not want it any more; WeChat is asked first",
    responses={404: "No such request", 409: "Already paid", 503: "Try again"},
)
@bp.output(shapes.PayRequestPageOut)
def withdraw(request_id: str) -> dict[str, Any]:
    return shapes.request_page(deps(), ask_family.withdraw(deps(), actor(), _id(request_id)))


@bp.post("/<request_id>/yes")
@bp.doc(
    summary="Say yes: the relative's own order, read back; saying it again is the same order",
    responses={**_FAULTS, 422: "Outside the limits or caps"},
)
@bp.input(shapes.YesIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def accept(request_id: str, told: shapes.YesIn) -> dict[str, Any]:
    view = answer_family.accept(deps(), actor(), _id(request_id), told.method, told.bank)
    return schemas.order_page(deps(), view)


@bp.post("/<request_id>/no")
@bp.doc(summary="Say no, and why; the next relative is asked", responses=_FAULTS)
@bp.input(shapes.NoIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def decline(request_id: str, told: shapes.NoIn) -> dict[str, Any]:
    screen = answer_family.decline(deps(), actor(), _id(request_id), told.reason)
    return {"screen": schemas.screen_out(screen)}
