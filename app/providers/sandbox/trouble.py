"""Trouble made on purpose: outages, late and second payments, cards that change behind our back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint

from app.providers.sandbox.asks import BadAsk, asked, merchant_name, one_of, text
from app.providers.sandbox.bills import BILL_FAULTS
from app.providers.sandbox.cards import BEHAVIOURS
from app.providers.sandbox.merchants import PRIMARY
from app.providers.sandbox.outages import WHO, Outage, set_outage
from app.providers.sandbox.trades import PAID

if TYPE_CHECKING:
    from app.providers.sandbox.application import Sandbox


class Trouble:
    """Each POST under /sandbox that changes the outside world. docs/SANDBOX.md has the table."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._world = sandbox.world
        self._trades = sandbox.trades
        self._refunds = sandbox.refunds
        self._notices = sandbox.notices
        self._bills = sandbox.bills
        self._cards = sandbox.cards
        self._batches = sandbox.batches

    def outage(self) -> dict[str, str]:
        """{"who", "mode"}: from now on, also after a restart, until mode "none"."""
        body = asked()
        who, mode = one_of(body, "who", WHO), one_of(body, "mode", tuple(Outage))
        with self._world.store.write() as tx:
            set_outage(tx, who, Outage(mode))
        return {"who": who, "mode": mode}

    def pay_late(self) -> dict[str, str]:
        """{"order_id", "merchant"?}: the payment comes through although the trade expired or was closed."""
        body = asked()
        trade = self._found(body)
        with self._world.store.write() as tx:
            now = tx.execute("SELECT state FROM trades WHERE seq = ?", (trade["seq"],)).fetchone()
            if now["state"] in PAID:
                raise BadAsk("that trade is paid; pay-again takes a second payment")
            transaction_id = self._trades.mark_paid(tx, trade["seq"])
        self._notices.wake()
        return {"transaction_id": transaction_id}

    def pay_again(self) -> dict[str, str]:
        """{"order_id", "merchant"?}: a second payment is taken for a paid trade, and its notice sent."""
        trade = self._found(asked())
        if trade["state"] not in PAID:
            raise BadAsk("that trade is not paid yet")
        with self._world.store.write() as tx:
            second = tx.execute(
                "INSERT INTO trades (merchant_id, order_id, request, amount_fen, openid, notify_url,"
                " expires_at, state, attach, again)"
                " SELECT merchant_id, order_id, request, amount_fen, openid, notify_url,"
                " expires_at, 'NOTPAY', attach, 1 FROM trades WHERE seq = ?",
                (trade["seq"],),
            )
            assert second.lastrowid is not None
            transaction_id = self._trades.mark_paid(tx, second.lastrowid)
        self._notices.wake()
        return {"transaction_id": transaction_id}

    def _found(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._trades.found(text(body, "order_id"), merchant_name(body))
        except LookupError as fault:
            raise BadAsk(str(fault)) from None

    def settle_refund(self) -> dict[str, str]:
        """{"refund_id", "merchant"?}: what a person does on the merchant's page for an ABNORMAL refund."""
        body = asked()
        try:
            self._refunds.settle(text(body, "refund_id"), merchant_name(body))
        except LookupError as fault:
            raise BadAsk(str(fault)) from None
        return {"state": "SUCCESS"}

    def set_card(self) -> dict[str, Any]:
        """{"card_number", "balance_fen"?, "registered"?, "behaviour"?} -> the card's row."""
        body = asked()
        changes: dict[str, Any] = {}
        if "behaviour" in body:
            changes["behaviour"] = one_of(body, "behaviour", BEHAVIOURS)
        if "registered" in body:
            if not isinstance(body["registered"], bool):
                raise BadAsk("registered is true or false")
            changes["registered"] = body["registered"]
        if "balance_fen" in body:
            if type(body["balance_fen"]) is not int or body["balance_fen"] < 0:
                raise BadAsk("balance_fen is a whole number of fen")
            changes["balance_fen"] = body["balance_fen"]
        self._batches.finish_due()
        card = self._cards.change(text(body, "card_number"), changes)
        if card is None:
            raise BadAsk("no such card")
        return card

    def stall_batches(self) -> dict[str, bool]:
        """{"stalled"}: files are taken and none is worked through, until false."""
        stalled = asked().get("stalled")
        if not isinstance(stalled, bool):
            raise BadAsk("stalled is true or false")
        self._batches.stall(stalled)
        return {"stalled": stalled}

    def bill_fault(self) -> dict[str, Any]:
        """{"day", "fault", "merchant"?, ...} -> the same, with the row that was chosen. See Bills."""
        body = asked()
        merchant = self._world.merchants.named(merchant_name(body) or PRIMARY)
        return self._bills.set_fault(merchant, text(body, "day"), one_of(body, "fault", BILL_FAULTS), body)

    def routes(self) -> Blueprint:
        """Everything that makes trouble, under /sandbox."""
        routes = Blueprint("trouble", __name__, url_prefix="/sandbox")
        routes.post("/outages")(self.outage)
        routes.post("/trades/pay-late")(self.pay_late)
        routes.post("/trades/pay-again")(self.pay_again)
        routes.post("/refunds/settle")(self.settle_refund)
        routes.post("/cards/set")(self.set_card)
        routes.post("/batches/stall")(self.stall_batches)
        routes.post("/bills/faults")(self.bill_fault)
        return routes
