"""Consent: given and withdrawn one purpose at a time; what depended on it is gone in the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.domain.consents import Act, ConsentText, Purpose, purpose_of, texts
from app.domain.screens import Line, Screen
from app.errors import AppError
from app.flows.deps import Deps
from app.store import consents, personal
from app.store.people import Actor
from app.voice import replies
from app.voice.amounts import spoken_count

# What a purpose's data is deleted by, in the transaction that withdraws: (tx, user id, now). Who stores
# something under a consent puts its deletion here.
Forget = Callable[[Connection, str, datetime], None]
FORGET: Mapping[Purpose, tuple[Forget, ...]] = {
    Purpose.FACE: (
        lambda tx, user_id, _now: personal.delete_rows(tx, "face_templates", user_id),
        lambda tx, user_id, _now: personal.delete_rows(tx, "motion_traces", user_id),
    ),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How one purpose stands for one person. `outdated`: they agreed to an older text."""

    purpose: Purpose
    text: ConsentText
    given: bool
    outdated: bool
    at: datetime | None


def current(tx: Connection, user_id: str, purpose: Purpose) -> bool:
    """Whether this person agrees to the text that is in force now."""
    return _standing(tx, user_id, purpose).given


def required(tx: Connection, user_id: str, purpose: Purpose) -> None:
    """AppError consent_missing unless the person agrees to the text in force."""
    if not current(tx, user_id, purpose):
        raise AppError("consent_missing")


def _standing(tx: Connection, user_id: str, purpose: Purpose) -> Standing:
    text, last = texts()[purpose], consents.last(tx, user_id, purpose)
    agreed = last is not None and last.act is Act.GIVEN
    newest = last is not None and last.version == text.version
    at = None if last is None else last.at
    return Standing(purpose, text, agreed and newest, agreed and not newest, at)


def give(deps: Deps, actor: Actor, purpose: str, version: int) -> tuple[Standing, Screen]:
    """The person agreed to the text of this `version`. Agreeing twice is once.

    AppError consent_unknown for a purpose there is not, consent_outdated for a text not in force any more.
    """
    known = _known(purpose)
    if texts()[known].version != version:
        raise AppError("consent_outdated")
    with deps.database.write() as tx:
        consents.append(tx, actor.user_id, known, version, Act.GIVEN, actor.channel, deps.clock.now())
        standing = _standing(tx, actor.user_id, known)
    return standing, _screen("consent_given", standing)


def withdraw(deps: Deps, actor: Actor, purpose: str) -> tuple[Standing, Screen]:
    """The person takes it back: from now on it does not count, and what depended on it is deleted at once.

    AppError consent_unknown. Taking back what was never given is nothing, and says the same.
    """
    known, now = _known(purpose), deps.clock.now()
    with deps.database.write() as tx:
        last = consents.last(tx, actor.user_id, known)
        if last is not None and last.act is Act.GIVEN:
            consents.append(tx, actor.user_id, known, last.version, Act.WITHDRAWN, actor.channel, now)
        for forget in FORGET.get(known, ()):
            forget(tx, actor.user_id, now)
        standing = _standing(tx, actor.user_id, known)
    return standing, _screen("consent_withdrawn", standing)


def all_of(deps: Deps, actor: Actor) -> tuple[list[Standing], Screen]:
    """Every purpose with its text, and how it stands."""
    with deps.database.read() as tx:
        found = [_standing(tx, actor.user_id, purpose) for purpose in Purpose]
    body = [Line(replies.phrase(_words(standing)), standing.text.title) for standing in found]
    return found, replies.screen("consents", body=body, count=spoken_count(len(found)))


def _words(standing: Standing) -> str:
    if standing.outdated:
        return "consent_outdated"
    return "consent_given" if standing.given else "consent_not_given"


def _known(purpose: str) -> Purpose:
    known = purpose_of(purpose)
    if known is None:
        raise AppError("consent_unknown")
    return known


def _screen(name: str, standing: Standing) -> Screen:
    return replies.screen(name, title=standing.text.title, purpose=standing.purpose.value)
