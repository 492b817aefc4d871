"""What happens in a help session: the elder's screen is shown, the relative points, speaks, prepares a form.

Everything is an event with a number, written before anybody is told. Nothing a relative does moves money or
confirms anything: a form is an order of the elder's own, and waits for the elder's own yes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.domain.consents import Purpose
from app.domain.help import EVENTS_A_MINUTE, MINUTE, EventKind, Side, clean_message, describe
from app.errors import AppError
from app.flows import checkout, consents, views
from app.flows.deps import Deps
from app.flows.help_session import Seat, open_seat
from app.ports import Clip
from app.store import deeds, help_rows, people
from app.store.people import Actor

log = logging.getLogger(__name__)


def point(deps: Deps, actor: Actor, session_id: str, screen: int, choice: int) -> int:
    """The relative points at a choice (from 1) of the elder's screen of that event number. Answers its own.

    AppError help_not_found, help_screen_changed (another screen is shown by now, or it has no such choice),
    help_too_fast.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = open_seat(tx, actor, session_id, now, Side.RELATIVE)
        shown = help_rows.newest(tx, session_id, EventKind.SCREEN)
        if shown is None or shown.number != screen or not 1 <= choice <= len(shown.body["choices"]):
            raise AppError("help_screen_changed")
        return _written(deps, tx, found, EventKind.POINT, {"screen": screen, "choice": choice})


def message(deps: Deps, actor: Actor, session_id: str, text: str) -> int:
    """A short message that the elder's phone speaks. The event's number. AppError help_not_found,
    request_invalid (nothing is left of it), help_too_fast."""
    cleaned = clean_message(text)
    if cleaned is None:
        raise AppError("request_invalid")
    with deps.database.write() as tx:
        found = open_seat(tx, actor, session_id, deps.clock.now(), Side.RELATIVE)
        return _written(deps, tx, found, EventKind.MESSAGE, {"text": cleaned})


def spoken_message(deps: Deps, actor: Actor, session_id: str, clip: Clip) -> int:
    """The same, spoken: what the recogniser heard best. Also raises consent_missing, audio_* and
    speech_*."""
    with deps.database.write() as tx:
        open_seat(tx, actor, session_id, deps.clock.now(), Side.RELATIVE)  # nobody else's clip is listened to
        consents.required(tx, actor.user_id, Purpose.VOICE)
    heard = deps.speech.hear(clip).hypotheses
    return message(deps, actor, session_id, heard[0].text if heard else "")


def form(
    deps: Deps, actor: Actor, session_id: str, card_id: str, amount_fen: int, method: str, client_key: str
) -> int:
    """The relative prepares a top-up: an order of the elder's, paid by the elder, which waits for the elder's
    own confirmation. The event's number.

    The same client key is the same order, and the elder is shown it again. AppError help_not_found,
    help_too_fast, and what opening an order raises.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = open_seat(tx, actor, session_id, now, Side.RELATIVE)
        _not_too_fast(deps, tx, found)
        elder = people.last_seen(tx, found.session.elder_id, now)
    if elder is None:  # nobody is there who could see it
        raise AppError("help_not_found")
    opened = checkout.open_order(deps, elder, card_id, amount_fen, method, f"help:{client_key}")
    with deps.database.write() as tx:
        found = open_seat(tx, actor, session_id, now, Side.RELATIVE)
        label, order = views.card_label(deps.city, opened.card), opened.order
        told = {"amount_fen": amount_fen, "card_id": card_id}
        deeds.write(tx, elder.user_id, actor.user_id, "help_prepared", order.id, now, told)
        body = {"order_id": order.id, "amount_fen": amount_fen, "card": label}
        return _written(deps, tx, found, EventKind.FORM, body)


def shown(deps: Deps, actor: Actor, session_id: str, screen: Mapping[str, Any]) -> None:
    """The elder was shown this screen while being helped: publish its description, once.

    Never raises: what the elder does goes on, whatever becomes of the help.
    """
    now, description = deps.clock.now(), describe(screen)
    try:
        with deps.database.write() as tx:
            found = open_seat(tx, actor, session_id, now, Side.ELDER)
            before = help_rows.newest(tx, session_id, EventKind.SCREEN)
            if before is None or before.body != description:
                _written(deps, tx, found, EventKind.SCREEN, description)
    except AppError:
        return  # it is over, or there are too many
    except SQLAlchemyError as fault:
        log.warning("screen not published", extra={"fault": type(fault).__name__})


def _written(deps: Deps, tx: Connection, found: Seat, kind: EventKind, body: Mapping[str, Any]) -> int:
    _not_too_fast(deps, tx, found)
    return help_rows.append(tx, found.session.id, found.side, kind, body, deps.clock.now())


def _not_too_fast(deps: Deps, tx: Connection, found: Seat) -> None:
    since = deps.clock.now() - MINUTE
    if help_rows.count_since(tx, found.session.id, found.side, since) >= EVENTS_A_MINUTE:
        raise AppError("help_too_fast", after_seconds=5)
