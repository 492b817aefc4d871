"""A payment that is checked first, in a browser: the screen says why, and a code of the desk is typed in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from app.cli.house import House
from app.config import REPOSITORY
from tests.browser.audit import audit
from tests.browser.phone import Phone, phone

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]


def ask_from_fifty_yuan_on(held: Phone, house: House) -> None:
    """The person lowers their own threshold, so that the page's own buttons reach it."""
    token = held.page.evaluate("() => localStorage.getItem('anxin.token')")
    answer = requests.put(
        f"{house.base_url}/api/v1/me/limits",
        json={"single_fen": 5_000, "day_fen": 50_000},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    answer.raise_for_status()


def code_of_the_desk(house: House, order_id: str) -> str:
    """What the operator's own command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "desk", "code", order_id, "--operator", "chen"],
        cwd=REPOSITORY,
        env={**os.environ, **house.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_code_of_the_desk_is_typed_and_the_money_arrives(house: House) -> None:
    with phone(house.base_url) as held:
        page = held.page
        held.bind_card("3104870300000000004")
        ask_from_fifty_yuan_on(held, house)
        held.press("充值")
        held.press("充100元")
        held.press("确认，付100元")
        held.wait_for_question("付款前再核对一下")
        audit(page)
        assert page.get_by_text("这笔钱比较大。").first.is_visible()
        assert page.get_by_role("button", name="刷脸").count() == 0, "this page has no camera yet"
        with page.expect_response(lambda told: told.url.endswith("/conversation/turns")) as turn:
            held.press("到柜台办")
        held.wait_for_question("请到柜台办")
        audit(page)
        held.press("输好了")
        assert "请先输入号码" in page.get_by_role("alert").inner_text()
        page.get_by_label("柜台给的号码", exact=True).fill("000000")
        held.press("输好了")
        page.get_by_role("alert").filter(has_text="这个号码不对").wait_for()
        audit(page)
        code = code_of_the_desk(house, turn.value.json()["screen"]["order"]["id"])
        page.get_by_label("柜台给的号码", exact=True).fill(code)
        held.press("输好了")
        held.wait_for_question("请付款100元")
        held.press("付款")
        held.wait_for_question("充好了", 30)
        assert held.foreign() == [] and held.faults == []


def test_who_changes_their_mind_goes_back_to_the_ways_and_out(house: House) -> None:
    with phone(house.base_url, width=320, height=568) as held:
        held.press("大字")
        held.bind_card("3104870300000000005")
        ask_from_fifty_yuan_on(held, house)
        held.press("充值")
        held.press("充50元")
        held.press("确认，付50元")
        held.wait_for_question("付款前再核对一下")
        audit(held.page)
        held.press("到柜台办")
        held.wait_for_question("请到柜台办")
        audit(held.page)
        held.press("换别的办法")
        held.wait_for_question("付款前再核对一下")
        held.press("不充了")
        held.wait_for_question("没有充")
        assert held.faults == []
