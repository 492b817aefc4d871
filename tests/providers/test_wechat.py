"""The mini-program's server API: login codes, one shared token, subscribe messages."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.clock import FakeClock
from app.ports import Message, OutsideError, Refused, Unavailable, Unknown, WeChatIdentity
from app.providers.sandbox.mini_program import field_fits
from app.providers.wechat import OUTCOMES, WeChatApi, fitted
from tests.providers.adapters import SHORT, wechat_config
from tests.providers.fault_server import FaultServer, closed_port, http_answer, scripted
from tests.sandbox_server import RECEIPT_TEMPLATE, Sandbox, sandbox_keys


def receipt(sandbox: Sandbox, **changes: str) -> Message:
    data = {
        "thing1": "广州羊城通 尾号 0001",
        "amount2": "￥50.00",
        "character_string3": "ord_01JD0000000000000000000000",
        "time4": "2026-11-23 10:00",
        "phrase5": "充值成功",
    }
    return Message(sandbox.openid("amy"), RECEIPT_TEMPLATE, "pages/index/index", data | changes)


# --- login ---


def test_a_code_is_exchanged_once_for_the_persons_openid(wechat: WeChatApi, sandbox: Sandbox) -> None:
    code = sandbox.login_code("amy")
    assert wechat.exchange(code) == WeChatIdentity(sandbox.openid("amy"))
    with pytest.raises(Refused, match="40163"):
        wechat.exchange(code)


def test_the_same_person_is_always_the_same_and_another_is_another(
    wechat: WeChatApi, sandbox: Sandbox
) -> None:
    openids = [wechat.exchange(sandbox.login_code(person)).openid for person in ("amy", "bob", "amy")]
    assert openids[0] == openids[2] != openids[1]


def test_a_code_lives_five_minutes(wechat: WeChatApi, sandbox: Sandbox, clock: FakeClock) -> None:
    fresh, stale = sandbox.login_code("amy"), sandbox.login_code("amy")
    clock.tick(seconds=299)
    wechat.exchange(fresh)
    clock.tick(seconds=1)
    with pytest.raises(Refused, match="40029"):
        wechat.exchange(stale)


@pytest.mark.parametrize("code", ["", "never-given", "&appid=wx0", "码" * 50, "\ud800", "\x00"])
def test_a_code_wechat_never_gave_is_refused(wechat: WeChatApi, code: str) -> None:
    with pytest.raises(Refused):
        wechat.exchange(code)


@pytest.mark.parametrize(
    ("person", "outcome"), [("busy", Unavailable), ("frequent", Unavailable), ("blocked", Refused)]
)
def test_wechat_may_refuse_or_be_busy(
    wechat: WeChatApi, sandbox: Sandbox, person: str, outcome: type[OutsideError]
) -> None:
    with pytest.raises(outcome):
        wechat.exchange(sandbox.login_code(person))


def test_a_wrong_secret_is_our_fault_and_not_the_persons(sandbox: Sandbox, clock: FakeClock) -> None:
    wrong = WeChatApi(wechat_config(sandbox.base_url, sandbox.keys, app_secret="x" * 32), clock)
    with pytest.raises(Unavailable, match="40125"):
        wrong.exchange(sandbox.login_code("amy"))
    with pytest.raises(Unavailable, match="token_40125"):
        wrong.send(receipt(sandbox))
    wrong.close_connections()


# --- messages ---


def test_one_acceptance_is_one_message(wechat: WeChatApi, sandbox: Sandbox) -> None:
    assert sandbox.subscribe("amy")[RECEIPT_TEMPLATE] == "accept"
    wechat.send(receipt(sandbox))
    (message,) = sandbox.messages()
    assert message["data"]["amount2"] == "￥50.00" and message["miniprogram_state"] == "formal"
    assert message["openid"] == sandbox.openid("amy") and message["page"] == "pages/index/index"
    with pytest.raises(Refused, match="43101"):
        wechat.send(receipt(sandbox))


def test_ten_threads_with_three_acceptances_send_three_messages(wechat: WeChatApi, sandbox: Sandbox) -> None:
    for _ in range(3):
        sandbox.subscribe("amy")

    def send(_number: int) -> bool:
        try:
            wechat.send(receipt(sandbox))
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(send, range(10))) == 3
    assert len(sandbox.messages()) == 3


def test_text_that_is_too_long_is_cut_to_what_the_field_holds(wechat: WeChatApi, sandbox: Sandbox) -> None:
    sandbox.subscribe("amy")
    wechat.send(receipt(sandbox, thing1="长" * 30, phrase5="充值已经成功了", character_string3="a" * 40))
    data = sandbox.messages()[0]["data"]
    assert data["thing1"] == "长" * 20 and data["phrase5"] == "充值已经成"
    assert data["character_string3"] == "a" * 32


def test_a_field_that_would_be_empty_is_refused_before_anything_is_sent(
    wechat: WeChatApi, sandbox: Sandbox
) -> None:
    sandbox.subscribe("amy")
    for value in ("", " \n\t ", "\u200b"):
        with pytest.raises(Refused, match="field_empty"):
            wechat.send(receipt(sandbox, thing1=value))
    assert sandbox.messages() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"template_id": "another"}, "40037"),
        ({"openid": "o-unknown"}, "40003"),
        ({"data": {"thing1": "x"}}, "47003"),
        ({"data": {"thing9": "x"}}, "47003"),
    ],
)
def test_what_wechat_will_never_send_is_refused(
    wechat: WeChatApi, sandbox: Sandbox, change: dict[str, Any], code: str
) -> None:
    sandbox.subscribe("amy")
    whole = receipt(sandbox)
    values = {name: getattr(whole, name) for name in ("openid", "template_id", "page", "data")}
    with pytest.raises(Refused, match=code):
        wechat.send(Message(**(values | change)))


@pytest.mark.parametrize("state", ["developer", "trial"])
def test_a_message_can_open_an_unreleased_version(sandbox: Sandbox, clock: FakeClock, state: str) -> None:
    config = wechat_config(sandbox.base_url, sandbox.keys, miniprogram_state=state)
    wechat = WeChatApi(config, clock)
    sandbox.subscribe("amy")
    wechat.send(receipt(sandbox))
    assert sandbox.messages()[0]["miniprogram_state"] == state
    wechat.close_connections()


# --- the token ---


def tokens(sandbox: Sandbox) -> list[str]:
    rows = sandbox.server.sandbox.world.store.rows("SELECT token FROM access_tokens ORDER BY rowid")
    return [row["token"] for row in rows]


def test_a_token_that_was_reset_is_renewed_once_and_the_message_goes_out(
    wechat: WeChatApi, sandbox: Sandbox
) -> None:
    for _ in range(2):
        sandbox.subscribe("amy")
    wechat.send(receipt(sandbox))
    (first,) = tokens(sandbox)
    sandbox.ask("/sandbox/tokens/expire")
    wechat.send(receipt(sandbox))
    (second,) = tokens(sandbox)
    assert first != second and len(sandbox.messages()) == 2


def test_a_token_is_renewed_five_minutes_before_its_end(
    wechat: WeChatApi, sandbox: Sandbox, clock: FakeClock
) -> None:
    for _ in range(3):
        sandbox.subscribe("amy")
    wechat.send(receipt(sandbox))
    clock.tick(seconds=7200 - 301)
    wechat.send(receipt(sandbox))
    assert len(tokens(sandbox)) == 1
    clock.tick(seconds=2)
    wechat.send(receipt(sandbox))
    assert len(tokens(sandbox)) == 2  # the old one lives on for its last minutes


def test_two_processes_share_one_token(wechat: WeChatApi, sandbox: Sandbox, clock: FakeClock) -> None:
    other = WeChatApi(wechat_config(sandbox.base_url, sandbox.keys), clock)
    for _ in range(4):
        sandbox.subscribe("amy")
    for adapter in (wechat, other, wechat, other):
        adapter.send(receipt(sandbox))
    assert len(tokens(sandbox)) == 1
    other.close_connections()


@pytest.fixture
def lonely(fault_server: FaultServer, clock: FakeClock) -> Iterator[WeChatApi]:
    adapter = WeChatApi(wechat_config(fault_server.base_url, sandbox_keys(), timeouts=SHORT), clock)
    yield adapter
    adapter.close_connections()


def test_a_token_that_stays_stale_is_renewed_once_and_not_for_ever(
    lonely: WeChatApi, fault_server: FaultServer, sandbox: Sandbox
) -> None:
    scripted(
        fault_server,
        lambda line: {"access_token": "t", "expires_in": 7200} if b"stable" in line else {"errcode": 40001},
    )
    with pytest.raises(Unavailable, match="40001"):
        lonely.send(receipt(sandbox))
    assert len(fault_server.requests) == 4  # token, message, token, message


def test_many_threads_with_a_cold_cache_fetch_one_token(
    lonely: WeChatApi, fault_server: FaultServer, sandbox: Sandbox
) -> None:
    scripted(
        fault_server,
        lambda line: {"access_token": "t", "expires_in": 7200} if b"stable" in line else {"errcode": 0},
    )
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: lonely.send(receipt(sandbox)), range(10)))
    assert sum(b"stable_token" in request for request in fault_server.requests) == 1


# --- how calls end ---


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http_answer(200, b'{"openid":"o1","session_key":"k"}', Content_Type="text/plain"), None),
        (http_answer(200, b'{"errcode":0,"openid":"o1","unionid":"u1"}'), None),
        (http_answer(200, b'{"errcode":0}'), Unknown),
        (http_answer(200, b'{"openid":""}'), Unknown),
        (http_answer(200, b"<html>"), Unknown),
        (http_answer(200, b"[]"), Unknown),
        (http_answer(500, b'{"openid":"o1"}'), Unknown),
        (http_answer(302, b"", Location="https://elsewhere.example/"), Unknown),
        (http_answer(200, b'{"errcode":99999}'), Unknown),
        (http_answer(200, b'{"errcode":-1}'), Unavailable),
    ],
    ids=lambda value: getattr(value, "__name__", "answer"),
)
def test_what_an_answer_to_a_login_means(
    lonely: WeChatApi, fault_server: FaultServer, answer: bytes, outcome: type[OutsideError] | None
) -> None:
    fault_server.then = answer
    if outcome is None:
        assert lonely.exchange("code").openid == "o1"
        return
    with pytest.raises(OutsideError) as ended:
        lonely.exchange("code")
    assert type(ended.value) is outcome


@pytest.mark.parametrize("code", sorted(OUTCOMES))
def test_every_listed_errcode_ends_a_message_as_the_table_says(
    lonely: WeChatApi, fault_server: FaultServer, sandbox: Sandbox, code: int
) -> None:
    scripted(
        fault_server,
        lambda line: {"access_token": "t", "expires_in": 7200} if b"stable" in line else {"errcode": code},
    )
    with pytest.raises(OutsideError) as ended:
        lonely.send(receipt(sandbox))
    assert type(ended.value) is OUTCOMES[code] and ended.value.code == str(code)


@pytest.mark.parametrize("then", ["reset", "close", "hang"])
def test_a_login_without_an_answer_is_unknown_and_a_message_without_a_token_was_not_sent(
    lonely: WeChatApi, fault_server: FaultServer, sandbox: Sandbox, then: str
) -> None:
    fault_server.then = then
    with pytest.raises(Unknown):
        lonely.exchange("code")
    with pytest.raises(Unavailable, match="token_no_answer"):
        lonely.send(receipt(sandbox))


def test_no_secret_reaches_a_log_or_a_message_of_an_error(
    lonely: WeChatApi,
    wechat: WeChatApi,
    sandbox: Sandbox,
    fault_server: FaultServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.subscribe("amy")
    code = sandbox.login_code("amy")
    wechat.exchange(code)
    wechat.send(receipt(sandbox))
    told = ""
    for then in ("reset", "hang", http_answer(200, b'{"errcode":40125}')):
        fault_server.then = then
        with pytest.raises(OutsideError) as ended:
            lonely.exchange(code)
        told += "".join(traceback.format_exception(ended.value))
    nowhere = WeChatApi(wechat_config(closed_port(), sandbox.keys), sandbox.clock)
    with pytest.raises(Unavailable) as ended:
        nowhere.exchange(code)
    told += "".join(traceback.format_exception(ended.value))
    everything = told + caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    for secret in (sandbox.keys.app_secret, code, *tokens(sandbox)):
        assert secret not in everything


# --- fields ---


@settings(deadline=None)
@given(kind=st.sampled_from(["thing", "car_number", "character_string"]), value=st.text(max_size=60))
def test_whatever_the_text_a_cut_field_fits_or_is_refused(kind: str, value: str) -> None:
    try:
        text = fitted(f"{kind}1", value)
    except Refused:
        return
    assert field_fits(f"{kind}1", text)


def test_names_are_cut_by_the_script_they_are_written_in() -> None:
    assert fitted("name1", "阿" * 12) == "阿" * 10
    assert fitted("name1", "a" * 25) == "a" * 20


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"app_id": ""}, "id"), ({"app_secret": ""}, "secret"), ({"miniprogram_state": "x"}, "state")],
)
def test_a_faulty_configuration_is_refused_at_once(
    clock: FakeClock, changes: dict[str, str], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        WeChatApi(wechat_config("http://127.0.0.1:9", sandbox_keys(), **changes), clock)
