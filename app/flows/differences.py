"""Open differences between books, worked by the rules of domain.differences until they are resolved.

Works on the rows alone, so that it can go on without reading the books again: at the end of each
reconciliation and every half hour between.
"""

from __future__ import annotations

import logging
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby

from sqlalchemy import Connection

from app.domain.differences import (
    Facts,
    Standing,
    Step,
    is_overdue,
    next_step,
    overdue_class,
    plan_due_at,
)
from app.domain.orders import LOSSES
from app.domain.reconciliation import Class, Row, RowKind
from app.flows import refunds, settle
from app.flows.deps import Deps
from app.flows.reconcile_report import as_evidence
from app.flows.trouble import quarantine
from app.ports import Payment, RefundState, Refused, TradeState, Unavailable, Unknown, WeChatPay
from app.store import cases, differences
from app.store.differences import Difference
from app.store.reconciliation import standings

log = logging.getLogger(__name__)

CASE = "difference"
OVERDUE = "difference_overdue"
AGREED, ASKED = "agreed", "settled_by_query"
MOST_QUESTIONS = 200  # a pass; WeChat counts queries
_BOOKED = ("accepted", "late", "second_payment", "unknown_order")  # verdicts of settle
_REPEAT = "repeat"


class Decision(StrEnum):
    """What a person may decide about a difference."""

    REVERSED = "reversed"  # the other side put it right, or the money was sent back by hand
    WRITTEN_OFF = "written_off"  # the money is lost, or found: it goes to the account of losses


def matched(day: date) -> str:
    """The resolution of what the book of another `day` explained; it names it, to be used once."""
    return f"matched:{day.isoformat()}"


def work(deps: Deps, now: datetime) -> None:
    """Take every open difference one step further. Every step is its own transaction; repeating is safe."""
    with deps.database.read() as tx:
        found = differences.compared(tx)
        held = {case.subject for case in cases.unresolved(tx) if case.kind == CASE}
    found = _pair_up(deps, found, now)
    found = _catch_up(deps, found, now)
    questions = 0
    for one in found:
        facts = Facts.read(one.detail)
        if facts.no_statement:
            continue  # the missing file is one case, not one a row
        overdue = is_overdue(one.due_on, now)
        if overdue:
            one = _no_shift(deps, one, facts)
        step = next_step(Class(one.kind), facts.row, overdue)
        if one.id in held:
            step = Step.WAIT  # for the person who has its case
        elif step is Step.BOOK:
            step = _book(deps, one, facts, now)
        elif step is Step.ASK and questions < MOST_QUESTIONS:
            questions += 1
            step = _ask(deps, one, facts, now)
        if step is Step.CASE or overdue:
            _open_case(deps, one, facts, now, overdue)
    deps.nudge()


def resolve(tx: Connection, difference: Difference, resolution: str, now: datetime) -> bool:
    """Resolve a difference, and its case if it has one."""
    cases.resolve_about(tx, CASE, difference.id, resolution, now)
    return differences.resolve(tx, difference, resolution, now)


