"""What a schedule may draw, weighted towards what meets: the newest order, its card, a worker at work."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.flows.money_acts import BENT_LETTERS, CUT, Act, Between

MAGIC = (*range(1, 21), *range(31, 35))
FEW = st.integers(0, 2)
NUMBER = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5])  # of an order, counted from the newest
SAID = st.sampled_from(["ok", "cancelled", "failed"])
# Who wishes what for which card: plain sums, sums with a fee, each sum that asks for a fault; and more often
# those whose fault meets others: no credit, a refund that does not arrive, a prepay or a notice that fails.
_OFTEN = (31, 31, 31, 9, 9, 8, 10, 14, 12, 12, 3, 5, 17, 32, 33)
_SUMS = (
    [(5000, "wechat_balance", None), (10_000, "wechat_balance", None), (90_000, "wechat_balance", None)] * 4
    + [(10_000 + last, "wechat_balance", None) for last in (*MAGIC, *_OFTEN)]
    + [(10_000 + last, "bank_card", "icbc") for last in (0, 21, 31, 33)]
    + [(30_000, "credit_card", None)] * 2
)
WISHES: st.SearchStrategy[Act] = st.tuples(FEW, FEW, st.sampled_from(_SUMS)).map(
    lambda told: ("open", told[0], told[1], *told[2])
)


def one_kind(*kinds: st.SearchStrategy[Act]) -> st.SearchStrategy[Act]:
    """One of them, as a unit: nested choices would be flattened, and the largest group would win."""
    return st.one_of(*kinds).map(tuple)


CONFIRM = st.tuples(st.just("confirm"), NUMBER)
ASKS = one_kind(
    CONFIRM,
    CONFIRM,
    st.tuples(st.just("pay"), NUMBER),
    st.tuples(st.just("result"), NUMBER, SAID),
    st.tuples(st.just("cancel"), NUMBER),
)
SHEET = st.tuples(st.just("sheet"), NUMBER, NUMBER, st.sampled_from(["pay", "pay", "cancel"]))
OF_LETTERS = st.sampled_from([-1, -1, -2, -3, 0, 1])  # counted from the oldest, or back from the newest
LETTER = st.tuples(st.just("letter"), OF_LETTERS, st.booleans())
TELLS = one_kind(
    st.tuples(st.just("send_notices"), st.booleans()),
    LETTER,
    st.tuples(st.just("lose_letter"), OF_LETTERS),
    st.tuples(st.just("bent_letter"), NUMBER, st.integers(0, len(BENT_LETTERS) + 1)),
    st.just(("release_notices",)),
)
OUTAGE = one_kind(
    st.tuples(
        st.just("outage"),
        st.sampled_from(["primary", "primary", "cards", "cards", "standby", "messages"]),
        st.sampled_from(["none", "refuses", "silent", "lost"]),
    )
)
PRIMARY = st.tuples(
    st.just("outage"), st.just("primary"), st.sampled_from(["none", "none", "refuses", "silent", "lost"])
)
CALM = ("calm",)
WEATHER: st.SearchStrategy[tuple[Act, ...]] = st.one_of(
    *[st.just((CALM,))] * 4, st.tuples(st.just(CALM), PRIMARY), st.just(())
)
SELDOM = st.sampled_from([False, False, False, True])
CARD_CHANGES = one_kind(
    st.tuples(
        st.just("card"), NUMBER, st.just("room"), st.sampled_from([3000, 300_000, 0, 7000, 300_000, 25_000])
    ),
    st.tuples(st.just("card"), NUMBER, st.sampled_from(["blocked", "normal"]), st.just(0)),
)
SAME_ASKS = ASKS.map(lambda act: (act[0], 0, *act[2:]))
PAYMENTS = one_kind(
    st.tuples(st.just("pay_late"), NUMBER),
    st.tuples(st.just("pay_again"), NUMBER),
    st.tuples(st.just("settle_refund"), NUMBER),
)
SMALL_TROUBLES = one_kind(st.just(("forget_tokens",)), st.tuples(st.just("subscribe"), FEW, st.booleans()))
OTHER_WORK = one_kind(
    st.tuples(st.just("stalled_work"), st.just(1), st.integers(1, 8)),
    st.tuples(st.just("work"), st.just(1), st.integers(1, 4)),
    st.just(("sweep",)),
)
TIMES = st.sampled_from([1, 5, 30, 61, 300, 660, 960, 1860, 7300, 6 * 3600, 13 * 3600, 3 * 86_400])


# When something happens in between: after so many moments, or at the first moment of that name.
_AT_WORK = ["after read", "before write", "after write", "before credit", "after credit", "after query"]
_AT_WORK += ["after find", "before refund", "after refund", "after query_refund", "before send", "after send"]
_AT_WORK += ["after close", "after batch_result", "after submit_batch"]
_AT_THE_COUNTER = ["after read", "before write", "after write", "before open", "after open", "after query"]
_AT_THE_COUNTER += ["after close", "after find"]
MOMENT_AT_WORK = st.one_of(st.integers(0, 16), st.sampled_from(_AT_WORK))
MOMENT_AT_THE_COUNTER = st.one_of(st.integers(0, 12), st.sampled_from(_AT_THE_COUNTER))


def _some(*kinds: st.SearchStrategy[Act | None]) -> st.SearchStrategy[tuple[Act, ...]]:
    """Some of these, in this order."""
    return st.tuples(*(st.one_of(st.none(), kind, kind) for kind in kinds)).map(_those)


def _those(found: Sequence[Act | None]) -> tuple[Act, ...]:
    return tuple(act for act in found if act is not None)


def _meanwhile(
    moment: st.SearchStrategy[int | str], acts: st.SearchStrategy[tuple[Act, ...]]
) -> st.SearchStrategy[Between | None]:
    """Nothing, or at some moment the power goes, or something happens."""
    return st.none() | st.tuples(moment, st.one_of(st.just((CUT,)), acts, acts, acts)).map(tuple)


AT_WORK = _meanwhile(MOMENT_AT_WORK, _some(CARD_CHANGES, one_kind(ASKS, LETTER), OTHER_WORK, CARD_CHANGES))
AT_THE_COUNTER = _meanwhile(
    MOMENT_AT_THE_COUNTER,
    _some(st.none() | PRIMARY, ASKS, one_kind(SHEET, LETTER, OTHER_WORK), st.none() | PRIMARY),
)
# The two closest races: two workers at one order while its card changes, and two taps while WeChat does.
STALLED = st.just(("stalled_work", 1, 8))
TWO_WORKERS: st.SearchStrategy[Between] = st.tuples(
    MOMENT_AT_WORK,
    st.tuples(st.none() | CARD_CHANGES, STALLED, st.none() | CARD_CHANGES).map(_those),
).map(tuple)
TWO_TAPS: st.SearchStrategy[Between] = st.tuples(
    MOMENT_AT_THE_COUNTER, st.tuples(st.none() | PRIMARY, SAME_ASKS, st.none() | PRIMARY).map(_those)
).map(tuple)

# One order from its beginning: how it is paid, what follows, and how WeChat tells.
SHEETS = st.sampled_from([(("sheet", 0, 0, "pay"),)] * 4 + [(("sheet", 0, 0, "cancel"),), ()])
FOLLOWS: st.SearchStrategy[list[Act]] = st.lists(
    st.one_of(
        SAME_ASKS,
        st.sampled_from([("pay_again", 0), ("pay_late", 0), ("sheet", 0, 0, "pay")]),
        st.sampled_from([("tick", 5), ("tick", 61), ("tick", 960), ("tick", 1860), ("sweep",)]),
        one_kind(OUTAGE, st.tuples(st.just("bent_letter"), st.just(0), st.integers(0, 17))),
    ),
    max_size=2,
)
NOTICES = st.one_of(
    st.just((("send_notices", True),)),
    st.just((("send_notices", False),)),
    st.tuples(st.just(("send_notices", False)), LETTER),
    st.tuples(st.just(("send_notices", False)), LETTER, LETTER),
)
# What else may happen; as one, because what is chosen by rules is often switched off for whole schedules.
ANYTHING = st.one_of(
    SHEET, st.tuples(st.just("look"), NUMBER), TELLS, OUTAGE, CARD_CHANGES, PAYMENTS, SMALL_TROUBLES
)
OWN_WORK = one_kind(
    st.tuples(st.just("work"), FEW, st.integers(1, 8)),
    st.just(("sweep",)),
    st.tuples(st.just("restart_worker"), st.integers(0, 1)),
)
