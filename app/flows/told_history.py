"""An elder's history: who did what in their affairs, when, in sentences that can be heard.

Money has one truth, the orders (`checkout.history`, the spoken wish `history`); this tells of people. A deed
is the phrase `deed_<kind>` of the replies. Its facts fill the phrase: `<name>_fen` as `<name>` in yuan,
`<name>_id` as the name of that person or card, `<name>_phrase` as the words of that phrase. A deed with one
sum also has it as `yuan`, and `who` is who did it, as the elder calls them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.domain.ids import Kind, is_id
from app.domain.money import yuan_short
from app.domain.screens import Line, Screen
from app.flows import views
from app.flows.deps import Deps
from app.store import cards, deeds, relatives
from app.store.cards import Card
from app.store.deeds import Deed
from app.store.people import Actor
from app.voice import replies
from app.voice.amounts import spoken_count, spoken_digits, spoken_yuan
from app.voice.moments import told_moment

PAGE, ON_SCREEN = 20, 5


@dataclass(frozen=True, slots=True)
class Told:
    """One deed as a sentence: `text` for the eye, `say` for the ear."""

    id: str
    at: datetime
    text: str
    say: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the elder calls people and cards."""

    elder_id: str
    names: dict[str, str | None]
    owned: dict[str, Card]

    def who(self, user_id: str | None) -> str:
        """您, the name the elder gave, 系统 for the house, or who is known no more."""
        if user_id is None:
            return replies.phrase("who_house")
        if user_id == self.elder_id:
            return replies.phrase("who_you")
        if user_id not in self.names:
            return replies.phrase("who_nobody")
        return self.names[user_id] or replies.phrase("your_relative")


def page(deps: Deps, actor: Actor, before: str | None = None) -> tuple[list[Told], Screen]:
    """At most PAGE deeds in this person's affairs, newest first, and the screen of the newest of them.
    `before` is the id of the last one already told."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        found = deeds.of_elder(tx, actor.user_id, PAGE, before)
        known = _known(tx, actor.user_id)
    told = [_told(deps, deed, known, now) for deed in found]
    return told, screen(told)


def screen(told: Iterable[Told]) -> Screen:
    """The newest five, read aloud one after the other."""
    shown = list(told)[:ON_SCREEN]
    if not shown:
        return replies.screen("told_none")
    said = "".join(each.say for each in shown)
    return replies.screen(
        "told", body=[Line(each.text) for each in shown], count=spoken_count(len(shown)), list=said
    )


def _known(tx: Connection, elder_id: str) -> Known:
    names = {tie.relative_id: tie.name for tie in relatives.ever_of_elder(tx, elder_id)}
    return Known(elder_id, names, {card.id: card for card in cards.of_user(tx, elder_id)})


def _told(deps: Deps, deed: Deed, known: Known, now: datetime) -> Told:
    when = told_moment(deed.at, now)
    text, say = (
        replies.phrase("told_line", when=when, sentence=sentence(deps, deed, known, aloud))
        for aloud in (False, True)
    )
    return Told(deed.id, deed.at, text, say)


def sentence(deps: Deps, deed: Deed, known: Known, aloud: bool) -> str:
    """The deed in words. A kind that only a newer release knows is told as something that was done."""
    facts: dict[str, Any] = {"who": known.who(deed.actor_id)}
    sums = [name for name in deed.facts if name.endswith("_fen")]
    for name, value in deed.facts.items():
        stem, _, kind = name.rpartition("_")
        if kind == "fen":
            facts[stem] = spoken_yuan(value) if aloud else yuan_short(value)
        elif kind == "id":
            facts[stem] = _named(deps, str(value), known, aloud)
        elif kind == "phrase":
            facts[stem] = replies.phrase(str(value))
        else:
            facts[name] = _plain(value) if aloud else value
    if len(sums) == 1:
        facts.setdefault("yuan", facts[sums[0].removesuffix("_fen")])
    key = f"deed_{deed.kind}"
    return replies.phrase(key if key in replies.templates()["phrases"] else "deed_other", **facts)


def _named(deps: Deps, value: str, known: Known, aloud: bool) -> str:
    if not is_id(value, Kind.CARD):
        return known.who(value)
    card = known.owned.get(value)
    if card is None:
        return replies.phrase("card_gone")
    return views.spoken_card(deps.city, card) if aloud else views.card_label(deps.city, card)


def _plain(value: object) -> object:
    """Counts and rows of digits as they are said."""
    if isinstance(value, int) and not isinstance(value, bool):
        return spoken_count(value) if value >= 0 else value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return spoken_digits(value)
    return value
