"""A party that is out refuses, is silent, or loses its answers; our side says exactly how sure it is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import requests

from app.domain.clock import FakeClock, SystemClock
from app.ports import CreditState, Message, TradeState, Unavailable, Unknown
from app.providers.card_system_gateway import CardSystemGateway
from app.providers.wechat import WeChatApi
from app.providers.wechat_pay import WeChatPayV3
from tests.providers.adapters import a_payment, a_refund, gateway_config, paid, pay_config
from tests.providers.test_sandbox import process
from tests.sandbox_server import Sandbox, running_sandbox, sandbox_keys

CARD = "3104870300000000001"
ORDER = "ord_000001"


@pytest.mark.parametrize(
    ("mode", "outcome", "code", "done"),
    [
        ("refuses", Unavailable, "FREQUENCY_LIMITED", False),
        ("silent", Unknown, "no_answer", False),
        ("lost", Unknown, "no_answer", True),
    ],
)
def test_wechat_pay_that_is_out_says_how_sure_it_is_and_the_other_merchant_serves(
    pay: WeChatPayV3,
    standby: WeChatPayV3,
    sandbox: Sandbox,
    clock: FakeClock,
    mode: str,
    outcome: type[Exception],
    code: str,
    done: bool,
) -> None:
    payment, request = paid(pay, sandbox, clock), a_payment(sandbox, clock)
    sandbox.outage("primary", mode)
    for call in (lambda: pay.open(request), lambda: pay.refund(a_refund(payment))):
        with pytest.raises(outcome, match=code):
            call()
    with pytest.raises(outcome, match=code):  # nothing can be asked either
        pay.query(request.order_id)
    assert len(sandbox.trades()) == (2 if done else 1) and len(sandbox.refunds()) == (1 if done else 0)
    assert standby.query(paid(standby, sandbox, clock).order_id).state is TradeState.SUCCESS
    sandbox.outage("primary", "none")
    assert pay.query(request.order_id).state is (TradeState.NOTPAY if done else TradeState.UNKNOWN_ORDER)
    assert pay.open(request).startswith("wx") and pay.refund(a_refund(payment)).refund_fen == 5000


@pytest.mark.parametrize("mode", ["silent", "lost"])
def test_a_refusal_that_is_lost_is_unknown_too(
    pay: WeChatPayV3, sandbox: Sandbox, clock: FakeClock, mode: str
) -> None:
    request = a_payment(sandbox, clock, 5011)
    sandbox.outage("primary", mode)
    with pytest.raises(Unknown):
        pay.open(request)


@pytest.mark.parametrize(
    ("mode", "outcome", "done"),
    [("refuses", Unavailable, False), ("silent", Unknown, False), ("lost", Unknown, True)],
)
def test_a_card_system_that_is_out_never_credits_twice(
    cards: CardSystemGateway, sandbox: Sandbox, mode: str, outcome: type[Exception], done: bool
) -> None:
    sandbox.outage("cards", mode)
    for _ in range(2):
        with pytest.raises(outcome):
            cards.credit(ORDER, CARD, 5000)
    with pytest.raises(outcome):
        cards.find(CARD)
    assert len(sandbox.credits()) == (1 if done else 0)
    sandbox.outage("cards", "none")
    assert (cards.query(ORDER) is not None) is done
    assert cards.credit(ORDER, CARD, 5000).state is CreditState.CREDITED
    assert len(sandbox.credits()) == 1 and sandbox.card(CARD)["balance_fen"] == 8650


@pytest.mark.parametrize(
    ("mode", "outcome", "sent"), [("refuses", Unavailable, 0), ("silent", Unknown, 0), ("lost", Unknown, 1)]
)
def test_messages_that_are_out_leave_logins_alone(
    wechat: WeChatApi, sandbox: Sandbox, mode: str, outcome: type[Exception], sent: int
) -> None:
    sandbox.subscribe("amy")
    sandbox.outage("messages", mode)
    fields = {"thing1": "x", "amount2": "¥1", "character_string3": "x", "time4": "2026-11-23 10:00"}
    message = Message(sandbox.openid("amy"), "anxin-receipt", "pages/index", fields | {"phrase5": "已到账"})
    with pytest.raises(outcome):
        wechat.send(message)
    assert len(sandbox.messages()) == sent
    assert wechat.exchange(sandbox.login_code("amy")).openid == sandbox.openid("amy")
    sandbox.outage("messages", "none")
    if not sent:
        wechat.send(message)
    assert len(sandbox.messages()) == 1


def test_an_outage_lasts_through_a_kill(tmp_path: Path) -> None:
    sandbox_keys().save(tmp_path)
    with process(tmp_path) as (running, base_url):
        told = {"who": "primary", "mode": "refuses"}
        assert requests.post(f"{base_url}/sandbox/outages", json=told, timeout=5).json() == told
        os.kill(running.pid, signal.SIGKILL)
    with running_sandbox(tmp_path, clock=SystemClock()) as sandbox:
        pay = WeChatPayV3(pay_config(sandbox.base_url, sandbox.keys), SystemClock())
        with pytest.raises(Unavailable):
            pay.query(ORDER)
        assert [row["who"] for row in sandbox.outages()] == ["primary"]
        pay.close_connections()


# --- cards that change behind our back ---


def test_a_card_that_fills_up_between_order_and_credit_is_at_its_ceiling(
    cards: CardSystemGateway, sandbox: Sandbox
) -> None:
    assert cards.find(CARD).balance_fen == 3650
    assert sandbox.set_card(CARD, balance_fen=498_000)["balance_fen"] == 498_000
    with pytest.raises(Exception, match="ceiling_exceeded"):
        cards.credit(ORDER, CARD, 5000)
    assert cards.find(CARD).balance_fen == 498_000 and cards.credit(ORDER, CARD, 2000).balance_fen == 500_000


def test_what_was_credited_stays_so_whatever_becomes_of_the_card(
    cards: CardSystemGateway, sandbox: Sandbox
) -> None:
    done = cards.credit(ORDER, CARD, 5000)
    for behaviour in ("blocked", "credit_refused"):
        sandbox.set_card(CARD, behaviour=behaviour)
        assert cards.credit(ORDER, CARD, 5000) == done
    sandbox.set_card(CARD, behaviour="normal", registered=False, balance_fen=100_000)
    assert cards.credit(ORDER, CARD, 5000) == done and not cards.find(CARD).registered


def test_a_gateway_with_another_key_is_not_told_of_an_outage(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.outage("cards", "refuses")
    stranger = CardSystemGateway(gateway_config(sandbox.base_url, sandbox.keys, key_id="stranger"), clock)
    with pytest.raises(Unavailable, match="key_unknown"):
        stranger.find(CARD)
    stranger.close_connections()
