"""While an elder is being helped, their phone says so with every request, and what it is shown is published.

A request without the header costs one look at the headers.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request

from app.flows import help_acts
from app.web.edge import deps

HEADER = "X-Anxin-Help"  # the id of the session


def install(app: Flask) -> None:
    """Look at every answer that goes to a phone."""

    @app.after_request
    def _publish(response: Response) -> Response:
        session_id = request.headers.get(HEADER)
        if session_id is not None and "actor" in g:
            screen = _screen_of(response)
            if screen is not None:
                help_acts.shown(deps(), g.actor, session_id, screen)
        return response


def _screen_of(response: Response) -> dict[str, Any] | None:
    """The screen in an answer, or the fault it is; None for anything else."""
    if response.direct_passthrough or not response.is_json:
        return None
    body = response.get_json(silent=True)
    if not isinstance(body, dict):
        return None
    screen = body if "code" in body and "say" in body else body.get("screen")
    return screen if isinstance(screen, dict) else None
