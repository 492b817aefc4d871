"""A small closed-loop load: keep-alive connections sending prepared requests as fast as answers come."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

STUCK_SECONDS = 30.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """What a load achieved. `latencies` are seconds of good answers, sorted."""

    seconds: float
    good: int
    bad: int
    latencies: Sequence[float]

    @property
    def per_second(self) -> float:
        return self.good / self.seconds

    def quantile(self, share: float) -> float:
        """Seconds below which `share` of the good answers came."""
        if not self.latencies:
            return float("nan")
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request_bytes(method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    """A complete HTTP/1.1 request."""
    head = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    if body:
        head.append("Content-Type: application/json")
    if token:
        head.append(f"Authorization: Bearer {token}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


Requests = Callable[[int], Iterator[bytes]]


@dataclass(slots=True)
class _Client:
    """One connection: its requests, what of the answer has come, and when the request went."""

    connection: socket.socket
    requests: Iterator[bytes]
    came: bytes = b""
    sent_at: float = 0.0

    def send(self) -> None:
        request = next(self.requests)
        self.came, self.sent_at = b"", time.perf_counter()
        self.connection.sendall(request)

    def receive(self) -> int | None:
        """The status once the whole answer is here, 0 when the server hung up."""
        more = self.connection.recv(65536)
        if not more:
            return 0
        self.came += more
        head, found, body = self.came.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(_LENGTH.search(head)[1])  # type: ignore[index]  # every answer of ours has one
        return int(head[9:12]) if len(body) >= length else None


def run(port: int, make: Requests, connections: int, seconds: float) -> Load:
    """Load `port` over that many connections from this one process; `make(n)` yields the requests of
    connection n."""
    selector = selectors.DefaultSelector()
    for number in range(connections):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, _Client(connection, make(number)))
    clients = [key.data for key in selector.get_map().values()]
    begun = time.perf_counter()
    for client in clients:
        client.send()
    latencies, bad = _until(selector, len(clients), begun + seconds)
    elapsed = time.perf_counter() - begun
    for client in clients:
        client.connection.close()
    selector.close()
    return Load(elapsed, len(latencies), bad, sorted(latencies))


def _until(selector: selectors.BaseSelector, waiting: int, stop_at: float) -> tuple[list[float], int]:
    """Answers until `stop_at` and those on their way then: seconds of the good ones, count of the bad."""
    latencies: list[float] = []
    bad = 0
    while waiting:
        ready = selector.select(STUCK_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer within {STUCK_SECONDS} s")
        for key, _events in ready:
            client: _Client = key.data
            status = client.receive()
            if status is None:
                continue
            now = time.perf_counter()
            if 200 <= status < 300:
                latencies.append(now - client.sent_at)
            else:
                bad += 1
            if now < stop_at and status:
                client.send()
            else:
                waiting -= 1
                selector.unregister(client.connection)
    return latencies, bad


def wait_until_answering(port: int, seconds: float = 30.0) -> None:
    """Until something listens on `port`. TimeoutError otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")
