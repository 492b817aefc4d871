"""The shapes of what a person may see and decide about themselves: consents, logins, export, erasure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.domain.clock import iso
from app.flows.consents import Standing
from app.store.sessions import Login
from app.web.schemas import ScreenOut, Shape


class ConsentIn(Shape):
    purpose: str = Field(min_length=1, max_length=32)
    version: int = Field(ge=1, le=1_000_000, strict=True)


class EraseIn(Shape):
    token: str | None = Field(None, max_length=96, description="From the first answer: then it is done")


class ConsentOut(BaseModel):
    purpose: str
    version: int
    title: str
    what: str
    why: str
    how_long: str
    take_back: str
    given: bool
    outdated: bool
    at: str | None


class ConsentsOut(BaseModel):
    consents: list[ConsentOut]
    screen: ScreenOut


class ConsentPageOut(BaseModel):
    consent: ConsentOut
    screen: ScreenOut


class LoginOut(BaseModel):
    id: str
    current: bool
    channel: str
    created_at: str
    expires_at: str
    device_id: str | None
    device_first_seen_at: str | None


class LoginsOut(BaseModel):
    sessions: list[LoginOut]
    screen: ScreenOut


class LoginsEndedOut(BaseModel):
    ended: int
    screen: ScreenOut


class ExportOut(BaseModel):
    user_id: str
    exported_at: str
    data: dict[str, list[dict[str, Any]]]


class EraseOut(BaseModel):
    erased: bool
    token: str | None
    expires_at: str | None
    screen: ScreenOut


def consent_out(standing: Standing) -> dict[str, Any]:
    """A purpose with the text in force, and whether the person agrees to it."""
    text = standing.text
    return {
        "purpose": standing.purpose.value,
        "version": text.version,
        "title": text.title,
        "what": text.what,
        "why": text.why,
        "how_long": text.how_long,
        "take_back": text.take_back,
        "given": standing.given,
        "outdated": standing.outdated,
        "at": iso(standing.at),
    }


def login_out(login: Login) -> dict[str, Any]:
    """A login as JSON: never the token, nor what is in it."""
    return {
        "id": login.public_id,
        "current": login.current,
        "channel": login.channel,
        "created_at": iso(login.created_at),
        "expires_at": iso(login.expires_at),
        "device_id": login.device_id,
        "device_first_seen_at": iso(login.device_first_seen_at),
    }
