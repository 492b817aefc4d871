"""Anxin (安心充): an elder tops up a city card by speaking. `create_app` builds the application."""

from __future__ import annotations

from apiflask import APIFlask

from app.config import Settings
from app.flows.deps import Deps


def create_app(settings: Settings | None = None, deps: Deps | None = None) -> APIFlask:
    """The Flask application: settings from the environment, or with `deps` that are already built.

    Raises FaultySettings with every fault of the environment.
    """
    from app import wiring

    return wiring.application(settings, deps)
