"""Words of buttons and phrases: there for everything that is asked for, and fit to be read aloud."""

from __future__ import annotations

import pytest

from app.voice import Intent, replies


@pytest.mark.parametrize(
    "intent", [intent for intent in Intent if intent not in (Intent.NONE, Intent.SELECT_CARD)]
)
def test_every_intent_has_a_label_for_its_button(intent: Intent) -> None:
    assert replies.phrase(f"intent_{intent.value}")


FACTS = dict.fromkeys(
    (
        "name",
        "last_four",
        "fee",
        "yuan",
        "index",
        "card",
        "balance_words",
        "month",
        "day",
        "told",
        "card_name",
        "fee_words",
        "total_words",
        "count",
        "kind",
        "hour",
        # what the family asks
        *("year", "part", "when", "sentence", "relative", "low"),
    ),
    "五",
)
FACTS |= dict.fromkeys(("who", "sum", "minute", "minutes", "amount", "reason"), "五")  # protection


# Deeds have facts of their own: tests/flows/test_told_history.py says every kind of them.
PLAIN = [key for key in replies.templates()["phrases"] if not key.startswith("deed_")]


@pytest.mark.parametrize("key", PLAIN)
def test_every_phrase_takes_the_facts_we_have_and_can_be_read_aloud(key: str) -> None:
    said_aloud = replies.phrase(key, **FACTS)
    assert said_aloud and not set(said_aloud) & set("{}<>[]|\\/_#*@")
    assert not any(each.isascii() and each.isalpha() for each in said_aloud)


def test_a_missing_fact_is_a_programmers_mistake() -> None:
    with pytest.raises(KeyError):
        replies.phrase("amount_choice")
