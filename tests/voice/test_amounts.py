"""Sums of money as people say them, to the fen, and back: never a float, never a guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.ports import Hypothesis
from app.voice import Decision, State, understand
from app.voice.amounts import MOST_FEN, spoken_amount, spoken_digits
from app.voice.normalise import MOST_CHARACTERS, PAUSE, UNKNOWN, normalise, read_digits

VECTORS = Path(__file__).resolve().parents[1] / "data" / "vectors" / "spoken_amounts_zh.json"
NUMERALS = "零一二两三四五六七八九十百千万幺廿卅俩半块元角毛分钱整点蚊不对到别充，。0123456789.,¥￥ "


def vectors() -> list[Any]:
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text("utf-8"))["items"]
    return [pytest.param(each["text"], each["fen"], id=each["text"]) for each in found]


def test_there_are_forty_vectors() -> None:
    assert len(vectors()) == 40


def sum_of(text: str, state: State = State.AMOUNT) -> int | None:
    """The sum that is believed without asking again, in fen."""
    meant = understand((Hypothesis(text, -0.3),), state)
    return meant.amount_fen if meant.decision is Decision.ACCEPT else None


# Sums so large, or said so rarely, that they are asked again.
ASKED_AGAIN = {"一万"}


@pytest.mark.parametrize(("text", "amount_fen"), vectors())
def test_a_vector_is_read_to_the_fen_or_not_at_all(text: str, amount_fen: int | None) -> None:
    assert sum_of(text) == (None if text in ASKED_AGAIN else amount_fen)
    assert sum_of(f"充{text}") in (None, amount_fen)


# --- the law: what we say, we understand ---


@given(st.integers(1, 10_000_000))
@settings(max_examples=200, deadline=None)
@example(1)
@example(205)
@example(15_000)
@example(10_500)
@example(1_000_000)
@example(10_000_000)
def test_no_sum_we_say_is_understood_as_another(amount_fen: int) -> None:
    read = sum_of(spoken_amount(amount_fen))
    assert read is None or (read == amount_fen and type(read) is int)


@given(st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_the_sums_people_ask_for_are_understood_when_we_say_them(tens: int) -> None:
    if tens != 23:  # 二百三 is also 二百三十: asked again
        assert sum_of(f"充{spoken_amount(tens * 1000)}", State.ANY) == tens * 1000


@given(st.integers(1, 1000))
@settings(max_examples=60, deadline=None)
def test_whole_yuan_written_in_digits_are_never_another_sum(yuan: int) -> None:
    for text in (f"充{yuan}块", f"{yuan}元", f"¥{yuan}", f"充 {yuan} 块钱", f"{yuan}.00元"):
        assert sum_of(text) in (None, yuan * 100)


@given(st.integers(1, 10_000_000))
@settings(max_examples=100, deadline=None)
def test_a_sum_written_with_two_decimals_is_never_another_sum(amount_fen: int) -> None:
    yuan, rest = divmod(amount_fen, 100)
    assert sum_of(f"{yuan}.{rest:02d}元") in (None, amount_fen)


# --- how people really say it ---


@pytest.mark.parametrize(
    ("text", "amount_fen"),
    [
        ("一百五", 15_000),
        ("一百零五", 10_500),
        ("一百五十", 15_000),
        ("一千二", 120_000),
        ("一千零二十", 102_000),
        ("三十块五", 3050),
        ("三十块零五分", 3005),
        ("两块五毛三", 253),
        ("一块半", 150),
        ("两百", 20_000),
        ("俩百", 20_000),
        ("廿五块", 2500),
        ("卅", 3000),
        ("贰拾元整", 2000),
        ("一五零", 15_000),
        ("幺二零块", 12_000),
        ("１５０块", 15_000),
        ("150.5", 15_050),
        ("1,200元", 120_000),
        ("充伍拾圆", 5000),
        ("一萬塊", 1_000_000),
        ("五十，不对，一百", 10_000),
        ("充一百块，错了，二百", 20_000),
        ("一百块，一百块", 10_000),
    ],
)
def test_everyday_ways_to_say_a_sum(text: str, amount_fen: int) -> None:
    assert sum_of(text) == amount_fen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "，。",
        "充值",
        "充点钱",
        "零块",
        "零",
        "0元",
        "0.00元",
        "负五十",
        "-50",
        "-50元",
        "五十美元",
        "五十或者一百",
        "五十到一百",
        "充五十，给老伴充一百",
        "不要充一百",
        "别充一百",
        "没充一百",
        "充五六十块",
        "一百多块",
        "几十块",
        "充几十块",
        "十几块",
        "三四十块",
        "充三五百",
        "充一两百",
        "五毛",
        "八分",
        "五五",
        "五五块",
        "百千",
        "一百一百",
        "0.005元",
    ],
)
def test_what_is_not_one_exact_sum_is_believed_nowhere(text: str) -> None:
    assert [sum_of(text, state) for state in State] == [None] * len(State)


@given(st.text(alphabet=NUMERALS, max_size=30) | st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_positive_whole_number_of_fen_or_nothing(text: str) -> None:
    amount_fen = sum_of(text)
    assert amount_fen is None or (type(amount_fen) is int and 0 < amount_fen < MOST_FEN)


# --- what we say ---


@pytest.mark.parametrize(
    ("amount_fen", "said"),
    [
        (0, "零元"),
        (1, "一分"),
        (20, "两角"),
        (205, "两元零五分"),
        (250, "两元五角"),
        (1500, "十五元"),
        (3050, "三十元五角"),
        (5000, "五十元"),
        (10_500, "一百零五元"),
        (15_000, "一百五十元"),
        (20_000, "两百元"),
        (22_200, "两百二十二元"),
        (100_001, "一千元零一分"),
        (2_000_000, "两万元"),
        (12_000_000, "十二万元"),
    ],
)
def test_sums_are_said_as_people_say_them(amount_fen: int, said: str) -> None:
    assert spoken_amount(amount_fen) == said


@pytest.mark.parametrize("amount_fen", [-1, MOST_FEN])
def test_a_sum_without_words_is_refused(amount_fen: int) -> None:
    with pytest.raises(ValueError, match="not a sum"):
        spoken_amount(amount_fen)


def test_numbers_are_read_out_digit_by_digit() -> None:
    assert spoken_digits("0216") == "零二幺六"
    assert spoken_digits("12345-6 x") == "幺二三四五六"


# --- before anything is read ---


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("麻煩幫我充三十塊錢", "麻烦帮我充三十块钱"),
        ("充 50 块！", "充五十块"),
        ("五十...块", f"五十{PAUSE}块"),
        ("充100.50元", "充一百点五元"),
        ("充abc块", f"充{UNKNOWN}块"),
        ("Mm-hm", "嗯嗯"),
        ("充50 60", f"充五十{PAUSE}六十"),
        ("007", "零零七"),
        ("☎！", UNKNOWN),
    ],
)
def test_all_writing_becomes_one_kind_of_chinese(text: str, read: str) -> None:
    assert normalise(text) == read


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_normalised_text_is_short_chinese_and_stays_as_it_is(text: str) -> None:
    read = normalise(text)
    assert len(read) <= MOST_CHARACTERS
    assert all(each in PAUSE + UNKNOWN or each >= "\u3400" for each in read)
    assert normalise(read) == read


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "零"),
        ("10", "十"),
        ("110", "一百一十"),
        ("1005", "一千零五"),
        ("20300", "二万零三百"),
        ("10000000", "一千万"),
        ("100.5", "一百点五"),
    ],
)
def test_written_numbers_are_read_as_people_read_them(digits: str, words: str) -> None:
    assert read_digits(digits) == words
