"""Commands of `flask --app wsgi …`, one file a group; a file is read when its command is asked for.

A web worker asks for none, and would carry them all in its memory (measured: 8 MiB).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup

from app.config import Settings
from app.ports import Clock

# Builds another application, for settings and a clock of its own. Wiring gives it to the commands.
Build = Callable[[Settings, Clock], Flask]

GROUPS = {
    name.replace("_", "-"): name
    for name in ("voice_models", "voice", "face", "city", "ledger", "reconcile", "case", "desk")
    + ("crypto", "keys", "privacy", "demo", "worker")
}


class Commands(AppGroup):
    """The commands an application has anyway, and ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *GROUPS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        found: click.Command = import_module(f"app.cli.{GROUPS[cmd_name]}").group
        return found


def register(app: Flask, build: Build) -> None:
    """Add every group to the application's command line."""
    app.extensions["anxin_build"] = build
    commands = Commands(app.cli.name)
    commands.commands.update(app.cli.commands)
    app.cli = commands
