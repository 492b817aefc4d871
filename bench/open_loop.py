"""An open-loop load: requests come when they come, whether or not the earlier ones were answered.

Each request has a moment at which it is due (a Poisson process of a fixed seed), and its time is counted
from that moment, not from when a connection was free for it: a server that stalls cannot make its own
figures look good by keeping the load from coming (coordinated omission). A client that was not answered in
GIVE_UP_SECONDS hangs up, as people do. One process, one thread, epoll; how late it was itself is told too.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GIVE_UP_SECONDS = 2.0
MOST_CONNECTIONS = 400
SEED = 20261124


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it was due and ended (seconds since the start), and its status; 0 for no answer."""

    due: float
    ended: float
    status: int

    @property
    def seconds(self) -> float:
        return self.ended - self.due


@dataclass
class Found:
    """What an open load achieved."""

    seconds: float
    asked: list[Asked]
    lateness: list[float]  # of the generator itself, in seconds, for every request

    @property
    def offered_per_second(self) -> float:
        return len(self.asked) / self.seconds

    def good(self, within: float) -> list[Asked]:
        """Answered with 2xx, in time."""
        return [one for one in self.asked if 200 <= one.status < 300 and one.seconds <= within]

    def statuses(self) -> dict[str, int]:
        """How many of each status; "0" got no answer."""
        counts: dict[str, int] = {}
        for one in self.asked:
            counts[str(one.status)] = counts.get(str(one.status), 0) + 1
        return counts

    def answered_quantile(self, share: float) -> float:
        """Seconds below which `share` of the 2xx answers came; those that never came are not in it."""
        return quantile([one.seconds for one in self.asked if 200 <= one.status < 300], share)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not pass; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def arrivals(per_second: float, seconds: float, seed: int = SEED) -> list[float]:
    """The moments of a Poisson process."""
    drawn, at, found = random.Random(seed), 0.0, []
    while (at := at + drawn.expovariate(per_second)) < seconds:
        found.append(at)
    return found


@dataclass(slots=True)
class _Line:
    """One keep-alive connection; `number` is the request under way, -1 for none."""

    socket: socket.socket
    number: int = -1
    data: bytes = b""


class OpenLoop:
    """One run against one port: a request at each moment of `due`, taken from `requests` in turn."""

    def __init__(self, port: int, requests: Iterator[bytes], due: list[float]) -> None:
        self._port = port
        self._due = due
        self._wires = [next(requests) for _moment in due]
        self._ended = [0.0] * len(due)
        self._status = [0] * len(due)
        self._lateness: list[float] = []
        self._left = len(due)  # not ended yet
        self._following = 0  # the next to become due
        self._oldest = 0  # nobody before it is still waited for
        self._epoll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._idle: list[_Line] = []
        self._asking: dict[int, _Line] = {}  # by request
        self._waiting: deque[int] = deque()  # for a line
        self._begun = 0.0

    def run(self) -> Found:
        """Until the last request was answered or given up."""
        self._begun = time.perf_counter()
        while self._left:
            now = self._now()
            self._become_due(now)
            self._give_up(now)
            self._send(now)
            for file, _event in self._epoll.poll(self._until_next(now)):
                self._receive(self._lines[file])
        for line in list(self._lines.values()):
            self._drop(line)
        self._epoll.close()
        asked = [Asked(*one) for one in zip(self._due, self._ended, self._status, strict=True)]
        return Found(self._due[-1] if self._due else 0.0, asked, self._lateness)

    def _now(self) -> float:
        return time.perf_counter() - self._begun

    def _until_next(self, now: float) -> float:
        if self._following == len(self._due):
            return 0.01
        return max(0.0, min(self._due[self._following] - now, 0.01))

    def _become_due(self, now: float) -> None:
        while self._following < len(self._due) and self._due[self._following] <= now:
            self._waiting.append(self._following)
            self._lateness.append(now - self._due[self._following])
            self._following += 1

    def _give_up(self, now: float) -> None:
        """People who waited too long hang up, whether their request was sent or not."""
        while self._oldest < self._following and self._due[self._oldest] + GIVE_UP_SECONDS <= now:
            number = self._oldest
            self._oldest += 1
            if not self._ended[number]:
                self._end(number, 0, now)
                line = self._asking.pop(number, None)
                if line is not None:
                    self._drop(line)

    def _end(self, number: int, status: int, now: float) -> None:
        self._ended[number], self._status[number] = now, status
        self._left -= 1

    def _send(self, now: float) -> None:
        while self._waiting:
            number = self._waiting[0]
            if self._ended[number]:
                self._waiting.popleft()
                continue
            line = self._idle.pop() if self._idle else self._new_line()
            if line is None:
                return
            self._waiting.popleft()
            line.number, line.data = number, b""
            self._asking[number] = line
            try:
                line.socket.send(self._wires[number])  # far smaller than a socket's buffer
            except OSError:
                self._lost(line)

    def _new_line(self) -> _Line | None:
        if len(self._lines) >= MOST_CONNECTIONS:
            return None
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        line = _Line(connection)
        self._lines[connection.fileno()] = line
        self._epoll.register(connection.fileno(), select.EPOLLIN)
        return line

    def _receive(self, line: _Line) -> None:
        try:
            data = line.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(line)
            return
        line.data += data
        head, found, body = line.data.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self._asking.pop(line.number, None)
        self._end(line.number, int(head[9:12]), self._now())
        line.number = -1
        self._idle.append(line)

    def _lost(self, line: _Line) -> None:
        """The server hung up. What was under way on this line got no answer."""
        if line.number >= 0:
            self._asking.pop(line.number, None)
            self._end(line.number, 0, self._now())
        else:
            self._idle.remove(line)
        self._drop(line)

    def _drop(self, line: _Line) -> None:
        file = line.socket.fileno()
        self._epoll.unregister(file)
        del self._lines[file]
        line.socket.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def run(port: int, requests: Iterator[bytes], due: list[float]) -> Found:
    """See OpenLoop."""
    return OpenLoop(port, requests, due).run()
