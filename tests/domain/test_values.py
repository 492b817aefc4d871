"""Money as text, ids, card numbers, clocks and screens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cards import clean_card_number, clean_nickname
from app.domain.clock import FakeClock, as_utc, business_day, iso
from app.domain.ids import Kind, is_id, new_id
from app.domain.money import yuan_short, yuan_text
from app.domain.screens import Choice, Next, Screen


@pytest.mark.parametrize(
    ("fen", "text", "short"),
    [
        (5000, "50.00", "50"),
        (3050, "30.50", "30.50"),
        (1, "0.01", "0.01"),
        (0, "0.00", "0"),
        (-5, "-0.05", "-0.05"),
    ],
)
def test_fen_become_yuan_for_the_eye(fen: int, text: str, short: str) -> None:
    assert yuan_text(fen) == text and yuan_short(fen) == short


@given(st.integers(-(10**12), 10**12))
def test_no_fen_is_lost_between_number_and_text(fen: int) -> None:
    text = yuan_text(fen)
    sign = -1 if text.startswith("-") else 1
    yuan, cents = text.lstrip("-").split(".")
    assert sign * (int(yuan) * 100 + int(cents)) == fen


def test_an_order_id_fits_into_wechats_out_trade_no() -> None:
    order_id = new_id(Kind.ORDER)
    assert len(order_id) == 30 and is_id(order_id, Kind.ORDER) and not is_id(order_id, Kind.CARD)
    assert not is_id("ord_" + "x" * 26, Kind.ORDER)


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("3104870312345678901", "3104870312345678901"),
        (" 3104 8703 1234 5678 901 ", "3104870312345678901"),
        ("３１０４８７０３１２３４５６７８９０１", "3104870312345678901"),
        ("03104870312345678901", "3104870312345678901"),
        ("310487031234567890", None),
        ("31048703123456789012", None),
        ("6222020000000000000", None),
        ("", None),
        ("卡号", None),
        ("310487031234567890²", None),
    ],
)
def test_a_card_number_is_read_as_people_write_it(typed: str, number: str | None) -> None:
    assert clean_card_number(typed) == number


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_card_number(text: str) -> None:
    number = clean_card_number(text)
    assert number is None or (len(number) == 19 and number.isascii() and number.isdigit())


def test_a_nickname_is_only_what_can_be_read_aloud() -> None:
    assert clean_nickname("老伴的卡!<b>") == "老伴的卡b"
    assert clean_nickname("  ") is None and clean_nickname(None) is None
    assert len(clean_nickname("很" * 50) or "") == 12


def test_the_business_day_is_shanghais() -> None:
    assert business_day(datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC)).isoformat() == "2026-11-22"
    assert business_day(datetime(2026, 11, 22, 16, 0, tzinfo=UTC)).isoformat() == "2026-11-23"


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=8))))
    assert clock.now() == clock.now() == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert iso(clock.tick(minutes=5)) == "2025-12-31T16:05:00Z"
    assert as_utc(datetime(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_screen_has_at_most_five_choices_and_can_always_be_spoken() -> None:
    choices = tuple(Choice(str(n), str(n)) for n in range(6))
    with pytest.raises(ValueError, match="five"):
        Screen(say="x", title="x", next=Next.CHOOSE, choices=choices)
    with pytest.raises(ValueError, match="spoken"):
        Screen(say="", title="x", next=Next.CHOOSE)
