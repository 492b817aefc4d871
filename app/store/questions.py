"""Questions before an order is confirmed: what was asked and why, what was answered, and what it came to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from app.domain.orders import UNPAID, State
from app.domain.protection import FALSE_ALARM, Kind, Said
from app.store import models
from app.store.order_rows import COLUMNS, Order, from_row
from app.store.upsert import insert_once

_questions = models.metadata.tables["questions"]
_orders = models.metadata.tables["orders"]
_cards = models.metadata.tables["cards"]


@dataclass(frozen=True, slots=True)
class Question:
    """One row. `facts` hold whether relatives are alerted, and who the other payer of a duplicate is."""

    order_id: str
    kind: str
    reasons: tuple[str, ...]
    facts: Mapping[str, Any]
    asked_at: datetime
    answer: str | None
    answered_at: datetime | None
    verdict: str | None

    @property
    def open(self) -> bool:
        """Whether the last word is still to be said."""
        return self.answer in (None, Said.RELATIVES)

    @property
    def marked(self) -> bool:
        """Whether relatives may see this order: an unusual one, or the elder asked them to look."""
        asked_to_look = self.facts.get("asked_to_look") is True
        return self.kind == Kind.TOLD_TO and (self.facts.get("alert") is True or asked_to_look)


_columns = [_questions.c[field.name] for field in fields(Question)]


def _from(row: Any) -> Question:
    values = {name: getattr(row, name) for name in (field.name for field in fields(Question))}
    return Question(**{**values, "reasons": tuple(values["reasons"])})


def ask_once(
    tx: Connection, order_id: str, kind: Kind, reasons: tuple[str, ...], facts: dict[str, Any], now: datetime
) -> bool:
    """Write down that it is asked. False when it was before."""
    row: dict[str, Any] = {"order_id": order_id, "kind": kind.value, "reasons": list(reasons)}
    row |= {"facts": facts, "asked_at": now}
    return insert_once(tx, _questions, ("order_id", "kind"), row)


def of_order(tx: Connection, order_id: str) -> dict[str, Question]:
    """What was asked about an order, by kind."""
    rows = tx.execute(select(*_columns).where(_questions.c.order_id == order_id))
    return {row.kind: _from(row) for row in rows}


def answer(tx: Connection, question: Question, said: Said, verdict: str | None, now: datetime) -> bool:
    """The person's word. False when the last word was said before."""
    first = (_questions.c.order_id == question.order_id) & (_questions.c.kind == question.kind)
    still = _questions.c.answer.is_(None) | (_questions.c.answer == Said.RELATIVES.value)
    facts = dict(question.facts) | ({"asked_to_look": True} if said is Said.RELATIVES else {})
    values = {"answer": said.value, "answered_at": now, "verdict": verdict, "facts": facts}
    return tx.execute(update(_questions).where(first, still).values(**values)).rowcount == 1


def judge(tx: Connection, order_id: str, verdict: str) -> None:
    """What became clear later: a hold that another released, or money that was called back."""
    mine = (_questions.c.order_id == order_id) & (_questions.c.kind == Kind.TOLD_TO.value)
    tx.execute(update(_questions).where(mine).values(verdict=verdict))


def marked_of(tx: Connection, elder_id: str) -> list[tuple[Order, Question]]:
    """This elder's orders that relatives may see, as long as their money is not on its way; oldest first."""
    undecided = [state.value for state in (*UNPAID, State.PAID)]
    statement = (
        select(*COLUMNS)
        .join(_questions, _questions.c.order_id == _orders.c.id)
        .where(
            _orders.c.user_id == elder_id,
            _orders.c.state.in_(undecided),
            _questions.c.kind == Kind.TOLD_TO.value,
        )
        .order_by(_orders.c.id)
    )
    rows = [(from_row(row), of_order(tx, row.id)[Kind.TOLD_TO]) for row in tx.execute(statement).all()]
    return [(order, question) for order, question in rows if question.marked]


