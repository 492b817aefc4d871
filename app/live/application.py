"""The ASGI application of help sessions: `GET /live/help/<id>?ticket=…` answers with Server-Sent Events.

Each event is `id: <number>`, `event: <kind>`, `data: {"side", "at", …body}`. A stream that broke is taken up
again with a fresh ticket, and the last number as `Last-Event-ID` or `after`. It ends by itself after `ended`.
Nothing is sent to us over it: what people do, they do by the API.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.exc import SQLAlchemyError

from app.domain.clock import iso
from app.errors import AppError
from app.flows import help_live
from app.flows.deps import Deps
from app.live.hub import Hub, Stream
from app.store.help_rows import HelpEvent

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ADDRESS, HEALTH = "/live/help/", "/live/healthz"
BREATH_SECONDS = 15.0  # a comment now and then keeps proxies from closing a quiet stream
AGAIN_MILLISECONDS = 1000  # the phone's pause before it asks for a fresh ticket


class LiveHelp:
    """The application. One for each process of the server."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self.hub = Hub(deps)
        page = urlsplit(deps.settings.public_url)
        self._origin = f"{page.scheme}://{page.netloc}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.hub.start(asyncio.get_running_loop())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.hub.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] != "GET":
            await self._fault(send, AppError("method_not_allowed"))
        elif path == HEALTH:
            health = {"status": "ok", "streams": self.hub.streams, "problem": self.hub.problem}
            await self._json(send, 200, health)
        elif path.startswith(ADDRESS):
            await self._help(scope, path.removeprefix(ADDRESS), receive, send)
        else:
            await self._fault(send, AppError("not_found"))

    async def _help(self, scope: Message, session_id: str, receive: Receive, send: Send) -> None:
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        ticket, after = asked.get("ticket", [""])[-1], asked.get("after", ["0"])[-1]
        try:
            after = _number(headers.get(b"last-event-id", after))
            await asyncio.to_thread(help_live.join, self._deps, session_id, ticket)
        except AppError as fault:
            await self._fault(send, fault)
            return
        except SQLAlchemyError as fault:
            log.warning("stream not opened", extra={"fault": type(fault).__name__})
            await self._fault(send, AppError("too_busy"))
            return
        stream = await self.hub.follow(session_id, after)
        gone = asyncio.create_task(_gone(receive))
        try:
            await self._start(send, 200, b"text/event-stream")
            await _write(send, f"retry: {AGAIN_MILLISECONDS}\n\n")
            await _flow(stream, gone, send)
        finally:
            self.hub.leave(stream)
            gone.cancel()

    async def _fault(self, send: Send, fault: AppError) -> None:
        """The same shape as the API's faults."""
        body = {"code": fault.code, "say": fault.say, "next": fault.next, "request_id": "-"}
        await self._json(send, fault.status, body)

    async def _json(self, send: Send, status: int, body: dict[str, Any]) -> None:
        await self._start(send, status, b"application/json")
        await send({"type": "http.response.body", "body": json.dumps(body, ensure_ascii=False).encode()})

    async def _start(self, send: Send, status: int, content_type: bytes) -> None:
        headers = [
            (b"content-type", content_type),
            (b"cache-control", b"no-store"),
            (b"access-control-allow-origin", self._origin),
            (b"x-content-type-options", b"nosniff"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})


def _number(text: str) -> int:
    """How far a stream had come. AppError request_invalid for what no number can be."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise AppError("request_invalid")
    return int(text)


async def _gone(receive: Receive) -> None:
    """Until the phone hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _flow(stream: Stream, gone: asyncio.Task[None], send: Send) -> None:
    """Write what comes until it is over or nobody is there."""
    while not gone.done():
        events = stream.take()
        if events:
            await _write(send, "".join(_framed(event) for event in events))
        if stream.over and not stream.waiting:
            await send({"type": "http.response.body", "body": b""})
            return
        waking = asyncio.create_task(stream.woken.wait())
        done, _ = await asyncio.wait(
            {gone, waking}, timeout=BREATH_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        waking.cancel()
        if not done:
            await _write(send, ": \n\n")


def _framed(event: HelpEvent) -> str:
    data = json.dumps({"side": event.side, "at": iso(event.at), **event.body}, ensure_ascii=False)
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n"


async def _write(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
