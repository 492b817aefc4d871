"""Help from afar: ask, say yes, touch, join, point, speak, prepare, end. All about a session of one's own."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.domain.clock import iso
from app.errors import AppError
from app.flows import help_acts, help_live, help_session
from app.ports import Clip
from app.voice import replies
from app.voice.amounts import spoken_count
from app.web import schemas_help as shapes
from app.web.edge import actor, deps
from app.web.schemas import screen_out

bp = APIBlueprint("help", __name__, url_prefix="/api/v1/help", tag="Help")

_FAULTS = {404: "No such session, or over", 429: "Too fast"}
_HEARD = {
    403: "Agree to be heard first",
    413: "Too large",
    415: "Unknown format",
    422: "Unusable",
    503: "Busy",
}


def _clip_body(schema: dict[str, Any] | None = None) -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["audio"],
        "properties": {"audio": {"type": "string", "format": "binary"}},
    }
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if schema is not None:
        content["application/json"] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}


def _clip() -> Clip:
    audio = request.files.get("audio")
    if audio is None:
        raise AppError("audio_empty")
    return Clip(audio.read())


def _sent(number: int) -> dict[str, Any]:
    return {"number": number, "screen": screen_out(replies.screen("help_sent"))}


@bp.get("")
@bp.doc(summary="The sessions this person may be in now, as elder or as relative")
@bp.output(shapes.HelpListOut)
def list_sessions() -> dict[str, Any]:
    found = help_session.mine(deps(), actor())
    screen = replies.screen("help_list" if found else "help_none", count=spoken_count(len(found)))
    return {"sessions": [shapes.help_out(each) for each in found], "screen": screen_out(screen)}


@bp.post("")
@bp.doc(
    summary="An elder chooses a relative who shall help for ten minutes",
    responses={404: "No relative who may assist", 409: "One is helping already", 429: "Five a day"},
)
@bp.input(shapes.HelpIn, location="json", arg_name="told")
@bp.output(shapes.HelpPageOut)
def ask(told: shapes.HelpIn) -> dict[str, Any]:
    return shapes.help_page(deps(), help_session.ask(deps(), actor(), told.relative_id))


@bp.get("/<help_id>")
@bp.doc(summary="A session as it stands", responses=_FAULTS)
@bp.output(shapes.HelpPageOut)
def show(help_id: str) -> dict[str, Any]:
    return shapes.help_page(deps(), help_session.show(deps(), actor(), help_id))


@bp.post("/<help_id>/spoken")
@bp.doc(summary="The elder's spoken yes (or no)", extensions=_clip_body(), responses={**_FAULTS, **_HEARD})
@bp.output(shapes.HelpPageOut)
def say_yes(help_id: str) -> dict[str, Any]:
    return shapes.help_page(deps(), help_session.say_yes(deps(), actor(), help_id, _clip()))


@bp.post("/<help_id>/open")
@bp.doc(summary="The elder's touch: the ten minutes begin", responses={**_FAULTS, 409: "Say yes first"})
@bp.output(shapes.HelpPageOut)
def touch(help_id: str) -> dict[str, Any]:
    return shapes.help_page(deps(), help_session.touch(deps(), actor(), help_id))


@bp.post("/<help_id>/end")
@bp.doc(summary="Either side ends it in one touch", responses=_FAULTS)
@bp.output(shapes.HelpPageOut)
def end(help_id: str) -> dict[str, Any]:
    return shapes.help_page(deps(), help_session.end(deps(), actor(), help_id))


@bp.post("/<help_id>/ticket")
@bp.doc(summary="An address that opens this side's stream of events once, within a minute", responses=_FAULTS)
@bp.output(shapes.HelpTicketOut)
def ticket(help_id: str) -> dict[str, Any]:
    given = help_live.ticket(deps(), actor(), help_id)
    return {"url": given.url, "expires_at": iso(given.expires_at)}


@bp.post("/<help_id>/point")
@bp.doc(summary="The relative points at a choice", responses={**_FAULTS, 409: "Another screen by now"})
@bp.input(shapes.PointIn, location="json", arg_name="told")
@bp.output(shapes.HelpActOut)
def point(help_id: str, told: shapes.PointIn) -> dict[str, Any]:
    return _sent(help_acts.point(deps(), actor(), help_id, told.screen, told.choice))


@bp.post("/<help_id>/messages")
@bp.doc(
    summary="The relative says something, typed (JSON) or spoken (multipart); the elder's phone speaks it",
    extensions=_clip_body(shapes.MessageIn.model_json_schema()),
    responses={**_FAULTS, **_HEARD},
)
@bp.output(shapes.HelpActOut)
def say(help_id: str) -> dict[str, Any]:
    if request.mimetype == "multipart/form-data":
        return _sent(help_acts.spoken_message(deps(), actor(), help_id, _clip()))
    told = shapes.MessageIn.model_validate(request.get_json())
    return _sent(help_acts.message(deps(), actor(), help_id, told.text))


@bp.post("/<help_id>/forms")
@bp.doc(
    summary="The relative prepares a top-up, which only the elder can confirm and pay",
    responses={**_FAULTS, 409: "Key reused", 422: "Outside the limits"},
)
@bp.input(shapes.FormIn, location="json", arg_name="told")
@bp.output(shapes.HelpActOut)
def prepare(help_id: str, told: shapes.FormIn) -> dict[str, Any]:
    card_id, sum_fen = told.card_id, told.amount_fen
    return _sent(help_acts.form(deps(), actor(), help_id, card_id, sum_fen, told.method, told.client_key))
