"""What a person may see and decide about themselves: consents, logins, all of their data, its deletion."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from app.domain.clock import iso
from app.flows import consents, rights, sessions
from app.web import schemas_me as shapes
from app.web.edge import actor, deps
from app.web.schemas import screen_out

bp = APIBlueprint("me", __name__, url_prefix="/api/v1/me", tag="Me")

_UNKNOWN = {404: "Nothing of that name is yours"}


@bp.get("/consents")
@bp.doc(summary="Every purpose with its text, and whether the person agrees")
@bp.output(shapes.ConsentsOut)
def list_consents() -> dict[str, Any]:
    found, screen = consents.all_of(deps(), actor())
    return {"consents": [shapes.consent_out(standing) for standing in found], "screen": screen_out(screen)}


@bp.post("/consents")
@bp.doc(summary="Agree to the text of this version", responses={**_UNKNOWN, 409: "The text has changed"})
@bp.input(shapes.ConsentIn, location="json", arg_name="told")
@bp.output(shapes.ConsentPageOut)
def give_consent(told: shapes.ConsentIn) -> dict[str, Any]:
    standing, screen = consents.give(deps(), actor(), told.purpose, told.version)
    return {"consent": shapes.consent_out(standing), "screen": screen_out(screen)}


@bp.delete("/consents/<purpose>")
@bp.doc(summary="Take a consent back: what depended on it is deleted at once", responses=_UNKNOWN)
@bp.output(shapes.ConsentPageOut)
def withdraw_consent(purpose: str) -> dict[str, Any]:
    standing, screen = consents.withdraw(deps(), actor(), purpose)
    return {"consent": shapes.consent_out(standing), "screen": screen_out(screen)}


@bp.get("/sessions")
@bp.doc(summary="Where the person is logged in, this login first")
@bp.output(shapes.LoginsOut)
def list_sessions() -> dict[str, Any]:
    found, screen = sessions.list_open(deps(), actor())
    return {"sessions": [shapes.login_out(login) for login in found], "screen": screen_out(screen)}


@bp.delete("/sessions/<session_id>")
@bp.doc(summary="Close one login at once", responses=_UNKNOWN)
@bp.output(shapes.LoginsEndedOut)
def end_session(session_id: str) -> dict[str, Any]:
    return {"ended": 1, "screen": screen_out(sessions.end_one(deps(), actor(), session_id))}


@bp.delete("/sessions")
@bp.doc(summary="Close every login but this one")
@bp.output(shapes.LoginsEndedOut)
def end_other_sessions() -> dict[str, Any]:
    ended, screen = sessions.end_others(deps(), actor())
    return {"ended": ended, "screen": screen_out(screen)}


@bp.get("/export")
@bp.doc(summary="Everything we keep about the person, as JSON", responses={429: "Too often today"})
@bp.output(shapes.ExportOut)
def export() -> dict[str, Any]:
    return rights.export(deps(), actor())


@bp.post("/erase")
@bp.doc(
    summary="Delete everything the law does not make us keep: first without a token, then with the answer's",
    responses={409: "Money is on its way, or the token is not good any more"},
)
@bp.input(shapes.EraseIn, location="json", arg_name="told")
@bp.output(shapes.EraseOut)
def erase(told: shapes.EraseIn) -> dict[str, Any]:
    if told.token is not None:
        screen = rights.erase(deps(), actor(), told.token)
        return {"erased": True, "token": None, "expires_at": None, "screen": screen_out(screen)}
    asked = rights.ask_to_erase(deps(), actor())
    return {
        "erased": False,
        "token": asked.token,
        "expires_at": iso(asked.expires_at),
        "screen": screen_out(asked.screen),
    }
