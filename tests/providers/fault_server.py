"""A real TCP server that reads a request and then breaks in one exact way."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


class FaultServer:
    """Set `then` before the call under test; `requests` holds the raw bytes of what arrived.

    then: "reset" (RST), "close" (FIN, no answer), "hang" (no answer until the client gives up), "drip" (an
    answer whose body never ends, a byte at a time), "half" (less body than promised), bytes to answer, or a
    function from the request to the bytes to answer.
    """

    def __init__(self) -> None:
        self.then: str | bytes | Callable[[bytes], bytes] = "close"
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> FaultServer:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _start(self, work: object, *values: object) -> None:
        thread = threading.Thread(target=work, args=values)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            request = _read_request(connection)
            self.requests.append(request)
            with suppress(OSError):  # the client may hang up first
                self._misbehave(connection, self.then(request) if callable(self.then) else self.then)

    def _misbehave(self, connection: socket.socket, then: str | bytes) -> None:
        if isinstance(then, bytes):
            connection.sendall(then)
        elif then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif then == "hang":
            self._over.wait(5)
        elif then == "half":
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"prepay_id":')
        elif then == "drip":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not self._over.wait(0.05):
                connection.sendall(b" ")


def _read_request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def http_answer(status: int, body: bytes, **headers: str) -> bytes:
    """A whole HTTP answer as bytes; underscores in names become dashes."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def scripted(server: FaultServer, answers: Callable[[bytes], dict[str, Any]]) -> None:
    """Answer each request with the JSON that `answers` has for its first line."""

    def then(request: bytes) -> bytes:
        return http_answer(200, json.dumps(answers(request.split(b"\r\n")[0])).encode())

    server.then = then


def signed_answer(
    request: bytes, prefix: str, secret: str, status: int, body: bytes, **changes: str
) -> bytes:
    """What a gateway with our secret would answer to `request`. `changes` bend what is signed or sent:
    timestamp, nonce, signed_status, signed_body.
    """

    def sent(name: str) -> str:
        start = f"{prefix}-{name}: ".lower().encode()
        lines = request.split(b"\r\n")
        return next(line[len(start) :].decode() for line in lines if line.lower().startswith(start))

    timestamp = changes.pop("timestamp", None) or sent("timestamp")
    nonce = changes.pop("nonce", None) or sent("nonce")
    digest = hashlib.sha256(changes.pop("signed_body", "").encode() or body).hexdigest()
    text = f"ANSWER\n{changes.pop('signed_status', status)}\n{timestamp}\n{nonce}\n{digest}"
    assert not changes
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {f"{prefix}-Timestamp": timestamp, f"{prefix}-Signature": mac}
    return http_answer(status, body, **headers)
