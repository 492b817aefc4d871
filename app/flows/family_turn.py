"""A turn of the conversation about the family: whom to ask, and what one is asked oneself."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.family import Role
from app.domain.ids import Kind, is_id
from app.domain.money import yuan_short
from app.domain.pay_requests import Reason
from app.domain.screens import Choice, Screen
from app.errors import AppError
from app.flows import answer_family, ask_family, proposals, request_screens, told_history, views
from app.flows.checkout import OrderView
from app.flows.deps import Deps
from app.store import pay_requests, relatives
from app.store.cards import Card
from app.store.people import Actor
from app.voice import replies
from app.voice.dialogue import Do, Memory, Move
from app.voice.family_asks import KnownRelative

ACTS = frozenset({Do.SEND_ASK, Do.UNASK, Do.ANSWER_FAMILY, Do.ANSWER_PROPOSAL})
SHOWS = frozenset({Do.ASK_RELATIVE, Do.ASK_READ_BACK, Do.ASKED, Do.TOLD})


def known(deps: Deps, actor: Actor) -> list[KnownRelative]:
    """The relatives this person may ask to pay, by the names they gave them."""
    now = deps.clock.now()
    with deps.database.read() as tx:
        ties = [tie for tie in relatives.of_elder(tx, actor.user_id) if tie.may(Role.PAY, now)]
    return [KnownRelative(tie.relative_id, tie.name or replies.phrase("your_relative")) for tie in ties]


def act(deps: Deps, actor: Actor, move: Move, client_key: str) -> tuple[Screen, OrderView | None]:
    """Do what was decided, once for each client key, and show it. AppError as the stories it calls."""
    if move.do is Do.SEND_ASK:
        memory = move.memory
        assert memory.relative_id and memory.card_id and memory.amount_fen
        key = f"turn:{client_key}"
        view = ask_family.ask(deps, actor, memory.relative_id, memory.card_id, memory.amount_fen, key)
        return view.screen, None
    subject, answer = move.subject or "", move.factor or ""
    if move.do is Do.ANSWER_PROPOSAL:
        if not is_id(subject, Kind.PROPOSAL):
            raise AppError("proposal_not_found")
        if answer == "yes":
            order = proposals.accept(deps, actor, subject)
            return order.screen, order
        return proposals.decline(deps, actor, subject), None
    if not is_id(subject, Kind.PAY_REQUEST):
        raise AppError("request_not_found")
    if move.do is Do.UNASK:
        return ask_family.withdraw(deps, actor, subject).screen, None
    if answer == "yes":
        order = answer_family.accept(deps, actor, subject)
        return order.screen, order
    if answer not in set(Reason):
        raise AppError("choice_unknown")
    return answer_family.decline(deps, actor, subject, Reason(answer)), None


def screen(deps: Deps, actor: Actor, move: Move, owned: Sequence[Card]) -> Screen:
    """Show whom to ask, what is read back, where it stands, or what was done."""
    if move.do is Do.TOLD:
        return told_history.page(deps, actor)[1]
    if move.do is Do.ASKED:
        return _standing(deps, actor, move.subject)
    found = known(deps, actor)
    if move.do is Do.ASK_RELATIVE:
        choices = [Choice(f"relative:{each.id}", each.name) for each in found]
        choices.append(Choice("cancel", replies.phrase("unask")))
        return replies.screen("ask_relative", choices=choices)
    return _read_back(deps, move.memory, found, owned)


def _standing(deps: Deps, actor: Actor, request_id: str | None) -> Screen:
    """Where the named request stands, or the newest."""
    if request_id is not None:
        if not is_id(request_id, Kind.PAY_REQUEST):
            raise AppError("request_not_found")
        return ask_family.show(deps, actor, request_id).screen
    with deps.database.read() as tx:
        newest = pay_requests.of_elder(tx, actor.user_id, 1)
    if not newest:
        return views.plain(deps.city, "home")
    return request_screens.of_elder(deps, newest[0]).screen


def _read_back(deps: Deps, memory: Memory, family: Sequence[KnownRelative], owned: Sequence[Card]) -> Screen:
    card = next((card for card in owned if card.id == memory.card_id), None)
    name = next((each.name for each in family if each.id == memory.relative_id), None)
    if card is None or name is None or memory.amount_fen is None:
        return views.plain(deps.city, "home")  # unbound or ended since
    bound_to = f"ask:{memory.relative_id}:{card.id}:{memory.amount_fen}"
    choices = [
        Choice(bound_to, replies.phrase("ask_confirm", relative=name, yuan=yuan_short(memory.amount_fen))),
        Choice("cancel", replies.phrase("unask")),
    ]
    facts = request_screens.facts_of(deps, card, memory.amount_fen)
    return replies.screen("ask_read_back", choices=choices, relative=name, **facts)
