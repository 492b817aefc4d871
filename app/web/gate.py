"""The gate before everything else: so many requests are worked on at once, some wait, the rest are told so.

Without it a server that is asked for more than it can do serves everybody too late, which is nobody. A
refusal is made before any work, so that it costs next to nothing, and says when to come again. Who has
begun a top-up may wait where who begins one is already sent away.

There are three lanes, each with places of its own: work that is all ours, work that asks WeChat or the card
system, and clips and photos. A WeChat that hangs, or a crowd that speaks, fills its own lane only.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Counter

from app.errors import AppError

COME_AGAIN_SECONDS = 3
PATIENCE_SECONDS = 1.0  # who was not served by then would be gone when served
OPERATORS = frozenset({"/healthz", "/readyz", "/metrics"})  # they look in just when it is crowded
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.\-]{8,64}")
_AN_ORDER = "/api/v1/orders/"
# An order that exists, and what WeChat tells of payments.
_BEGUN = (_AN_ORDER, "/api/v1/callbacks/")
_ASKS_OTHERS = (
    "/api/v1/conversation/",
    "/api/v1/cards",
    "/api/v1/elders/",
    "/api/v1/pay-requests/",  # withdrawing one asks WeChat first
    "/api/v1/sessions",
    "/api/v1/me/phone",
    "/sandbox/",
)

TURNED_AWAY = Counter("anxin_turned_away_total", "Requests refused at the gate", ["lane"])

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


class Lane:
    """So many places to be worked on, and a queue that is served in the order of coming."""

    def __init__(self, name: str, places: int, patience_seconds: float) -> None:
        self._free = places
        self._patience_seconds = patience_seconds
        self._queue: deque[threading.Lock] = deque()
        self._lock = threading.Lock()
        self.turned_away = TURNED_AWAY.labels(name)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._queue)

    def enter(self, room: int) -> bool:
        """Get a place, at once or after a wait. False when `room` others wait, or the wait is too long."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            if len(self._queue) >= room:
                return False
            turn = threading.Lock()
            turn.acquire()
            self._queue.append(turn)
        if turn.acquire(timeout=self._patience_seconds):
            return True
        with self._lock:
            if turn not in self._queue:
                return True  # the turn came at the last moment
            self._queue.remove(turn)
            return False

    def leave(self) -> None:
        """Give the place to who waits longest."""
        with self._lock:
            if self._queue:
                self._queue.popleft().release()  # handed over: nobody can slip in
            else:
                self._free += 1


class Gate:
    """WSGI middleware. The server needs more threads than all lanes work on and let wait: a refusal takes
    one too, and must not queue behind those who wait."""

    def __init__(
        self, inner: Application, at_once: int, waiting: int, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """A lane works on `at_once` requests and lets `waiting` wait, at most half of them to begin
        something. Clips and photos wait inside, with the recogniser: twice the places, and few outside."""
        self._inner = inner
        self._waiting = waiting
        self.ours = Lane("ours", at_once, patience_seconds)
        self.asking = Lane("asking", at_once, patience_seconds)
        self.uploads = Lane("uploads", 2 * at_once, patience_seconds)
        told = AppError("too_busy")
        body = {"code": told.code, "say": told.say, "next": told.next, "request_id": ""}
        self._status = f"{told.status} SERVICE UNAVAILABLE"
        self._body = json.dumps(body, ensure_ascii=False).removesuffix('"}').encode()

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path in OPERATORS:
            return self._inner(environ, start_response)
        lane = self._lane(environ, path)
        if not lane.enter(self._room(lane, path)):
            lane.turned_away.inc()
            return self._refuse(environ, start_response)
        try:
            return self._inner(environ, start_response)
        finally:
            lane.leave()

    def _lane(self, environ: Environ, path: str) -> Lane:
        if environ.get("CONTENT_TYPE", "").startswith("multipart/"):
            return self.uploads
        posted_to_an_order = path.startswith(_AN_ORDER) and environ.get("REQUEST_METHOD") == "POST"
        return self.asking if posted_to_an_order or path.startswith(_ASKS_OTHERS) else self.ours

    def _room(self, lane: Lane, path: str) -> int:
        if lane is self.uploads:
            return self._waiting // 4
        return self._waiting if path.startswith(_BEGUN) else self._waiting // 2

    def _refuse(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        body = self._body + request_id.encode() + b'"}'
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Retry-After", str(COME_AGAIN_SECONDS)),
            ("X-Request-Id", request_id),
            ("Cache-Control", "no-store"),
        ]
        start_response(self._status, headers)
        return [body]
