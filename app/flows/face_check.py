"""The face: enrolment after consent, and a challenge for exactly one order, answered once.

Who compares is the installation's choice: our own engine (`local`), or WeChat's check against the identity
card (`wechat`). The person sees one button. A try that did not match is counted; bad light is not. The
account is never locked: used-up tries only end the face for today, and the other ways stay.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.clock import SHANGHAI, day_start
from app.domain.consents import Purpose
from app.domain.identity import (
    CHALLENGE_WINDOW,
    ENROLMENT,
    FACE_RETRIES,
    FACE_TRIES,
    FACE_TRIES_A_DAY,
    Factor,
)
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import consents, face_films, identity_check, real_name
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.flows.identity_check import Pending
from app.ports import Action, FaceDecision, FaceTemplate, FaceVerdict, Refused, Unavailable, Unknown
from app.ports.identity import RemoteReason
from app.store import challenges
from app.store.challenges import Challenge, Template
from app.store.people import Actor
from app.voice import replies

LOCAL, REMOTE, FINGER = "face", "remote_face", "fingerprint"
ACTIONS_ASKED = 2
_FREE = {
    RemoteReason.CANCELLED,
    RemoteReason.NO_PERMISSION,
    RemoteReason.BAD_CAPTURE,
    RemoteReason.TIMED_OUT,
    RemoteReason.DEVICE,
    RemoteReason.NETWORK,
    RemoteReason.TOO_OFTEN,
    RemoteReason.FAULT,
    RemoteReason.NOT_ON_FILE,
}

OURS = ("face_busy", "face_unavailable")  # nobody looked at the pictures: not even a free try is gone
# What is said when the pictures were at fault, or an action was missed: it costs no try.
RETRY_SAYS = {
    "no_face": "face_no_face",
    "several": "face_several",
    "too_small": "face_too_small",
    "too_big": "face_too_big",
    "too_dark": "face_too_dark",
    "too_bright": "face_too_bright",
    "blur": "face_blur",
    "pose": "face_pose",
    "occluded": "face_occluded",
    "action_missed": "face_action_missed",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge as the phone gets it. `actions` are for our own engine, `verify_id` for WeChat's."""

    id: str
    kind: str
    nonce: str
    actions: tuple[str, ...]
    verify_id: str | None
    expires_at: datetime
    view: OrderView


# --- enrolment --------------------------------------------------------------------------------------


def enrol(deps: Deps, actor: Actor, photos: Sequence[bytes]) -> Screen:
    """Keep the mean of three good photos, sealed, for 180 days. The photos are kept nowhere.

    AppError consent_missing without the person's own consent, face_* for what is wrong with a photo.
    """
    with deps.database.read() as tx:
        consents.required(tx, actor.user_id, Purpose.FACE)
    template = deps.faces.enrol(photos)
    now = deps.clock.now()
    sealed = deps.vault.seal(template.vector, f"face_templates.template:{actor.user_id}")
    kept = Template(template.model_id, sealed, now, now + ENROLMENT)
    with deps.database.write() as tx:
        consents.required(tx, actor.user_id, Purpose.FACE)  # taken back while we looked at the photos
        challenges.keep_template(tx, actor.user_id, kept)
    return replies.screen("face_enrolled")


def enrolment(deps: Deps, actor: Actor) -> tuple[Template | None, Screen]:
    """Whether this person's face is enrolled, and until when."""
    with deps.database.read() as tx:
        kept = challenges.template_of(tx, actor.user_id, deps.clock.now())
    if kept is None:
        return None, replies.screen("face_not_enrolled")
    until = kept.expires_at.astimezone(SHANGHAI)
    return kept, replies.screen("face_enrolment", year=until.year, month=until.month, day=until.day)


def forget(deps: Deps, actor: Actor) -> Screen:
    """Delete the template at once, and take the consent back with it."""
    consents.withdraw(deps, actor, Purpose.FACE.value)
    return replies.screen("face_forgotten")


# --- a challenge for one order ----------------------------------------------------------------------


def challenge(deps: Deps, actor: Actor, order_id: str) -> Asked:
    """Ask for two actions in an order nobody can foresee, or begin WeChat's check.

    AppError face_not_enrolled, consent_missing, face_used_up, real_name_missing, identity_unavailable.
    """
    remote = deps.settings.face.provider == "wechat"
    factor = Factor.REMOTE_FACE if remote else Factor.FACE
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), factor)
    _tries_left(deps, actor, order_id)
    return _remote(deps, actor, found) if remote else _local(deps, actor, found)


