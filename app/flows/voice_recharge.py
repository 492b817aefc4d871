"""The main story: a person speaks or taps, and the conversation answers with the next screen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.domain.consents import Purpose, texts
from app.domain.orders import Event
from app.domain.orders import State as OrderState
from app.domain.screens import Screen
from app.errors import AppError
from app.flows import (
    card_numbers,
    check_ways,
    checkout,
    consents,
    family_turn,
    questions,
    undo,
    views,
)
from app.flows.deps import Deps
from app.ports import Clip, Refused, Unavailable, Unknown
from app.store import cards, conversations, orders
from app.store import questions as question_rows
from app.store.cards import Card
from app.store.conversations import Conversation
from app.store.orders import Order
from app.store.people import Actor
from app.voice import dialogue, family_asks, replies
from app.voice.dialogue import Do, KnownCard, Memory, Move
from app.voice.intents import State, Understanding

RESUME_WITHIN = timedelta(minutes=10)
HISTORY_LENGTH = 5


@dataclass(frozen=True, slots=True)
class TurnInput:
    """One turn: exactly one of `clip` and `choice`. `version` is the turn the person was looking at."""

    client_key: str
    clip: Clip | None = None
    choice: str | None = None
    conversation_id: str | None = None
    version: int | None = None

    def digest(self) -> str:
        """What this turn's client key stands for."""
        said = hashlib.sha256(self.clip.data).hexdigest() if self.clip else f"choice:{self.choice}"
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """The conversation after a turn. `heard` and `understood` are empty for a touch. `may_listen`: the person
    agreed to be heard."""

    conversation: Conversation
    screen: Screen
    heard: tuple[str, ...] = ()
    understood: Understanding | None = None
    order: checkout.OrderView | None = None
    may_listen: bool = False


def here(deps: Deps, actor: Actor) -> Answer:
    """Where this person is: the open conversation, or home after ten minutes of silence."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        conversation = conversations.of_user(tx, actor.user_id, now)
        owned = cards.of_user(tx, actor.user_id)
        agreed = consents.current(tx, actor.user_id, Purpose.VOICE)
    memory = _memory(conversation, now)
    answer = _render(deps, actor, conversation, Move(memory.again, memory), owned, now)
    return replace(answer, may_listen=agreed)


def turn(deps: Deps, actor: Actor, told: TurnInput) -> Answer:
    """Take one turn. The same key with the same turn renders where the person is, and does nothing twice.

    AppError: audio_* and speech_* for a clip that cannot be used (nothing changes, the key stays free),
    choice_unknown, conversation_not_found, client_key_reused, turn_overtaken, and what checkout raises.
    """
    now = deps.clock.now()
    with deps.database.write() as tx:
        conversation = conversations.of_user(tx, actor.user_id, now)
        owned = cards.of_user(tx, actor.user_id)
        seen = conversations.seen(tx, actor.user_id, told.client_key, told.digest())
        agreed = consents.current(tx, actor.user_id, Purpose.VOICE)
    if told.conversation_id not in (None, conversation.id):
        raise AppError("conversation_not_found")
    memory = _memory(conversation, now)
    stale = told.version is not None and told.version != conversation.version
    if seen or (stale and told.clip is not None):
        answer = _render(deps, actor, conversation, Move(memory.again, memory), owned, now)
        return replace(answer, may_listen=agreed)
    heard: tuple[str, ...] = ()
    understood: Understanding | None = None
    known = [KnownCard(card.id, views.card_name(deps.city, card)) for card in owned]
    family = family_turn.known(deps, actor)
    if told.clip is not None and not agreed:
        move = dialogue.not_agreed(memory)  # the clip is dropped unheard
    elif told.clip is not None:
        listened = deps.speech.hear(told.clip)
        heard = tuple(hypothesis.text for hypothesis in listened.hypotheses)
        understood = family_asks.understood(listened.hypotheses, memory.state, family)
        asked = family_asks.on_speech(memory, understood, known, family)
        move = asked or dialogue.on_speech(memory, understood, known)
    else:
        asked = family_asks.on_choice(memory, told.choice or "", known, family)
        move = asked or dialogue.on_choice(memory, told.choice or "", known)
    conversation = _decide(deps, actor, conversation, move, told, now)
    answer = _act(deps, actor, conversation, move, owned, told, now)
    may_listen = agreed or move.do is Do.AGREE_VOICE
    return replace(answer, heard=heard, understood=understood, may_listen=may_listen)


def _memory(conversation: Conversation, now: datetime) -> Memory:
    if now - conversation.updated_at > RESUME_WITHIN:
        return Memory()
    return Memory.load(conversation.memory)


def _decide(
    deps: Deps, actor: Actor, conversation: Conversation, move: Move, told: TurnInput, now: datetime
) -> Conversation:
    """The turn's own transaction: the key, the memory, and the end of a read-back nobody wants any more."""
    before = Memory.load(conversation.memory)
    with deps.database.write() as tx:
        if move.order_id is not None:
            orders.get_for(tx, actor.user_id, move.order_id)
        if not conversations.first_time(tx, actor.user_id, told.client_key, told.digest(), now):
            raise AppError("turn_overtaken")
        if before.order_id is not None and before.order_id != move.memory.order_id:
            dropped = orders.find(tx, before.order_id)
            if dropped is not None and _unwanted(tx, actor, dropped):
                orders.advance(tx, dropped, Event.CANCELLED, now)
        return conversations.save(tx, conversation, move.memory.dump(), now)


