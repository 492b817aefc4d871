"""What people say becomes what they want, and what they do not want never becomes a top-up."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from app.cli.voice_evaluation import TEXT_SCORE, outcome_of, read_labels
from app.ports import Hypothesis
from app.voice import Decision, Intent, State, Understanding, understand
from tests.voice.kept_hearings import DATA

LISTS = ("dev", "heldout", "fresh")
LEAST_RIGHT_PERCENT = 95


def means(text: str, state: State = State.ANY) -> Understanding:
    return understand((Hypothesis(text, TEXT_SCORE),), state)


def free(*texts: str, score: float = -0.3) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(text, score) for text in texts)


def accepted(meant: Understanding) -> tuple[Intent, int | None]:
    assert meant.decision is Decision.ACCEPT, meant
    return meant.intent, meant.amount_fen


def may_move_money(meant: Understanding) -> bool:
    """A top-up that was believed, or that a single touch on a choice would make one."""
    return Intent.TOP_UP in (meant.intent, *(choice.intent for choice in meant.choices))


# --- the lists of sentences ---


@pytest.mark.parametrize("name", LISTS)
def test_no_sentence_of_a_list_is_accepted_as_what_it_is_not(name: str) -> None:
    rows = read_labels(DATA / f"paraphrases_{name}.tsv")
    wrong = [row for row in rows if outcome_of(row, means(row["text"], State(row["state"]))) == "wrong"]
    assert wrong == []


@pytest.mark.parametrize("name", LISTS)
def test_nearly_every_sentence_of_a_list_is_understood_or_left_alone_as_it_should_be(name: str) -> None:
    rows = read_labels(DATA / f"paraphrases_{name}.tsv")
    found = Counter(outcome_of(row, means(row["text"], State(row["state"]))) for row in rows)
    assert 100 * found["right"] >= LEAST_RIGHT_PERCENT * len(rows), found


def test_the_lists_hardly_overlap_and_hold_enough_that_is_no_command() -> None:
    tables = [read_labels(DATA / f"paraphrases_{name}.tsv") for name in LISTS]
    lists = [{(row["text"], row["state"]) for row in rows} for rows in tables]
    assert all(len(one & other) <= 1 for one, other in itertools.combinations(lists, 2))
    for rows in tables:
        assert len(rows) >= 140 and sum(row["intent"] == "none" for row in rows) >= len(rows) // 3


# --- never a top-up ---


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "text",
    [
        "昨天交了八十块电费",
        "手里只有两百块",
        "先别给我充一百",
        "我没有充一百块",
        "有人叫我给他充两百",
        "上次充了一百没到账",
        "明天再充五十",
        "不要给我充五十",
        "警察让我充五千块",
        "给我的手机充一百块话费",
        "充电器五十块",
        "充五十美元",
        "如果充一百块送什么",
    ],
)
def test_talk_about_money_is_never_a_top_up_in_any_state(text: str, state: State) -> None:
    assert not may_move_money(means(text, state))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "text", ["五十不要", "一百，不对", "五十别", "五十块不行", "充五十，不对", "充一百，不要"]
)
def test_a_sum_that_is_taken_back_in_the_same_breath_is_no_sum(text: str, state: State) -> None:
    assert not may_move_money(means(text, state))


@pytest.mark.parametrize("text", ["五十块", "一百", "一百五", "两百块钱", "50", "三十块五"])
def test_a_bare_sum_counts_only_where_a_sum_was_asked_for(text: str) -> None:
    where = {state for state in State if may_move_money(means(text, state))}
    assert where == {State.AMOUNT, State.CONFIRM}


@pytest.mark.parametrize("text", ["对", "好", "是", "行", "妥"])
def test_a_yes_of_one_syllable_counts_only_where_a_yes_was_asked_for(text: str) -> None:
    where = {state for state in State if means(text, state).decision is Decision.ACCEPT}
    assert where == {State.CONFIRM}
    assert accepted(means(text, State.CONFIRM)) == (Intent.CONFIRM, None)


@pytest.mark.parametrize("text", ["好的", "可以", "是的", "没错"])
def test_a_plain_yes_counts_where_it_was_asked_for_or_where_nobody_knows_what_was_asked(text: str) -> None:
    where = {state for state in State if means(text, state).decision is Decision.ACCEPT}
    assert where == {State.CONFIRM, State.ANY}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "text", ["嗯", "嗯嗯", "嗯。", "Mm", "hm", "嗯……", "恩", "啊", "呃", "哦", "n", "Ah."]
)
def test_a_hum_is_no_answer_to_anything(text: str, state: State) -> None:
    assert means(text, state).decision in (Decision.AGAIN, Decision.REJECT)
    assert means(text, state).intent is Intent.NONE


@pytest.mark.parametrize("text", ["不", "不对", "不行", "不要", "不是"])
def test_a_no_where_a_yes_was_asked_for_is_never_a_yes(text: str) -> None:
    meant = means(text, State.CONFIRM)
    assert meant.intent in (Intent.CANCEL, Intent.NONE)


@pytest.mark.parametrize("heard", list(itertools.permutations(["对", "不对", "对吧"])), ids="/".join)
def test_a_yes_is_not_believed_while_another_reading_says_no(heard: tuple[str, ...]) -> None:
    assert understand(free(*heard), State.CONFIRM).intent is not Intent.CONFIRM


def test_a_short_yes_must_be_spelled_by_some_reading() -> None:
    assert understand(free("重复", "城府"), State.CONFIRM).intent is Intent.NONE
    assert understand(free("負責", "复杂"), State.CONFIRM).intent is Intent.NONE
    assert accepted(understand(free("充吧", "冲吧"), State.CONFIRM)) == (Intent.CONFIRM, None)


# --- sums, cards, persons ---


@pytest.mark.parametrize(
    ("text", "state", "intent", "amount_fen"),
    [
        ("充五十块", State.ANY, Intent.TOP_UP, 5000),
        ("帮我充一百五", State.HOME, Intent.TOP_UP, 15_000),
        ("充一百零五块", State.ANY, Intent.TOP_UP, 10_500),
        ("充三十块五", State.ANY, Intent.TOP_UP, 3050),
        ("给我充两百", State.ANY, Intent.TOP_UP, 20_000),
        ("给我充俩百块", State.ANY, Intent.TOP_UP, 20_000),
        ("廿块", State.AMOUNT, Intent.TOP_UP, 2000),
        ("充１００块", State.ANY, Intent.TOP_UP, 10_000),
        ("麻煩幫我充三十塊錢", State.ANY, Intent.TOP_UP, 3000),
        ("五十块，充到卡上", State.ANY, Intent.TOP_UP, 5000),
        ("不对不对，是五十", State.CONFIRM, Intent.TOP_UP, 5000),
        ("确认充一百", State.CONFIRM, Intent.CONFIRM, 10_000),
        ("我要充值", State.HOME, Intent.TOP_UP, None),
        ("请我女儿帮我充五十块", State.HOME, Intent.ASK_FAMILY, 5000),
        ("我儿子的卡充五十", State.HOME, Intent.TOP_UP, 5000),
        ("查一下我的余额", State.CONFIRM, Intent.BALANCE, None),
        ("最近充了几次", State.HOME, Intent.HISTORY, None),
        ("再说一遍", State.CONFIRM, Intent.REPEAT, None),
        ("转人工", State.AMOUNT, Intent.AGENT, None),
        ("不充了", State.CONFIRM, Intent.CANCEL, None),
        ("返回上一步", State.CONFIRM, Intent.BACK, None),
        ("这个怎么用", State.HOME, Intent.HELP, None),
    ],
)
def test_a_wish_is_understood_with_its_sum(
    text: str, state: State, intent: Intent, amount_fen: int | None
) -> None:
    assert accepted(means(text, state)) == (intent, amount_fen)


def test_a_card_is_named_by_its_place_or_by_whose_it_is() -> None:
    assert means("给第二张卡充五十块").card_index == 2
    assert means("用第三张卡").card_index == 3
    assert means("给老伴的卡充五十块").card_words == "老伴"
    assert means("给王阿姨的卡充一百块钱").card_words == "王阿姨"
    assert means("老年卡", State.CARD).card_words == "老年卡"


@pytest.mark.parametrize("text", ["充五十还是一百", "充五十，再充一百", "充三五十块"])
def test_two_sums_are_never_one(text: str) -> None:
    meant = means(text)
    assert meant.decision is not Decision.ACCEPT


def test_two_sums_in_one_sentence_are_offered_where_the_sum_was_asked_for() -> None:
    meant = means("五十或者一百", State.AMOUNT)
    assert meant.decision is Decision.CHOOSE
    assert {choice.amount_fen for choice in meant.choices} == {5000, 10_000}


# --- what is heard badly ---


@pytest.mark.parametrize("text", ["冲五十块钱", "我要充五使快钱", "从五十块", "匆无十块钱"])
def test_another_character_of_nearly_the_same_sound_does_no_harm(text: str) -> None:
    meant = means(text)
    assert meant.decision is not Decision.ACCEPT or accepted(meant) == (Intent.TOP_UP, 5000)


def test_a_lone_digit_in_the_text_does_not_hide_the_sum_that_sounds_right() -> None:
    assert accepted(means("我要充五使快钱")) == (Intent.TOP_UP, 5000)


@pytest.mark.parametrize("state", [State.AMOUNT, State.CONFIRM])
def test_a_digit_that_is_a_misheard_no_is_no_sum(state: State) -> None:
    assert not may_move_money(understand(free("五隊", "舞隊", "五對", "5對", score=-1.0), state))


def test_readings_that_misspell_a_wish_in_different_ways_are_one_wish() -> None:
    heard = free("充武徐快", "充50塊", "充五十块")
    assert accepted(understand(heard)) == (Intent.TOP_UP, 5000)


@pytest.mark.parametrize("pair", list(itertools.permutations(["充五十块", "充四十块"])), ids="/".join)
def test_readings_that_disagree_about_the_sum_are_a_choice(pair: tuple[str, str]) -> None:
    meant = understand(free(*pair))
    assert meant.decision is Decision.CHOOSE
    assert {choice.amount_fen for choice in meant.choices} == {5000, 4000}


def test_a_constrained_reading_with_another_sum_makes_it_a_choice() -> None:
    heard = (*free("充四十块"), Hypothesis("充十块", -0.1, "constrained"))
    meant = understand(heard)
    assert meant.decision is Decision.CHOOSE
    assert {choice.amount_fen for choice in meant.choices} == {4000, 1000}


def test_a_sum_in_digits_that_may_have_been_two_sums_is_a_choice() -> None:
    meant = understand(free("充560块"))
    assert meant.decision is Decision.CHOOSE
    assert {choice.amount_fen for choice in meant.choices} == {56_000, 5000, 6000}
    assert accepted(understand(free("充560块", "充五百六十块"))) == (Intent.TOP_UP, 56_000)


@pytest.mark.parametrize("state", State)
def test_a_constrained_reading_alone_is_nothing(state: State) -> None:
    meant = understand((Hypothesis("充五十块", 0.0, "constrained"),), state)
    assert meant.decision is Decision.REJECT and meant.intent is Intent.NONE


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("forced", ["充五十块", "确认", "对", "不充了", "查余额", "五十"])
@pytest.mark.parametrize("said", ["今天天气真好", "明天是星期五", "换一首歌", "大学生吃肯德基", "嗯"])
def test_a_constrained_reading_rescues_nothing_that_is_not_for_us(
    said: str, forced: str, state: State
) -> None:
    heard = (*free(said), Hypothesis(forced, 0.0, "constrained"))
    assert understand(heard, state).decision is not Decision.ACCEPT


def test_nothing_heard_is_nothing_meant() -> None:
    for heard in ((), free(""), free("", "，", "！")):
        meant = understand(heard)
        assert (meant.decision, meant.intent, meant.choices) == (Decision.REJECT, Intent.NONE, ())