def decide(deps: Deps, difference_id: str, decision: Decision, note: str) -> Difference:
    """Resolve a difference as a person decided. LookupError when there is none, ValueError when it is
    resolved already or its money is on the way home by itself."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        one = differences.get(tx, difference_id)
        if one.source == differences.NOTICE:
            raise ValueError("a stray payment goes home by itself; its refund may have a case")
        against = LOSSES if decision is Decision.WRITTEN_OFF else None
        if not differences.resolve(tx, one, decision.value, now, against):
            raise ValueError(f"it is resolved already: {one.resolution}")
        cases.resolve_about(tx, CASE, one.id, f"{decision.value}: {note}", now)
        return differences.get(tx, difference_id)


# --- what the books say by now --------------------------------------------------------------------


def _pair_up(deps: Deps, found: list[Difference], now: datetime) -> list[Difference]:
    """Two days that lack the opposite of one row explain each other. Returns what is left open."""
    waiting: dict[tuple[str | None, str, int], Difference] = {}
    paired: set[str] = set()
    for one in found:
        facts = Facts.read(one.detail)
        other = waiting.get((one.pay_channel, facts.name, -one.amount_fen))
        if other is None or other.day == one.day or other.id in paired:
            waiting[one.pay_channel, facts.name, one.amount_fen] = one
            continue
        with deps.database.write() as tx:
            resolve(tx, one, matched(other.day), now)
            resolve(tx, other, matched(one.day), now)
        paired |= {one.id, other.id}
    return [one for one in found if one.id not in paired]


def _catch_up(deps: Deps, found: list[Difference], now: datetime) -> list[Difference]:
    """What only they showed, and we have booked since. Returns what is left open, newly named."""
    left: list[Difference] = []
    found.sort(key=_book_of)
    for (day, _book), group in groupby(found, key=_book_of):
        of_day = list(group)
        channel = of_day[0].pay_channel
        rows = {one.id: row for one in of_day if (row := _their_row(one)) is not None}
        with deps.database.read() as tx:
            known = standings(tx, channel, day, list(rows.values()))
        for one in of_day:
            standing = known.get(rows[one.id]) if one.id in rows else None
            kept = _in_the_light_of(deps, one, standing, now)
            left += [kept] if kept else []
    return left


def _book_of(one: Difference) -> tuple[date, str]:
    return one.day, one.pay_channel or ""


def _their_row(one: Difference) -> Row | None:
    """The row of theirs that waits for ours. A credit we never knew of waits for a person."""
    facts = Facts.read(one.detail)
    waits = (Class.STATUS,) if facts.row is RowKind.CREDIT else (Class.STATUS, Class.MISSING_OURS)
    if facts.ours_fen is not None or facts.theirs_fen is None or one.kind not in waits:
        return None
    return Row(facts.row, facts.number, "", one.order_id or "", facts.theirs_fen, facts.at)


def _standing(tx: Connection, one: Difference) -> Standing:
    row = _their_row(one)
    return Standing.ABSENT if row is None else standings(tx, one.pay_channel, one.day, [row])[row]


def _in_the_light_of(
    deps: Deps, one: Difference, standing: Standing | None, now: datetime
) -> Difference | None:
    if standing is Standing.THAT_DAY:
        with deps.database.write() as tx:
            resolve(tx, one, AGREED, now)
        return None
    if standing is Standing.ANOTHER_DAY:
        return _rename(deps, one, Class.CUTOFF_SHIFT)
    return one


def _no_shift(deps: Deps, one: Difference, facts: Facts) -> Difference:
    found = overdue_class(Class(one.kind), one.amount_fen, facts.row)
    return one if found == one.kind else _rename(deps, one, found)


def _rename(deps: Deps, one: Difference, found: Class) -> Difference:
    with deps.database.write() as tx:
        differences.reclassify(tx, one, found.value)
        return differences.get(tx, one.id)


# --- steps ----------------------------------------------------------------------------------------


def _book(deps: Deps, one: Difference, facts: Facts, now: datetime) -> Step:
    """Long money: settle takes it as if WeChat's notice had come. An order's is booked, any other goes home;
    what settle would not take is a person's."""
    payment = Payment(
        order_id=one.order_id or "",
        state=TradeState.SUCCESS,
        amount_fen=facts.theirs_fen,
        transaction_id=one.transaction_id,
        paid_at=facts.at,
    )
    assert one.pay_channel is not None
    with deps.database.write() as tx:
        verdict = settle.payment_received(deps, tx, payment, now, one.pay_channel)
        if verdict in _BOOKED:
            resolve(tx, one, verdict, now)
        if verdict in (*_BOOKED, _REPEAT):  # a repeat was booked a moment ago: the next pass finds it
            return Step.WAIT
    log.warning("long money not booked", extra={"difference": one.id, "verdict": verdict})
    return Step.CASE


