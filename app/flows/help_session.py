"""Help from afar: an elder grants one relative ten minutes, by a spoken yes and a touch; either ends it.

A session goes on while it is written down as open, its ten minutes are not over, and the tie still holds the
role. Every step asks all three again: whoever may not, and whoever comes too late, is answered as if there
were no such session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.consents import Purpose
from app.domain.family import Role
from app.domain.help import LENGTH, SESSIONS_A_DAY, TIME_TO_OPEN, EndedBy, EventKind, Side, State
from app.domain.ids import Kind, is_id
from app.domain.orders import Topic
from app.domain.screens import Choice, Screen
from app.errors import AppError
from app.flows import consents, rates, views
from app.flows.deps import Deps
from app.ports import Clip
from app.store import cards, deeds, help_rows, outbox, relatives
from app.store.cards import Card
from app.store.help_rows import HelpSession
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import intents, replies


@dataclass(frozen=True, slots=True)
class Seat:
    """One person's place in a session. `tie` says what the elder calls the relative."""

    session: HelpSession
    side: Side
    tie: Relative

    @property
    def relative_name(self) -> str:
        return self.tie.name or replies.phrase("your_relative")


@dataclass(frozen=True, slots=True)
class HelpView:
    """A session as one side sees it. `cards` are those a form may be prepared for; only the relative's."""

    session: HelpSession
    side: Side
    screen: Screen
    cards: tuple[Card, ...] = ()


def why_over(session: HelpSession, tie: Relative | None, now: datetime) -> EndedBy | None:
    """Why a session that is not written down as ended is over all the same; None while it may go on."""
    if tie is not None and tie.frozen_at is not None:
        return EndedBy.DESK
    if tie is None or not tie.may(Role.ASSIST, now):
        return EndedBy.TIE
    return EndedBy.TIME if session.expires_at <= now else None


def seat(tx: Connection, actor: Actor, session_id: str, now: datetime, lock: bool = False) -> Seat:
    """The asker's place in a session that was asked for or is open. AppError help_not_found for a session
    that is over, that is somebody else's, or that the elder has not granted yet (for the relative)."""
    found = help_rows.find(tx, session_id, lock) if is_id(session_id, Kind.HELP) else None
    side = found.side_of(actor.user_id) if found is not None else None
    if found is None or side is None or found.state == State.ENDED.value:
        raise AppError("help_not_found")
    tie = relatives.find(tx, found.elder_id, found.relative_id)
    unseen = side is Side.RELATIVE and found.state != State.OPEN.value
    if tie is None or unseen or why_over(found, tie, now) is not None:
        raise AppError("help_not_found")
    return Seat(found, side, tie)


def open_seat(tx: Connection, actor: Actor, session_id: str, now: datetime, *sides: Side) -> Seat:
    """A place on one of `sides` in a session that is open, locked. AppError help_not_found."""
    found = seat(tx, actor, session_id, now, lock=True)
    if found.session.state != State.OPEN.value or found.side not in sides:
        raise AppError("help_not_found")
    return found


def ask(deps: Deps, actor: Actor, relative_id: str) -> HelpView:
    """The elder chooses who shall help. Asked again it is the same session; asked for another relative, the
    one that was not granted yet is over.

    AppError relative_not_found for anybody who may not assist this elder, help_already_open, too_many_tries.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        relatives.lock(tx, actor.user_id)  # two taps at once are one session
        tie = _assisting(tx, actor.user_id, relative_id, now)
        asked = _asked_for(tx, actor.user_id, relative_id, now)
        if asked is None:
            _make_room(tx, actor.user_id, now)
            asked = help_rows.ask(tx, actor.user_id, relative_id, now, now + TIME_TO_OPEN)
    return _view(deps, Seat(asked, Side.ELDER, tie))


def _assisting(tx: Connection, elder_id: str, relative_id: str, now: datetime) -> Relative:
    tie = relatives.find(tx, elder_id, relative_id) if is_id(relative_id, Kind.USER) else None
    if tie is None or not tie.may(Role.ASSIST, now):
        raise AppError("relative_not_found")
    return tie


def _asked_for(tx: Connection, elder_id: str, relative_id: str, now: datetime) -> HelpSession | None:
    """The session with this relative that waits for the elder's yes."""
    for each in help_rows.running(tx, elder_id):
        mine = each.elder_id == elder_id and each.relative_id == relative_id
        if mine and each.state == State.ASKED.value and each.expires_at > now:
            return each
    return None


def _make_room(tx: Connection, elder_id: str, now: datetime) -> None:
    """For one more session of this elder: what is over, or was not granted, is written down as ended.
    AppError help_already_open, too_many_tries."""
    begin, end_of_day = rates.window_of(now, timedelta(days=1))
    if help_rows.asked_since(tx, elder_id, begin) >= SESSIONS_A_DAY:
        rest = end_of_day - now
        raise AppError("too_many_tries", when=rates.come_back(rest), after_seconds=int(rest.total_seconds()))
    for each in help_rows.running(tx, elder_id):
        if each.elder_id == elder_id:
            over = why_over(each, relatives.find(tx, each.elder_id, each.relative_id), now)
            if each.state == State.OPEN.value and over is None:
                raise AppError("help_already_open")
            write_end(tx, each, over or EndedBy.ELDER, None, now)


