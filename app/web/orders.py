"""Orders: open, confirm, cancel, follow. History and status always tell the truth."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.ids import Kind, is_id
from app.errors import AppError
from app.flows import checkout, views
from app.web import schemas
from app.web.edge import actor, deps

bp = APIBlueprint("orders", __name__, url_prefix="/api/v1", tag="Orders")

PAGE = 20


def order_id_of(text: str) -> str:
    """The id in an address; AppError order_not_found when it cannot be one."""
    if not is_id(text, Kind.ORDER):
        raise AppError("order_not_found")
    return text


@bp.post("/orders")
@bp.doc(
    summary="Open an order and have it read back; the same client key is the same order",
    responses={404: "No such card", 409: "Key reused", 422: "Outside the limits"},
)
@bp.input(schemas.OrderIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def open_order(told: schemas.OrderIn) -> dict[str, Any]:
    view = checkout.open_order(
        deps(), actor(), told.card_id, told.amount_fen, told.method, told.client_key, told.bank
    )
    return schemas.order_page(deps(), view)


@bp.get("/orders")
@bp.doc(summary="The person's orders, newest first")
@bp.input(schemas.HistoryQuery, location="query", arg_name="asked")
@bp.output(schemas.HistoryOut)
def list_orders(asked: schemas.HistoryQuery) -> dict[str, Any]:
    found = checkout.history(deps(), actor(), PAGE, asked.before)
    screen = views.history(deps().city, [view.order for view in found][:5], deps().clock.now())
    return {
        "orders": [schemas.order_out(deps(), view) for view in found],
        "screen": schemas.screen_out(screen),
        "next_before": found[-1].order.id if len(found) == PAGE else None,
    }


@bp.get("/orders/<order_id>")
@bp.doc(summary="An order as it stands now", responses={404: "No such order"})
@bp.output(schemas.OrderPageOut)
def show_order(order_id: str) -> dict[str, Any]:
    return schemas.order_page(deps(), checkout.find(deps(), actor(), order_id_of(order_id)))


@bp.post("/orders/<order_id>/confirm")
@bp.doc(
    summary="Confirm exactly what was read back; answers with the payment parameters",
    responses={404: "No such order", 409: "Changed or over", 422: "Refused", 503: "Try again"},
)
@bp.input(schemas.ConfirmIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def confirm_order(order_id: str, told: schemas.ConfirmIn) -> dict[str, Any]:
    view = checkout.confirm(deps(), actor(), order_id_of(order_id), told.read_back)
    return schemas.order_page(deps(), view)


@bp.post("/orders/<order_id>/cancel")
@bp.doc(
    summary="Stop an unpaid order; WeChat is asked first",
    responses={404: "No such order", 409: "Already paid", 503: "Try again"},
)
@bp.output(schemas.OrderPageOut)
def cancel_order(order_id: str) -> dict[str, Any]:
    return schemas.order_page(deps(), checkout.cancel(deps(), actor(), order_id_of(order_id)))


@bp.post("/orders/<order_id>/payment-result")
@bp.doc(
    summary="What the phone's payment sheet said: a hint, WeChat is asked",
    responses={404: "No such order", 503: "Try again"},
)
@bp.input(schemas.PaymentResultIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def payment_result(order_id: str, told: schemas.PaymentResultIn) -> dict[str, Any]:
    view = checkout.payment_result(deps(), actor(), order_id_of(order_id), told.result)
    return schemas.order_page(deps(), view)
