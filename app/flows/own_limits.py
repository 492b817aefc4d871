"""The sums from which a person wants to be asked for more proof: only ever lower than the city's."""

from __future__ import annotations

from app.domain.money import yuan_short
from app.domain.risk import Thresholds, thresholds
from app.domain.screens import Screen
from app.errors import AppError
from app.flows.deps import Deps
from app.store import checks
from app.store.people import Actor
from app.voice import replies
from app.voice.amounts import spoken_amount


def shown(deps: Deps, actor: Actor) -> tuple[Thresholds, Screen]:
    """The thresholds in force for this person."""
    with deps.database.read() as tx:
        own = checks.own_limits(tx, actor.user_id)
    return _screen(thresholds(deps.city, own))


def lower(deps: Deps, actor: Actor, single_fen: int, day_fen: int) -> tuple[Thresholds, Screen]:
    """Set them. AppError limit_only_lower for anything above what is in force: whoever holds the phone for a
    moment must not open it for large sums."""
    with deps.database.write() as tx:
        now_in_force = thresholds(deps.city, checks.own_limits(tx, actor.user_id))
        if single_fen > now_in_force.single_fen or day_fen > now_in_force.day_fen or day_fen < single_fen:
            raise AppError("limit_only_lower")
        wanted = Thresholds(single_fen, day_fen)
        checks.set_own_limits(tx, actor.user_id, wanted, deps.clock.now())
    return _screen(wanted)


def back_to_the_citys(deps: Deps, user_id: str) -> None:
    """At the desk, after the person and their papers were seen: a sum that was set too low by mistake must
    not stay for ever. LookupError for a person without thresholds of their own."""
    with deps.database.write() as tx:
        if not checks.drop_own_limits(tx, user_id):
            raise LookupError(user_id)


def _screen(limits: Thresholds) -> tuple[Thresholds, Screen]:
    return limits, replies.screen(
        "own_limits",
        single=yuan_short(limits.single_fen),
        day=yuan_short(limits.day_fen),
        single_words=spoken_amount(limits.single_fen),
        day_words=spoken_amount(limits.day_fen),
    )
