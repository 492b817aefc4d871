"""How a schedule ends: the faults end, time runs, the workers work. Then nothing may be left over."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.orders import CERTAINTY, ENDS, GOING_HOME, PAY_ACCOUNTS, PAYMENT_WINDOW, UNPAID, State
from app.providers.sandbox.outages import WHO
from tests.flows.money_acts import WORKERS, Story
from tests.flows.money_checks import PAID_TRADE, Ours, Theirs, Watcher, moment

# Amounts whose notice never tells the truth: a payment that a query by order number does not show either (a
# second one, or one for a closed order) is found by the next day's bill alone.
UNTOLD = (5, 7, 18, 20)
_ENOUGH = 400
_MOMENTS = 2_000  # what a relative holds is looked at every five minutes, for a day at most
_UNFINISHED = (
    "SELECT topic, subject, next_at FROM outbox WHERE done_at IS NULL AND subject NOT IN"
    " (SELECT subject FROM cases WHERE kind IN ('refund_abnormal', 'refund_closed') AND resolved_at IS NULL)"
)


def end(story: Story, watcher: Watcher) -> None:
    """Bring a schedule to rest and check what is left, before and after people did their part."""
    _faults_end(story)
    _level_one(story, watcher)
    _come_to_rest(story)
    ours, theirs = watcher.look()
    _nothing_left(ours, theirs, story)
    story.counts["waited for a person"] += sum(map(ours.waits_for_a_person, ours.orders))
    abnormal = [refund for refund in theirs.refunds if refund["state"] == "ABNORMAL"]
    for _ in abnormal:
        story.do(("settle_refund", 0))
    if abnormal:
        _come_to_rest(story)
        ours, theirs = watcher.look()
        _nothing_left(ours, theirs, story, people_are_done=True)
    _everybody_sees_the_truth(story, ours)


def _faults_end(story: Story) -> None:
    for who in WHO:
        story.do(("outage", who, "none"))
    story.world.letters.clear()  # WeChat sends them again
    story.world.restart_web()
    for worker in range(len(WORKERS)):
        story.do(("restart_worker", worker))
    story.do(("release_notices",))


def _run(story: Story) -> None:
    """What a healthy minute does, until nothing is due."""
    story.do(("sweep",))
    for _ in range(_ENOUGH):
        story.do(("send_notices", True))
        story.do(("work", 0, 200))
        if not _due(story, story.world.clock.now()):
            return
    raise AssertionError("the worker never came to rest")


def _level_one(story: Story, watcher: Watcher) -> None:
    """No payment stays uncertain for more than half an hour, once WeChat answers (PRODUCT.md "Money")."""
    for duration in (timedelta(), PAYMENT_WINDOW, CERTAINTY - PAYMENT_WINDOW):
        story.do(("tick", int(duration.total_seconds())))
        _run(story)
    ours, _theirs = watcher.look()
    uncertain = [order["id"] for order in ours.orders.values() if State(order["state"]) in UNPAID]
    assert not uncertain, uncertain


def _due(story: Story, until: datetime) -> list[tuple[str, str, datetime]]:
    """(topic, subject, when) of unfinished work that is due by then; what waits for a person is not."""
    rows = story.world.ours.rows(_UNFINISHED)
    found = [(row["topic"], row["subject"], moment(row["next_at"])) for row in rows]
    return [row for row in found if row[2] <= until]


def _come_to_rest(story: Story) -> None:
    """Let time run from one due moment to the next, until nothing is left to do by itself."""
    far = story.world.clock.now() + timedelta(days=3650)
    for _ in range(_MOMENTS):
        _run(story)
        waiting = _due(story, far)
        if not waiting:
            return
        pause = min(when for _topic, _subject, when in waiting) - story.world.clock.now()
        story.do(("tick", max(1, int(pause.total_seconds()) + 1)))
    raise AssertionError(f"never came to rest: {waiting}")


def _nothing_left(ours: Ours, theirs: Theirs, story: Story, people_are_done: bool = False) -> None:
    for order in ours.orders.values():
        state = State(order["state"])
        waits = state in GOING_HOME and ours.waits_for_a_person(order["id"]) and not people_are_done
        assert state in ENDS or waits, (order["id"], state)
    for stray in ours.strays:
        waits = ours.waits_for_a_person(stray["id"]) and not people_are_done
        assert stray["state"] == "resolved" or waits, dict(stray)
    open_cases = [
        dict(case)
        for case in ours.cases
        if case["resolved_at"] is None
        and case["kind"] != "channel_outage"  # its process may be gone: a person closes it
        and (people_are_done or not ours.waits_for_a_person(case["subject"]))
    ]
    assert not open_cases, open_cases
    _conserved(ours, theirs, story)


def _conserved(ours: Ours, theirs: Theirs, story: Story) -> None:
    """What WeChat holds for us is what our ledger says, and what it never told us of."""
    known = {order["transaction_id"] for order in ours.orders.values()}
    known |= {stray["transaction_id"] for stray in ours.strays}
    held: dict[str, int] = {}
    for channel, account in PAY_ACCOUNTS.items():
        held[account] = 0
        merchant_id = story.world.deps.pays[channel].merchant_id
        for trade in theirs.trades:
            if trade["merchant_id"] != merchant_id or trade["state"] not in PAID_TRADE:
                continue
            if trade["transaction_id"] in known:
                held[account] += trade["amount_fen"] - theirs.returned(trade["transaction_id"])
            else:
                assert trade["amount_fen"] % 100 in UNTOLD, trade
                story.counts["known by the bill alone"] += 1
    for account, fen in held.items():
        assert ours.balance.accounts.get(account, 0) == fen, (account, fen, ours.balance.accounts)


def _everybody_sees_the_truth(story: Story, ours: Ours) -> None:
    for number, placed in enumerate(story.placed):
        story.do(("look", number))
        story.counts[f"end {ours.orders[placed.id]['state']}"] += 1
