"""The check before a payment: every way an equal door, all bound to one order of one's own."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.domain.clock import iso
from app.errors import AppError
from app.flows import check_code, check_relative, check_ways, face_check, identity_check, real_name
from app.flows.face_check import Asked
from app.web import schemas
from app.web import schemas_checks as shapes
from app.web.edge import actor, deps
from app.web.orders import order_id_of

bp = APIBlueprint("checks", __name__, url_prefix="/api/v1/orders/<order_id>/check", tag="Checks")

MOST_FRAMES = 15
_FAULTS = {
    404: "No such order",
    409: "Over, or not needed",
    422: "Not proven",
    429: "Too often",
    503: "Try again, or another way",
}
_FRAMES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["frames", "challenge_id", "nonce"],
                    "properties": {
                        "frames": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 8,
                            "maxItems": MOST_FRAMES,
                        },
                        "challenge_id": {"type": "string", "maxLength": 32},
                        "nonce": {"type": "string", "maxLength": 64},
                    },
                }
            }
        },
    }
}


@bp.get("")
@bp.doc(summary="What this order needs, what is proven, and the ways", responses=_FAULTS)
@bp.output(shapes.CheckPageOut)
def show(order_id: str) -> dict[str, Any]:
    found = identity_check.pending(deps(), actor(), order_id_of(order_id))
    page = schemas.order_page(deps(), identity_check.standing(deps(), found))
    check = {
        "level": found.check.level,
        "reasons": list(found.check.reasons),
        "needed": [factor.value for factor in found.check.needed],
        "proven": sorted(factor.value for factor in found.check.proven),
    }
    return {"check": check, **page}


@bp.post("/sms")
@bp.doc(summary="Send a code to the person's own phone, for this order only", responses=_FAULTS)
@bp.output(schemas.OrderPageOut)
def send_sms(order_id: str) -> dict[str, Any]:
    view = check_ways.choose(deps(), actor(), order_id_of(order_id), "sms")
    return schemas.order_page(deps(), view)


@bp.post("/sms/answer")
@bp.doc(summary="The code that came by SMS", responses=_FAULTS)
@bp.input(shapes.CodeIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def answer_sms(order_id: str, told: shapes.CodeIn) -> dict[str, Any]:
    view = check_code.answer_sms(deps(), actor(), order_id_of(order_id), told.code)
    return schemas.order_page(deps(), view)


@bp.post("/desk/answer")
@bp.doc(summary="The code an operator gave at the desk", responses=_FAULTS)
@bp.input(shapes.CodeIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def answer_desk(order_id: str, told: shapes.CodeIn) -> dict[str, Any]:
    view = check_code.answer_desk(deps(), actor(), order_id_of(order_id), told.code)
    return schemas.order_page(deps(), view)


@bp.post("/relative")
@bp.doc(summary="Ask the person's relatives to confirm", responses=_FAULTS)
@bp.output(schemas.OrderPageOut)
def ask_relative(order_id: str) -> dict[str, Any]:
    view = check_relative.ask(deps(), actor(), order_id_of(order_id))
    return schemas.order_page(deps(), view)


@bp.post("/bank-card")
@bp.doc(summary="Have the bank check name, number, card and phone", responses=_FAULTS)
@bp.input(shapes.BankCardIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def check_bank_card(order_id: str, told: shapes.BankCardIn) -> dict[str, Any]:
    view = real_name.check_bank_card(deps(), actor(), order_id_of(order_id), told.bank_card)
    return schemas.order_page(deps(), view)


def _asked_out(asked: Asked) -> dict[str, Any]:
    page = schemas.order_page(deps(), asked.view)
    return {
        "challenge_id": asked.id,
        "kind": asked.kind,
        "nonce": asked.nonce,
        "actions": list(asked.actions),
        "verify_id": asked.verify_id,
        "expires_at": iso(asked.expires_at),
        **page,
    }


@bp.post("/face")
@bp.doc(
    summary="Begin a face check: two actions, or WeChat's verify_id", responses={**_FAULTS, 403: "Consent"}
)
@bp.output(shapes.ChallengeOut)
def begin_face(order_id: str) -> dict[str, Any]:
    return _asked_out(face_check.challenge(deps(), actor(), order_id_of(order_id)))


@bp.post("/face/answer")
@bp.doc(
    summary="8 to 15 frames in the order they were taken, for our own engine",
    extensions=_FRAMES_BODY,
    responses={**_FAULTS, 403: "Consent", 413: "Too large", 415: "No pictures"},
)
@bp.output(schemas.OrderPageOut)
def answer_face(order_id: str) -> dict[str, Any]:
    frames = request.files.getlist("frames")
    challenge_id, nonce = request.form.get("challenge_id", ""), request.form.get("nonce", "")
    if not frames or len(frames) > MOST_FRAMES:
        raise AppError("face_frames")
    if not challenge_id or len(challenge_id) > 32 or len(nonce) > 64 or not nonce.isascii():
        raise AppError("request_invalid")
    pictures = [frame.read() for frame in frames]
    view = face_check.answer(deps(), actor(), order_id_of(order_id), challenge_id, nonce, pictures)
    return schemas.order_page(deps(), view)


@bp.post("/face/result")
@bp.doc(summary="Ask WeChat how its face check ended", responses=_FAULTS)
@bp.input(shapes.ChallengeIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def remote_result(order_id: str, told: shapes.ChallengeIn) -> dict[str, Any]:
    view = face_check.answer_remote(deps(), actor(), order_id_of(order_id), told.challenge_id)
    return schemas.order_page(deps(), view)


@bp.post("/fingerprint")
@bp.doc(summary="Begin a fingerprint: a nonce for the phone's SOTER", responses=_FAULTS)
@bp.output(shapes.ChallengeOut)
def begin_fingerprint(order_id: str) -> dict[str, Any]:
    return _asked_out(face_check.finger_challenge(deps(), actor(), order_id_of(order_id)))


@bp.post("/fingerprint/answer")
@bp.doc(summary="What the phone signed", responses=_FAULTS)
@bp.input(shapes.FingerIn, location="json", arg_name="told")
@bp.output(schemas.OrderPageOut)
def answer_fingerprint(order_id: str, told: shapes.FingerIn) -> dict[str, Any]:
    view = face_check.finger_answer(
        deps(), actor(), order_id_of(order_id), told.challenge_id, told.result_json, told.signature
    )
    return schemas.order_page(deps(), view)
