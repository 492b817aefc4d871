"""Working the outbox: claim what is due, call the one flow behind each topic, record how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.domain.orders import Topic
from app.flows import (
    batch,
    check_relative,
    deliver,
    refunds,
    tell,
    tell_device,
    tell_guardians,
    tell_help,
    watch,
    watch_request,
    watch_standing,
)
from app.flows.deps import Deps
from app.flows.verdicts import Done, Later, Verdict
from app.store import notices, outbox
from app.store.outbox import Work

log = logging.getLogger(__name__)

ALARM_AFTER_ATTEMPTS = 12

HANDLERS: dict[Topic, Callable[[Deps, Work], Verdict]] = {
    Topic.WATCH_PAYMENT: lambda deps, work: watch.payment(deps, work.subject),
    Topic.CLOSE_PAYMENT: lambda deps, work: watch.close_payment(deps, work.subject),
    Topic.DELIVER: lambda deps, work: deliver.deliver(deps, work),
    Topic.WATCH_PROMISE: lambda deps, work: watch.promise(deps, work.subject),
    Topic.REFUND: lambda deps, work: refunds.order(deps, work.subject),
    Topic.RETURN_STRAY: lambda deps, work: refunds.stray(deps, work.subject),
    Topic.STRAY_RETURNED: lambda deps, work: tell.stray_returned(deps, work.subject, work.id),
    Topic.SEND_BATCH: lambda deps, work: batch.send(deps, work),
    Topic.ASK_RELATIVES: lambda deps, work: check_relative.tell_relatives(deps, work.subject),
    Topic.DEVICE_NEW: lambda deps, work: tell_device.device_new(deps, work.subject, work.id),
    # the family is asked to pay
    Topic.PAY_REQUEST: watch_request.tell_relative,
    Topic.REQUEST_NEXT: watch_request.look,
    Topic.REQUEST_UNMET: watch_request.tell_elder,
    Topic.STANDING: watch_standing.look,
    Topic.STANDING_ENDED: watch_standing.tell_ended,
    Topic.PROPOSAL: watch_standing.tell_proposal,
    Topic.PROPOSAL_OVER: watch_standing.expire,
    Topic.HELP_ASKED: lambda deps, work: tell_help.asked(deps, work.subject),
    Topic.HELP_OVER: lambda deps, work: tell_help.over(deps, work.subject),
    Topic.ALERT: tell_guardians.tell,
    Topic.ALERT_ANSWER: tell_guardians.tell,
    Topic.HELD: tell_guardians.tell,
    Topic.RECEIPT: lambda deps, work: tell.tell(deps, work.topic, work.subject, work.id),
    Topic.ENDED_UNPAID: lambda deps, work: tell.tell(deps, work.topic, work.subject, work.id),
    Topic.LATE: lambda deps, work: tell.tell(deps, work.topic, work.subject, work.id),
    # --- the family: delegated top-up ---
    Topic.TOPPED_UP_FOR_YOU: lambda deps, work: tell.topped_up_for_you(deps, work.subject, work.id),
}


def drain(deps: Deps, limit: int = 200, worker: str = "worker") -> int:
    """Do what is due, until nothing is or `limit` rows were handled. Returns how many were."""
    for handled in range(limit):
        with deps.database.write() as tx:
            work = outbox.claim(tx, deps.clock.now(), worker)
        if work is None:
            return handled
        _handle(deps, work)
    return limit


def _handle(deps: Deps, work: Work) -> None:
    try:
        verdict: Verdict = HANDLERS[work.topic](deps, work)
    except Exception as fault:  # a fault in one row must not stop the others; it is retried and alarmed
        log.exception("outbox handler failed", extra={"topic": work.topic, "subject": work.subject})
        verdict = Later(type(fault).__name__)
    now = deps.clock.now()
    with deps.database.write() as tx:
        if isinstance(verdict, Done):
            outbox.finish(tx, work, verdict.outcome, now)
            return
        next_at = outbox.retry(tx, work, verdict.error, now, verdict.after)
        if work.attempts >= ALARM_AFTER_ATTEMPTS and not verdict.expected:
            notices.alarm(tx, "outbox_stuck", f"{work.topic}:{work.subject}", verdict.error, now)
    deps.nudge((next_at - now).total_seconds())
