"""`flask --app wsgi worker`: works the outbox and keeps the clock."""

from __future__ import annotations

import click
from flask import current_app

from app.flows.deps import Deps
from app.jobs.worker import Hints


@click.command("worker")
@click.option("--threads", default=2, show_default=True, help="Outbox rows handled side by side.")
def group(threads: int) -> None:
    """Work the outbox and keep the clock until stopped."""
    deps: Deps = current_app.extensions["anxin"]
    Hints(deps.settings.data_dir).serve(deps, threads)