def _local(deps: Deps, actor: Actor, found: Pending) -> Asked:
    now = deps.clock.now()
    with deps.database.read() as tx:
        consents.required(tx, actor.user_id, Purpose.FACE)
        if challenges.template_of(tx, actor.user_id, now) is None:
            raise AppError("face_not_enrolled")
    actions = secrets.SystemRandom().sample([action.value for action in Action], ACTIONS_ASKED)
    return _open(deps, actor, found, LOCAL, actions, None, now + CHALLENGE_WINDOW)


def _remote(deps: Deps, actor: Actor, found: Pending) -> Asked:
    known = real_name.opened(deps, actor.user_id)
    sequence = secrets.token_hex(16)
    try:
        begun = deps.remote_face.begin(sequence, known.name, known.id_number, actor.openid)
    except Refused as no:
        raise AppError("face_not_enrolled") from no
    except (Unavailable, Unknown) as silence:
        raise AppError("identity_unavailable") from silence
    until = deps.clock.now() + timedelta(seconds=begun.expires_in)
    return _open(deps, actor, found, REMOTE, [], f"{sequence}|{begun.verify_id}", until)


def _open(
    deps: Deps,
    actor: Actor,
    found: Pending,
    kind: str,
    actions: Sequence[str],
    reference: str | None,
    expires_at: datetime,
) -> Asked:
    now, nonce = deps.clock.now(), secrets.token_hex(16)
    values = {
        "kind": kind,
        "user_id": actor.user_id,
        "order_id": found.order.id,
        "bound_to": found.bound_to(actor.device_id),
        "nonce": nonce,
        "actions": list(actions),
        "reference": reference,
        "opened_at": now,
        "expires_at": expires_at,
    }
    with deps.database.write() as tx:
        challenge_id = challenges.open_challenge(tx, values)
    name = "check_fingerprint" if kind == FINGER else "check_face"
    verify_id = reference.split("|", 1)[1] if reference else None
    view = identity_check.show(deps, found, name)
    return Asked(challenge_id, kind, nonce, tuple(actions), verify_id, expires_at, view)


def _tries_left(deps: Deps, actor: Actor, order_id: str) -> None:
    """Three tries a check, five a day; AppError face_used_up, and every other way stays."""
    day = day_start(deps.clock.now())
    with deps.database.read() as tx:
        today = challenges.outcomes(tx, actor.user_id, day)
        here = challenges.outcomes(tx, actor.user_id, day - timedelta(days=1), order_id)
    free = here.get(FaceDecision.RETRY.value, 0)
    if _tried(today) >= FACE_TRIES_A_DAY or _tried(here) >= FACE_TRIES or free >= FACE_RETRIES:
        raise AppError("face_used_up")


def _tried(ended: Mapping[str, int]) -> int:
    """The middle is a try too: who is never quite known must not try until chance knows them."""
    return ended.get(FaceDecision.NO_MATCH.value, 0) + ended.get(FaceDecision.MIDDLE.value, 0)


def _taken(deps: Deps, actor: Actor, found: Pending, challenge_id: str, kind: str) -> Challenge:
    with deps.database.write() as tx:
        bound_to = found.bound_to(actor.device_id)
        now = deps.clock.now()
        taken = challenges.take(tx, challenge_id, actor.user_id, found.order.id, kind, bound_to, now)
    if taken is None:
        raise AppError("challenge_over")
    return taken


def answer(
    deps: Deps, actor: Actor, order_id: str, challenge_id: str, nonce: str, frames: Sequence[bytes]
) -> OrderView:
    """Judge the frames taken for a challenge of our own engine.

    AppError challenge_over (of another order, amount or device, used, too late), face_frames for frames
    that were used before, face_* where the pictures are at fault: those cost no try.
    """
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.FACE)
    _tries_left(deps, actor, order_id)
    taken = _taken(deps, actor, found, challenge_id, LOCAL)
    if not secrets.compare_digest(taken.nonce.encode(), nonce.encode()):
        raise AppError("challenge_over")
    verdict = _judge(deps, actor, taken, frames)
    return _outcome(deps, actor, found, taken, verdict)


def _judge(deps: Deps, actor: Actor, taken: Challenge, frames: Sequence[bytes]) -> FaceVerdict:
    now = deps.clock.now()
    with deps.database.write() as tx:
        consents.required(tx, actor.user_id, Purpose.FACE)  # it may have been taken back in the middle
        kept = challenges.template_of(tx, actor.user_id, now)
        hashes = sorted({hashlib.sha256(frame).hexdigest() for frame in frames})
        fresh = challenges.frames_are_new(tx, actor.user_id, hashes, now)
        if not fresh:
            challenges.end(tx, taken.id, FaceDecision.NO_MATCH.value)
    if kept is None:
        raise AppError("face_not_enrolled")
    if not fresh:
        raise AppError("face_frames")
    vector = deps.vault.open(kept.sealed, f"face_templates.template:{actor.user_id}")
    template = FaceTemplate(kept.model_id, vector)
    try:
        return deps.faces.verify(template, frames, [Action(action) for action in taken.actions])
    except AppError as fault:
        if fault.code not in OURS:  # the pictures were at fault: free, but not without end
            _end(deps, taken, FaceDecision.RETRY)
        raise