def _unwanted(tx: Connection, actor: Actor, dropped: Order) -> bool:
    """A read-back of one's own that was left: a relative's goes on, and a question about an order is answered
    in its own time."""
    left = dropped.state is OrderState.AWAITING_CONFIRMATION and dropped.user_id == actor.user_id
    return left and not question_rows.of_order(tx, dropped.id)


def _act(
    deps: Deps,
    actor: Actor,
    conversation: Conversation,
    move: Move,
    owned: Sequence[Card],
    told: TurnInput,
    now: datetime,
) -> Answer:
    """Do what the dialogue decided, then show it."""
    if move.do in family_turn.ACTS:
        shown, order = family_turn.act(deps, actor, move, told.client_key)
        return Answer(conversation, shown, order=order)
    if move.do is Do.READ_BACK:
        return _read_back(deps, actor, conversation, move, told, now)
    if move.do is Do.CONFIRM:
        assert move.order_id is not None
        read_back = move.read_back or checkout.find(deps, actor, move.order_id).order.read_back
        view = checkout.confirm(deps, actor, move.order_id, read_back)
        return Answer(conversation, view.screen, order=view)
    if move.do is Do.CANCEL:
        assert move.order_id is not None
        view = checkout.cancel(deps, actor, move.order_id)
        return Answer(conversation, view.screen, order=view)
    if move.do is Do.PAY:
        assert move.order_id is not None
        view = checkout.pay(deps, actor, move.order_id)
        return Answer(conversation, view.screen, order=view)
    if move.do is Do.AGREE_VOICE:
        assert move.version is not None
        consents.give(deps, actor, Purpose.VOICE.value, move.version)
        return Answer(conversation, replies.screen(move.do.value))
    if move.do is Do.CHECK:
        assert move.order_id is not None and move.factor is not None
        view = check_ways.choose(deps, actor, move.order_id, move.factor)
        return Answer(conversation, view.screen, order=view)
    if move.do is Do.ANSWER:
        assert move.order_id is not None and move.answer is not None
        view = questions.answer(deps, actor, move.order_id, *move.answer)
        return Answer(conversation, view.screen, order=view)
    if move.do is Do.UNDO:
        assert move.order_id is not None
        view = undo.undo(deps, actor, move.order_id)
        return Answer(conversation, view.screen, order=view)
    return _render(deps, actor, conversation, move, owned, now)


def _read_back(
    deps: Deps, actor: Actor, conversation: Conversation, move: Move, told: TurnInput, now: datetime
) -> Answer:
    """Open the order and remember it. An amount outside the limits keeps the form and asks again."""
    memory = move.memory
    assert memory.card_id is not None and memory.amount_fen is not None
    method = deps.city.methods[0].name
    try:
        view = checkout.open_order(
            deps, actor, memory.card_id, memory.amount_fen, method, f"turn:{told.client_key}"
        )
    except AppError:
        with deps.database.write() as tx:
            asking = replace(memory, amount_fen=None, state=State.AMOUNT, shown=Do.ASK_AMOUNT)
            conversations.save(tx, conversation, asking.dump(), now)
        raise
    with deps.database.write() as tx:
        remembered = replace(memory, order_id=view.order.id)
        conversation = conversations.save(tx, conversation, remembered.dump(), now)
    return Answer(conversation, view.screen, order=view)


def _render(
    deps: Deps,
    actor: Actor,
    conversation: Conversation,
    move: Move,
    owned: Sequence[Card],
    now: datetime,
) -> Answer:
    memory = move.memory
    if move.do in (Do.SHOW_ORDER, Do.READ_BACK, Do.CONFIRM, Do.CANCEL, Do.PAY) and memory.order_id:
        view = checkout.find(deps, actor, memory.order_id)
        return Answer(conversation, view.screen, order=view)
    return Answer(conversation, _screen(deps, actor, move, owned, now))


def _screen(deps: Deps, actor: Actor, move: Move, owned: Sequence[Card], now: datetime) -> Screen:
    city, memory = deps.city, move.memory
    if move.do is Do.ASK_VOICE_CONSENT:
        text = texts()[Purpose.VOICE]
        return replies.screen("ask_voice_consent", text=text.spoken, version=text.version)
    if move.do in family_turn.SHOWS:
        return family_turn.screen(deps, actor, move, owned)
    if move.do is Do.BALANCE:
        return _balances(deps, owned)
    if move.do is Do.HISTORY:
        shown = checkout.history(deps, actor, HISTORY_LENGTH)
        return views.history(city, [view.order for view in shown], now)
    if move.do is Do.ASK_CARD:
        return views.ask_card(city, owned)
    if move.do is Do.ASK_AMOUNT:
        asked = next((card for card in owned if card.id == memory.card_id), None)
        return views.ask_amount(city, asked) if asked else views.plain(city, "home")
    if move.do is Do.OFFER:
        return replies.screen("offer", choices=dialogue.offered_choices(memory))
    if move.do in (Do.READ_BACK, Do.SHOW_ORDER, Do.CONFIRM, Do.CANCEL, Do.PAY):
        return views.plain(city, "home")
    return views.plain(city, move.do.value)


def _balances(deps: Deps, owned: Sequence[Card]) -> Screen:
    """Asked of the card system now, never remembered. AppError card_system_unavailable, card_blocked."""
    if not owned:
        return views.plain(deps.city, "bind_card")
    found = []
    for card in owned:
        number = card_numbers.number_of(deps, card)
        try:
            found.append((card, deps.card_system.find(number).balance_fen))
        except Refused as no:
            raise AppError("card_blocked") from no
        except (Unavailable, Unknown) as silence:
            raise AppError("card_system_unavailable") from silence
    return views.balances(deps.city, found)
