"""Commands of `flask --app wsgi …`, one file a group."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from flask import Flask

from app.config import Settings
from app.ports import Clock

# Builds another application, for settings and a clock of its own. Wiring gives it to the commands.
Build = Callable[[Settings, Clock], Flask]

GROUPS = (
    "voice_models",
    "voice",
    "face",
    "city",
    "ledger",
    "reconcile",
    "case",
    "desk",
    "crypto",
    "keys",
    "privacy",
    "demo",
    "worker",
)


def register(app: Flask, build: Build) -> None:
    """Add every group to the application's command line."""
    app.extensions["anxin_build"] = build
    for name in GROUPS:
        app.cli.add_command(import_module(f"app.cli.{name}").group)
