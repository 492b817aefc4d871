"""What the conversation does next: one question a turn, and nothing that anybody could take for a yes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.screens import MAX_CHOICES
from app.errors import AppError
from app.voice import Candidate, Decision, Intent, State, Understanding
from app.voice.dialogue import MOST_FEN, Do, KnownCard, Memory, Move, offered_choices, on_choice, on_speech

MINE = KnownCard("card-1", "我的老年卡")
HERS = KnownCard("card-2", "老伴")
ONE, TWO = [MINE], [MINE, HERS]
READ_BACK = Memory(State.CONFIRM, 5000, "card-1", "order-1", shown=Do.READ_BACK)
AMOUNT_ASKED = Memory(State.AMOUNT, None, "card-1", shown=Do.ASK_AMOUNT)


def said(
    intent: Intent,
    amount_fen: int | None = None,
    card_index: int | None = None,
    card_words: str | None = None,
) -> Understanding:
    return Understanding(intent, amount_fen, card_index, card_words, Decision.ACCEPT, (), 0.9, ())


def unclear(decision: Decision = Decision.AGAIN, *choices: Candidate) -> Understanding:
    intent = choices[0].intent if choices else Intent.NONE
    return Understanding(intent, None, None, None, decision, choices, 0.0, ())


def one(intent: Intent, amount_fen: int | None = None, card_index: int | None = None) -> Candidate:
    return Candidate(intent, amount_fen, card_index, None, 0.5)


def form(move: Move) -> tuple[Do, State, int | None, str | None]:
    return move.do, move.memory.state, move.memory.amount_fen, move.memory.card_id


# --- one question a turn ---


def test_all_in_one_sentence_is_read_back_at_once() -> None:
    move = on_speech(Memory(), said(Intent.TOP_UP, 5000), ONE)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 5000, "card-1")
    assert move.memory.order_id is None  # only the flow opens an order


def test_what_is_missing_is_asked_one_thing_at_a_time() -> None:
    move = on_speech(Memory(), said(Intent.TOP_UP), TWO)
    assert form(move) == (Do.ASK_CARD, State.CARD, None, None)
    move = on_speech(move.memory, said(Intent.SELECT_CARD, card_index=2), TWO)
    assert form(move) == (Do.ASK_AMOUNT, State.AMOUNT, None, "card-2")
    move = on_speech(move.memory, said(Intent.TOP_UP, 10_000), TWO)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 10_000, "card-2")


def test_a_sum_that_was_said_early_is_not_asked_again() -> None:
    move = on_speech(Memory(), said(Intent.TOP_UP, 5000), TWO)
    assert form(move) == (Do.ASK_CARD, State.CARD, 5000, None)
    move = on_choice(move.memory, "card:card-2", TWO)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 5000, "card-2")


def test_without_a_card_the_first_step_is_to_bind_one() -> None:
    assert form(on_speech(Memory(), said(Intent.TOP_UP, 5000), [])) == (Do.BIND_CARD, State.HOME, None, None)
    assert on_choice(Memory(), "top_up", []).do is Do.BIND_CARD


def test_a_new_wish_at_home_starts_a_new_form() -> None:
    old = Memory(State.HOME, 9900, "card-2")
    assert form(on_speech(old, said(Intent.TOP_UP), ONE)) == (Do.ASK_AMOUNT, State.AMOUNT, None, "card-1")


# --- which card ---


@pytest.mark.parametrize(("words", "card_id"), [("老伴", "card-2"), ("老年卡", "card-1")])
def test_a_name_that_fits_one_card_is_that_card(words: str, card_id: str) -> None:
    move = on_speech(Memory(), said(Intent.TOP_UP, 5000, card_words=words), TWO)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 5000, card_id)


@pytest.mark.parametrize("words", ["女儿", "王阿姨", "卡卡"])
def test_a_name_nobody_gave_is_asked_about_and_never_guessed(words: str) -> None:
    move = on_speech(Memory(), said(Intent.TOP_UP, 5000, card_words=words), TWO)
    assert form(move) == (Do.ASK_CARD, State.CARD, 5000, None)


def test_a_name_that_fits_two_cards_is_asked_about() -> None:
    twins = [KnownCard("a", "公交卡"), KnownCard("b", "公交卡")]
    assert on_speech(Memory(), said(Intent.TOP_UP, 5000, card_words="公交卡"), twins).do is Do.ASK_CARD


def test_another_card_named_while_confirming_is_read_back_with_that_card() -> None:
    move = on_speech(READ_BACK, said(Intent.SELECT_CARD, card_index=2), TWO)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 5000, "card-2") and move.memory.order_id is None


@pytest.mark.parametrize("index", [0, 3, 9])
def test_a_place_that_does_not_exist_is_not_understood_and_keeps_the_form(index: int) -> None:
    move = on_speech(AMOUNT_ASKED, said(Intent.TOP_UP, 5000, card_index=index), TWO)
    assert form(move) == (Do.AGAIN, State.AMOUNT, None, "card-1")


def test_a_card_that_was_unbound_meanwhile_is_forgotten() -> None:
    gone = Memory(State.AMOUNT, None, "card-9")
    assert on_speech(gone, said(Intent.TOP_UP, 5000), TWO).do is Do.ASK_CARD


# --- yes, no, and corrections ---


def test_a_yes_confirms_the_order_that_was_read_back() -> None:
    move = on_speech(READ_BACK, said(Intent.CONFIRM), ONE)
    assert (move.do, move.order_id, move.read_back) == (Do.CONFIRM, "order-1", None)
    same = on_speech(READ_BACK, said(Intent.CONFIRM, 5000), ONE)
    assert (same.do, same.order_id) == (Do.CONFIRM, "order-1")


@pytest.mark.parametrize("intent", [Intent.CONFIRM, Intent.TOP_UP])
def test_another_sum_while_confirming_is_read_back_anew(intent: Intent) -> None:
    move = on_speech(READ_BACK, said(intent, 10_000), ONE)
    assert form(move) == (Do.READ_BACK, State.CONFIRM, 10_000, "card-1")
    assert move.memory.order_id is None and move.order_id is None


@pytest.mark.parametrize(
    "memory", [Memory(), AMOUNT_ASKED, Memory(State.CARD), Memory(State.CONFIRM, 5000, "card-1")]
)
def test_a_yes_that_nothing_was_asked_for_confirms_nothing(memory: Memory) -> None:
    move = on_speech(memory, said(Intent.CONFIRM, 5000), ONE)
    assert move.do is Do.NOTHING_TO_CONFIRM and move.order_id is None
    assert move.memory.order_id is None


@pytest.mark.parametrize(
    "aside", [Intent.BALANCE, Intent.HISTORY, Intent.HELP, Intent.AGENT, Intent.ASK_FAMILY]
)
def test_after_something_else_was_shown_a_yes_confirms_nothing(aside: Intent) -> None:
    shown = on_speech(READ_BACK, said(aside), ONE)
    assert shown.do.value == aside.value
    assert on_speech(shown.memory, said(Intent.CONFIRM), ONE).do is Do.NOTHING_TO_CONFIRM
    assert on_choice(on_choice(READ_BACK, aside.value, ONE).memory, "confirm", ONE).order_id is None


def test_a_no_cancels_the_order_and_without_one_goes_home() -> None:
    move = on_speech(READ_BACK, said(Intent.CANCEL), ONE)
    assert (move.do, move.order_id) == (Do.CANCEL, "order-1")
    assert on_speech(AMOUNT_ASKED, said(Intent.CANCEL), ONE) == Move(Do.HOME, Memory())


def test_back_from_the_read_back_asks_for_the_sum_and_from_elsewhere_goes_home() -> None:
    move = on_speech(READ_BACK, said(Intent.BACK), ONE)
    assert form(move) == (Do.ASK_AMOUNT, State.AMOUNT, None, "card-1") and move.memory.order_id is None
    assert on_speech(AMOUNT_ASKED, said(Intent.BACK), ONE).do is Do.HOME


def test_say_it_again_shows_the_same_and_changes_nothing() -> None:
    assert on_speech(READ_BACK, said(Intent.REPEAT), ONE) == Move(Do.SHOW_ORDER, READ_BACK)
    assert on_choice(AMOUNT_ASKED, "repeat", ONE) == Move(Do.ASK_AMOUNT, AMOUNT_ASKED)


# --- not understood ---


def test_first_again_then_buttons_then_a_person_and_the_form_is_kept() -> None:
    memory, steps = READ_BACK, []
    for _ in range(4):
        move = on_speech(memory, unclear(), ONE)
        steps.append(move.do)
        memory = move.memory
    assert steps == [Do.AGAIN, Do.AGAIN_BUTTONS, Do.AGAIN_PERSON, Do.AGAIN_PERSON]
    assert (memory.state, memory.amount_fen, memory.order_id) == (State.CONFIRM, 5000, "order-1")
    understood = on_speech(memory, said(Intent.TOP_UP, 10_000), ONE)
    assert understood.memory.failures == 0


def test_what_was_not_for_us_is_not_acted_upon() -> None:
    assert on_speech(Memory(), unclear(Decision.REJECT), ONE).do is Do.AGAIN
    assert on_speech(Memory(), said(Intent.NONE), ONE).do is Do.AGAIN


# --- a choice ---


def test_near_equal_sums_become_buttons_and_a_way_out() -> None:
    heard = unclear(Decision.CHOOSE, one(Intent.TOP_UP, 4000), one(Intent.TOP_UP, 1000))
    move = on_speech(AMOUNT_ASKED, heard, ONE)
    assert move.do is Do.OFFER
    offered = offered_choices(move.memory)
    assert [choice.id for choice in offered] == ["amount:4000", "amount:1000", "again"]
    assert [choice.label for choice in offered] == ["充40元", "充10元", "都不是"]
    assert form(on_choice(move.memory, "amount:1000", ONE)) == (Do.READ_BACK, State.CONFIRM, 1000, "card-1")
    assert on_choice(move.memory, "again", ONE).do is Do.AGAIN


def test_candidates_that_are_one_button_are_no_choice() -> None:
    heard = unclear(Decision.CHOOSE, one(Intent.BALANCE), one(Intent.BALANCE))
    assert on_speech(Memory(), heard, ONE).do is Do.AGAIN


CANDIDATES = st.builds(
    Candidate,
    st.sampled_from([intent for intent in Intent if intent is not Intent.NONE]),
    st.none() | st.integers(1, 10**10),
    st.none() | st.integers(1, 9),
    st.none() | st.sampled_from(["老伴", "老年卡"]),
    st.floats(0, 1),
)
IDS = st.none() | st.text("abc-0123", min_size=1, max_size=8)
MEMORIES = st.builds(
    Memory,
    st.sampled_from(State),
    st.none() | st.integers(1, MOST_FEN),
    IDS,
    IDS,
    st.integers(0, 9),
    st.sampled_from(Do),
    st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=5).map(tuple),
)


@given(MEMORIES, st.lists(CANDIDATES, min_size=2, max_size=5), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_every_button_that_is_offered_does_something(
    memory: Memory, candidates: list[Candidate], count: int
) -> None:
    cards = [KnownCard(f"card-{place}", "卡") for place in range(count)]
    move = on_speech(memory, unclear(Decision.CHOOSE, *candidates), cards)
    offered = offered_choices(move.memory)
    assert len(offered) <= MAX_CHOICES and len({choice.id for choice in offered}) == len(offered)
    for choice in offered:
        assert choice.label and isinstance(on_choice(move.memory, choice.id, cards).do, Do)


def test_a_card_that_was_named_is_offered_by_its_place_and_one_that_nobody_has_is_not() -> None:
    hers = Candidate(Intent.SELECT_CARD, None, None, "老伴", 0.5)
    nobodys = Candidate(Intent.SELECT_CARD, None, 3, None, 0.5)
    huge = Candidate(Intent.TOP_UP, MOST_FEN + 100, None, None, 0.5)
    move = on_speech(Memory(), unclear(Decision.CHOOSE, hers, nobodys, huge, one(Intent.BALANCE)), TWO)
    assert [choice.id for choice in offered_choices(move.memory)] == ["card_at:2", "balance", "again"]
    assert on_choice(move.memory, "card_at:2", TWO).memory.card_id == "card-2"


# --- buttons ---


@pytest.mark.parametrize(
    "choice",
    [
        "",
        "open_sesame",
        "select_card",
        "none",
        "amount:0",
        "amount:-5",
        "amount:5.5",
        "amount:１００",
        "amount:10000001",
        "amount:",
        "amount",
        "card:card-9",
        "card_at:3",
        "card_at:0",
        "refund:1",
        ":",
    ],
)
def test_a_button_no_screen_has_is_refused(choice: str) -> None:
    with pytest.raises(AppError) as refused:
        on_choice(Memory(), choice, TWO)
    assert refused.value.code == "choice_unknown"


def test_a_touch_confirms_only_with_the_read_back_it_was_bound_to() -> None:
    move = on_choice(Memory(), "confirm:order-7:0a1b", ONE)
    assert (move.do, move.order_id, move.read_back) == (Do.CONFIRM, "order-7", "0a1b")
    assert on_choice(READ_BACK, "confirm", ONE).do is Do.SHOW_ORDER  # without it, it is only shown


def test_paying_again_is_about_that_order() -> None:
    move = on_choice(Memory(), "pay:order-7", ONE)
    assert (move.do, move.order_id) == (Do.PAY, "order-7")


@pytest.mark.parametrize("choice", ["home", "bind_card", "balance", "history", "help", "agent", "ask_family"])
def test_what_leaves_the_form_forgets_it(choice: str) -> None:
    move = on_choice(READ_BACK, choice, ONE)
    assert move.do.value == choice and move.memory == Memory(shown=move.do)


def test_another_sum_keeps_the_card() -> None:
    memory = Memory(State.CONFIRM, 5000, "card-2", "order-1")
    assert form(on_choice(memory, "top_up", TWO)) == (Do.ASK_AMOUNT, State.AMOUNT, None, "card-2")


# --- what is remembered ---


@given(MEMORIES)
@settings(max_examples=200, deadline=None)
def test_memory_survives_the_database(memory: Memory) -> None:
    assert Memory.load(json.loads(json.dumps(memory.dump()))) == memory


def test_no_row_yet_is_a_fresh_start() -> None:
    assert Memory.load({}) == Memory()


@given(MEMORIES, st.sampled_from(Intent), st.none() | st.integers(1, MOST_FEN), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_an_order_is_confirmed_only_by_a_yes_to_what_was_read_back(
    memory: Memory, intent: Intent, amount_fen: int | None, count: int
) -> None:
    cards = [KnownCard(f"card-{place}", "卡") for place in range(count)]
    move = on_speech(memory, said(intent, amount_fen), cards)
    if move.do is Do.CONFIRM:
        assert intent is Intent.CONFIRM and memory.state is State.CONFIRM
        assert move.order_id == memory.order_id is not None
        assert amount_fen in (None, memory.amount_fen)
