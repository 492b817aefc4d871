"""Who follows which session in this process, and the one thread that reads for all of them.

The bell says where to look; what is delivered is always read from the rows, from the last number a stream has
on. So a lost hint costs at most LOOK_SECONDS, and nothing is lost or doubled: events are numbered without
gaps, and a stream takes only what follows its last number.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from app.domain.help import EventKind
from app.flows import help_live
from app.flows.deps import Deps
from app.store.bell import ear_of
from app.store.help_rows import HelpEvent

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at all followed sessions, whatever the bell says
WAIT_SECONDS = 0.25  # so soon the thread hears that it shall stop


@dataclass(eq=False)
class Stream:
    """One open stream. Touched by the event loop only."""

    session_id: str
    last: int  # the number of the last event it was given
    waiting: list[HelpEvent] = field(default_factory=list)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def give(self, events: Sequence[HelpEvent]) -> None:
        """Take what follows the last one it has."""
        for event in events:
            if event.number > self.last and not self.over:
                self.last = event.number
                self.waiting.append(event)
                self.over = event.kind == EventKind.ENDED.value
        if self.waiting:
            self.woken.set()

    def take(self) -> list[HelpEvent]:
        """What is waiting."""
        self.woken.clear()
        taken, self.waiting = self.waiting, []
        return taken


class Hub:
    """All streams of one process. `start` and `stop` belong to its event loop."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._ear = ear_of(deps.database)
        self._streams: dict[str, set[Stream]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)
        self._trouble: str | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread.start()

    async def stop(self) -> None:
        """End every stream and the thread."""
        self._stopping.set()
        for streams in self._streams.values():
            for stream in streams:
                stream.over = True
                stream.woken.set()
        await asyncio.to_thread(self._thread.join, 2 * WAIT_SECONDS)

    @property
    def problem(self) -> str | None:
        """Why events come late, or None."""
        return self._trouble or self._ear.problem

    @property
    def streams(self) -> int:
        """How many are open."""
        return sum(len(streams) for streams in self._streams.values())

    async def follow(self, session_id: str, after: int) -> Stream:
        """Open a stream that has had the events up to the number `after`."""
        stream = Stream(session_id, after)
        self._streams.setdefault(session_id, set()).add(stream)  # first: what comes now is not missed
        try:
            stream.give(await asyncio.to_thread(help_live.news, self._deps, session_id, after))
        except SQLAlchemyError:
            log.warning("first read failed", extra={"session": session_id})  # the next look finds it
        return stream

    def leave(self, stream: Stream) -> None:
        streams = self._streams.get(stream.session_id, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(stream.session_id, None)

    def _listen(self) -> None:
        """The thread: wait for the bell, and read."""
        next_look = 0.0
        while not self._stopping.is_set():
            rung = self._ear.wait(WAIT_SECONDS)
            followed = list(self._streams)
            try:
                if rung is None or time.monotonic() >= next_look:
                    self._look(followed)
                    next_look = time.monotonic() + LOOK_SECONDS
                else:
                    self._read(rung.intersection(followed))
                self._trouble = None
            except SQLAlchemyError as fault:
                self._trouble = f"not reading: {type(fault).__name__}"
                log.warning("help events not read", extra={"fault": self._trouble})
                self._stopping.wait(LOOK_SECONDS)
        self._ear.close()

    def _look(self, followed: list[str]) -> None:
        """At all sessions at once; then read where something is new, and where it is over."""
        if followed:
            numbers = help_live.last_numbers(self._deps, followed)
            self._read([each for each in followed if numbers.get(each, -1) != self._least(each)])

    def _read(self, session_ids: Collection[str]) -> None:
        for session_id in session_ids:
            events = help_live.news(self._deps, session_id, self._least(session_id))
            if events and self._loop is not None:
                self._loop.call_soon_threadsafe(self._deliver, session_id, events)

    def _least(self, session_id: str) -> int:
        """The last number that all streams of this session have."""
        return min((stream.last for stream in list(self._streams.get(session_id, ()))), default=0)

    def _deliver(self, session_id: str, events: Sequence[HelpEvent]) -> None:
        for stream in self._streams.get(session_id, ()):
            stream.give(events)
