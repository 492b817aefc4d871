"""Whether the processes of the streams answer, and hear what happens."""

from __future__ import annotations

import json

from app.ports import Unavailable, Unknown
from app.providers.http import HttpClient, Timeouts

LOOK = Timeouts(connect_seconds=0.5, read_seconds=0.5)


class LiveStreams:
    """The streams behind `live_url`."""

    def __init__(self, live_url: str) -> None:
        self._http = HttpClient(live_url, LOOK)

    def problem(self) -> str | None:
        try:
            answer = self._http.send("GET", "/live/healthz", {})
        except (Unavailable, Unknown) as silence:
            return f"no live help: {silence.code}"
        try:
            told = json.loads(answer.body)["problem"] if answer.status == 200 else answer.status
        except (ValueError, KeyError, TypeError):
            told = "not understood"
        return None if told is None else f"no live help: {told}"
