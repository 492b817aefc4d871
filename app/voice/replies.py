"""Screens in the person's own words: a template of the dialect's replies, filled with facts.

`dialects/<name>/replies.toml` has one table a screen: `say`, `title`, `next`, and optionally `body` (a
list of {text, label?}), `choices` (a list of {id, label}), `step` (which of the city's steps this is),
`entry` (digits to be typed: {way, label, most}).
Placeholders are `{name}`; a missing fact is a programmer's mistake and raises KeyError.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from app.domain.screens import Choice, Entry, Line, Next, Screen, Step

DIALECTS = Path(__file__).parent / "dialects"


@cache
def templates(dialect: str = "mandarin") -> dict[str, dict[str, Any]]:
    """All screens of one dialect."""
    with (DIALECTS / dialect / "replies.toml").open("rb") as file:
        return tomllib.load(file)


def phrase(key: str, /, **facts: object) -> str:
    """One phrase of the [phrases] table."""
    return str(templates()["phrases"][key]).format(**facts)


def screen(
    key: str,
    /,
    *,
    steps: int | None = None,
    choices: Sequence[Choice] | None = None,
    body: Sequence[Line] | None = None,
    payment: dict[str, str] | None = None,
    **facts: object,
) -> Screen:
    """Render template `key`. `choices` and `body` replace the template's own; `steps` is the budget."""
    template = templates()[key]
    if choices is None:
        choices = [
            Choice(entry["id"].format(**facts), entry["label"].format(**facts))
            for entry in template.get("choices", [])
        ]
    if body is None:
        body = [Line(entry["text"].format(**facts), entry.get("label")) for entry in template.get("body", [])]
    step = template.get("step")
    return Screen(
        say=template["say"].format(**facts),
        title=template["title"].format(**facts),
        next=Next(template["next"]),
        body=tuple(body),
        choices=tuple(choices),
        step=Step(step, steps) if step is not None and steps is not None else None,
        payment=payment,
        entry=Entry(**template["entry"]) if "entry" in template else None,
    )
