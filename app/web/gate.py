"""The gate before everything else: so many requests are worked on at once, some wait, the rest are told so.

Without it a server that is asked for more than it can do serves everybody too late, which is nobody. A
refusal is made before any work, so that it costs next to nothing, and says when to come again. Who has
begun a top-up may wait where who begins one is already sent away.
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
# An order that exists, and what WeChat tells of payments.
_BEGUN = ("/api/v1/orders/", "/api/v1/callbacks/")

TURNED_AWAY = Counter("anxin_turned_away_total", "Requests refused at the gate", ["begun"])

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]


class Gate:
    """WSGI middleware. The server needs more threads than `at_once + waiting`: a refusal takes one too."""

    def __init__(
        self, inner: Application, at_once: int, waiting: int, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """`at_once` requests are worked on and `waiting` wait, at most half of them to begin something."""
        self._inner = inner
        self._patience_seconds = patience_seconds
        self._free = at_once
        self._room, self._room_to_begin = waiting, waiting // 2
        self._queue: deque[threading.Lock] = deque()
        self._lock = threading.Lock()
        told = AppError("too_busy")
        self._status = f"{told.status} SERVICE UNAVAILABLE"
        self._body = {"code": told.code, "say": told.say, "next": told.next}

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._queue)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path in OPERATORS:
            return self._inner(environ, start_response)
        begun = path.startswith(_BEGUN)
        if not self._enter(self._room if begun else self._room_to_begin):
            TURNED_AWAY.labels(str(begun).lower()).inc()
            return self._refuse(environ, start_response)
        try:
            return self._inner(environ, start_response)
        finally:
            self._leave()

    def _enter(self, room: int) -> bool:
        """In the order of coming. False when too many wait, or the wait is too long."""
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

    def _leave(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().release()  # the place is handed over, nobody can slip in
            else:
                self._free += 1

    def _refuse(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        body = json.dumps({**self._body, "request_id": request_id}, ensure_ascii=False).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Retry-After", str(COME_AGAIN_SECONDS)),
            ("X-Request-Id", request_id),
            ("Cache-Control", "no-store"),
        ]
        start_response(self._status, headers)
        return [body]
