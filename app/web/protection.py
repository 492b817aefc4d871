"""Questions before a payment, what a relative sees of unusual ones and may hold, and taking one back."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.clock import iso
from app.domain.orders import State
from app.domain.protection import HoldReason
from app.flows import hold, questions, undo
from app.store.holds import Hold
from app.web import schemas, schemas_checks
from app.web import schemas_protection as shapes
from app.web.edge import actor, deps
from app.web.orders import order_id_of

bp = APIBlueprint("protection", __name__, url_prefix="/api/v1", tag="Protection")


@bp.post("/orders/<order_id>/questions/<kind>")
@bp.doc(
    summary="Answer what was asked before this order goes on; the last word stands",
    responses={404: "No such order or question", 409: "Not now", 422: "No answer to it", 503: "Try again"},
)
@bp.input(shapes.AnswerIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def answer_question(order_id: str, kind: str, told: shapes.AnswerIn) -> dict[str, Any]:
    view = questions.answer(deps(), actor(), order_id_of(order_id), kind, told.answer)
    return schemas.order_page(deps(), view)


@bp.post("/orders/<order_id>/undo")
@bp.doc(
    summary="Take a payment back that was not sent to the card yet; an unpaid order is cancelled",
    responses={404: "No such order", 409: "Too late", 503: "Try again"},
)
@bp.output(schemas.OrderPageOut)
def undo_order(order_id: str) -> dict[str, Any]:
    return schemas.order_page(deps(), undo.undo(deps(), actor(), order_id_of(order_id)))


@bp.get("/alerts")
@bp.doc(summary="Unusual payments of the elders who let this person know of them")
@bp.output(shapes.AlertsOut)
def list_alerts() -> dict[str, Any]:
    now = deps().clock.now()
    found, screen = hold.alerts(deps(), actor())
    return {
        "alerts": [
            {
                "order_id": each.order.id,
                "elder_id": each.order.user_id,
                "amount_fen": each.order.amount_fen,
                "last_four": each.card.last_four,
                "reason": each.reason,
                "paid": each.order.state is State.PAID,
                "held": _held_out(each.hold) if each.hold and each.hold.active(now) else None,
                "may_hold": each.hold is None,
            }
            for each in found
        ],
        "screen": schemas.screen_out(screen),
    }


def _held_out(found: Hold) -> dict[str, Any]:
    yours = found.placed_by == actor().user_id
    return {"reason": found.reason, "until": iso(found.until), "yours": yours}


@bp.post("/holds")
@bp.doc(
    summary="Let one unusual payment of an elder wait: a day at most, two hours without a second relative",
    responses={404: "No such alert", 409: "Too late, or held before", 429: "Too many of one day"},
)
@bp.input(shapes.HoldIn, location="json", arg_name="told")
@bp.output(shapes.HoldOut)
def place_hold(told: shapes.HoldIn) -> dict[str, Any]:
    found, screen = hold.place(deps(), actor(), told.order_id, HoldReason(told.reason))
    return {"order_id": found.order_id, **_held_out(found), "screen": schemas.screen_out(screen)}


@bp.delete("/holds/<order_id>")
@bp.doc(
    summary="End a hold: the other relative who is told of payments, or who placed it",
    responses={404: "No such hold"},
)
@bp.output(schemas_checks.ScreenOnlyOut)
def release_hold(order_id: str) -> dict[str, Any]:
    return {"screen": schemas.screen_out(hold.release(deps(), actor(), order_id_of(order_id)))}
