"""The edge every request passes: its id, its size, who is asking, how it is logged and measured."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, g
from flask import request as flask_request
from flask.json.provider import DefaultJSONProvider
from prometheus_client import Counter, Histogram

from app.errors import AppError
from app.flows.deps import Deps
from app.flows.login import authenticate
from app.store.people import Actor
from app.store.replica import Replica, ReplicaFailed

log = logging.getLogger("anxin.request")

KIB = 1024
JSON_LIMIT = 64 * KIB
SHORTEST_OBJECT = 16  # bytes: nothing that asks for anything is shorter, but "null" and its blanks are
LIMITS = {  # these also take multipart forms; everything else is JSON
    "conversation.take_turn": 2 * KIB * KIB + JSON_LIMIT,  # a clip of 2 MiB and its form
    "cards.bind": 8 * KIB * KIB + JSON_LIMIT,  # a photo of 8 MiB and its form
    "identity.enrol_face": 24 * KIB * KIB + JSON_LIMIT,  # three of them
    "help.say_yes": 2 * KIB * KIB + JSON_LIMIT,
    "help.say": 2 * KIB * KIB + JSON_LIMIT,
    "checks.answer_face": 15 * KIB * KIB + JSON_LIMIT,  # fifteen frames of 1 MiB
}
POSITION = "X-Anxin-Position"  # how far the database had come, told by our answer and said by the next GET
_REQUEST_ID = re.compile(r"^[A-Za-z0-9_.\-]{8,64}$")
REQUESTS = Counter("anxin_requests_total", "Requests by endpoint and status", ["endpoint", "status"])
SECONDS = Histogram(
    "anxin_request_seconds",
    "Wall time of a request",
    ["endpoint"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)

ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """Mark a view that needs no session. Everything else does; a rule test holds the list."""
    view.__anxin_public__ = True  # type: ignore[attr-defined]
    return view


def deps() -> Deps:
    """What this application was wired with."""
    found: Deps = current_app.extensions["anxin"]
    return found


def actor() -> Actor:
    """Who is asking; only in views that are not public."""
    found: Actor = g.actor
    return found


def is_public(app: Flask, endpoint: str | None) -> bool:
    """Unknown paths are public too: their answer is a 404 that tells nothing."""
    if endpoint is None:
        return True
    return getattr(app.view_functions.get(endpoint), "__anxin_public__", False)


class BoundedJson(DefaultJSONProvider):
    """JSON that nests thousands deep is malformed like any other, not a fault of ours."""

    ensure_ascii = False  # what people hear is Chinese: half the bytes
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


@cache
def _series(endpoint: str, status: int) -> tuple[Counter, Histogram]:
    """The two time series of an answer, found once: few endpoints, few statuses."""
    return REQUESTS.labels(endpoint, str(status)), SECONDS.labels(endpoint)


def _this_request() -> Request:
    """The request itself: the proxy would look it up again at each of a dozen questions."""
    found: Request = flask_request._get_current_object()  # type: ignore[attr-defined]
    return found


def _check_body(request: Request, endpoint: str) -> None:
    """A body must say that it is what this endpoint takes. A notice is judged by its signature instead."""
    unmeasured = request.content_length is None and "Transfer-Encoding" in request.headers
    ours = request.path.startswith("/api/v1/") and not endpoint.startswith("callbacks.")
    if not ours or not (request.content_length or unmeasured):
        return
    if request.mimetype == "multipart/form-data" and endpoint in LIMITS:
        return
    if not request.is_json:
        raise AppError("request_type_unsupported")
    if (request.content_length or 0) <= SHORTEST_OBJECT and request.get_data().strip() == b"null":
        raise AppError("request_invalid")  # the framework would take it for an object with nothing in it
    if unmeasured:
        request.get_data()  # stops at the limit without a word, and the rest would be called malformed
        request.stream.read(1)  # 413 when there is a rest


def _replica() -> Replica | None:
    return deps().database.replica


def _again_at_the_primary(app: Flask) -> None:
    """A replica that breaks off a read is not the person's trouble. Only reads ever go there, and a read
    may be done twice."""
    dispatch = app.dispatch_request

    def dispatch_request() -> Any:
        try:
            return dispatch()
        except ReplicaFailed as fault:
            log.warning("replica failed", extra={"fault": str(fault)})
            replica = _replica()
            assert replica is not None, "it has just failed"
            replica.follow(None)
            return dispatch()

    app.dispatch_request = dispatch_request  # type: ignore[method-assign]


def install(app: Flask) -> None:
    """Put the edge around every request of this application."""
    app.json = BoundedJson(app)
    _again_at_the_primary(app)

    @app.before_request
    def _enter() -> None:
        request = _this_request()
        g.started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.match(given) else f"req_{secrets.token_hex(12)}"
        endpoint, length = request.endpoint or "", request.content_length
        limit = LIMITS.get(endpoint, JSON_LIMIT)
        request.max_content_length = limit
        if length is not None and length > limit:
            raise AppError("request_too_large")  # before a byte of the body is read
        replica = _replica()
        if replica is not None:
            replica.leave()  # the thread's last request is over, and who is asking is asked of the primary
        if not is_public(app, request.endpoint):
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            g.actor = authenticate(deps(), token if scheme == "Bearer" else "")
            if replica is not None:
                replica.follow(request.headers.get(POSITION) if request.method == "GET" else None)
        _check_body(request, endpoint)

    @app.after_request
    def _leave(response: Response) -> Response:
        request = _this_request()
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        endpoint = request.endpoint or "unknown"
        response.headers.extend({"X-Request-Id": g.get("request_id", "-"), **ALWAYS})
        response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
        if request.path.startswith(("/api/", "/sandbox/")):
            response.headers.setdefault("Cache-Control", "no-store")
        if _replica() is not None and (position := deps().database.position()) is not None:
            response.headers[POSITION] = position
        requests, taken = _series(endpoint, response.status_code)
        requests.inc()
        taken.observe(seconds)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "request",
                extra={
                    "endpoint": endpoint,
                    "method": request.method,
                    "status": response.status_code,
                    "milliseconds": round(seconds * 1000, 1),
                },
            )
        return response


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the request's id. Extras are ids and codes, never what was said."""

    _OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        try:
            line["request_id"] = g.request_id
        except (RuntimeError, AttributeError):
            pass  # outside a request
        line.update({key: str(value) for key, value in record.__dict__.items() if key not in self._OWN})
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Send every log line of this process to stderr as JSON. Libraries speak only from WARNING up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("app", "anxin"):
        logging.getLogger(ours).setLevel(level)
