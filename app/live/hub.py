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

MOST_STREAMS = 4  # of one session in one process: two sides, and what a bad line has not closed yet
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
        """Take what follows the last one it has, without a gap: what came before is still being read for a
        stream that has just opened, and all of it is read again."""
        for event in events:
            if event.number == self.last + 1 and not self.over:
                self.last = event.number
                self.waiting.append(event)
                self.over = event.kind == EventKind.ENDED.value
        if self.waiting:
            self.woken.set()

    def end(self) -> None:
        """Nothing more will come; what is waiting is still taken."""
        self.over = True
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
        self._streams: dict[str, list[Stream]] = {}  # by session, the oldest first
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
                stream.end()
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
        """Open a stream that has had the events up to the number `after`. One too many ends the oldest."""
        stream = Stream(session_id, after)
        streams = self._streams.setdefault(session_id, [])
        streams.append(stream)  # before reading: what comes now is not missed
        for oldest in streams[:-MOST_STREAMS]:
            oldest.end()
        try:
            stream.give(await asyncio.to_thread(help_live.news, self._deps, session_id, after))
        except SQLAlchemyError:
            log.warning("first read failed", extra={"session": session_id})  # the next look finds it
        except BaseException:  # the phone hung up meanwhile
            self.leave(stream)
            raise
        return stream

    def leave(self, stream: Stream) -> None:
        streams = self._streams[stream.session_id]
        streams.remove(stream)
        if not streams:
            del self._streams[stream.session_id]

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
            self._read([each for each in numbers if numbers[each] != self._least(each)])
            self._read([each for each in followed if each not in numbers], over=True)

    def _read(self, session_ids: Collection[str], over: bool = False) -> None:
        for session_id in session_ids:
            events = help_live.news(self._deps, session_id, self._least(session_id))
            if (events or over) and self._loop is not None:
                self._loop.call_soon_threadsafe(self._deliver, session_id, events, over)

    def _least(self, session_id: str) -> int:
        """The last number that all streams of this session have."""
        return min((stream.last for stream in list(self._streams.get(session_id, ()))), default=0)

    def _deliver(self, session_id: str, events: Sequence[HelpEvent], over: bool) -> None:
        for stream in self._streams.get(session_id, ()):
            stream.give(events)
            if over:
                stream.end()
