"""Traces of films: the newest first, each person's own; of two that come together one sees the other."""

from __future__ import annotations

import threading

from app.domain.clock import FakeClock
from app.store import challenges
from app.store.database import Database
from tests.builders import a_person


def keep(database: Database, clock: FakeClock, user_id: str, film: str, most: int = 300) -> list[str]:
    """The films that were there before."""
    with database.write() as tx:
        earlier = challenges.keep_trace(tx, user_id, film, f"sealed {film}", clock.now(), most)
    assert all(sealed == f"sealed {other}" for other, sealed in earlier)
    return [other for other, _ in earlier]


def test_a_film_is_compared_with_the_newest_of_the_same_person(database: Database, clock: FakeClock) -> None:
    elder, stranger = a_person(database, clock), a_person(database, clock)
    for film in ("chl_1", "chl_2", "chl_3"):
        keep(database, clock, elder, film)
        clock.tick(minutes=1)
    assert keep(database, clock, stranger, "chl_4") == []
    assert keep(database, clock, elder, "chl_5", most=2) == ["chl_3", "chl_2"]


def test_of_films_that_arrive_together_each_sees_those_before_it(
    database: Database, clock: FakeClock
) -> None:
    elder, together = a_person(database, clock), 4
    ready = threading.Barrier(together)
    seen: list[int] = []

    def send(film: str) -> None:
        ready.wait()
        seen.append(len(keep(database, clock, elder, film)))

    threads = [threading.Thread(target=send, args=(f"chl_{number}",)) for number in range(together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [0, 1, 2, 3]
