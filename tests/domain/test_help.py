"""What a relative sees of an elder's screen: words and labels, and nothing that opens or pays anything."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest

from app.domain.help import LONGEST_MESSAGE, clean_message, describe, masked
from app.domain.screens import Entry
from app.voice import replies
from app.voice.amounts import spoken_digits
from app.web.schemas import screen_out

CARD, CODE, ORDER, TOKEN = "3104870300000000001", "48151623", "ord_01JD0000000000000000000000", "t0k3n-secret"
PAYMENT = {
    "package": "prepay_id=wx201410272009395522657a690389285100",
    "paySign": "oR9d8PuhnIc+YZ8cBHFCwfgpaK9gd7va",
}
SECRETS = (CARD, spoken_digits(CARD), CODE, spoken_digits(CODE), ORDER, TOKEN, *PAYMENT.values())
# Whatever stands in such a place is a secret here, so that the rule is tried on every template.
FACTS = {"order_id": ORDER, "token": TOKEN, "read_back": TOKEN, "code": CODE, "hotline": CARD}
FACTS |= {"card": CARD, "spoken_card": spoken_digits(CARD), "hotline_words": spoken_digits(CODE)}
NAMES = [name for name in replies.templates() if name != "phrases"]


class Facts(dict[str, str]):
    """A fact for every place: a secret where one may stand, else a plain word."""

    def __missing__(self, key: str) -> str:
        return FACTS.get(key, "五十")


def places(template: Any) -> set[str]:
    texts = [template["say"], template["title"]]
    texts += [line["text"] for line in template.get("body", [])]
    texts += [part for choice in template.get("choices", []) for part in choice.values()]
    return {name for each in texts for _, name, _, _ in string.Formatter().parse(each) if name}


def shown(name: str) -> dict[str, Any]:
    """The screen as it is sent to the elder's phone, with a payment, an order and an entry field."""
    facts = {place: Facts()[place] for place in places(replies.templates()[name])}
    out = screen_out(
        replies.screen(name, steps=3, payment=PAYMENT, **facts), {"id": ORDER, "read_back": TOKEN}
    )
    return out | {"entry": {"way": "sms", "label": "短信验证码", "most": 6}, "photo": CARD}


@pytest.mark.parametrize("name", NAMES)
def test_no_screen_tells_a_number_a_code_an_id_or_a_payment(name: str) -> None:
    screen = shown(name)
    seen = describe(screen)
    told = json.dumps(seen, ensure_ascii=False)
    assert set(seen) == {"title", "say", "body", "choices", "next", "step"}
    assert not [secret for secret in SECRETS if secret in told], told
    assert len(seen["choices"]) == len(screen["choices"]) and len(seen["body"]) == len(screen["body"])
    assert seen["title"] and seen["say"] and Entry.__name__ not in told


def test_the_description_keeps_what_helping_needs() -> None:
    facts = {"total": "50", "total_words": "五十元", "card": "羊城通，尾号0001", "order_id": ORDER}
    seen = describe(screen_out(replies.screen("pay", steps=3, payment=PAYMENT, **facts)))
    assert seen["choices"] == ["付50元", "不充了"] and seen["step"] == {"at": 3, "of": 3}
    assert seen["body"][1]["text"] == "羊城通，尾号0001" and "五十元" in seen["say"]


def test_a_fault_is_seen_as_what_was_said() -> None:
    seen = describe({"code": "amount_too_small", "say": "一次最少充50元，请换一个金额。", "next": "choose"})
    assert seen["title"] == seen["say"] == "一次最少充50元，请换一个金额。" and seen["choices"] == []


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        "3104 8703 0000 0000 001",
        "13900000001",
        "139-0000-0001",
        "４８１５１６",
        "四八一五一六",
        "12345",
        "一二三 四五六七八",
    ],
)
def test_long_numbers_are_left_out_however_they_are_written(text: str) -> None:
    left = masked(f"号码{text}。")
    assert not any(digit in left for digit in text.replace(" ", "").replace("-", "")[-5:])


@pytest.mark.parametrize(
    "text",
    ["尾号0001", "尾号零零零一", "1200元", "2026年11月25日", "一千二百三十四元五角", "50元，100元，200元"],
)
def test_sums_days_and_last_four_digits_stay(text: str) -> None:
    assert masked(text) == text


def test_a_message_is_one_line_and_never_too_long() -> None:
    assert clean_message("  点\t充值 ") == "点 充值"
    assert clean_message("\x00\u200b") is None
    assert len(clean_message("说" * 500) or "") == LONGEST_MESSAGE
