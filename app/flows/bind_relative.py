"""A tie between an elder and a relative: invited, confirmed by the elder in person, changed, ended.

An invitation has two forms. A code of eight digits is told, and typed by the relative. A card is sent on in
WeChat: its word opens nothing but the acceptance, so it may stand in an address that somebody keeps; who
takes it is shown a code of their own and must tell it to the elder. Either way the elder types a code that
belongs to exactly the one who accepted.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from app.domain.cards import clean_nickname
from app.domain.family import Role
from app.domain.identity import INVITE_WINDOW
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import rates, tie_deeds
from app.flows.deps import Deps
from app.store import codes, relatives
from app.store.codes import CodePurpose
from app.store.people import Actor
from app.store.relatives import Relative
from app.voice import replies

INVITES_A_DAY, GUESSES_A_DAY = 10, 10
CODE_DIGITS = 8
CARD_BYTES = 16
CARD_PAGE = "pages/relative/accept?card={card}"
FIRST_ROLES = frozenset({Role.ALERTS})  # what an elder who names no roles agrees to


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation in both forms: a code to tell, a page of the mini-program to send on."""

    code: str
    page: str
    screen: Screen


def _new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def _kept(deps: Deps, code: str) -> str:
    return deps.vault.lookup(code.strip(), "invite")


def invite(deps: Deps, actor: Actor) -> Invitation:
    """For 24 hours, for one relative; an older one of this elder's is worth nothing any more.
    AppError too_many_tries."""
    rates.spend(deps, f"invite:{actor.user_id}", INVITES_A_DAY, timedelta(days=1))
    now, me = deps.clock.now(), actor.user_id
    code, card = _new_code(), secrets.token_urlsafe(CARD_BYTES)
    with deps.database.write() as tx:
        for purpose, secret in ((CodePurpose.INVITE, code), (CodePurpose.CARD, card)):
            codes.issue(tx, purpose, me, me, _kept(deps, secret), me, now, now + INVITE_WINDOW)
    return Invitation(code, CARD_PAGE.format(card=card), replies.screen("relative_invited", code=code))


def accept(deps: Deps, actor: Actor, code: str | None, card: str | None, name: str | None) -> Screen:
    """A relative takes an invitation, by its code or by its card; `name` is what they call the elder.
    AppError invite_wrong (also for one's own), too_many_tries."""
    rates.spend(deps, f"accept:{actor.user_id}", GUESSES_A_DAY, timedelta(days=1))
    now = deps.clock.now()
    if (code is None) == (card is None):
        raise AppError("invite_wrong")
    purpose = CodePurpose.INVITE if card is None else CodePurpose.CARD
    confirms = code if card is None else _new_code()
    taken, then = _kept(deps, card or code or ""), _kept(deps, confirms or "")
    with deps.database.write() as tx:
        elder_id = codes.take_invitation(tx, purpose, taken, actor.user_id, then, now)
        if elder_id is None:
            raise AppError("invite_wrong")
        relatives.accept(tx, elder_id, actor.user_id, clean_nickname(name))
    if card is None:
        return replies.screen("relative_accepted")
    return replies.screen("relative_accepted_card", code=confirms)


def confirm(
    deps: Deps, actor: Actor, relative_id: str, code: str, name: str | None, roles: Collection[Role] | None
) -> tuple[Relative, Screen]:
    """The elder says yes to one who accepted, with the code that belongs to that one. AppError
    relative_not_found, bind_code_wrong, too_many_relatives, too_many_tries."""
    rates.spend(deps, f"confirm:{actor.user_id}", GUESSES_A_DAY, timedelta(days=1))
    now, me, kept = deps.clock.now(), actor.user_id, _kept(deps, code)
    granted = FIRST_ROLES if roles is None else frozenset(roles)
    with deps.database.write() as tx:  # a wrong code is counted; a fourth relative uses no code up
        waiting = relatives.find(tx, me, relative_id)
        if waiting is None or waiting.state != relatives.ACCEPTED:
            raise AppError("relative_not_found")
        right = codes.use(tx, CodePurpose.BIND, me, relative_id, kept, now) is not None
        if right:
            tie = relatives.bind(tx, me, relative_id, clean_nickname(name), granted, now)
            tie_deeds.bound(tx, tie, me, now)
    if not right:
        raise AppError("bind_code_wrong")
    return tie, replies.screen("relative_bound")
