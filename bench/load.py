"""A small closed-loop load: keep-alive connections sending prepared requests as fast as answers come."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection


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


def _answer(connection: socket.socket) -> int:
    """Read one answer with a Content-Length; returns its status."""
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return 0
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(rest) < length:
        more = connection.recv(65536)
        if not more:
            return 0
        rest += more
    return int(head[9:12])


def _connection_loop(
    port: int, requests: Iterator[bytes], stop_at: float, found: list[tuple[int, float]]
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            begun = time.perf_counter()
            if begun >= stop_at:
                return
            connection.sendall(next(requests))
            found.append((_answer(connection), time.perf_counter() - begun))


Requests = Callable[[int], Iterator[bytes]]


def _client(port: int, make: Requests, number: int, seconds: float, pipe: Connection) -> None:
    found: list[tuple[int, float]] = []
    _connection_loop(port, make(number), time.perf_counter() + seconds, found)
    pipe.send(found)
    pipe.close()


def run(port: int, make: Requests, connections: int, seconds: float) -> Load:
    """Load `port` with one process a connection; `make(n)` yields the requests of connection n."""
    context = multiprocessing.get_context("fork")
    clients = []
    begun = time.perf_counter()
    for number in range(connections):
        ours, theirs = context.Pipe()
        client = context.Process(target=_client, args=(port, make, number, seconds, theirs))
        client.start()
        clients.append((client, ours))
    results = [result for _client, ours in clients for result in ours.recv()]
    for client, _ours in clients:
        client.join()
    elapsed = max(seconds, time.perf_counter() - begun)
    good = sorted(latency for status, latency in results if 200 <= status < 300)
    return Load(elapsed, len(good), len(results) - len(good), good)


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
