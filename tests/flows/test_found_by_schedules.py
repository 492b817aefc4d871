"""The shortest schedules of defects that the money machine found. Each is played to its end, and balances."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.orders import State
from tests import postgres
from tests.conftest import DATABASES
from tests.flows.money_acts import Act, Between, Story
from tests.flows.money_checks import Watcher
from tests.flows.money_end import end
from tests.flows.money_ground import Ground, ground_in

PAID = (("confirm", 0), ("sheet", 0, 0, "pay"))


@pytest.fixture(scope="module", params=DATABASES)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    url = None
    if request.param == "postgresql":
        server: postgres.Server = request.getfixturevalue("postgres_server")
        url = server.fresh_database
    with ground_in("guangzhou", url) as made:
        yield made


def wish(amount_fen: int) -> Act:
    return ("open", 0, 0, amount_fen, "wechat_balance", None)


def played(ground: Ground, *acts: Act, last: Act | None = None, between: Between | None = None) -> Story:
    """Do the acts, `last` with something in between; check after each, and at the end."""
    with ground.world() as world:
        story, watcher = Story(world), Watcher(world)
        for act in acts:
            story.do(act)
            watcher.look()
        if last is not None:
            story.do(last, between)
            watcher.look()
        end(story, watcher)
    return story


def ends(story: Story) -> list[str]:
    return [name.removeprefix("end ") for name in story.counts if name.startswith("end ")]


@pytest.mark.parametrize("first", [0, 1], ids=["the first told first", "the second told first"])
def test_two_payments_and_a_refused_credit_both_go_home_whichever_we_hear_of_first(
    ground: Ground, first: int
) -> None:
    """The order's refund named the order, so WeChat took the first payment though ours was the second."""
    letters = (("letter", first, False), ("letter", 0, False))
    late = (("send_notices", False), ("pay_again", 0), ("send_notices", False))
    story = played(ground, wish(5031), *PAID, *late, *letters, ("work", 0, 8))
    assert ends(story) == [State.REFUNDED]


def test_a_stray_payment_a_person_sent_home_leaves_no_case_open(ground: Ground) -> None:
    """The case of an ABNORMAL refund was closed only when the refund was an order's."""
    story = played(
        ground, wish(5009), *PAID, ("send_notices", True), ("pay_again", 0), ("send_notices", True)
    )
    assert ends(story) == [State.COMPLETED]


@pytest.mark.parametrize("moment", range(15))
def test_the_channel_of_an_order_is_not_taken_back_while_somebody_else_asks_there(
    ground: Ground, moment: int
) -> None:
    """Two taps at once, and a 429 for one of them: the other one's payment had no channel any more."""
    between = (moment, (("confirm", 0),))
    story = played(ground, wish(5012), last=("confirm", 0), between=between)
    assert ends(story) == [State.EXPIRED]
    story = played(ground, wish(5012), ("outage", "primary", "refuses"), last=("confirm", 0), between=between)
    assert ends(story) == [State.EXPIRED]


@pytest.mark.parametrize("moment", range(15))
def test_a_worker_that_stood_still_credits_nothing_that_another_sent_home(
    ground: Ground, moment: int
) -> None:
    """It had read the order before it stood still; another found no room and sent all home; then there was
    room again, and the first one credited what was on its way home."""
    meanwhile = (("stalled_work", 1, 8), ("card", 0, "room", 300_000))
    paid = (wish(5000), *PAID, ("send_notices", True), ("card", 0, "room", 0))
    story = played(ground, *paid, last=("work", 0, 8), between=(moment, meanwhile))
    assert ends(story) in ([State.REFUNDED], [State.COMPLETED])


@pytest.mark.parametrize("moment", range(15))
def test_what_was_credited_is_booked_whatever_another_worker_had_decided_to_credit(
    ground: Ground, moment: int
) -> None:
    """A worker stood still for longer than its lease; meanwhile another found room for a part only, and the
    card was ridden with. The whole was credited, a part was booked, and the rest went home too."""
    meanwhile = (("stalled_work", 1, 8), ("card", 0, "room", 300_000))
    paid = (wish(10_000), *PAID, ("send_notices", True), ("card", 0, "room", 3000))
    story = played(ground, *paid, last=("work", 0, 8), between=(moment, meanwhile))
    assert ends(story) == [State.COMPLETED]


@pytest.mark.parametrize("moment", range(17, 27))
def test_a_promise_that_is_found_kept_at_the_last_moment_leaves_no_case_open(
    ground: Ground, moment: int
) -> None:
    """Whoever looked after the promise had read the order before it stood still; another credited it
    meanwhile; then the first one opened a case about a broken promise, which nobody closed."""
    paid = (wish(5000), *PAID, ("send_notices", True), ("card", 0, "room", 3000), ("tick", 3600))
    story = played(ground, *paid, last=("work", 0, 8), between=(moment, (("stalled_work", 1, 8),)))
    assert ends(story) == [State.COMPLETED]
