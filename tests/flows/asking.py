"""What the tests of asking the family share: a daughter and a son with phones, and their words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.flows.family_ground import Family, a_family
from tests.flows.test_identity_check import with_phone
from tests.world import World

REQUESTS = "/api/v1/pay-requests"
DAUGHTERS_PHONE, SONS_PHONE, ELDERS_PHONE = "13900000006", "13900000009", "13900000001"


def a_daughter_and_a_son(world: World) -> Family:
    """Two who may pay, and are reached by text."""
    found = a_family(world, "女儿", "儿子")
    with_phone(world, found.relatives["女儿"], DAUGHTERS_PHONE)
    with_phone(world, found.relatives["儿子"], SONS_PHONE)
    return found


def yes(family: Family, name: str, request_id: str, **how: str) -> tuple[int, dict[str, Any]]:
    return family.relatives[name].post(f"{REQUESTS}/{request_id}/yes", how)


def no(family: Family, name: str, request_id: str, reason: str = "not_now") -> tuple[int, dict[str, Any]]:
    return family.relatives[name].post(f"{REQUESTS}/{request_id}/no", {"reason": reason})


def texts(world: World, number: str, template: str = "pay_request") -> list[str]:
    return [each["text"] for each in world.sandbox.texts(number) if each["template"] == template]


def refused(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def credits(world: World) -> int:
    return len(world.sandbox.credits())


def at_once(*calls: Any) -> list[tuple[int, dict[str, Any]]]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]
