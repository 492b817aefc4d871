"""What a phone does with WeChat. No authentication: the sandbox listens on this machine only."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from app.providers.sandbox.asks import BadAsk, asked
from app.providers.sandbox.mini_program import MiniProgram
from app.providers.sandbox.trades import CannotPay, Trades

LONGEST_NAME = 64


def _person(body: dict[str, Any], required: bool = True) -> str | None:
    person = body.get("person")
    if person is None and not required:
        return None
    if not isinstance(person, str) or not 0 < len(person) <= LONGEST_NAME:
        raise BadAsk("person is a name of 1 to 64 characters")
    return person


def phone_routes(mini_program: MiniProgram, trades: Trades) -> Blueprint:
    """wx.login, wx.requestPayment and wx.requestSubscribeMessage, as POSTs."""
    routes = Blueprint("phone", __name__, url_prefix="/phone")

    @routes.post("/login")
    def login() -> dict[str, str]:
        """{"person"} -> {"code"}."""
        return {"code": mini_program.login_code(str(_person(asked())))}

    @routes.post("/pay")
    def pay() -> dict[str, str]:
        """{"payment": {five fields}, "action": "pay"|"cancel", "person"?} -> {"errMsg"}."""
        body = asked()
        payment, action = body.get("payment"), body.get("action", "pay")
        if not isinstance(payment, dict) or not all(isinstance(value, str) for value in payment.values()):
            raise BadAsk("payment holds the five texts of wx.requestPayment")
        if action not in ("pay", "cancel"):
            raise BadAsk("action is pay or cancel")
        try:
            trades.pay(payment, action, _person(body, required=False))
        except CannotPay as reason:
            return {"errMsg": f"requestPayment:fail {reason}"}
        return {"errMsg": "requestPayment:ok"}

    @routes.post("/subscribe")
    def subscribe() -> dict[str, str]:
        """{"person", "template_ids"} -> {template id: "accept"}."""
        body = asked()
        template_ids = body.get("template_ids")
        if not isinstance(template_ids, list) or not all(isinstance(item, str) for item in template_ids):
            raise BadAsk("template_ids is a list of texts")
        return mini_program.accept(str(_person(body)), template_ids)

    return routes
