"""The HTTP edge of our signed gateways: who is asking (strictly), and signed answers. docs/CARD_SYSTEM.md.

The card system, the text messages and the bank checks each have one, with a key and an outage of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request

from app.providers.card_system_files import LARGEST_BATCH_BYTES
from app.providers.sandbox.outages import Outage, outage_of
from app.providers.sandbox.store import use_nonce
from app.providers.sandbox.world import AnswerLost, World
from app.providers.signed_gateway import mac

CLOCK_WINDOW_SECONDS = 300


class GatewayError(Exception):
    """An answer that is a code. 202 batch_working is one too."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway's side of the protocol. `who` names it in outages and separates its nonces."""

    who: str
    header: str  # "X-Card"
    key_id: str
    secret: str = field(repr=False)


def nothing_due() -> None:
    """For a gateway where nothing falls due."""


class SignedEdge:
    """Verifies each request's signature and binds each answer to its request."""

    def __init__(self, world: World, gateway: Gateway, before: Callable[[], None] = nothing_due) -> None:
        """`before` runs before any work: what has fallen due meanwhile."""
        self._world = world
        self._gateway = gateway
        self._before = before

    def handle(self, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        """Authenticate, parse JSON (empty for GET), do `work(body)`, answer JSON."""
        return self._admit(lambda raw: self._signed(200, _json(work(_parsed(raw))), "application/json"))

    def take_file(self, work: Callable[[bytes], dict[str, Any]]) -> Response:
        """Authenticate, do `work(file)`, answer JSON."""
        request.max_content_length = LARGEST_BATCH_BYTES
        return self._admit(lambda raw: self._signed(200, _json(work(raw)), "application/json"))

    def give_file(self, work: Callable[[], bytes]) -> Response:
        """Authenticate, answer the file `work()` makes, with its checksum."""

        def made(_raw: bytes) -> Response:
            file = work()
            response = self._signed(200, file, "text/csv; charset=us-ascii")
            response.headers[f"{self._gateway.header}-File-Sha256"] = hashlib.sha256(file).hexdigest()
            return response

        return self._admit(made)

    def _admit(self, work: Callable[[bytes], Response]) -> Response:
        """Authenticate and do `work(raw body)`. Errors are answered and outages happen here."""
        raw = request.get_data(cache=True)
        outage = Outage.NONE
        try:
            outage = self._authenticate(raw)
            if outage is Outage.REFUSES:
                raise GatewayError(503, "unavailable")
            self._before()
            answer = work(raw)
        except GatewayError as fault:
            answer = self._signed(fault.status, _json({"code": fault.code}), "application/json")
        if outage is Outage.LOST:
            raise AnswerLost
        return answer

    def _authenticate(self, raw: bytes) -> Outage:
        now = int(self._world.now())
        timestamp, nonce = self._given("Timestamp"), self._given("Nonce")
        if self._given("Key") != self._gateway.key_id:
            raise GatewayError(401, "key_unknown")
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > CLOCK_WINDOW_SECONDS:
            raise GatewayError(401, "stale")
        if not re.fullmatch("[0-9a-f]{32}", nonce):
            raise GatewayError(401, "nonce_malformed")
        target = request.environ.get("REQUEST_URI") or request.path
        expected = mac(self._gateway.secret, request.method, target, timestamp, nonce, raw)
        given = self._given("Signature").encode("utf-8", "replace")
        if not hmac.compare_digest(expected.encode(), given):
            raise GatewayError(401, "signature")
        with self._world.store.write() as tx:
            if not use_nonce(tx, self._gateway.who, f"{timestamp}:{nonce}", now, 2 * CLOCK_WINDOW_SECONDS):
                raise GatewayError(401, "nonce_used")
            return outage_of(tx, self._gateway.who)

    def _given(self, name: str) -> str:
        return request.headers.get(f"{self._gateway.header}-{name}", "")

    def _signed(self, status: int, raw: bytes, content_type: str) -> Response:
        """The answer is bound to its request by the request's nonce."""
        timestamp = str(int(self._world.now()))
        header, secret, nonce = self._gateway.header, self._gateway.secret, self._given("Nonce")
        response = Response(raw, status, content_type=content_type)
        response.headers[f"{header}-Timestamp"] = timestamp
        response.headers[f"{header}-Signature"] = mac(secret, "ANSWER", str(status), timestamp, nonce, raw)
        return response


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _parsed(raw: bytes) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise GatewayError(400, "not_json")
    return body