def say_yes(deps: Deps, actor: Actor, session_id: str, clip: Clip) -> HelpView:
    """The first of two yeses is spoken. A no ends it. AppError help_not_found, consent_missing (to be heard),
    help_yes_not_heard, and what the recogniser raises (audio_*, speech_*)."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found = seat(tx, actor, session_id, now)
        if found.side is not Side.ELDER or found.session.state != State.ASKED.value:
            raise AppError("help_not_found")
        consents.required(tx, actor.user_id, Purpose.VOICE)
    meant = intents.understand(deps.speech.hear(clip).hypotheses, intents.State.CONFIRM)
    if meant.decision is intents.Decision.ACCEPT and meant.intent is intents.Intent.CANCEL:
        return end(deps, actor, session_id)
    if meant.decision is not intents.Decision.ACCEPT or meant.intent is not intents.Intent.CONFIRM:
        raise AppError("help_yes_not_heard")
    with deps.database.write() as tx:
        said = help_rows.change(tx, session_id, State.ASKED, {"spoken_at": now})
    if said is None:
        raise AppError("help_not_found")
    return _view(deps, Seat(said, Side.ELDER, found.tie))


def touch(deps: Deps, actor: Actor, session_id: str) -> HelpView:
    """The second yes is a touch: the ten minutes begin, and the relative is told. Touched twice it is the
    same. AppError help_not_found, help_yes_first."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = seat(tx, actor, session_id, now, lock=True)
        if found.side is not Side.ELDER:
            raise AppError("help_not_found")
        if found.session.spoken_at is None:
            raise AppError("help_yes_first")
        if found.session.state == State.ASKED.value:
            moments = {"touched_at": now, "opened_at": now, "expires_at": now + LENGTH}
            opened = help_rows.change(tx, session_id, State.ASKED, {"state": State.OPEN.value, **moments})
            assert opened is not None, "the session is locked"
            help_rows.append(tx, session_id, Side.ELDER, EventKind.OPENED, {}, now)
            facts, me = {"name": found.relative_name}, actor.user_id
            deeds.write(tx, me, me, "help_opened", session_id, now, facts)
            outbox.add(tx, Topic.HELP_ASKED, session_id, now)
            outbox.add(tx, Topic.HELP_OVER, session_id, opened.expires_at)
            found = Seat(opened, Side.ELDER, found.tie)
    deps.nudge()
    return _view(deps, found)


def show(deps: Deps, actor: Actor, session_id: str) -> HelpView:
    """A session as it stands. AppError help_not_found."""
    with deps.database.read() as tx:
        found = seat(tx, actor, session_id, deps.clock.now())
    return _view(deps, found)


def mine(deps: Deps, actor: Actor) -> list[HelpView]:
    """The sessions this person may be in now, on either side."""
    now, found = deps.clock.now(), []
    with deps.database.read() as tx:
        for each in help_rows.running(tx, actor.user_id):
            try:
                found.append(seat(tx, actor, each.id, now))
            except AppError:
                continue  # over, or not granted yet
    return [_view(deps, each) for each in found]


def end(deps: Deps, actor: Actor, session_id: str) -> HelpView:
    """Either side ends it in one touch; a second touch finds it ended. AppError help_not_found for everybody
    else's, and for a relative before it was granted."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = help_rows.find(tx, session_id, lock=True) if is_id(session_id, Kind.HELP) else None
        side = found.side_of(actor.user_id) if found is not None else None
        if found is None or side is None:
            raise AppError("help_not_found")
        if side is Side.RELATIVE and found.opened_at is None:
            raise AppError("help_not_found")
        write_end(tx, found, EndedBy(side.value), actor.user_id, now)
    return HelpView(replace(found, state=State.ENDED.value), side, replies.screen("help_over"))


def write_end(tx: Connection, session: HelpSession, by: EndedBy, actor_id: str | None, now: datetime) -> None:
    """Write down that it is over, once, and let both streams hear it. The caller holds the session's lock."""
    if session.state == State.ENDED.value:
        return
    values = {"state": State.ENDED.value, "ended_at": now, "ended_by": by.value}
    if help_rows.change(tx, session.id, State(session.state), values) is None:
        return
    if session.state == State.OPEN.value:
        side = Side(by.value) if by in (EndedBy.ELDER, EndedBy.RELATIVE) else Side.HOUSE
        help_rows.append(tx, session.id, side, EventKind.ENDED, {"by": by.value}, now)
        deeds.write(tx, session.elder_id, actor_id, "help_ended", session.id, now)


def settle(deps: Deps, session_id: str) -> EndedBy | None:
    """Write down as ended what is over by its time or by its tie. Why, or None while it goes on."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = help_rows.find(tx, session_id, lock=True)
        if found is None or found.state == State.ENDED.value:
            return EndedBy.TIE if found is None else EndedBy(found.ended_by or EndedBy.TIME.value)
        over = why_over(found, relatives.find(tx, found.elder_id, found.relative_id), now)
        if over is not None:
            write_end(tx, found, over, None, now)
    return over


def _view(deps: Deps, found: Seat) -> HelpView:
    session, name = found.session, found.relative_name
    if found.side is Side.RELATIVE:
        with deps.database.read() as tx:
            owned = cards.of_user(tx, session.elder_id)
        return HelpView(session, found.side, replies.screen("help_watch"), tuple(owned))
    if session.state == State.OPEN.value:
        choices = [Choice(f"help_end:{session.id}", replies.phrase("help_end"))]
        return HelpView(session, found.side, replies.screen("help_open", choices=choices, name=name))
    choices = [Choice(f"help_end:{session.id}", replies.phrase("help_no"))]
    if session.spoken_at is None:
        return HelpView(session, found.side, replies.screen("help_ask", choices=choices, name=name))
    yes = Choice(f"help_open:{session.id}", replies.phrase("help_yes"))
    return HelpView(session, found.side, replies.screen("help_touch", choices=[yes, *choices], name=name))


def card_labels(deps: Deps, view: HelpView) -> list[tuple[str, str]]:
    """(id, label) of the cards a relative may prepare a top-up for."""
    return [(card.id, views.card_label(deps.city, card)) for card in view.cards]
