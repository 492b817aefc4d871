"""Telling one of the family something once: in WeChat where they accepted it, by SMS where not."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.clock import SHANGHAI
from app.domain.money import yuan_short, yuan_text
from app.errors import AppError
from app.flows import check_code, views
from app.flows.deps import Deps
from app.flows.messages import send_once
from app.flows.verdicts import Done, Later, Verdict
from app.ports import Message
from app.store import outbox, people
from app.store.cards import Card
from app.voice import replies

FAMILY = "family"


@dataclass(frozen=True, slots=True)
class News:
    """What is told: the phrase of WeChat's message, the template of the SMS, and what both are about.

    `show` is what the mini-program opens, with the id of what is shown there.
    """

    words: str
    text: str
    card: Card
    amount_fen: int
    show: str
    who: str | None = None  # the elder, as the one who is told calls them


def tell(deps: Deps, work_id: str, user_id: str, news: News) -> Verdict:
    """One message, whatever is repeated. Who can be reached by neither finds it in the app."""
    verdict = _in_wechat(deps, work_id, user_id, news)
    if not isinstance(verdict, Done) or verdict.outcome in ("sent", "unknown"):
        return verdict
    phone = check_code.phone_of(deps, user_id)
    if phone is None:
        return verdict
    try:
        check_code.text(deps, user_id, phone[0], work_id, news.text, _facts(news))
    except AppError as fault:
        if fault.code != "text_unavailable":
            return Done(fault.code)
        with deps.database.write() as tx:
            outbox.start_over(tx, work_id)  # certainly told by neither
        return Later(fault.code)
    return Done("texted")


def _facts(news: News) -> dict[str, str]:
    return {
        "elder": news.who or replies.phrase("your_relative"),
        "card": news.card.last_four,
        "amount": yuan_short(news.amount_fen),
    }


def _in_wechat(deps: Deps, work_id: str, user_id: str, news: News) -> Verdict:
    template_id = deps.settings.wechat.family_template
    with deps.database.read() as tx:
        openid = people.openid_in(tx, deps.settings.wechat.app_id, user_id)
    if not template_id or openid is None:
        return Done("not_in_wechat")
    message = Message(
        openid=openid,
        template_id=template_id,
        page=f"pages/index/index?show={news.show}",
        data={
            "thing1": replies.phrase(news.words),
            "thing2": views.card_label(deps.city, news.card),
            "amount3": f"￥{yuan_text(news.amount_fen)}",
            "time4": f"{deps.clock.now().astimezone(SHANGHAI):%Y-%m-%d %H:%M}",
        },
    )
    return send_once(deps, work_id, FAMILY, message, f"{news.words} for {news.show}")
