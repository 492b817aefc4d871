"""The HTTP edge of the sandbox's WeChat Pay: who is asking (strictly), and signed answers."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from app.providers.sandbox.merchants import Merchant
from app.providers.sandbox.outages import Outage, outage_of
from app.providers.sandbox.store import use_nonce
from app.providers.sandbox.world import AnswerLost, World, words
from app.providers.wechat_pay_signing import (
    SCHEMA,
    answer_message,
    is_signed_by,
    request_message,
    sign,
)

CLOCK_WINDOW_SECONDS = 300
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')


class PayError(Exception):
    """A v3 error answer."""

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler wants answered; 204 has no body. `badly_signed` is a magic fault."""

    status: int
    body: dict[str, Any] | None = None
    badly_signed: bool = False


# What a handler is given: who asks, and the JSON body (empty for GET).
Work = Callable[[Merchant, dict[str, Any]], Answer]


class PayEdge:
    """Verifies each request's Authorization and signs each answer with the key the client asked for."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, work: Work) -> Response:
        """Authenticate, parse, do `work(merchant, body)`, answer signed."""
        return self.admit(lambda merchant, raw: self._signed(merchant, work(merchant, _parsed(raw))))

    def admit(self, work: Callable[[Merchant, bytes], Response]) -> Response:
        """Authenticate and do `work(merchant, raw body)`. Errors are answered and outages happen here."""
        raw = request.get_data(cache=True)
        try:
            merchant, outage = self._authenticate(raw)
        except PayError as fault:  # the real one cannot sign for a stranger either
            return Response(json.dumps(_told(fault)), fault.status, content_type="application/json")
        try:
            _check_headers(merchant)
            if outage is Outage.REFUSES:
                raise PayError(429, "FREQUENCY_LIMITED", "outage")
            answer = work(merchant, raw)
        except PayError as fault:
            answer = self._signed(merchant, Answer(fault.status, _told(fault)))
        if outage is Outage.LOST:
            raise AnswerLost
        return answer

    def _authenticate(self, raw: bytes) -> tuple[Merchant, Outage]:
        """The Authorization header, strictly: scheme, merchant, serial, clock, nonce, signature."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        fields = dict(_FIELD.findall(rest))
        now = int(self._world.now())
        timestamp, nonce = fields.get("timestamp", ""), fields.get("nonce_str", "")
        if scheme != SCHEMA or set(fields) != {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}:
            raise PayError(401, "SIGN_ERROR", "authorization")
        merchant = self._world.merchants.get(fields["mchid"])
        if merchant is None or fields["serial_no"] != merchant.keys.merchant_serial:
            raise PayError(401, "SIGN_ERROR", "mchid or serial_no")
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > CLOCK_WINDOW_SECONDS:
            raise PayError(401, "SIGN_ERROR", "timestamp")
        if not re.fullmatch(r"[A-Za-z0-9]{1,32}", nonce):
            raise PayError(401, "SIGN_ERROR", "nonce_str")
        target = request.environ.get("REQUEST_URI") or request.full_path.removesuffix("?")
        message = request_message(request.method, target, int(timestamp), nonce, raw)
        if not is_signed_by(merchant.own_key, message, fields["signature"]):
            raise PayError(401, "SIGN_ERROR", "signature")
        with self._world.store.write() as tx:
            used = f"{merchant.name}:{timestamp}:{nonce}"
            if not use_nonce(tx, "pay", used, now, 2 * CLOCK_WINDOW_SECONDS):
                raise PayError(401, "SIGN_ERROR", "nonce_str was used")
            return merchant, outage_of(tx, merchant.name)

    def _signed(self, merchant: Merchant, answer: Answer) -> Response:
        body = b"" if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
        serial = request.headers.get("Wechatpay-Serial", "")
        if serial not in merchant.signs_with:
            serial = merchant.keys.platform_serial
        timestamp, nonce = str(int(self._world.now())), secrets.token_hex(16)
        signed_body = b"{}" if answer.badly_signed else body
        response = Response(body, answer.status, content_type="application/json; charset=utf-8")
        response.headers.update(
            {
                "Request-ID": secrets.token_hex(16).upper() + "-0",
                "Wechatpay-Timestamp": timestamp,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Serial": serial,
                "Wechatpay-Signature-Type": SCHEMA,
                "Wechatpay-Signature": sign(
                    merchant.signs_with[serial], answer_message(timestamp, nonce, signed_body)
                ),
            }
        )
        return response


def _told(fault: PayError) -> dict[str, str]:
    detail = f"({fault.detail})" if fault.detail else ""
    return {"code": fault.code, "message": words()["error"].get(fault.code, "") + detail}


def _check_headers(merchant: Merchant) -> None:
    if "application/json" not in request.headers.get("Accept", "") or not request.user_agent.string:
        raise PayError(400, "PARAM_ERROR", "Accept and User-Agent are required")
    serial = request.headers.get("Wechatpay-Serial")
    if serial is not None and serial not in merchant.signs_with:
        raise PayError(400, "PARAM_ERROR", "Wechatpay-Serial")


def _parsed(raw: bytes) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "not JSON") from None
    if not isinstance(body, dict) or not (request.content_type or "").startswith("application/json"):
        raise PayError(400, "PARAM_ERROR", "not a JSON object")
    return body
