"""What is known about a payment, put before the rule of protection; and whether something must be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.domain.clock import SHANGHAI, day_start
from app.domain.orders import CONFIRMATION_WINDOW, Topic
from app.domain.protection import (
    COOL_OFF,
    DUPLICATE_WITHIN,
    USUAL_DAYS,
    USUAL_PAYMENTS,
    Decision,
    Kind,
    Level,
    Seen,
    protect,
)
from app.domain.risk import SMALL_FEN, thresholds
from app.errors import AppError
from app.flows import card_numbers, rates
from app.flows.deps import Deps
from app.flows.guardians import family_of, guardians
from app.store import checks, deeds, delegated, orders, outbox, questions, real_names
from app.store.cards import Card
from app.store.orders import Order


def due(deps: Deps, tx: Connection, order: Order, card: Card, holder: str | None, now: datetime) -> bool:
    """Whether something must be answered before this order goes on; what is, is written down here.

    `holder` is the card's owner as its issuer masks the name. Decided under a lock on the card, so that of
    two who confirm in the same moment the second hears of the first. AppError cooling_off.
    """
    lookups = card_numbers.found_by(deps, card)
    delegated.lock_card(tx, lookups)
    asked = questions.of_order(tx, order.id)
    if any(question.open for question in asked.values()):
        return True
    if order.user_id == order.beneficiary_id and order.amount_fen > SMALL_FEN:
        _check_cooling(tx, order, now)
    if Kind.DUPLICATE not in asked:
        other = _same_wish(tx, order, lookups, now)
        if other is not None:
            facts = {"other": other.id, "payer": other.user_id, "paid": other.paid_at is not None}
            return _ask(tx, order, Kind.DUPLICATE, ("same_wish",), facts, now)
    if Kind.TOLD_TO not in asked and order.user_id == order.beneficiary_id and order.amount_fen > SMALL_FEN:
        decision = _decide(deps, tx, order, holder, now)
        if decision.level is not Level.NONE:
            alerts = decision.level is Level.ASK_AND_ALERT
            _ask(tx, order, Kind.TOLD_TO, decision.reasons, {"alert": alerts}, now)
            if alerts and guardians(tx, order.beneficiary_id, now):
                outbox.add(tx, Topic.ALERT, order.id, now)
                facts = {"amount_fen": order.amount_fen}
                deeds.write(tx, order.beneficiary_id, None, "payment_alerted", order.id, now, facts)
            return True
    return False


def _same_wish(tx: Connection, order: Order, lookups: Sequence[str], now: datetime) -> Order | None:
    """The newest order of the same sum for the same card by the same person or one of the family. Of what
    strangers pay nobody hears, though anybody may bind a card."""
    found = questions.same_wishes(tx, order, lookups, now - DUPLICATE_WITHIN, now)
    family = family_of(tx, order.user_id, order.beneficiary_id) if found else frozenset()
    return next((other for other in found if other.user_id in family), None)


def _ask(
    tx: Connection, order: Order, kind: Kind, reasons: tuple[str, ...], facts: dict[str, Any], now: datetime
) -> bool:
    """Nobody is hurried: the order waits for the answer as long as it does for a first yes."""
    questions.ask_once(tx, order.id, kind, reasons, facts, now)
    orders.wait_until(tx, order.id, now + CONFIRMATION_WINDOW)
    return True


def _check_cooling(tx: Connection, order: Order, now: datetime) -> None:
    told = questions.told_since(tx, order.user_id, order.card_id, now - COOL_OFF)
    ends = [question.answered_at + COOL_OFF for question in told if question.answered_at is not None]
    if ends:
        raise AppError("cooling_off", when=rates.come_back(max(ends) - now))


def _decide(deps: Deps, tx: Connection, order: Order, holder: str | None, now: datetime) -> Decision:
    known = questions.habit(tx, order, day_start(now), now - USUAL_DAYS, now)
    sealed = real_names.of_user(tx, order.user_id).name
    own_name = (
        None if sealed is None else deps.vault.open(sealed, f"real_names.name:{order.user_id}").decode()
    )
    return protect(
        Seen(
            amount_fen=order.amount_fen,
            today_fen=[fen for fen, _card in known.today],
            cards_today=len({order.card_id, *(card for _fen, card in known.today)}),
            hour=now.astimezone(SHANGHAI).hour,
            card_age=now - known.card_bound_at,
            first_card=known.first_card,
            own_name=own_name,
            holder=holder,
            usual_fen=known.most_fen if known.payments >= USUAL_PAYMENTS else None,
            threshold_fen=thresholds(deps.city, checks.own_limits(tx, order.user_id)).single_fen,
        )
    )