def told_since(tx: Connection, user_id: str, card_id: str | None, since: datetime) -> list[Question]:
    """Where this person said that somebody told them to, later than `since`, and nobody lifted it. For one
    card, or for all."""
    mine = (_orders.c.user_id == user_id) & (_questions.c.kind == Kind.TOLD_TO.value)
    if card_id is not None:
        mine &= _orders.c.card_id == card_id
    told = (_questions.c.answer == Said.TOLD.value) & (_questions.c.answered_at > since)
    in_force = _questions.c.verdict.is_distinct_from(FALSE_ALARM)
    statement = select(*_columns).join(_orders, _orders.c.id == _questions.c.order_id)
    rows = tx.execute(statement.where(mine, told, in_force).order_by(_questions.c.answered_at))
    return [_from(row) for row in rows]


def lift(tx: Connection, question: Question, by: str, reason: str) -> None:
    """An operator ends the cooling after this answer; who and why stay with it."""
    mine = (_questions.c.order_id == question.order_id) & (_questions.c.kind == question.kind)
    facts = {**question.facts, "lifted_by": by, "lifted_why": reason}
    tx.execute(update(_questions).where(mine).values(facts=facts, verdict=FALSE_ALARM))


def since(tx: Connection, moment: datetime) -> list[Question]:
    """Everything asked since then, oldest first."""
    statement = select(*_columns).where(_questions.c.asked_at >= moment)
    return [_from(row) for row in tx.execute(statement.order_by(_questions.c.asked_at))]


def counts(tx: Connection, moment: datetime) -> list[tuple[str, str, int]]:
    """(kind, verdict or "undecided", how many) of what was asked since then."""
    verdict = func.coalesce(_questions.c.verdict, "undecided").label("verdict")
    statement = select(_questions.c.kind, verdict, func.count().label("many"))
    statement = statement.where(_questions.c.asked_at >= moment).group_by(_questions.c.kind, verdict)
    return [(row.kind, row.verdict, row.many) for row in tx.execute(statement)]


# --- what the rules look at -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habit:
    """What this person pays: (fen, card) of the day before this order, oldest first; the most of one payment
    in the time before it, and how many those were."""

    today: tuple[tuple[int, str], ...]
    most_fen: int | None
    payments: int
    first_card: bool
    card_bound_at: datetime


def habit(tx: Connection, order: Order, day_start: datetime, long_ago: datetime, now: datetime) -> Habit:
    """One look at it, when `order` is confirmed. Money that went home again is no habit."""
    mine = (_orders.c.user_id == order.user_id) & (_orders.c.id != order.id)
    kept = _orders.c.paid_at.is_not(None) & _orders.c.state.not_in(("refunding", "refunded"))
    payable = _orders.c.state.in_(("awaiting_payment", "awaiting_check")) & (_orders.c.expires_at > now)
    today = select(_orders.c.amount_fen, _orders.c.card_id)
    today = today.where(mine, (kept & (_orders.c.paid_at >= day_start)) | payable)
    rows = tx.execute(today.order_by(func.coalesce(_orders.c.paid_at, _orders.c.created_at))).all()
    before = select(func.max(_orders.c.amount_fen).label("most"), func.count().label("many")).where(
        mine, kept, _orders.c.paid_at >= long_ago, _orders.c.paid_at < day_start
    )
    usual = tx.execute(before).one()
    card = tx.execute(
        select(_cards.c.position, _cards.c.created_at).where(_cards.c.id == order.card_id)
    ).one()
    return Habit(
        today=tuple((row.amount_fen, row.card_id) for row in rows),
        most_fen=usual.most,
        payments=usual.many,
        first_card=card.position == 1,
        card_bound_at=card.created_at,
    )


def same_wishes(
    tx: Connection, order: Order, lookups: Collection[str], since: datetime, now: datetime
) -> list[Order]:
    """Other orders of the same sum onto the card that is found by `lookups`, of anybody who bound it, the
    newest first: paid since then, or to be paid still."""
    paid = (_orders.c.paid_at >= since) & _orders.c.state.not_in(("refunding", "refunded"))
    payable = _orders.c.state.in_(("awaiting_payment", "awaiting_check")) & (_orders.c.expires_at > now)
    statement = (
        select(*COLUMNS)
        .join(_cards, _cards.c.id == _orders.c.card_id)
        .where(
            paid | payable,
            _cards.c.card_number_lookup.in_(lookups),
            _orders.c.amount_fen == order.amount_fen,
            _orders.c.id != order.id,
        )
        .order_by(func.coalesce(_orders.c.paid_at, _orders.c.created_at).desc(), _orders.c.id.desc())
    )
    return [from_row(row) for row in tx.execute(statement)]
