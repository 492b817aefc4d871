"""Faulty notices on demand: what a forger, a broken proxy, or WeChat's own probe would send."""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from app.providers.sandbox.notices import NoticeBook
from app.providers.sandbox.trades import Trades, china_time
from app.providers.sandbox.world import World
from app.providers.wechat_pay_signing import PROBE_PREFIX, answer_message, sign

EVENT = "TRANSACTION.SUCCESS"

# Bent in the plaintext, then genuinely sealed and signed.
_BENT_PLAINTEXTS: dict[str, dict[str, Any]] = {
    "none": {},
    "wrong_amount": {"amount": {"total": 1, "payer_total": 1, "currency": "CNY", "payer_currency": "CNY"}},
    "wrong_currency": {
        "amount": {"total": 5000, "payer_total": 5000, "currency": "HKD", "payer_currency": "HKD"}
    },
    "wrong_merchant": {"mchid": "1900000001"},
    "wrong_app": {"appid": "wx0000000000000000"},
    "unknown_order": {"out_trade_no": "ord_00000000000000000000000000"},
    "no_amount": {"amount": None},
}
# Bent after the body was sealed.
_BENT_WIRES = (
    "replay",
    "forged",
    "unknown_serial",
    "probe",
    "stale",
    "future",
    "tampered",
    "truncated",
    "not_json",
    "wrong_key",
    "unsigned",
    "unknown_event",
)
FAULTS = (*_BENT_PLAINTEXTS, *_BENT_WIRES)


class FaultyNotices:
    """Sends one notice about a trade at once, bent as asked; the trade itself is left alone."""

    def __init__(self, world: World, trades: Trades, notices: NoticeBook) -> None:
        self._world = world
        self._trades = trades
        self._notices = notices

    def send(self, order_id: str, fault: str, merchant: str | None = None) -> int | None:
        """Returns the receiver's HTTP status. LookupError for an unknown trade, or nothing to replay."""
        trade = self._trades.found(order_id, merchant)
        headers, body = self._replayed(order_id) if fault == "replay" else self._built(trade, fault)
        return self._notices.post(trade["notify_url"], headers, body)

    def _replayed(self, order_id: str) -> tuple[dict[str, str], bytes]:
        """The last attempt again, byte for byte."""
        last = self._world.store.row(
            "SELECT sent FROM notices WHERE order_id = ? AND sent IS NOT NULL ORDER BY seq DESC", order_id
        )
        if last is None:
            raise LookupError("nothing was sent yet")
        headers, body = json.loads(last["sent"])
        return headers, body.encode()

    def _built(self, trade: dict[str, Any], fault: str) -> tuple[dict[str, str], bytes]:
        """As if the trade had been paid, whether it was or not."""
        now = self._world.now()
        resource = self._trades.transaction(
            trade
            | {
                "state": "SUCCESS",
                "transaction_id": trade["transaction_id"] or f"42{secrets.randbelow(10**26):026d}",
                "paid_at": trade["paid_at"] or now,
            }
        )
        resource |= {"success_time": china_time(trade["paid_at"] or now)}
        resource |= _BENT_PLAINTEXTS.get(fault, {})
        merchant = self._world.merchants.by_id(trade["merchant_id"])
        serial = self._notices.serial_for(merchant, secrets.randbelow(2))
        headers, body = self._notices.sealed(str(uuid.uuid4()), EVENT, resource, serial)
        if fault in _BENT_PLAINTEXTS:
            return headers, body
        return self._bent(fault, headers, body)

    def _bent(self, fault: str, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        serial = headers["Wechatpay-Serial"]
        if fault == "forged":
            stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            message = answer_message(headers["Wechatpay-Timestamp"], headers["Wechatpay-Nonce"], body)
            return headers | {"Wechatpay-Signature": sign(stranger, message)}, body
        if fault == "unknown_serial":
            return headers | {"Wechatpay-Serial": "0123456789ABCDEF"}, body
        if fault == "probe":
            return headers | {"Wechatpay-Signature": PROBE_PREFIX + headers["Wechatpay-Signature"]}, body
        if fault == "unsigned":
            return {name: value for name, value in headers.items() if name != "Wechatpay-Signature"}, body
        if fault in ("stale", "future"):
            late = timedelta(seconds=3600 if fault == "future" else -3600)
            return self._notices.signed(body, serial, self._world.clock.now() + late), body
        if fault == "tampered":
            return headers, body.replace(b'"create_time"', b'"create_tIme"')
        bodies = {
            "truncated": body[: len(body) // 2],
            "not_json": b"\xff\x00 not JSON",
            "unknown_event": body.replace(EVENT.encode(), b"TRANSACTION.SOMETHING"),
            "wrong_key": body.replace(b'"ciphertext": "', b'"ciphertext": "AAAA'),
        }
        changed = bodies[fault]  # and signed again: genuine, but unreadable
        return self._notices.signed(changed, serial, self._world.clock.now()), changed
