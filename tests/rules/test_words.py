"""Every code and every screen can be spoken, and says what the person can do next."""

from __future__ import annotations

import ast
import string
from typing import Any

import pytest

from app.config import REPOSITORY
from app.domain.orders import State, Topic, Truth
from app.domain.screens import MAX_CHOICES, Next
from app.errors import ErrorCopy, catalogue
from app.jobs.outbox import HANDLERS
from app.voice import replies
from app.voice.dialogue import Do

SPOKEN_MARKS = "。？！"
NEXTS = {*Next, "login"}
UNSPEAKABLE = set("<>{}[]|\\/_#*@") | set(string.ascii_letters)


def assert_speakable(text: str) -> None:
    plain = "".join(part for part, *_rest in string.Formatter().parse(text) if part)
    assert plain and text.rstrip()[-1] in SPOKEN_MARKS
    assert not set(plain) & UNSPEAKABLE, f"cannot be read aloud: {set(plain) & UNSPEAKABLE}"


@pytest.mark.parametrize(("code", "copy"), catalogue().items())
def test_every_error_can_be_spoken_and_says_what_to_do_next(code: str, copy: ErrorCopy) -> None:
    assert_speakable(copy.say)
    assert 400 <= copy.status < 600 and copy.next in NEXTS
    if code != "notice_rejected":  # WeChat hears that one, not a person
        assert any(word in copy.say for word in ("请", "我们接着")), "no next step"


def raised_codes() -> set[str]:
    found = set()
    for path in (REPOSITORY / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "AppError" and node.args:
                found |= {
                    leaf.value
                    for leaf in ast.walk(node.args[0])
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and leaf.value.islower()
                }
    return found


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    unknown = {code for code in raised_codes() if code not in catalogue()}
    assert unknown <= {"card_blocked"} and raised_codes()


def screens() -> list[tuple[str, dict[str, Any]]]:
    return [(name, made) for name, made in replies.templates().items() if name != "phrases"]


@pytest.mark.parametrize(("name", "template"), screens())
def test_every_screen_can_be_spoken_and_has_at_most_five_big_buttons(
    name: str, template: dict[str, Any]
) -> None:
    assert_speakable(template["say"])
    assert template["title"] and template["next"] in set(Next)
    choices = template.get("choices", [])
    assert len(choices) <= MAX_CHOICES
    assert len({choice["id"] for choice in choices}) == len(choices)


def test_only_screens_of_credited_orders_say_that_money_arrived() -> None:
    said = {key for key, template in screens() if "已经到" in template["say"] or "}到了" in template["say"]}
    whole = {"completed", "completed_other", "for_you_credited"}
    in_part = {"returning_rest", "completed_in_part", "returning_rest_other", "completed_in_part_other"}
    assert said == whole | in_part | {"for_you_credited_in_part"}
    assert all("放不下" in replies.templates()[key]["say"] for key in said - whole)


@pytest.mark.parametrize("state", State)
def test_every_state_of_an_order_has_a_screen(state: State) -> None:
    others = {
        State.AWAITING_CONFIRMATION: "read_back",
        State.AWAITING_CHECK: "read_back",
        State.AWAITING_PAYMENT: "pay",
    }
    assert others.get(state, state.value) in replies.templates()


@pytest.mark.parametrize("truth", Truth)
def test_every_truth_has_its_words_in_the_history(truth: Truth) -> None:
    assert replies.phrase(f"history_{truth.value}")


@pytest.mark.parametrize("do", Do)
def test_every_step_of_the_dialogue_is_shown_by_a_screen_or_an_order(do: Do) -> None:
    by_other_means = {Do.CONFIRM, Do.CANCEL, Do.PAY, Do.CHECK, Do.SHOW_ORDER, Do.ANSWER, Do.UNDO}
    by_other_means |= {Do.SEND_ASK, Do.UNASK, Do.ANSWER_FAMILY, Do.ANSWER_PROPOSAL}
    assert do in by_other_means or do.value in replies.templates()


def test_every_topic_of_the_outbox_has_a_handler() -> None:
    assert set(HANDLERS) == set(Topic)
