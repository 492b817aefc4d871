"""`demo family`: the family's stories play to their end, with both people's screens in words."""

from __future__ import annotations

import json

import pytest

from app.cli.family_demo import ACTS
from tests.cli.test_trouble import command, world  # noqa: F401 - a fixture
from tests.world import World


def test_every_act_holds_and_both_phones_show_words(world: World) -> None:  # noqa: F811
    code, output = command(world, "demo", "family", "--json")
    played = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [each["name"] for each in played] == [act.__name__ for act in ACTS] and code == 0, output
    asked = next(each for each in played if each["name"] == "ask_and_second_answers")
    phones = {name for _at, name, _what in asked["seen"]}
    assert phones == {"妈妈", "女儿", "儿子"} and asked["end"]["one order"]
    told = next(each for each in played if each["name"] == "history")
    assert any("您请女儿" in what for _at, _name, what in told["seen"])


@pytest.mark.parametrize("only", ["flood"])
def test_an_act_nobody_knows_is_answered_with_the_names_there_are(world: World, only: str) -> None:  # noqa: F811
    code, output = command(world, "demo", "family", "--only", only)
    assert code == 2 and "ask_and_second_answers" in output
