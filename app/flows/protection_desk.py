"""What protection did in a while: asked why, answered how, held, released by whom, and how often in vain."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from app.domain.protection import COOL_OFF, FALSE_ALARM, Kind
from app.flows.deps import Deps
from app.store import deeds, holds, questions


def report(deps: Deps, days: int) -> dict[str, Any]:
    """Counts of the last `days` days. `false_alarms` are questions after which the person went on, and holds
    that another relative or the desk released."""
    since = deps.clock.now() - timedelta(days=days)
    with deps.database.read() as tx:
        asked, held = questions.since(tx, since), holds.since(tx, since)
    reasons = Counter(reason for question in asked for reason in question.reasons)
    answers = Counter(f"{question.kind}:{question.answer or 'none'}" for question in asked)
    verdicts = Counter(question.verdict or "undecided" for question in asked)
    told = [question for question in asked if question.kind == Kind.TOLD_TO]
    return {
        "days": days,
        "asked": dict(Counter(question.kind for question in asked)),
        "alerted": sum(question.facts.get("alert") is True for question in told),
        "by_reason": dict(reasons.most_common()),
        "answered": dict(sorted(answers.items())),
        "held": len(held),
        "held_why": dict(Counter(hold.reason for hold in held)),
        "released_by": dict(Counter(_who(hold) for hold in held)),
        "verdicts": dict(sorted(verdicts.items())),
        "false_alarms": verdicts[FALSE_ALARM],
    }


def _who(hold: holds.Hold) -> str:
    if hold.released_by is None:
        return "time"
    if hold.released_by.startswith("desk:"):
        return "desk"
    if hold.released_by == hold.placed_by:
        return "its holder"
    return "the elder" if hold.released_by == hold.elder_id else "another relative"


def counts(deps: Deps, days: int = 30) -> list[tuple[str, str, int]]:
    """(kind, verdict, how many questions) of the last days, for the operator's Prometheus."""
    with deps.database.read() as tx:
        return questions.counts(tx, deps.clock.now() - timedelta(days=days))


def cooling(deps: Deps, user_id: str) -> list[questions.Question]:
    """What a person waits for after they said that somebody told them to pay."""
    with deps.database.read() as tx:
        return questions.told_since(tx, user_id, None, deps.clock.now() - COOL_OFF)


def lift_cooling(deps: Deps, user_id: str, operator: str, reason: str) -> int:
    """An operator spoke with the person, and it was no fraud: large sums may be paid again. Returns for how
    many orders; LookupError for none."""
    now = deps.clock.now()
    with deps.database.write() as tx:
        found = questions.told_since(tx, user_id, None, now - COOL_OFF)
        for question in found:
            questions.lift(tx, question, f"desk:{operator}", reason)
            deeds.write(tx, user_id, None, "cool_off_lifted", question.order_id, now)
    if not found:
        raise LookupError(user_id)
    return len(found)
