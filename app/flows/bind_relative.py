"""Relatives who may confirm for an elder: invited by a code, and confirmed by the elder in person.

What a relative may pay and see comes with the family's own stories; here a tie is what a co-confirmation
needs.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from app.domain.cards import clean_nickname
from app.domain.family import Role
from app.domain.identity import INVITE_WINDOW
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import rates
from app.flows.deps import Deps
from app.store import codes, relatives
from app.store.codes import CodePurpose
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import replies

INVITES_A_DAY, GUESSES_A_DAY = 10, 10
CODE_DIGITS = 8


def invite(deps: Deps, actor: Actor) -> tuple[str, Screen]:
    """A one-time code for 24 hours; an older one of this elder's is worth nothing any more.
    AppError too_many_tries."""
    rates.spend(deps, f"invite:{actor.user_id}", INVITES_A_DAY, timedelta(days=1))
    now = deps.clock.now()
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    kept = deps.vault.lookup(code, "invite")
    with deps.database.write() as tx:
        me = actor.user_id
        codes.issue(tx, CodePurpose.INVITE, me, me, kept, me, now, now + INVITE_WINDOW)
    return code, replies.screen("relative_invited", code=code)


def accept(deps: Deps, actor: Actor, code: str) -> Screen:
    """A relative takes an invitation. AppError invite_wrong (also for one's own), too_many_tries."""
    rates.spend(deps, f"accept:{actor.user_id}", GUESSES_A_DAY, timedelta(days=1))
    now, kept = deps.clock.now(), deps.vault.lookups(code.strip(), "invite")
    with deps.database.write() as tx:
        elder_id = codes.find_invite(tx, kept, now)
        if elder_id is None or elder_id == actor.user_id:
            raise AppError("invite_wrong")
        if codes.use(tx, CodePurpose.INVITE, elder_id, (elder_id,), kept, now) is None:
            raise AppError("invite_wrong")
        relatives.accept(tx, elder_id, actor.user_id)
    return replies.screen("relative_accepted")


def confirm(deps: Deps, actor: Actor, relative_id: str, name: str | None) -> tuple[Relative, Screen]:
    """The elder says yes to one who accepted. AppError relative_not_found, too_many_relatives."""
    with deps.database.write() as tx:
        called, roles = clean_nickname(name), frozenset({Role.ALERTS})
        tie = relatives.bind(tx, actor.user_id, relative_id, called, roles, deps.clock.now())
    return tie, replies.screen("relative_bound")


def end(deps: Deps, actor: Actor, other_id: str) -> Screen:
    """Either side ends it, at once. AppError relative_not_found."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        mine = relatives.end(tx, actor.user_id, other_id, now)
        theirs = relatives.end(tx, other_id, actor.user_id, now)
    if not (mine or theirs):
        raise AppError("relative_not_found")
    return replies.screen("relative_ended")


def list_mine(deps: Deps, actor: Actor) -> tuple[list[Relative], list[Relative]]:
    """(relatives of this elder, elders this person looks after)."""
    with deps.database.read() as tx:
        return relatives.of_elder(tx, actor.user_id), relatives.of_relative(tx, actor.user_id)
