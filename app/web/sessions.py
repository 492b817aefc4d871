"""Sessions: log in with WeChat's code, log out."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from app.domain.clock import iso
from app.flows import login, views
from app.web import schemas
from app.web.edge import actor, deps, public

bp = APIBlueprint("sessions", __name__, url_prefix="/api/v1", tag="Sessions")


@bp.post("/sessions")
@bp.doc(
    summary="Exchange WeChat's one-time code for our session token",
    responses={401: "Refused", 429: "Too many from this address", 503: "WeChat silent"},
    security=[],
)
@bp.input(schemas.LoginIn, location="json", arg_name="told")
@bp.output(schemas.SessionOut)
@public
def open_session(told: schemas.LoginIn) -> dict[str, Any]:
    opened = login.login(deps(), told.code, told.channel, told.device, request.remote_addr)
    return {
        "token": opened.token,
        "expires_at": iso(opened.expires_at),
        "user_id": opened.user_id,
        "screen": schemas.screen_out(views.plain(deps().city, "home")),
    }


@bp.delete("/sessions/current")
@bp.doc(summary="End this session at once", responses={204: "Ended"})
def end_session() -> tuple[str, int]:
    login.logout(deps(), actor())
    return "", 204
