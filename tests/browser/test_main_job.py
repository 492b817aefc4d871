"""The main job in a browser: speak or touch, confirm, pay, and see the money arrive."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from app.cli.house import House
from tests.browser.audit import audit
from tests.browser.phone import Phone, microphone_file, phone

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

SPEAK = "说话充值，点一下，直接说"
LOUD = "() => parseFloat(document.querySelector('.talk-ring').style.transform.slice(6)) > 1.2"
RECOGNISED_SECONDS = 60  # the first clip waits until the speech model is loaded


def agree_to_be_heard(held: Phone) -> None:
    """The first press of the microphone asks; nothing is recorded before the yes."""
    held.press(SPEAK)
    held.wait_for_question("我可以听您说话吗")
    audit(held.page)
    held.press("同意，您听我说")
    held.wait_for_question("好，请说")


@pytest.mark.speech
def test_what_is_said_into_the_microphone_becomes_money_on_the_card(
    house: House, spoken_fifty: Path, tmp_path: Path
) -> None:
    sound, seconds = microphone_file(spoken_fifty, tmp_path)
    with phone(house.base_url, microphone=sound) as held:
        held.bind_card("3104870300000000001")
        held.press("回首页")
        agree_to_be_heard(held)
        held.press("我来说，点一下，直接说")
        held.wait_for_question("我在听")
        held.page.wait_for_function(LOUD)  # the level moves while somebody speaks
        held.page.wait_for_timeout((seconds + 0.6) * 1000)
        held.press("说完了")
        held.wait_for_question("给卡充50元", RECOGNISED_SECONDS)
        assert held.page.get_by_text("我听到：").is_visible()
        held.press("确认，付50元")
        held.press("付款")
        held.wait_for_question("充好了", 30)
        assert held.page.get_by_role("listitem").all_inner_texts() == ["付款\n已经付了", "到账\n已经到账"]
        assert held.page.get_by_text("86.50元").is_visible()  # 36.50 was on the card
        held.press("充值记录")
        entries = held.page.get_by_role("listitem")
        entries.first.wait_for()
        assert entries.count() == 1
        assert "50元" in entries.first.inner_text() and "已经到账" in entries.first.inner_text()
        assert "充好了" in "".join(held.spoken())
        assert held.foreign() == []
        assert held.faults == []


@pytest.mark.speech
def test_silence_ends_by_itself_after_nine_seconds_and_is_told_kindly(house: House, tmp_path: Path) -> None:
    silence, _seconds = microphone_file(None, tmp_path)
    with phone(house.base_url, microphone=silence) as held:
        agree_to_be_heard(held)
        held.press("回到刚才")
        held.press(SPEAK)
        held.wait_for_question("我在听")
        audit(held.page)
        held.page.get_by_role("alert").wait_for(timeout=30_000)
        assert "没有动您的钱" in held.page.get_by_role("alert").inner_text()
        assert len(held.turns()) == 4  # asked, agreed, back, and the clip
        audit(held.page)
        held.press("重新说，点一下，直接说")
        held.wait_for_question("我在听")
        held.press("不说了")
        held.wait_for_question("您想办什么")
        assert len(held.turns()) == 4


def test_the_same_by_touch_alone_with_every_page_measured(house: House) -> None:
    with phone(house.base_url) as held:
        page = held.page
        audit(page)
        held.press("充值")
        held.button("添加这张卡").wait_for()
        audit(page)
        held.press("添加这张卡")
        page.get_by_role("alert").wait_for()
        audit(page)
        page.get_by_label("卡号", exact=True).fill("3104870300000000002")
        held.press("添加这张卡")
        held.wait_for_question("卡绑好了")
        audit(page)
        held.press("充值")
        held.wait_for_question("您要充多少钱")
        audit(page)
        held.press("充100元")
        held.wait_for_question("给卡充100元")
        assert page.get_by_text("第2步，共3步").is_visible()
        audit(page)
        held.press("确认，付100元")
        held.button("付款").wait_for()
        audit(page)
        held.press("不付")
        held.wait_for_question("还没有付款")
        audit(page)
        held.press("付100元")
        held.press("付款")
        held.wait_for_question("充好了", 30)
        audit(page)
        held.press("下次到账发消息给我")
        page.get_by_text("好的，到账会发微信消息给您。").wait_for()
        held.press("充值记录")
        page.get_by_role("listitem").first.wait_for()
        audit(page)
        held.press("找人工")
        held.wait_for_question("找人工")
        audit(page)
        held.press("回首页")
        held.press("查余额")
        page.get_by_text("108.20元").first.wait_for()  # 8.20 was on the card
        audit(page)
        held.press("回首页")
        held.press("请家人帮忙")
        held.wait_for_question("先请一位家人")
        audit(page)
        assert held.foreign() == []
        assert held.faults == []


def test_large_print_reaches_thirty_pixels_and_still_fits(house: House) -> None:
    with phone(house.base_url, width=320, height=568) as held:
        held.press("大字")
        held.button("标准字").wait_for()
        audit(held.page)
        sizes = held.page.locator("[role=button] .btn-label:visible, [role=heading]:visible")
        assert min(sizes.evaluate_all("all => all.map(e => parseFloat(getComputedStyle(e).fontSize))")) >= 30
        held.bind_card("3104870300000000003")
        audit(held.page)
        held.press("充值")
        held.press("充200元")
        held.wait_for_question("给卡充200元")
        audit(held.page)
        held.page.reload()
        held.wait_for_question("给卡充200元")
        assert held.page.locator(".large:visible").count() == 1
        held.press("不充了")
        held.wait_for_question("没有充")
        audit(held.page)


def test_without_a_microphone_the_page_says_so_and_offers_buttons(house: House) -> None:
    with phone(house.base_url) as held:
        agree_to_be_heard(held)
        held.press("回到刚才")
        held.press(SPEAK)
        words = held.page.get_by_role("alert").inner_text()
        assert "麦克风没有打开" in words and "没有动您的钱" in words
        assert words in held.spoken()
        audit(held.page)
        held.press("充值")
        held.wait_for_question("先绑一张卡")
        held.page.get_by_label("卡号", exact=True).fill("3104870300000000010")
        held.press("添加这张卡")
        held.press("充值")
        held.press("充50元")
        held.wait_for_question("给卡充50元")
        held.press("我来说")
        assert "麦克风没有打开" in held.page.get_by_role("alert").inner_text()
        held.wait_for_question("给卡充50元")  # a sum is confirmed only where it stands in large print


def test_a_double_tap_sends_once_and_presses_nothing_on_the_next_screen(house: House) -> None:
    with phone(house.base_url) as held:
        held.bind_card("3104870300000000004")
        expect(held.button("充值")).to_be_enabled()
        before = len(held.turns())
        box = held.button("充值").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for _tap in range(5):
            held.page.touchscreen.tap(x, y)
        held.wait_for_question("您要充多少钱")
        held.page.wait_for_timeout(800)
        assert len(held.turns()) == before + 1
        assert held.question() == "您要充多少钱？"


def test_an_answer_lost_on_the_way_is_asked_for_again_under_the_same_key(house: House) -> None:
    with phone(house.base_url) as held:
        held.bind_card("3104870300000000005")
        held.press("充值")
        held.wait_for_question("您要充多少钱")
        lost: list[str] = []

        def lose_the_answer(route: Route) -> None:
            if lost:
                route.continue_()
                return
            lost.append(str(route.fetch().status))  # the server did it; the phone never hears of it
            route.abort()

        held.page.route("**/conversation/turns", lose_the_answer)
        held.press("充50元")
        alert = held.page.get_by_role("alert")
        alert.wait_for()
        assert "不会重复充" in alert.inner_text()
        audit(held.page)
        held.press("再试一次")
        held.wait_for_question("给卡充50元")
        first, second = (sent.post_data_json["client_key"] for sent in held.turns()[-2:])
        assert lost == ["200"]
        assert first == second


def test_money_that_could_not_be_credited_is_never_called_arrived(house: House) -> None:
    with phone(house.base_url) as held:
        held.bind_card("3104870300000000009")  # the card system takes no money for this one
        held.press("充值")
        held.press("充50元")
        held.press("确认，付50元")
        held.press("付款")
        held.wait_for_question("退回", 30)
        paid, credited = held.page.get_by_role("listitem").all_inner_texts()
        assert "退给您" in paid and "没有充上" in credited
        assert "已经到账" not in held.page.inner_text("body")
        audit(held.page)
        held.press("回首页")
        held.press("充值记录")
        entry = held.page.get_by_role("listitem").first
        entry.wait_for()
        assert "没有充上" in entry.inner_text() and "已经到账" not in entry.inner_text()
        audit(held.page)


def test_the_phones_own_back_button_leads_home_and_leaves_nothing_open(house: House) -> None:
    with phone(house.base_url) as held:
        held.bind_card("3104870300000000004")
        held.press("充值")
        held.press("充50元")
        held.wait_for_question("给卡充50元")
        held.page.go_back()
        held.wait_for_question("您想办什么")
        held.page.reload()
        held.wait_for_question("您想办什么")
        assert held.button("充值").is_visible() and held.page.get_by_text("给卡充50元").count() == 0


def test_the_keyboard_alone_is_enough(house: House) -> None:
    with phone(house.base_url) as held:
        held.page.keyboard.press("Tab")
        focused = "document.activeElement.getAttribute('aria-label')"
        assert held.page.evaluate(focused) == SPEAK
        held.page.keyboard.press("Tab")
        assert held.page.evaluate(focused) == "充值"
        held.page.keyboard.press("Enter")
        held.wait_for_question("先绑一张卡")
        assert held.page.evaluate("document.activeElement.textContent") == "先绑一张卡"
