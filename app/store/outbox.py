"""The outbox is the truth about work to do outside; any queue is only a hint to look here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Update, func, select, update

from app.domain.ids import Kind, new_id
from app.domain.orders import Topic
from app.store import models
from app.store.upsert import insert_once

_outbox = models.metadata.tables["outbox"]

LEASE = timedelta(seconds=60)  # longer than one handler's outside calls may take together
LONGEST_CALL = timedelta(seconds=15)  # connecting and reading (app.providers.signed_gateway), and some
_TRIED_AT_ONCE = 8
# A topic only a newer release knows waits for it (after a roll-back), and stops nobody else's work.
_TOPICS = [topic.value for topic in Topic]
_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed row. `attempts` counts this claim, which nobody else can take before `until`."""

    id: str
    topic: Topic
    subject: str
    attempts: int
    until: datetime

    def may_send(self, now: datetime) -> bool:
        """Whether what is sent now has surely arrived, or never will, before another may hold this row."""
        return now + LONGEST_CALL <= self.until


def add(tx: Connection, topic: Topic, subject: str, due_at: datetime) -> None:
    """Ask for work; asking twice for the same (topic, subject) is one row."""
    row = {
        "id": new_id(Kind.OUTBOX),
        "topic": topic.value,
        "subject": subject,
        "attempts": 0,
        "next_at": due_at,
    }
    insert_once(tx, _outbox, ("topic", "subject"), row)


def claim(tx: Connection, now: datetime, worker: str) -> Work | None:
    """Lease the row that has been due longest, by compare-and-set, so that two never hold the same one.

    None when nothing is due. A worker that dies loses its lease after LEASE, or as soon as a worker of
    the same name starts (`release`).
    """
    due = (
        select(_outbox.c.id, _outbox.c.topic, _outbox.c.subject, _outbox.c.attempts, _outbox.c.next_at)
        .where(_outbox.c.done_at.is_(None), _outbox.c.next_at <= now, _outbox.c.topic.in_(_TOPICS))
        .order_by(_outbox.c.next_at, _outbox.c.id)  # two workers lock rows in one order: no deadlock
        .limit(_TRIED_AT_ONCE)
    )
    while rows := tx.execute(due).all():
        for row in rows:
            taken = tx.execute(
                update(_outbox)
                .where(_outbox.c.id == row.id, _outbox.c.next_at == row.next_at, _outbox.c.done_at.is_(None))
                .values(next_at=now + LEASE, attempts=row.attempts + 1, leased_by=worker)
            )
            if taken.rowcount == 1:
                return Work(row.id, Topic(row.topic), row.subject, row.attempts + 1, now + LEASE)
    return None


def release(tx: Connection, worker: str, now: datetime) -> int:
    """What a worker of this name left behind when it died is due now. Only before it begins anew."""
    left = update(_outbox).where(_outbox.c.leased_by == worker, _outbox.c.done_at.is_(None))
    return tx.execute(left.values(next_at=now, leased_by=None)).rowcount


def holds(tx: Connection, work: Work) -> bool:
    """Whether this claim is the last one. A worker that stood still for longer than its lease may find that
    another has taken its row since; then it decides nothing any more. Locks the row until the commit."""
    return tx.execute(_claimed(work).values(attempts=work.attempts)).rowcount == 1


def _claimed(work: Work) -> Update:
    return update(_outbox).where(
        _outbox.c.id == work.id, _outbox.c.attempts == work.attempts, _outbox.c.done_at.is_(None)
    )


def finish(tx: Connection, work: Work, outcome: str, now: datetime) -> None:
    """The work is done, or there is nothing left to do. Nothing changes when another holds the row by now."""
    tx.execute(_claimed(work).values(done_at=now, outcome=outcome[:64], leased_by=None))


def retry(tx: Connection, work: Work, error: str, now: datetime, after: timedelta | None = None) -> datetime:
    """Try again `after` that long, or by the ladder 1 s, 2 s, 5 s … 10 min. Returns when. Nothing changes
    when another holds the row by now."""
    step = min(work.attempts, len(_BACKOFF_SECONDS)) - 1
    next_at = now + (after or timedelta(seconds=_BACKOFF_SECONDS[step]))
    tx.execute(_claimed(work).values(next_at=next_at, last_error=error[:200], leased_by=None))
    return next_at


def reopen(tx: Connection, topic: Topic, subject: str, now: datetime) -> bool:
    """Make finished or missing work due again (the sweep uses it). True when it changed anything."""
    add(tx, topic, subject, now)
    changed = tx.execute(
        update(_outbox)
        .where(_outbox.c.topic == topic.value, _outbox.c.subject == subject, _outbox.c.done_at.is_not(None))
        .values(done_at=None, outcome=None, next_at=now)
    )
    return changed.rowcount > 0


def wake(tx: Connection, topic: Topic, subject: str, now: datetime) -> None:
    """Work that waits is due now. Not what a worker holds: it must not be taken from it before its time."""
    mine = (_outbox.c.topic == topic.value) & (_outbox.c.subject == subject)
    idle = _outbox.c.done_at.is_(None) & _outbox.c.leased_by.is_(None) & (_outbox.c.next_at > now)
    tx.execute(update(_outbox).where(mine, idle).values(next_at=now))


def begun(tx: Connection, topic: Topic, subject: str) -> bool:
    """Whether `start_once` was said of this work, or it is done."""
    mine = (_outbox.c.topic == topic.value) & (_outbox.c.subject == subject)
    return tx.execute(select(_outbox.c.id).where(mine, _outbox.c.outcome.is_not(None))).first() is not None


def waiting(tx: Connection) -> dict[str, int]:
    """Unfinished rows by topic."""
    unfinished = select(_outbox.c.topic, func.count()).where(_outbox.c.done_at.is_(None))
    return {row[0]: row[1] for row in tx.execute(unfinished.group_by(_outbox.c.topic))}


def start_once(tx: Connection, work_id: str) -> bool:
    """Mark work that must not be done twice as begun. False when an earlier try began and never ended."""
    begun = update(_outbox).where(_outbox.c.id == work_id, _outbox.c.outcome.is_(None))
    return tx.execute(begun.values(outcome="begun")).rowcount == 1


def start_over(tx: Connection, work_id: str) -> None:
    """The begun work was certainly not done: it may be begun again."""
    tx.execute(update(_outbox).where(_outbox.c.id == work_id).values(outcome=None))
