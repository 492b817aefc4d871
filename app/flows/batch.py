"""End-of-day files: what a batch city's card system credits all at once (PRODUCT.md "Cities": Lanzhou)."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.arrival import last_cutoff
from app.domain.orders import State, Topic
from app.flows import card_numbers, deliver
from app.flows.deps import Deps
from app.flows.verdicts import Done, Later, Verdict
from app.ports import BatchLine, BatchOutcome, Refused, Unavailable, Unknown
from app.store import batches, cards, orders, outbox
from app.store.outbox import Work

_ASK_AGAIN = timedelta(minutes=1)


def collect(deps: Deps) -> int:
    """After a cut-off: put every order paid before it into a file, and a very long queue into several.

    A file and its orders are written in one transaction, so that an order is in exactly one file; what we
    hear of later goes into another. Returns how many files were made.
    """
    now = deps.clock.now()
    cut_off = last_cutoff(deps.city, now)
    if cut_off is None:
        return 0
    made = 0
    while True:
        with deps.database.write() as tx:
            batch = batches.collect(tx, cut_off, now)
            if batch is not None:
                outbox.add(tx, Topic.SEND_BATCH, batch, now)
        if batch is None:
            break
        made += 1
    if made:
        deps.nudge()
    return made


def send(deps: Deps, work: Work) -> Verdict:
    """Hand the file in and book what became of each line; lines that failed go the way of single credits."""
    now, batch_id = deps.clock.now(), work.subject
    with deps.database.read() as tx:
        waiting = [order for order in batches.orders_of(tx, batch_id) if order.state is State.PAID]
        owned = {order.id: cards.get(tx, order.card_id) for order in waiting}
        lines = batches.lines_of(tx, batch_id)
    try:
        outcomes = deps.card_system.batch_result(batch_id)
        if outcomes is None:
            deps.card_system.submit_batch(batch_id, [_asked(deps, line) for line in lines])
            return Later("handed in", _ASK_AGAIN, expected=True)
    except (Refused, Unavailable, Unknown) as silence:
        return Later(silence.code)
    told = {outcome.order_id: outcome for outcome in outcomes}
    silent = 0
    for order in waiting:
        verdict = _settle(deps, work, order, owned[order.id], told.get(order.id), now)
        silent += isinstance(verdict, Later)
    if silent:
        return Later(f"{silent} lines are not settled", _ASK_AGAIN)
    with deps.database.write() as tx:
        batches.finish(tx, batch_id, now)
    return Done(f"{len(lines)} lines")


def _asked(deps: Deps, line: batches.Line) -> BatchLine:
    number = card_numbers.opened(deps, line.card_id, line.card_number)
    return BatchLine(line.order_id, number, line.amount_fen)


def _settle(
    deps: Deps, work: Work, order: orders.Order, card: cards.Card, told: BatchOutcome | None, now: datetime
) -> Verdict:
    if told is None:
        return Later("the answer leaves this line out")
    if told.credit is not None:
        return deliver.book(deps, order, card, told.credit, now)
    verdict = deliver.not_credited(deps, work, order, card, told.refused or "refused", now)
    if isinstance(verdict, Later) and verdict.expected:  # a part fits: it has left this file for another
        return Done("another file")
    return verdict
