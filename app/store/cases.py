"""Cases: what a person must look at, with the evidence as it stood. A plan is due first."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from app.domain.clock import iso
from app.domain.ids import Kind, new_id
from app.store import ledger, models, notices
from app.store.upsert import dialect_insert, insert_once

_cases = models.metadata.tables["cases"]
_queries = models.metadata.tables["outside_queries"]
_events = models.metadata.tables["order_events"]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of `cases`."""

    id: str
    level: int
    kind: str
    subject: str
    order_id: str | None
    evidence: dict[str, Any]
    opened_at: datetime
    plan_due_at: datetime
    plan: str | None
    planned_at: datetime | None
    escalated_at: datetime | None
    resolved_at: datetime | None
    resolution: str | None


_columns = [_cases.c[field.name] for field in fields(Case)]


def _case(row: Row[Any]) -> Case:
    return Case(**row._mapping)


def evidence_of(tx: Connection, order_id: str) -> dict[str, Any]:
    """Everything known about an order: its events, notices, what we asked outside, its ledger entries."""
    events = select(_events).where(_events.c.order_id == order_id).order_by(_events.c.at)
    queries = select(_queries).where(_queries.c.order_id == order_id).order_by(_queries.c.first_at)
    return {
        "events": [
            {"event": row.event, "state": row.state_after, "at": iso(row.at), "facts": row.facts}
            for row in tx.execute(events)
        ],
        "notices": [{"event_type": kind, "verdict": told} for kind, told in notices.of_order(tx, order_id)],
        "queries": [
            {
                "asked": row.asked,
                "answer": row.answer,
                "times": row.times,
                "first_at": iso(row.first_at),
                "last_at": iso(row.last_at),
            }
            for row in tx.execute(queries)
        ],
        "entries": [
            {"event": event, "account": account, "amount_fen": fen}
            for event, account, fen in ledger.entries_of(tx, order_id)
        ],
    }


def asked(tx: Connection, order_id: str, what: str, answer: str, now: datetime) -> None:
    """Keep what we asked outside about an order ("opening", "payment", "credit", "refund") and
    the answer; of an opening, at which merchant."""
    values = {
        "id": new_id(Kind.EVENT),
        "order_id": order_id[:64],
        "asked": what,
        "answer": answer[:64],
        "times": 1,
        "first_at": now,
        "last_at": now,
    }
    again = {"times": _queries.c.times + 1, "last_at": now}
    statement = dialect_insert(tx, _queries).values(values)
    key = ["order_id", "asked", "answer"]
    tx.execute(statement.on_conflict_do_update(index_elements=key, set_=again))


def was_asked(tx: Connection, order_id: str, what: str) -> bool:
    """Whether somebody asked this about the order."""
    found = select(_queries.c.id).where(_queries.c.order_id == order_id, _queries.c.asked == what)
    return tx.execute(found.limit(1)).first() is not None


def open_once(
    tx: Connection,
    *,
    level: int,
    kind: str,
    subject: str,
    order_id: str | None,
    plan_due_at: datetime,
    now: datetime,
    more: dict[str, Any] | None = None,
) -> bool:
    """Open a case with its evidence and ring the alarm. False when (kind, subject) has one already."""
    evidence = {**(evidence_of(tx, order_id) if order_id else {}), **(more or {})}
    values = {
        "id": new_id(Kind.CASE),
        "level": level,
        "kind": kind,
        "subject": subject[:64],
        "order_id": order_id,
        "evidence": evidence,
        "opened_at": now,
        "plan_due_at": plan_due_at,
    }
    if not insert_once(tx, _cases, ("kind", "subject"), values):
        return False
    notices.alarm(tx, kind, subject, f"case of level {level}", now)
    return True


def get(tx: Connection, case_id: str) -> Case:
    """LookupError when there is none."""
    row = tx.execute(select(*_columns).where(_cases.c.id == case_id)).first()
    if row is None:
        raise LookupError(case_id)
    return _case(row)


def unresolved(tx: Connection) -> list[Case]:
    """Cases without a resolution, the most urgent plan first."""
    statement = select(*_columns).where(_cases.c.resolved_at.is_(None)).order_by(_cases.c.plan_due_at)
    return [_case(row) for row in tx.execute(statement)]


def of_order(tx: Connection, order_id: str) -> list[Case]:
    """Every case about an order, oldest first."""
    statement = select(*_columns).where(_cases.c.order_id == order_id).order_by(_cases.c.opened_at)
    return [_case(row) for row in tx.execute(statement)]


def plan(tx: Connection, case_id: str, text: str, now: datetime) -> bool:
    """Write the plan down. False when the case has one, is resolved, or is not there."""
    mine = (_cases.c.id == case_id) & _cases.c.planned_at.is_(None) & _cases.c.resolved_at.is_(None)
    return tx.execute(update(_cases).where(mine).values(plan=text, planned_at=now)).rowcount == 1


def resolve(tx: Connection, case_id: str, text: str, now: datetime) -> bool:
    """Close a case. False when it is closed already or not there."""
    mine = (_cases.c.id == case_id) & _cases.c.resolved_at.is_(None)
    return tx.execute(update(_cases).where(mine).values(resolution=text, resolved_at=now)).rowcount == 1


def resolve_about(tx: Connection, kind: str, subject: str, text: str, now: datetime) -> bool:
    """Close the open case of this kind about this subject, if there is one."""
    mine = (_cases.c.kind == kind) & (_cases.c.subject == subject) & _cases.c.resolved_at.is_(None)
    return tx.execute(update(_cases).where(mine).values(resolution=text, resolved_at=now)).rowcount == 1


def escalate_overdue(tx: Connection, now: datetime) -> list[Case]:
    """Cases whose plan is overdue now, each once: marked, and the alarm rung again."""
    late = (
        _cases.c.plan_due_at <= now,
        _cases.c.planned_at.is_(None),
        _cases.c.resolved_at.is_(None),
        _cases.c.escalated_at.is_(None),
    )
    found = [_case(row) for row in tx.execute(select(*_columns).where(*late))]
    for case in found:
        tx.execute(update(_cases).where(_cases.c.id == case.id).values(escalated_at=now))
        notices.alarm(tx, "plan_overdue", case.id, f"{case.kind}: {case.subject}", now)
    return found
