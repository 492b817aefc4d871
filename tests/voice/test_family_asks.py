"""Asking the family by voice or touch: one question a turn, and a name is never guessed."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import AppError
from app.ports import Hypothesis
from app.voice import Decision, Intent, State, Understanding, understand
from app.voice.dialogue import Do, KnownCard, Memory, Move
from app.voice.family_asks import KnownRelative, named, on_choice, on_speech, understood

MINE, HERS = KnownCard("card-1", "我的老年卡"), KnownCard("card-2", "老伴")
DAUGHTER, SON = KnownRelative("rel-1", "女儿"), KnownRelative("rel-2", "儿子")
ONE, TWO, FAMILY = [MINE], [MINE, HERS], [DAUGHTER, SON]
READ_BACK = Memory(State.CONFIRM, 5000, "card-1", shown=Do.ASK_READ_BACK, asking=True, relative_id="rel-1")
ASKED_WHOM = Memory(State.CARD, 5000, shown=Do.ASK_RELATIVE, asking=True)


def said(intent: Intent, amount_fen: int | None = None, words: str | None = None) -> Understanding:
    return Understanding(intent, amount_fen, None, words, Decision.ACCEPT, (), 0.9, ())


def heard(text: str, memory: Memory | None = None) -> Move | None:
    memory = memory or Memory()
    meant = understood([Hypothesis(text, 0.0, "free")], memory.state, FAMILY)
    return on_speech(memory, meant, ONE, FAMILY)


def form(move: Move | None) -> tuple[Do, str | None, int | None]:
    assert move is not None
    return move.do, move.memory.relative_id, move.memory.amount_fen


@pytest.mark.parametrize(
    ("text", "relative_id", "amount_fen"),
    [
        ("请我女儿帮我充五十", "rel-1", 5000),
        ("让我女儿充五十块", "rel-1", 5000),
        ("叫儿子给我充一百块钱", "rel-2", 10_000),
        ("让我女儿帮我充一百五十元", "rel-1", 15_000),
    ],
)
def test_all_in_one_sentence_is_read_back_at_once(text: str, relative_id: str, amount_fen: int) -> None:
    assert form(heard(text)) == (Do.ASK_READ_BACK, relative_id, amount_fen)


@pytest.mark.parametrize(
    ("text", "whom", "amount_fen"),
    [
        ("让小梅帮我充五十", "小梅", 5000),
        ("请小妹帮我充五十块", "小梅", 5000),
        ("叫建国给我充一百", "建国", 10_000),
        ("请王晓梅帮我充五十元", "王晓梅", 5000),
        ("让我女儿充五十", "女儿", 5000),
    ],
)
def test_a_name_that_is_no_word_of_ours_is_heard_too(text: str, whom: str, amount_fen: int) -> None:
    others = [KnownRelative(f"rel-{name}", name) for name in ("老王", "老李") if name != whom]
    family = [KnownRelative("rel-1", whom), *others]
    meant = understood([Hypothesis(text, 0.0, "free")], State.HOME, family)
    assert (meant.intent, meant.amount_fen) == (Intent.ASK_FAMILY, amount_fen)
    assert named(meant.card_words, family) == "rel-1"


@pytest.mark.parametrize("text", ["充五十块", "给小梅的卡充五十", "查一下余额", "小梅充了五十块", "不充了"])
def test_a_name_changes_nothing_about_what_is_no_request_to_the_family(text: str) -> None:
    heard_as = [Hypothesis(text, 0.0, "free")]
    family = [KnownRelative("rel-1", "小梅")]
    assert understood(heard_as, State.HOME, family) == understand(heard_as, State.HOME)


def test_without_a_sum_it_is_asked_for_and_then_read_back() -> None:
    move = heard("请我女儿帮我充值")
    assert form(move) == (Do.ASK_AMOUNT, "rel-1", None)
    assert move is not None and form(heard("五十块", move.memory)) == (Do.ASK_READ_BACK, "rel-1", 5000)


def test_a_name_nobody_has_is_asked_for_and_answered_by_voice_or_touch() -> None:
    move = heard("请我孙子帮我充五十")
    assert form(move) == (Do.ASK_RELATIVE, None, 5000) and move is not None
    assert form(heard("儿子", move.memory)) == (Do.ASK_READ_BACK, "rel-2", 5000)
    touched = on_choice(move.memory, "relative:rel-1", ONE, FAMILY)
    assert form(touched) == (Do.ASK_READ_BACK, "rel-1", 5000)


def test_a_misheard_name_never_becomes_a_top_up_of_ones_own() -> None:
    move = on_speech(ASKED_WHOM, said(Intent.SELECT_CARD, words="孙子"), ONE, FAMILY)
    assert move is not None and move.do is Do.AGAIN and move.memory.asking


@pytest.mark.parametrize(
    ("words", "whom"),
    [
        ("女儿", "rel-1"),
        ("大女儿", "rel-1"),
        ("女而", "rel-1"),
        ("儿子", "rel-2"),
        ("老伴", None),
        (None, None),
    ],
)
def test_a_name_is_matched_by_how_it_is_written_or_sounds(words: str | None, whom: str | None) -> None:
    assert named(words, FAMILY) == whom


def test_a_name_that_fits_two_is_nobodys_and_a_lone_relative_needs_no_name() -> None:
    twins = [KnownRelative("a", "大女儿"), KnownRelative("b", "小女儿")]
    assert named("女儿", twins) is None
    assert named(None, [SON]) == "rel-2" and named("女儿", [SON]) is None


def test_a_yes_sends_what_was_read_back_and_another_sum_is_read_back_anew() -> None:
    move = on_speech(READ_BACK, said(Intent.CONFIRM), ONE, FAMILY)
    assert form(move) == (Do.SEND_ASK, "rel-1", 5000) and move is not None
    assert move.memory.again is Do.ASKED and not move.memory.asking
    other = on_speech(READ_BACK, said(Intent.CONFIRM, 10_000), ONE, FAMILY)
    assert form(other) == (Do.ASK_READ_BACK, "rel-1", 10_000)
    assert on_speech(Memory(), said(Intent.CONFIRM), ONE, FAMILY) is None


def test_a_touch_is_bound_to_what_was_read_back() -> None:
    assert form(on_choice(Memory(), "ask:rel-2:card-1:5000", ONE, FAMILY)) == (Do.SEND_ASK, "rel-2", 5000)
    for stale in ("ask:rel-9:card-1:5000", "ask:rel-1:card-9:5000", "ask:rel-1:card-1:0", "ask:x", "ask:::"):
        with pytest.raises(AppError) as fault:
            on_choice(Memory(), stale, ONE, FAMILY)
        assert fault.value.code == "choice_unknown"


def test_with_two_cards_it_is_asked_which() -> None:
    move = on_speech(Memory(), said(Intent.ASK_FAMILY, 5000, "女儿"), TWO, FAMILY)
    assert form(move) == (Do.ASK_CARD, "rel-1", 5000) and move is not None
    assert form(on_choice(move.memory, "card:card-2", TWO, FAMILY)) == (Do.ASK_READ_BACK, "rel-1", 5000)


def test_another_wish_leaves_the_family_alone() -> None:
    for intent in (Intent.BALANCE, Intent.CANCEL, Intent.AGENT, Intent.REPEAT):
        assert on_speech(READ_BACK, said(intent), ONE, FAMILY) is None
    move = on_speech(READ_BACK, said(Intent.TOP_UP), ONE, FAMILY)
    assert move is not None and (move.do, move.memory.asking) == (Do.ASK_AMOUNT, False)


def test_without_a_card_or_a_relative_it_says_what_comes_first() -> None:
    assert form(on_choice(Memory(), "ask_family", [], FAMILY))[0] is Do.BIND_CARD
    assert form(on_choice(Memory(), "ask_family", ONE, []))[0] is Do.ASK_FAMILY


@given(st.text(max_size=60), st.sampled_from([Memory(), READ_BACK, ASKED_WHOM]))
@settings(max_examples=300, deadline=None)
def test_whatever_button_comes_it_is_a_step_or_not_ours(choice: str, memory: Memory) -> None:
    with contextlib.suppress(AppError):
        move = on_choice(memory, choice, TWO, FAMILY)
        assert move is None or isinstance(move.do, Do)


def test_the_form_survives_its_row() -> None:
    assert Memory.load(json.loads(json.dumps(READ_BACK.dump()))) == READ_BACK
    old = READ_BACK.dump()
    del old["asking"], old["relative_id"]
    assert Memory.load(old).asking is False  # a row of the release before
