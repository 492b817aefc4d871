"""A tie that stands: its roles and caps, another 180 days, its end by either side, an operator's freeze.

Whatever takes the right to pay away also stops what that relative has begun and not paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.cards import clean_nickname
from app.domain.family import AGREED, RELATIVE_CAPS, Role, ask_again
from app.domain.money import yuan_short
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import delegated, tie_deeds
from app.flows.deps import Deps
from app.store import relatives
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import replies
from app.voice.amounts import spoken_count

_CAPS = ("single_fen", "day_fen", "month_fen")


def list_mine(deps: Deps, actor: Actor) -> tuple[list[Relative], Screen]:
    """The relatives of this elder; the screen says when somebody must be agreed to again."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        mine = relatives.of_elder(tx, actor.user_id)
    due = sum(tie.state == relatives.BOUND and ask_again(tie.agreed_until, now) for tie in mine)
    name = "relatives_agree" if due else "relatives"
    return mine, replies.screen(name, count=spoken_count(len(mine)), due=spoken_count(due))


def change(deps: Deps, actor: Actor, relative_id: str, wanted: Mapping[str, Any]) -> tuple[Relative, Screen]:
    """Other roles, caps or another name for a bound relative; what `wanted` leaves out stays. A cap of None
    is the house's. AppError relative_not_found, cap_above_house."""
    now, me = deps.clock.now(), actor.user_id
    values = dict(wanted)
    for name in _CAPS:
        most = getattr(RELATIVE_CAPS, name)
        if values.get(name) is not None and values[name] > most:
            raise AppError("cap_above_house", most=yuan_short(most))
    if "name" in values:
        values["name"] = clean_nickname(values["name"])
    if "roles" in values:
        values["roles"] = frozenset(values["roles"])
    with deps.database.write() as tx:
        relatives.lock(tx, me)
        before = relatives.find(tx, me, relative_id)
        tie = relatives.change(tx, me, relative_id, {"state": relatives.BOUND, **values})
        if before is not None and tie.roles != before.roles:
            tie_deeds.changed(tx, tie, me, now)
        if before is not None and tie.caps != before.caps:
            tie_deeds.capped(tx, tie, me, now)
    if Role.PAY not in tie.roles:
        delegated.stop_all(deps, me, relative_id, now)
    return tie, replies.screen("relative_changed")


def agree(deps: Deps, actor: Actor, relative_id: str) -> tuple[Relative, Screen]:
    """Another 180 days from now. AppError relative_not_found."""
    now, me = deps.clock.now(), actor.user_id
    with deps.database.write() as tx:
        tie = relatives.change(tx, me, relative_id, {"agreed_until": now + AGREED})
        tie_deeds.agreed(tx, tie, me, now)
    return tie, replies.screen("relative_agreed")


def end(deps: Deps, actor: Actor, elder_id: str, relative_id: str) -> Screen:
    """Either side ends it, at once: the actor is one of the two. AppError relative_not_found for the elder
    who has no such relative, elder_not_found for the relative of no such elder."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        tie = relatives.end(tx, elder_id, relative_id, now)
        if tie is None:
            raise AppError("relative_not_found" if actor.user_id == elder_id else "elder_not_found")
        if tie.state == relatives.BOUND:
            tie_deeds.ended(tx, tie, actor.user_id, now)
    delegated.stop_all(deps, elder_id, relative_id, now)
    return replies.screen("relative_ended")


def freeze(deps: Deps, elder_id: str, relative_id: str, reason: str) -> None:
    """An operator stops a tie for a reason that both will hear. LookupError when there is none to freeze."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        tie = relatives.freeze(tx, elder_id, relative_id, reason, now)
        if tie is None:
            raise LookupError(relative_id)
        tie_deeds.frozen(tx, tie, now)
    delegated.stop_all(deps, elder_id, relative_id, now)


def unfreeze(deps: Deps, elder_id: str, relative_id: str, reason: str) -> None:
    """Let it go on as it was. LookupError when none is frozen."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        tie = relatives.unfreeze(tx, elder_id, relative_id)
        if tie is None:
            raise LookupError(relative_id)
        tie_deeds.unfrozen(tx, tie, reason, now)
