"""The HTTP edge of the card system: who is asking (strictly), and signed answers. docs/CARD_SYSTEM.md."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from flask import Response, request

from app.providers.card_system_files import LARGEST_BATCH_BYTES
from app.providers.sandbox.outages import CARDS, Outage, outage_of
from app.providers.sandbox.store import use_nonce
from app.providers.sandbox.world import AnswerLost, World

CLOCK_WINDOW_SECONDS = 300


class CardError(Exception):
    """An answer of the card system that is a code. 202 batch_working is one too."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class CardEdge:
    """Verifies each request's signature and binds each answer to its request."""

    def __init__(self, world: World, before: Callable[[], None]) -> None:
        """`before` runs before any work: what has fallen due meanwhile."""
        self._world = world
        self._before = before
        self._secret = world.keys.card_secret.encode()

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
            response.headers["X-Card-File-Sha256"] = hashlib.sha256(file).hexdigest()
            return response

        return self._admit(made)

    def _admit(self, work: Callable[[bytes], Response]) -> Response:
        """Authenticate and do `work(raw body)`. Errors are answered and outages happen here."""
        raw = request.get_data(cache=True)
        outage = Outage.NONE
        try:
            outage = self._authenticate(raw)
            if outage is Outage.REFUSES:
                raise CardError(503, "unavailable")
            self._before()
            answer = work(raw)
        except CardError as fault:
            answer = self._signed(fault.status, _json({"code": fault.code}), "application/json")
        if outage is Outage.LOST:
            raise AnswerLost
        return answer

    def _authenticate(self, raw: bytes) -> Outage:
        headers, now = request.headers, int(self._world.now())
        timestamp, nonce = headers.get("X-Card-Timestamp", ""), headers.get("X-Card-Nonce", "")
        if headers.get("X-Card-Key") != self._world.keys.card_client_id:
            raise CardError(401, "key_unknown")
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > CLOCK_WINDOW_SECONDS:
            raise CardError(401, "stale")
        if not re.fullmatch("[0-9a-f]{32}", nonce):
            raise CardError(401, "nonce_malformed")
        target = request.environ.get("REQUEST_URI") or request.path
        expected = self._mac(request.method, target, timestamp, nonce, raw)
        given = headers.get("X-Card-Signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(expected.encode(), given):
            raise CardError(401, "signature")
        with self._world.store.write() as tx:
            if not use_nonce(tx, "cards", f"{timestamp}:{nonce}", now, 2 * CLOCK_WINDOW_SECONDS):
                raise CardError(401, "nonce_used")
            return outage_of(tx, CARDS)

    def _mac(self, first: str, second: str, timestamp: str, nonce: str, body: bytes) -> str:
        lines = [first, second, timestamp, nonce, hashlib.sha256(body).hexdigest()]
        return hmac.new(self._secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()

    def _signed(self, status: int, raw: bytes, content_type: str) -> Response:
        """The answer is bound to its request by the request's nonce."""
        timestamp = str(int(self._world.now()))
        nonce = request.headers.get("X-Card-Nonce", "")
        response = Response(raw, status, content_type=content_type)
        response.headers["X-Card-Timestamp"] = timestamp
        response.headers["X-Card-Signature"] = self._mac("ANSWER", str(status), timestamp, nonce, raw)
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
        raise CardError(400, "not_json")
    return body
