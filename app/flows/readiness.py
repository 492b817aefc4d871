"""Can this installation serve people, and what is waiting?"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.flows.deps import Deps
from app.ports import Health
from app.store import notices, outbox
from app.store.replica import Replica

# There are buttons, other ways, the primary, and people who help without seeing.
OPTIONAL = frozenset({"speech", "faces", "replica", "streams"})


def parts(deps: Deps) -> list[Health]:
    """Each part and whether it works. Without speech the buttons still do, and it says so."""
    replica = [_replica(deps.database.replica)] if deps.database.replica is not None else []
    return [_database(deps), *replica, _speech(deps), _faces(deps), _streams(deps)]


def can_serve(found: Sequence[Health]) -> bool:
    """Whether people can be served at all, be it by touch only."""
    return all(part.ok for part in found if part.name not in OPTIONAL)


def _database(deps: Deps) -> Health:
    try:
        with deps.database.read() as tx:
            version = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError as fault:
        return Health("database", False, type(fault).__name__)
    return Health("database", True, f"schema {version}")


def _replica(replica: Replica) -> Health:
    found = replica.finding()
    return Health("replica", not found.trouble, found.trouble or "streaming")


def _faces(deps: Deps) -> Health:
    if deps.settings.face.provider == "wechat":
        return Health("faces", True, "WeChat's check")
    problem = deps.faces.problem()
    return Health("faces", problem is None, problem or deps.faces.model_id)


def _speech(deps: Deps) -> Health:
    problem = deps.speech.problem()
    return Health("speech", problem is None, problem or deps.settings.speech.model)


def _streams(deps: Deps) -> Health:
    problem = deps.streams.problem()
    return Health("streams", problem is None, problem or "live")


def backlog(deps: Deps) -> tuple[dict[str, int], int]:
    """Unfinished outbox rows by topic, and open alarms."""
    with deps.database.read() as tx:
        return outbox.waiting(tx), notices.open_alarms(tx)
