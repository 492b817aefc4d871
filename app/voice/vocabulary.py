"""The characters of the commands, for recognisers that can favour them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

DIALECTS = Path(__file__).parent / "dialects"


@cache
def command_characters(dialect: str = "mandarin") -> str:
    """Every character of the heart of the commands and of sums of money, each once, sorted."""
    with (DIALECTS / dialect / "vocabulary.toml").open("rb") as file:
        phrases: str = tomllib.load(file)["phrases"]
    return "".join(sorted(set(phrases) - set(" \n")))
