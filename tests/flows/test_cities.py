"""The same main job in different cities: their cards, methods, fees, identity rules and promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.clock import FakeClock
from tests.conftest import DATABASES, database_url
from tests.world import Phone, World, a_key, running_world

SHANGHAI_CARD, WUHAN_CARD = "3104770000000000001", "3105140000000000001"
LANZHOU_CARD, BEIJING_CARD = "3104900000000000001", "3105170000000000001"
EVENING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # Monday, four in the afternoon in Shanghai
SATURDAY = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


@pytest.fixture(params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Opens a world in a city, at a moment, on each database."""
    with ExitStack() as stack:

        def opened(city: str, at: datetime, **environ: str) -> World:
            url = database_url(request, request.param, tmp_path)
            running = running_world(tmp_path, url, FakeClock(at), CITY=city, **environ)
            return stack.enter_context(running)

        yield opened


def wish(elder: Phone, method: str, amount_fen: int) -> dict[str, Any]:
    return {
        "card_id": elder.cards[0],
        "amount_fen": amount_fen,
        "method": method,
        "client_key": a_key(),
    }


def paid(elder: Phone, method: str = "wechat_balance", amount_fen: int = 10_000) -> dict[str, Any]:
    """An order that was confirmed and paid; answers its page before the card has the money."""
    page = elder.ok("POST", "/api/v1/orders", wish(elder, method, amount_fen))
    asked = elder.confirm(page["order"])
    assert elder.pay(asked) == "requestPayment:ok"
    return elder.order(page["order"]["id"])


def test_a_partner_citys_card_is_bound_named_and_credited_and_promised_by_its_own_city(
    house: Callable[..., World],
) -> None:
    world = house("guangzhou", EVENING)
    elder = world.elder(card=WUHAN_CARD)
    page = elder.ok("POST", "/api/v1/orders", wish(elder, "wechat_balance", 10_000))
    assert page["order"]["card_label"].startswith("武汉通") and "给武汉通" in page["screen"]["say"]
    # Guangzhou clears in seconds, but the money must pass Wuhan's clearing too.
    assert "下午四点以后付的款，一到两个小时到账" in page["screen"]["say"]
    assert elder.pay(elder.confirm(page["order"])) == "requestPayment:ok"
    world.work()
    assert elder.order(page["order"]["id"])["order"]["truth"] == "credited" and world.balanced()


def test_a_card_of_a_city_that_is_no_partner_is_refused_with_the_way_that_works(
    house: Callable[..., World],
) -> None:
    phone = house("guangzhou", EVENING).phone()
    status, fault = phone.post("/api/v1/cards", {"card_number": BEIJING_CARD})
    assert (status, fault["code"]) == (422, "card_other_city") and "请打开北京的充值页面" in fault["say"]
    assert phone.get("/api/v1/cards")[1]["cards"] == []


def test_the_fee_is_heard_before_confirming_and_exactly_that_is_charged(house: Callable[..., World]) -> None:
    world = house("guangzhou", EVENING)
    elder = world.elder()
    world.clock.tick(hours=24)  # the card is not new any more: nothing is asked before this sum
    page = elder.ok("POST", "/api/v1/orders", wish(elder, "bank_card", 75_300))
    assert page["order"]["fee_fen"] == 151 and page["order"]["amount_fen"] == 75_300
    assert "手续费一元五角一分，一共付七百五十四元五角一分" in page["screen"]["say"]
    done = paid(elder, "bank_card", 75_300)["order"]
    assert world.sandbox.trades()[-1]["amount_fen"] == 75_451
    world.work()
    assert elder.order(done["id"])["order"]["truth"] == "credited" and world.balanced()


def test_a_method_that_is_off_is_refused_before_there_is_an_order(house: Callable[..., World]) -> None:
    elder = house("lanzhou", EVENING).elder(card=LANZHOU_CARD)
    status, fault = elder.post("/api/v1/orders", wish(elder, "credit_card", 30_000))
    assert (status, fault["code"]) == (422, "method_not_offered") and "微信零钱" in fault["say"]
    assert elder.get("/api/v1/orders")[1]["orders"] == []


def test_in_shanghai_a_card_without_a_real_name_opens_no_order(house: Callable[..., World]) -> None:
    world = house("shanghai", EVENING)
    elder = world.elder(card=SHANGHAI_CARD)
    assert paid(elder)["order"]["truth"] == "paid"  # the card is registered
    with world.deps.database.write() as tx:
        tx.execute(text("UPDATE cards SET registered = false"))
    status, fault = elder.post("/api/v1/orders", wish(elder, "wechat_balance", 5_000))
    assert (status, fault["code"]) == (422, "real_name_required") and "上海公共交通卡" in fault["say"]
    assert len(elder.get("/api/v1/orders")[1]["orders"]) == 1


@pytest.mark.parametrize(
    ("city", "card", "at", "before", "after"),
    [
        ("guangzhou", "3104870300000000001", SATURDAY, "几秒钟就到账，节假日也一样", "几秒钟就到账"),
        ("lanzhou", LANZHOU_CARD, SATURDAY, "最多十二个小时到账", "最多十二个小时到账，您不用一直等着"),
        ("wuhan", WUHAN_CARD, EVENING, "下午四点以后付的款，一到两个小时到账", "一到两个小时到账，您不用"),
        ("wuhan", WUHAN_CARD, SATURDAY, "休息日付的款，两到六个小时到账", "两到六个小时到账，您不用一直等着"),
    ],
)
def test_the_promise_is_heard_before_paying_and_again_after(
    house: Callable[..., World], city: str, card: str, at: datetime, before: str, after: str
) -> None:
    elder = house(city, at).elder(card=card)
    read_back = elder.ok("POST", "/api/v1/orders", wish(elder, "wechat_balance", 5_000))["screen"]
    assert before in read_back["say"] and any(before in line["text"] for line in read_back["body"])
    page = paid(elder)
    assert page["order"]["truth"] == "paid" and after in page["screen"]["say"]
    assert "还没有到账" in page["screen"]["say"]


def test_the_installations_own_calendar_decides_what_a_workday_is(
    house: Callable[..., World], tmp_path: Path
) -> None:
    days = tmp_path / "calendar"
    days.mkdir()
    (days / "2026.toml").write_text(
        'year = 2026\nannounced = true\nsource = "a notice"\nmake_up = [2026-11-28]\n'
        '[[off]]\nname = "New Year"\nfirst = 2026-01-01\nlast = 2026-01-03\n'
    )
    elder = house("wuhan", SATURDAY, CALENDAR_DIR=str(days)).elder(card=WUHAN_CARD)
    read_back = elder.ok("POST", "/api/v1/orders", wish(elder, "wechat_balance", 5_000))["screen"]
    assert "工作日下午四点以前付的款，马上就到账" in read_back["say"]
