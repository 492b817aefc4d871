"""Reads at a real streaming replica: never less than the person has seen, and never a broken answer.

One primary; a test that does something to its replica has one of its own, made with pg_basebackup.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from app.store.database import Database
from app.store.replica import ReplicaFailed
from tests import cluster
from tests.cluster import Cluster, eventually

PATIENCE_SECONDS = 20.0
NONSENSE = [
    None,
    "",
    "0/0",
    "7",
    "/",
    "0/",
    "0/3000000 ",
    "0/zz",
    "0/3abc",
    "٣/٣",
    "1/2/3",
    "-1/2",
    "F" * 9 + "/0",
]
SETTINGS = {
    "wal_level": "replica",
    "wal_keep_size": "512MB",  # each base backup begins a segment; a busy machine's replica is behind by some
    "fsync": "off",  # a kill loses no more without it: only a power cut does
}
FAR_AHEAD = "FFFFFFFF/FFFFFFFF"


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    with cluster.running(**SETTINGS) as server:
        server.run("CREATE DATABASE anxin")
        server.run("CREATE TABLE notes (said text)", "anxin")
        yield server


@dataclass
class Pair:
    """A primary, its replica, and our database in front of both."""

    primary: Cluster
    replica: Cluster
    database: Database

    def write(self, said: str) -> str:
        """One request that writes; the position its answer tells."""
        self.follow(None)
        with self.database.write() as tx:
            tx.execute(text("INSERT INTO notes VALUES (:said)"), {"said": said})
        position = self.database.position()
        assert position is not None
        return position

    def follow(self, position: str | None) -> None:
        assert self.database.replica is not None
        self.database.replica.follow(position)

    def reader(self, position: str | None) -> str:
        """Who answers a request that has seen this position."""
        self.follow(position)
        with self.database.read() as tx:
            return "replica" if tx.execute(text("SELECT pg_is_in_recovery()")).scalar_one() else "primary"

    def seen(self, position: str | None) -> list[str]:
        """What a request that has seen this position is shown."""
        self.follow(position)
        with self.database.read() as tx:
            return list(tx.execute(text("SELECT said FROM notes")).scalars())

    def pause(self) -> None:
        """The replica goes on receiving, and shows nothing new."""
        self.replica.run("SELECT pg_wal_replay_pause()")
        eventually(lambda: self.replica.run("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    @property
    def trouble(self) -> str:
        assert self.database.replica is not None
        return self.database.replica.finding().trouble


@contextmanager
def a_pair(primary: Cluster) -> Iterator[Pair]:
    with cluster.streaming(primary) as replica:
        database = Database(primary.url("anxin"), replica.url("anxin"))
        try:
            yield Pair(primary, replica, database)
        finally:
            database.close()


@pytest.fixture(scope="module")
def steady(primary: Cluster) -> Iterator[Pair]:
    """For tests that leave the replica as it is."""
    with a_pair(primary) as found:
        yield found


@pytest.fixture
def pair(primary: Cluster) -> Iterator[Pair]:
    with a_pair(primary) as found:
        yield found


def test_a_read_goes_to_the_replica_when_it_has_come_as_far_as_the_person(steady: Pair) -> None:
    position = steady.write("first")
    eventually(lambda: steady.reader(position) == "replica")
    assert "first" in steady.seen(position)
    assert steady.database.position() is None  # this request needed no primary: its client keeps what it has


@pytest.mark.parametrize("told", NONSENSE)
def test_without_a_position_or_with_nonsense_the_primary_answers(steady: Pair, told: str | None) -> None:
    position = steady.write("known")
    eventually(lambda: steady.reader(position) == "replica")
    assert steady.reader(told) == "primary"
    assert steady.database.position() is not None


def test_a_position_nobody_has_reached_is_answered_by_the_primary(steady: Pair) -> None:
    position = steady.write("real")
    eventually(lambda: steady.reader(position) == "replica")
    assert steady.reader(FAR_AHEAD) == "primary"


def test_a_person_sees_their_own_write_while_the_replica_stands_still(pair: Pair) -> None:
    before = pair.write("before")
    eventually(lambda: pair.reader(before) == "replica")
    pair.pause()
    after = pair.write("after")
    assert pair.reader(after) == "primary"
    assert {"before", "after"} <= set(pair.seen(after))


def test_a_replica_that_stands_still_is_soon_not_read_for_old_positions_either(pair: Pair) -> None:
    before = pair.write("before")
    eventually(lambda: pair.reader(before) == "replica")
    pair.pause()
    pair.write("after")
    eventually(lambda: "behind" in pair.trouble)
    assert "after" in pair.seen(before)
    pair.replica.run("SELECT pg_wal_replay_resume()")
    eventually(lambda: pair.reader(before) == "replica")


def test_a_request_that_wrote_reads_where_it_wrote(steady: Pair) -> None:
    position = steady.write("first")
    eventually(lambda: steady.reader(position) == "replica")
    steady.follow(position)
    with steady.database.write() as tx:
        tx.execute(text("INSERT INTO notes VALUES ('mine')"))
    with steady.database.read() as tx:
        assert not tx.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
    assert steady.database.position() is not None


def test_whoever_follows_nothing_reads_at_the_primary(steady: Pair) -> None:
    position = steady.write("first")
    eventually(lambda: steady.reader(position) == "replica")
    found: list[str] = []

    def a_worker() -> None:
        with steady.database.read() as tx:
            found.append(str(tx.execute(text("SELECT pg_is_in_recovery()")).scalar_one()))

    worker = threading.Thread(target=a_worker)
    worker.start()
    worker.join()
    assert found == ["False"]


def test_reads_go_on_when_the_replica_is_killed_and_return_to_it(pair: Pair) -> None:
    position = pair.write("first")
    eventually(lambda: pair.reader(position) == "replica")
    pair.replica.kill()
    eventually(lambda: pair.trouble.startswith("replica:"))
    assert pair.reader(position) == "primary"
    pair.replica.start()
    eventually(lambda: pair.reader(position) == "replica")


@pytest.mark.parametrize("end", ["killed", "frozen"])
def test_a_read_in_the_middle_is_let_go_when_the_replica_is(pair: Pair, end: str) -> None:
    position = pair.write("first")
    eventually(lambda: pair.reader(position) == "replica")
    failed = threading.Event()

    def a_long_read() -> None:
        pair.follow(position)
        unlimited = text("SELECT set_config('statement_timeout', '0', false)")
        try:
            with pair.database.read() as tx:
                tx.execute(unlimited)
                tx.execute(text("SELECT pg_sleep(60)"))
        except ReplicaFailed:
            failed.set()

    reading = threading.Thread(target=a_long_read)
    reading.start()
    time.sleep(0.3)
    if end == "killed":
        pair.replica.kill()
    else:
        for member in pair.replica.family():
            os.kill(member.pid, signal.SIGSTOP)
    assert failed.wait(PATIENCE_SECONDS)
    reading.join()
    assert pair.reader(position) == "primary"


def test_a_promoted_replica_is_none_any_more(pair: Pair) -> None:
    position = pair.write("first")
    eventually(lambda: pair.reader(position) == "replica")
    pair.replica.run("SELECT pg_promote()")
    eventually(lambda: "promoted" in pair.trouble)
    pair.replica.run("INSERT INTO notes VALUES ('written there')", "anxin")
    assert pair.reader(position) == "primary"
    assert "written there" not in pair.seen(position)


def test_a_replica_of_another_server_is_not_read(primary: Cluster) -> None:
    with cluster.running(**SETTINGS) as stranger, cluster.streaming(stranger) as theirs:
        stranger.run("CREATE DATABASE anxin")
        database = Database(primary.url("anxin"), theirs.url("anxin"))
        try:
            pair = Pair(primary, theirs, database)
            eventually(lambda: "another server" in pair.trouble)
            assert pair.reader(pair.write("ours")) == "primary"
        finally:
            database.close()


def test_nothing_is_written_at_the_replica(steady: Pair) -> None:
    position = steady.write("first")
    eventually(lambda: steady.reader(position) == "replica")
    steady.follow(position)
    with pytest.raises(Exception, match="read-only"), steady.database.read() as tx:
        tx.execute(text("INSERT INTO notes VALUES ('there')"))
