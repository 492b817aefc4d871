"""What may be topped up, to the fen: methods, limits, fees, ceilings and thresholds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cities import City, Method, cities
from app.domain.fees import FeeSchedule
from app.domain.limits import check_amount, check_ceiling, check_real_name, is_large, offered_method
from app.errors import AppError

LIMITS = {
    "wechat_balance": (5_000, 200_000),
    "bank_card": (10_000, 500_000),
    "credit_card": (30_000, 100_000),
}
OFFERED = [(name, method.name) for name, city in cities().items() for method in city.methods]
OFF = [(name, method.name) for name, city in cities().items() for method in city.methods_off]
SUMS = st.integers(1, 10_000_000)


def verdict(city: City, method: str, amount_fen: int) -> str | None:
    try:
        check_amount(offered_method(city, method), amount_fen)
    except AppError as fault:
        return fault.code
    return None


@pytest.mark.parametrize(("city", "method"), OFFERED)
def test_the_limits_are_inclusive_and_exact_to_the_fen(city: str, method: str) -> None:
    least, most = LIMITS[method]
    for amount_fen, code in (
        (1, "amount_too_small"),
        (least - 1, "amount_too_small"),
        (least, None),
        (least + 1, None),
        (most - 1, None),
        (most, None),
        (most + 1, "amount_too_large"),
    ):
        assert verdict(cities()[city], method, amount_fen) == code


@pytest.mark.parametrize(("city", "method"), [*OFF, ("guangzhou", "cash"), ("lanzhou", "")])
def test_a_method_that_is_off_is_refused_and_those_that_work_are_named(city: str, method: str) -> None:
    with pytest.raises(AppError) as refused:
        offered_method(cities()[city], method)
    assert refused.value.code == "method_not_offered" and "没有动您的钱" in refused.value.say
    assert all(each.label in refused.value.say for each in cities()[city].methods)


def test_there_are_methods_on_and_off() -> None:
    assert len(OFFERED) + len(OFF) == 27 and ("lanzhou", "bank_card") in OFF


# --- fees ---


@pytest.mark.parametrize(("city", "method"), OFFERED)
def test_the_balance_is_free_and_the_cards_have_a_fee_for_every_bank(city: str, method: str) -> None:
    found = offered_method(cities()[city], method)
    for amount_fen in LIMITS[method]:
        for bank in (None, "other", "icbc", "nobody"):
            assert (found.fee_fen(amount_fen, bank) == 0) is (method == "wechat_balance")


@pytest.mark.parametrize(
    ("bank", "amount_fen", "fee_fen"),
    [
        # ten basis points, at least 10 fen, at most 300
        ("icbc", 10_000, 10),
        ("icbc", 10_499, 10),
        ("icbc", 10_500, 11),  # 10.5 fen round up
        ("icbc", 299_499, 299),
        ("icbc", 299_500, 300),
        ("icbc", 500_000, 300),
        # fifteen
        ("ccb", 10_000, 15),
        ("ccb", 10_333, 15),
        ("ccb", 10_334, 16),
        ("ccb", 500_000, 400),
        # every other bank: twenty
        ("other", 10_000, 20),
        ("abc", 10_249, 20),
        (None, 10_250, 21),
        (None, 250_000, 500),
        (None, 500_000, 500),
    ],
)
def test_a_banks_fee_is_rounded_half_up_and_kept_within_its_bounds(
    bank: str | None, amount_fen: int, fee_fen: int
) -> None:
    assert offered_method(cities()["guangzhou"], "bank_card").fee_fen(amount_fen, bank) == fee_fen


@pytest.mark.parametrize(
    ("amount_fen", "fee_fen"), [(30_000, 180), (30_083, 180), (30_084, 181), (100_000, 600)]
)
def test_the_credit_cards_fee_is_the_issuers(amount_fen: int, fee_fen: int) -> None:
    assert offered_method(cities()["guangzhou"], "credit_card").fee_fen(amount_fen) == fee_fen


schedules = st.builds(
    lambda bps, bounds: FeeSchedule("other", bps, min(bounds), max(bounds)),
    st.integers(0, 9_999),
    st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)),
)


@given(schedules, SUMS, SUMS)
def test_a_fee_never_falls_when_the_sum_rises_and_stays_within_its_bounds(
    schedule: FeeSchedule, one: int, other: int
) -> None:
    lower, higher = schedule.fee_fen(min(one, other)), schedule.fee_fen(max(one, other))
    assert schedule.least_fen <= lower <= higher <= schedule.cap_fen


@given(st.integers(0, 9_999), SUMS)
def test_a_fee_is_the_nearest_whole_fen_and_half_a_fen_counts_as_one(bps: int, amount_fen: int) -> None:
    fee_fen = FeeSchedule("other", bps, 0, 10**9).fee_fen(amount_fen)
    assert -5_000 <= amount_fen * bps - fee_fen * 10_000 < 5_000


def test_a_method_takes_the_banks_own_schedule_before_the_one_for_others() -> None:
    fees = (FeeSchedule("icbc", 0, 7, 7), FeeSchedule("other", 0, 9, 9))
    method = Method("bank_card", "x", True, 1, 2, fees)
    assert [method.fee_fen(100, bank) for bank in ("icbc", "abc", "other", None)] == [7, 9, 9, 9]
    free = Method("wechat_balance", "x", True, 1, 2)
    assert free.schedule("icbc") is None and free.fee_fen(100, "icbc") == 0


# --- ceilings, thresholds, real names ---


@pytest.mark.parametrize(
    ("balance", "amount", "registered", "fits"),
    [
        (450_000, 50_000, True, True),
        (450_001, 50_000, True, False),
        (0, 500_000, True, True),
        (1, 500_000, True, False),
        (50_000, 50_000, False, True),
        (50_001, 50_000, False, False),
    ],
)
def test_the_balance_never_passes_the_cards_ceiling(
    balance: int, amount: int, registered: bool, fits: bool
) -> None:
    if fits:
        check_ceiling(balance, amount, registered)
    else:
        with pytest.raises(AppError, match="balance_ceiling"):
            check_ceiling(balance, amount, registered)


@pytest.mark.parametrize(
    ("amount_fen", "paid_today_fen", "large"),
    [
        (99_999, 0, False),
        (100_000, 0, True),
        (99_999, 100_000, False),
        (99_999, 100_001, True),
        (5_000, 194_999, False),
        (5_000, 195_000, True),
    ],
)
@pytest.mark.parametrize("name", cities())
def test_a_payment_is_large_from_a_thousand_yuan_or_two_thousand_a_day(
    name: str, amount_fen: int, paid_today_fen: int, large: bool
) -> None:
    assert is_large(cities()[name], amount_fen, paid_today_fen) is large


@pytest.mark.parametrize("name", cities())
def test_only_shanghai_asks_for_a_real_name(name: str) -> None:
    check_real_name(cities()[name], registered=True)
    if name == "shanghai":
        with pytest.raises(AppError, match="real_name_required"):
            check_real_name(cities()[name], registered=False)
    else:
        check_real_name(cities()[name], registered=False)
