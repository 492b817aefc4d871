"""What tests of standing orders share: it begins on 24 November 2026, eleven in the morning in Shanghai."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.domain.clock import SHANGHAI
from tests.flows.family_ground import Family
from tests.world import GOOD_CARD, World

STANDING, PROPOSALS = "/api/v1/standing-orders", "/api/v1/proposals"


def go_to(world: World, *when: int, back: Family | None = None) -> None:
    """Let time pass up to this moment in Shanghai; the worker looks in on the way, as it does each minute."""
    target = datetime(*when, tzinfo=SHANGHAI).astimezone(UTC)  # type: ignore[misc,arg-type]
    while (left := (target - world.clock.now()).total_seconds()) > 0:
        world.work(seconds=min(left, 12 * 3600.0))
    world.work()
    if back is not None:  # a login lasts a month
        for phone in (back.elder, *back.relatives.values()):
            phone.token = ""
            phone.log_in()


def wish(family: Family, **more: Any) -> dict[str, Any]:
    """每月一号充一百。"""
    body: dict[str, Any] = {"elder_id": family.elder_id, "card_id": family.card_id, "kind": "monthly"}
    return {**body, "amount_fen": 10_000, "month_ceiling_fen": 20_000, "day_of_month": 1} | more


def low(family: Family, **more: Any) -> dict[str, Any]:
    """余额低于二十就充五十。"""
    changed = {"kind": "low_balance", "amount_fen": 5000, "threshold_fen": 2000, "day_of_month": None}
    return wish(family, **changed | more)


def made(family: Family, body: dict[str, Any], name: str = "女儿") -> str:
    page = family.relatives[name].ok("POST", STANDING, body)
    return str(page["standing_order"]["id"])


def waiting(family: Family, name: str = "女儿") -> list[str]:
    found = family.relatives[name].ok("GET", PROPOSALS)["proposals"]
    return [page["proposal"]["id"] for page in found]


def texts(world: World, number: str, template: str) -> int:
    return len([each for each in world.sandbox.texts(number) if each["template"] == template])


def set_balance(world: World, fen: int) -> None:
    world.sandbox.set_card(GOOD_CARD, balance_fen=fen)
