"""Cards: bind one by number or photo, list them with their balances."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.errors import AppError
from app.flows import bind_card
from app.web import schemas
from app.web.edge import actor, deps

bp = APIBlueprint("cards", __name__, url_prefix="/api/v1", tag="Cards")

_BIND_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": schemas.CardIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {"type": "string", "format": "binary"},
                        "nickname": {"type": "string", "maxLength": 32},
                        "client_key": {"type": "string", "minLength": 8, "maxLength": 48},
                    },
                }
            },
        },
    }
}


@bp.get("/cards")
@bp.doc(summary="The person's cards, with balances where the card system answers")
@bp.output(schemas.CardsOut)
def list_cards() -> dict[str, Any]:
    found = bind_card.bound_cards(deps(), actor())
    return {"cards": [schemas.card_out(deps(), card, balance) for card, balance in found]}


@bp.post("/cards")
@bp.doc(
    summary="Bind a card by its number (JSON) or a photo of its barcode (multipart)",
    extensions=_BIND_BODY,
    responses={413: "Too large", 415: "No photo", 422: "Not a card we can bind", 503: "Card system silent"},
)
@bp.output(schemas.BoundOut)
def bind() -> dict[str, Any]:
    if request.mimetype == "multipart/form-data":
        bound = _by_photo()
    else:
        told = schemas.CardIn.model_validate(request.get_json())
        bound = bind_card.by_number(deps(), actor(), told.card_number, told.nickname)
    card = schemas.card_out(deps(), bound.card, bound.balance_fen)
    return {"card": card, "screen": schemas.screen_out(bound.screen)}


def _by_photo() -> bind_card.Bound:
    if "card_number" in request.form:  # which of the two would be bound?
        raise AppError("request_invalid")
    told = schemas.CardIn.model_validate({**request.form, "card_number": "photo"})
    photo = request.files.get("photo")
    if photo is None:
        raise AppError("photo_empty")
    return bind_card.by_photo(deps(), actor(), photo.read(), told.nickname)
