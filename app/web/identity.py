"""Who the person is: face, real name, phone, own thresholds, and a relative's word for them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.domain.clock import iso
from app.errors import AppError
from app.flows import check_relative, face_check, own_limits, real_name
from app.voice import replies
from app.voice.amounts import spoken_count
from app.web import schemas_checks as shapes
from app.web.edge import actor, deps
from app.web.orders import order_id_of
from app.web.schemas import screen_out

bp = APIBlueprint("identity", __name__, url_prefix="/api/v1", tag="Identity")

_PHOTOS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photos"],
                    "properties": {
                        "photos": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 3,
                            "maxItems": 3,
                        }
                    },
                }
            }
        },
    }
}
_WRONG = {422: "Not well-formed", 429: "Too often"}


# --- the face ---


@bp.get("/me/face")
@bp.doc(summary="Whether the person's face is enrolled")
@bp.output(shapes.FaceOut)
def show_face() -> dict[str, Any]:
    kept, screen = face_check.enrolment(deps(), actor())
    return {
        "enrolled_at": iso(kept.enrolled_at) if kept else None,
        "expires_at": iso(kept.expires_at) if kept else None,
        "screen": screen_out(screen),
    }


@bp.post("/me/face")
@bp.doc(
    summary="Enrol by three photos; needs the person's consent first",
    extensions=_PHOTOS_BODY,
    responses={
        403: "Consent missing",
        413: "Too large",
        415: "No picture",
        422: "Not good enough",
        503: "Try again",
    },
)
@bp.output(shapes.ScreenOnlyOut)
def enrol_face() -> dict[str, Any]:
    photos = request.files.getlist("photos")
    if len(photos) != 3:
        raise AppError("face_three_needed")
    screen = face_check.enrol(deps(), actor(), [photo.read() for photo in photos])
    return {"screen": screen_out(screen)}


@bp.delete("/me/face")
@bp.doc(summary="Delete the template at once and take the consent back")
@bp.output(shapes.ScreenOnlyOut)
def forget_face() -> dict[str, Any]:
    return {"screen": screen_out(face_check.forget(deps(), actor()))}


# --- real name, phone, thresholds ---


@bp.get("/me/real-name")
@bp.doc(summary="What we know of the person, masked")
@bp.output(shapes.RealNameOut)
def show_real_name() -> dict[str, Any]:
    found, screen = real_name.shown(deps(), actor())
    return {
        "name": found.name,
        "id_number": found.id_number,
        "phone": found.phone,
        "bank_card": found.bank_card,
        "screen": screen_out(screen),
    }


@bp.put("/me/real-name")
@bp.doc(summary="Keep name and identity number, sealed", responses=_WRONG)
@bp.input(shapes.RealNameIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def set_real_name(told: shapes.RealNameIn) -> dict[str, Any]:
    return {"screen": screen_out(real_name.set_name(deps(), actor(), told.name, told.id_number))}


@bp.post("/me/phone")
@bp.doc(summary="Send a code to a phone that shall be this person's", responses={**_WRONG, 503: "Try again"})
@bp.input(shapes.PhoneIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def ask_phone(told: shapes.PhoneIn) -> dict[str, Any]:
    return {"screen": screen_out(real_name.ask_phone(deps(), actor(), told.phone))}


@bp.post("/me/phone/answer")
@bp.doc(summary="The code came back: the phone is this person's", responses=_WRONG)
@bp.input(shapes.PhoneCodeIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def answer_phone(told: shapes.PhoneCodeIn) -> dict[str, Any]:
    return {"screen": screen_out(real_name.answer_phone(deps(), actor(), told.phone, told.code))}


@bp.get("/me/limits")
@bp.doc(summary="From which sums on the person is asked for more proof")
@bp.output(shapes.LimitsOut)
def show_limits() -> dict[str, Any]:
    limits, screen = own_limits.shown(deps(), actor())
    return {"single_fen": limits.single_fen, "day_fen": limits.day_fen, "screen": screen_out(screen)}


@bp.put("/me/limits")
@bp.doc(summary="Lower them; never raise", responses={422: "Only lower"})
@bp.input(shapes.LimitsIn, location="json", arg_name="told")
@bp.output(shapes.LimitsOut)
def lower_limits(told: shapes.LimitsIn) -> dict[str, Any]:
    limits, screen = own_limits.lower(deps(), actor(), told.single_fen, told.day_fen)
    return {"single_fen": limits.single_fen, "day_fen": limits.day_fen, "screen": screen_out(screen)}


# --- a relative's word ---


@bp.get("/co-confirmations")
@bp.doc(summary="What this person is asked to confirm for the elders they look after")
@bp.output(shapes.RequestsOut)
def list_requests() -> dict[str, Any]:
    found = check_relative.requests(deps(), actor())
    screen = replies.screen("requests" if found else "requests_none", count=spoken_count(len(found)))
    return {
        "requests": [
            {
                "order_id": each.order.id,
                "amount_fen": each.order.amount_fen,
                "last_four": each.card.last_four,
                "screen": screen_out(each.screen),
            }
            for each in found
        ],
        "screen": screen_out(screen),
    }


@bp.post("/co-confirmations/<order_id>")
@bp.doc(summary="Yes or no to exactly one order", responses={404: "Not asked", 409: "Over"})
@bp.input(shapes.AnswerIn, location="json", arg_name="told")
@bp.output(shapes.ScreenOnlyOut)
def answer_request(order_id: str, told: shapes.AnswerIn) -> dict[str, Any]:
    return {"screen": screen_out(check_relative.answer(deps(), actor(), order_id_of(order_id), told.yes))}
