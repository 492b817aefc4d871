"""Commands of `flask --app wsgi …`, one file a group."""

from __future__ import annotations

from importlib import import_module

from flask import Flask

GROUPS = ("voice_models", "voice", "city", "ledger", "reconcile", "case", "demo", "worker")


def register(app: Flask) -> None:
    """Add every group to the application's command line."""
    for name in GROUPS:
        app.cli.add_command(import_module(f"app.cli.{name}").group)
