"""`python -m app.providers.sandbox`: the sandbox as a process. SIGTERM and SIGINT end it cleanly."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import cast

import click

from app.providers.sandbox.application import create_sandbox
from app.providers.sandbox.server import SandboxServer
from app.providers.sandbox.world import NoticeKeys, SandboxSettings


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("var/sandbox"), show_default=True)
@click.option("--notify-base", default=None, help="Post every notice here, e.g. http://127.0.0.1:8000")
@click.option(
    "--notice-keys", type=click.Choice(["alternate", "public_key", "certificate"]), default="alternate"
)
@click.option("--notice-delay-factor", type=float, default=1.0, show_default=True)
@click.option("--batch-seconds", type=float, default=2.0, show_default=True)
def main(
    port: int,
    host: str,
    data_dir: Path,
    notify_base: str | None,
    notice_keys: str,
    notice_delay_factor: float,
    batch_seconds: float,
) -> None:
    """A small WeChat and a small city card system for development."""
    settings = SandboxSettings(
        data_dir=data_dir,
        notify_base=notify_base,
        notice_keys=cast(NoticeKeys, notice_keys),  # click has checked the choice
        notice_delay_factor=notice_delay_factor,
        batch_seconds=batch_seconds,
    )
    sandbox = create_sandbox(settings)
    try:
        server = SandboxServer(sandbox, host, port)
    except OSError as fault:
        sandbox.close()
        raise click.ClickException(f"port {port} cannot be used: {fault.strerror}") from None
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with server:
        click.echo(f"sandbox ready at {server.base_url}")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
