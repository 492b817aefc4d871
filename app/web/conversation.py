"""The conversation: one turn in, by voice or touch; one screen out."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.errors import AppError
from app.flows import voice_recharge
from app.flows.voice_recharge import TurnInput
from app.ports import Clip
from app.web import schemas
from app.web.edge import actor, deps

bp = APIBlueprint("conversation", __name__, url_prefix="/api/v1", tag="Conversation")

_AUDIO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": schemas.ChoiceIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["audio", "client_key"],
                    "properties": {
                        "audio": {"type": "string", "format": "binary"},
                        "client_key": {"type": "string", "minLength": 8, "maxLength": 48},
                        "conversation_id": {"type": "string", "maxLength": 32},
                        "version": {"type": "integer", "minimum": 0},
                        "declared": {
                            "type": "string",
                            "description": "only for raw PCM: s16le/<rate>/<channels>",
                        },
                    },
                }
            },
        },
    }
}


@bp.get("/screen")
@bp.doc(summary="Where this person is: the open conversation, or home")
@bp.output(schemas.TurnOut)
def current_screen() -> dict[str, Any]:
    return schemas.turn_out(deps(), voice_recharge.here(deps(), actor()))


@bp.post("/conversation/turns")
@bp.doc(
    summary="Take one turn: an audio clip (multipart) or a tapped choice (JSON)",
    extensions=_AUDIO_BODY,
    responses={
        404: "No such conversation",
        409: "Key reused",
        413: "Too large",
        415: "Unknown format",
        422: "Unusable",
        503: "Busy",
    },
)
@bp.output(schemas.TurnOut)
def take_turn() -> dict[str, Any]:
    told = _clip_turn() if request.mimetype == "multipart/form-data" else _choice_turn()
    return schemas.turn_out(deps(), voice_recharge.turn(deps(), actor(), told))


def _choice_turn() -> TurnInput:
    told = schemas.ChoiceIn.model_validate(request.get_json())
    return TurnInput(
        client_key=told.client_key,
        choice=told.choice,
        conversation_id=told.conversation_id,
        version=told.version,
    )


def _clip_turn() -> TurnInput:
    form = dict(request.form)
    if "choice" in form:  # a turn is spoken or tapped; nobody can mean both
        raise AppError("request_invalid")
    declared = form.pop("declared", None)
    told = schemas.ChoiceIn.model_validate({**form, "choice": "audio"})
    audio = request.files.get("audio")
    if audio is None:
        raise AppError("audio_empty")
    return TurnInput(
        client_key=told.client_key,
        clip=Clip(audio.read(), declared),
        conversation_id=told.conversation_id,
        version=told.version,
    )
