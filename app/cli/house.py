"""The whole house on one machine: sandbox, server, streams and worker started and ended together.

`python -m app.cli.house` is what `make run` calls: it migrates, starts everything, performs the main job
over HTTP from a real audio file, and then serves until Ctrl-C. With `--once` it ends after the story.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import requests
from rich.console import Console

from app.config import REPOSITORY

STARTUP_SECONDS = 60.0
STOP_SECONDS = 10.0
WEB_THREADS = 128  # more than the gate works on and lets wait: refusing takes one too (app/web/gate.py)
SPOKEN = REPOSITORY / "tests" / "data" / "speech" / "jf_alpha_0.mp3"
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Linux: when the house is killed hard, its processes are told to stop too."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class NotStarted(RuntimeError):
    """A process of the house ended or never answered; carries the end of its log."""


@dataclass
class House:
    """Four processes and where to reach them. `stop()` is idempotent and leaves none behind."""

    data_dir: Path
    port: int = 8000
    sandbox_port: int = 8001
    extra_env: Mapping[str, str] = field(default_factory=dict)
    web_workers: int = 1
    web_threads: int = WEB_THREADS
    live_port: int = field(default_factory=lambda: free_port())
    live_workers: int = 1
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def live_url(self) -> str:
        return f"http://127.0.0.1:{self.live_port}"

    def environment(self) -> dict[str, str]:
        """What every process of the house is started with."""
        return {
            **os.environ,
            "ANXIN_DATA_DIR": str(self.data_dir),
            "ANXIN_PUBLIC_URL": self.base_url,
            "ANXIN_LIVE_URL": self.live_url,
            "ANXIN_SANDBOX_URL": self.sandbox_url,
            "ANXIN_LOGINS_PER_MINUTE": "100000",  # everybody in this house has one address
            **self.extra_env,
        }

    def _command(self, name: str) -> list[str]:
        python = sys.executable
        return {
            "sandbox": [python, "-m", "app.providers.sandbox", "--port", str(self.sandbox_port)]
            + ["--data-dir", str(self.data_dir / "sandbox")],
            "server": [python, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
            + ["--port", str(self.port), "--workers", str(self.web_workers)]
            + ["--blocking-threads", str(self.web_threads), "--workers-kill-timeout", "3s"]
            + ["--respawn-failed-workers", "--no-ws", "--log-level", "warning", "wsgi:app"],
            "live": [python, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1"]
            + ["--port", str(self.live_port), "--workers", str(self.live_workers)]
            + ["--workers-kill-timeout", "2s", "--respawn-failed-workers", "--no-ws"]
            + ["--log-level", "warning", "live:app"],
            "worker": [python, "-m", "flask", "--app", "wsgi", "worker"],
        }[name]

    def start(self, name: str) -> None:
        """Start one process; its output goes to `<data_dir>/<name>.log`."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log = (self.data_dir / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(  # noqa: S603 - our own commands
            self._command(name),
            cwd=REPOSITORY,
            env={**self.environment(), "ANXIN_SPEECH_WARM": "1" if name == "server" else "0"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the house, and the house ends its processes in order
            preexec_fn=_die_with_parent,
        )
        log.close()

    def migrate(self) -> None:
        """Bring the database to the newest schema. NotStarted with what went wrong."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"],
            cwd=REPOSITORY,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotStarted(f"migration failed:\n{done.stderr[-2000:]}")

    def start_all(self) -> None:
        """Migrate, then sandbox, server, worker and live streams; returns when they answer."""
        self.start("sandbox")
        self.migrate()
        self.start("server")
        self.start("worker")
        self.start("live")
        self.wait_for("sandbox", f"{self.sandbox_url}/healthz")
        self.wait_for("server", f"{self.base_url}/healthz")
        self.wait_for("live", f"{self.live_url}/live/healthz")

    def wait_for(self, name: str, url: str) -> None:
        """Poll until the process answers. NotStarted when it ends or stays silent."""
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                raise NotStarted(f"{name} ended at once:\n{self.log_tail(name)}")
            try:
                if requests.get(url, timeout=1).status_code < 500:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise NotStarted(f"{name} does not answer at {url}:\n{self.log_tail(name)}")

    def log_tail(self, name: str) -> str:
        path = self.data_dir / f"{name}.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def kill(self, name: str) -> None:
        """kill -9 the whole process group, as a power cut would."""
        process = self.processes.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Ask everything to end, wait, and end hard what does not."""
        for process in self.processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            _signal_group(process, signal.SIGKILL)  # also what a dead leader left in its group
            process.wait()
        self.processes.clear()


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


@contextmanager
def running(house: House) -> Iterator[House]:
    """Start the house and end it whatever happens."""
    try:
        house.start_all()
        yield house
    finally:
        house.stop()


@contextmanager
def running_only(house: House, name: str) -> Iterator[House]:
    """Only one process of the house, for measuring it alone."""
    try:
        house.start(name)
        house.wait_for(name, f"{house.base_url}/healthz")
        yield house
    finally:
        house.stop()


@click.command()
@click.option("--port", default=8000, show_default=True)
@click.option("--sandbox-port", default=8001, show_default=True)
@click.option("--live-port", default=8002, show_default=True)
@click.option("--data-dir", default=str(REPOSITORY / "var"), show_default=False, help="Default: var/")
@click.option("--audio", default=str(SPOKEN), type=click.Path(exists=True, dir_okay=False))
@click.option("--once", is_flag=True, help="End after the story; exit 0 only if every step held.")
def main(port: int, sandbox_port: int, live_port: int, data_dir: str, audio: str, once: bool) -> None:
    """Start the house, perform the main job, and serve until Ctrl-C."""
    from app.cli.story import StoryFailed, tell

    console = Console(highlight=False)
    house = House(Path(data_dir).resolve(), port, sandbox_port, live_port=live_port)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with console.status("starting sandbox, server, live streams and worker …"):
            house.start_all()
        tell(house.base_url, house.sandbox_url, Path(audio), console)
        if not once:
            _serve(house, console)
    except (NotStarted, StoryFailed) as fault:
        console.print(f"[red]MAIN JOB FAILED[/red] {fault}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nstopping …")
    finally:
        house.stop()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _serve(house: House, console: Console) -> None:
    console.print(f"\nOpen [bold]{house.base_url}[/bold]  (API: {house.base_url}/api/docs)")
    console.print("Speak your own file:  .venv/bin/flask --app wsgi voice understand FILE")
    console.print(f"The whole story with it:  make run AUDIO=FILE   Logs: {house.data_dir}/*.log")
    console.print("Ctrl-C ends everything.")
    while True:
        for name, process in house.processes.items():
            if process.poll() is not None:
                raise NotStarted(f"{name} ended:\n{house.log_tail(name)}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
