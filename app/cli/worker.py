"""`flask --app wsgi worker`: works the outbox and keeps the clock."""

from __future__ import annotations

import click
from flask import current_app

from app.flows.deps import Deps
from app.jobs.worker import AnotherWorkerRuns, Hints


@click.command("worker")
@click.option("--threads", default=2, show_default=True, help="Outbox rows handled side by side.")
def group(threads: int) -> None:
    """Work the outbox and keep the clock until stopped."""
    deps: Deps = current_app.extensions["anxin"]
    try:
        Hints(deps.settings.data_dir).serve(deps, threads)
    except AnotherWorkerRuns as fault:
        raise click.ClickException(f"another worker holds {fault}") from fault