def _outcome(deps: Deps, actor: Actor, found: Pending, taken: Challenge, verdict: FaceVerdict) -> OrderView:
    """A match counts once, for this order; the middle asks for another factor; a retry says what to do.

    A film like an earlier one is the middle, too: it may be a recording, and nobody is sure of that."""
    again = face_films.shown_before(deps, actor.user_id, taken.id, verdict.trace)
    decision = verdict.decision
    if again and decision is FaceDecision.PASS:
        decision = FaceDecision.MIDDLE
    with deps.database.write() as tx:
        consents.required(tx, actor.user_id, Purpose.FACE)
        challenges.end(tx, taken.id, decision.value)
    if decision is FaceDecision.PASS:
        identity_check.prove(deps, found.order.id, Factor.FACE, actor.user_id, deps.clock.now())
        return identity_check.go_on(deps, actor, found.order.id)
    if decision is FaceDecision.MIDDLE:
        return identity_check.standing(deps, found, "check_middle")
    if decision is FaceDecision.RETRY:
        raise AppError(RETRY_SAYS.get(next(iter(verdict.reasons), ""), "face_frames"))
    return identity_check.standing(deps, found, "check_no_match")


def answer_remote(deps: Deps, actor: Actor, order_id: str, challenge_id: str) -> OrderView:
    """Ask WeChat how its check ended; what the phone says is no proof.

    AppError challenge_over, identity_unavailable (ask again: nothing is used up), face_frames.
    """
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.REMOTE_FACE)
    taken = _taken(deps, actor, found, challenge_id, REMOTE)
    known = real_name.opened(deps, actor.user_id)
    sequence, verify_id = (taken.reference or "|").split("|", 1)
    try:
        told = deps.remote_face.result(verify_id, sequence, known.name, known.id_number, actor.openid)
    except Refused as no:
        _end(deps, taken, FaceDecision.NO_MATCH)
        raise AppError("challenge_over") from no
    except (Unavailable, Unknown) as silence:
        with deps.database.write() as tx:
            challenges.give_back(tx, taken.id)
        raise AppError("identity_unavailable") from silence
    if told.passed:
        _end(deps, taken, FaceDecision.PASS)
        identity_check.prove(deps, order_id, Factor.REMOTE_FACE, actor.user_id, deps.clock.now())
        return identity_check.go_on(deps, actor, order_id)
    if told.reason is RemoteReason.UNFINISHED:  # the phone asked too early: the same check goes on
        with deps.database.write() as tx:
            challenges.give_back(tx, taken.id)
        return identity_check.standing(deps, found)
    free = told.reason in _FREE
    _end(deps, taken, FaceDecision.RETRY if free else FaceDecision.NO_MATCH)
    return identity_check.standing(deps, found, "check_no_match")


def _end(deps: Deps, taken: Challenge, outcome: FaceDecision) -> None:
    with deps.database.write() as tx:
        challenges.end(tx, taken.id, outcome.value)


# --- the fingerprint --------------------------------------------------------------------------------


def finger_challenge(deps: Deps, actor: Actor, order_id: str) -> Asked:
    """A nonce that the phone's SOTER must sign."""
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.FINGERPRINT)
    return _open(deps, actor, found, FINGER, [], None, deps.clock.now() + CHALLENGE_WINDOW)


def finger_answer(
    deps: Deps, actor: Actor, order_id: str, challenge_id: str, result_json: str, signature: str
) -> OrderView:
    """Have WeChat verify what the phone signed. AppError challenge_over, fingerprint_refused,
    identity_unavailable."""
    found = identity_check.wanted(identity_check.pending(deps, actor, order_id), Factor.FINGERPRINT)
    taken = _taken(deps, actor, found, challenge_id, FINGER)
    try:
        right = deps.fingerprints.verify(actor.openid, taken.nonce, result_json, signature)
    except Refused:
        right = False
    except (Unavailable, Unknown) as silence:
        with deps.database.write() as tx:
            challenges.give_back(tx, taken.id)
        raise AppError("identity_unavailable") from silence
    _end(deps, taken, FaceDecision.PASS if right else FaceDecision.RETRY)
    if not right:
        raise AppError("fingerprint_refused")
    identity_check.prove(deps, order_id, Factor.FINGERPRINT, actor.user_id, deps.clock.now())
    return identity_check.go_on(deps, actor, order_id)
