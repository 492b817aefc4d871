"""Texting several people about one thing: each once, and again while the gateway is silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from app.errors import AppError
from app.flows import check_code
from app.flows.deps import Deps
from app.flows.verdicts import Done, Later, Verdict

_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Text:
    """One SMS. The same `request_id` is the same text, however often it is asked for."""

    user_id: str
    request_id: str
    template: str
    facts: Mapping[str, str]


def to_each(deps: Deps, texts: Iterable[Text]) -> Verdict:
    """Text everybody who told us a phone number; who did not finds it in the app. Later while the gateway is
    certainly silent: who was reached is not told twice, because the gateway knows the request ids."""
    sent = waiting = 0
    for each in texts:
        phone = check_code.phone_of(deps, each.user_id)
        if phone is None:
            continue
        try:
            check_code.text(deps, each.user_id, phone[0], each.request_id, each.template, dict(each.facts))
            sent += 1
        except AppError as fault:
            waiting += fault.code == "text_unavailable"
    return Later("text_unavailable", _AGAIN) if waiting else Done(f"texted:{sent}")