def _ask(deps: Deps, one: Difference, facts: Facts, now: datetime) -> Step:
    try:
        if facts.row is RowKind.CREDIT:
            return _ask_card_system(deps, one, now)
        pay = deps.pays.get(one.pay_channel or "")
        if pay is None:
            return Step.WAIT  # this installation no longer knows the merchant
        if facts.row is RowKind.PAYMENT:
            return _ask_payment(deps, pay, one, now)
        return _ask_refund(deps, pay, one, facts, now)
    except (Refused, Unavailable, Unknown) as silence:
        _keep_answer(deps, one, facts.row.value, f"{type(silence).__name__}:{silence.code}", now)
        return Step.WAIT


def _keep_answer(deps: Deps, one: Difference, asked: str, answer: str, now: datetime) -> None:
    if one.order_id:
        with deps.database.write() as tx:
            cases.asked(tx, one.order_id, asked, answer, now)


def _ask_payment(deps: Deps, pay: WeChatPay, one: Difference, now: datetime) -> Step:
    """We booked it, the bill does not show it: unpaid is a person's at once, paid may stand elsewhere."""
    told = pay.query(one.order_id or "")
    _keep_answer(deps, one, "payment", told.state.value, now)
    return Step.WAIT if told.state in settle.PAID_STATES else Step.CASE


def _ask_refund(deps: Deps, pay: WeChatPay, one: Difference, facts: Facts, now: datetime) -> Step:
    told = pay.query_refund(facts.number)
    _keep_answer(deps, one, "refund", told.state.value if told else "UNKNOWN_REFUND", now)
    if told is None:
        return Step.CASE
    if facts.theirs_fen is None:  # we say it arrived, the bill does not show it
        return Step.WAIT if told.state is RefundState.SUCCESS else Step.CASE
    if facts.ours_fen is not None:  # we say it arrived, the bill of that day says it did not
        return _settled(deps, one, told.state is RefundState.SUCCESS, now)
    with deps.database.write() as tx:
        before = _standing(tx, one)
        if before is Standing.ON_ITS_WAY:
            refunds.told(tx, told, now)
        after = _standing(tx, one)
    if told.state is RefundState.CLOSED:  # the money is back with us: the bill never learns of it
        return _settled(deps, one, True, now)
    # A refund we had given up on has arrived after all: another may have gone out since.
    if before is Standing.NOT_DONE:
        return Step.CASE
    _in_the_light_of(deps, one, after, now)
    return Step.WAIT


def _settled(deps: Deps, one: Difference, settled: bool, now: datetime) -> Step:
    if not settled:
        return Step.CASE
    with deps.database.write() as tx:
        resolve(tx, one, ASKED, now)
    return Step.WAIT


def _ask_card_system(deps: Deps, one: Difference, now: datetime) -> Step:
    """A credit we booked and their file lacks is a person's at once, with their answer as evidence. One they
    show and we wait for is being asked about by the delivery itself."""
    if one.kind == Class.STATUS:
        return Step.WAIT
    try:
        told = deps.card_system.query(one.order_id or "")
        answer = told.state.value if told else "never_seen"
    except (Refused, Unavailable, Unknown) as silence:
        answer = f"{type(silence).__name__}:{silence.code}"
    _keep_answer(deps, one, "credit", answer, now)
    return Step.CASE


def _open_case(deps: Deps, one: Difference, facts: Facts, now: datetime, overdue: bool) -> None:
    with deps.database.write() as tx:
        one = differences.get(tx, one.id)
        if one.state != differences.OPEN:
            return
        if overdue:
            quarantine(tx, OVERDUE, one.id, f"{one.kind} of {one.day}, due on {one.due_on}", now)
        cases.open_once(
            tx,
            level=2,
            kind=CASE,
            subject=one.id,
            order_id=one.order_id,
            plan_due_at=plan_due_at(now, deps.calendar),
            now=now,
            more={"difference": as_evidence(one)},
        )
