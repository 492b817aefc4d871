"""People, the openids that lead to them, and their sessions."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import psycopg

from app.domain.ids import Kind, new_id
from app.ports import WeChatIdentity
from app.store import models
from app.store.database import straight
from app.store.upsert import insert_once

_users = models.metadata.tables["users"]
_identities = models.metadata.tables["wechat_identities"]
_sessions = models.metadata.tables["sessions"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking, proven by a session."""

    user_id: str
    openid: str
    session_id: str
    channel: str
    device_id: str | None = None  # None: the phone did not say


_live_session = select(
    _sessions.c.id, _sessions.c.user_id, _sessions.c.openid, _sessions.c.channel, _sessions.c.device_id
).where(
    _sessions.c.id == bindparam("id"),
    _sessions.c.ended_at.is_(None),
    _sessions.c.expires_at > bindparam("now"),
)
_LIVE_SESSION_SQL = str(_live_session.compile(dialect=psycopg.dialect()))  # type: ignore[no-untyped-call]


def stay(tx: Connection, user_id: str) -> None:
    """Nobody erases this person before the commit. Asked before anything else is locked, because erasing
    begins with the person too: then neither waits for the other for ever. SQLite has one writer anyway."""
    mine = select(_users.c.id).where(_users.c.id == user_id)
    tx.execute(mine.with_for_update(read=True, key_share=True))


def user_for(tx: Connection, app_id: str, identity: WeChatIdentity, now: datetime) -> str:
    """The user behind an openid, made at first sight; a known unionid joins two apps of one person.

    Safe in a race: the loser of two first logins takes the winner's user.
    """
    known = select(_identities.c.user_id, _identities.c.unionid).where(
        _identities.c.app_id == app_id, _identities.c.openid == identity.openid
    )
    row = tx.execute(known).first()
    if row is not None:
        if identity.unionid and row.unionid is None:
            here = (_identities.c.app_id == app_id) & (_identities.c.openid == identity.openid)
            tx.execute(update(_identities).where(here).values(unionid=identity.unionid))
        return str(row.user_id)
    user_id = _user_by_unionid(tx, identity.unionid) or _new_user(tx, now)
    values = {
        "app_id": app_id,
        "openid": identity.openid,
        "unionid": identity.unionid,
        "user_id": user_id,
    }
    insert_once(tx, _identities, ("app_id", "openid"), values)
    return str(tx.execute(known).one().user_id)


def _user_by_unionid(tx: Connection, unionid: str | None) -> str | None:
    if not unionid:
        return None
    statement = select(_identities.c.user_id).where(_identities.c.unionid == unionid)
    return tx.execute(statement).scalar()


def openid_in(tx: Connection, app_id: str, user_id: str) -> str | None:
    """Where messages of this app reach the person; None when they never used it, or are erased."""
    mine = select(_identities.c.openid).where(
        _identities.c.user_id == user_id, _identities.c.app_id == app_id
    )
    return tx.execute(mine.order_by(_identities.c.openid).limit(1)).scalar()


def _new_user(tx: Connection, now: datetime) -> str:
    user_id = new_id(Kind.USER)
    tx.execute(insert(_users), {"id": user_id, "created_at": now})
    return user_id


def open_session(
    tx: Connection,
    user_id: str,
    openid: str,
    channel: str,
    now: datetime,
    expires_at: datetime,
    device_id: str | None = None,
) -> str:
    """A new session; its id is 32 random bytes, handed out only inside a signed token."""
    session_id = secrets.token_urlsafe(32)
    values = {
        "id": session_id,
        "public_id": new_id(Kind.SESSION),
        "user_id": user_id,
        "device_id": device_id,
        "openid": openid,
        "channel": channel,
        "created_at": now,
        "expires_at": expires_at,
    }
    tx.execute(insert(_sessions), values)
    return session_id


def actor(tx: Connection, session_id: str, now: datetime) -> Actor | None:
    """The person behind a live session, or None for an ended, expired or unknown one."""
    values = {"id": session_id, "now": now}
    if tx.dialect.name == "postgresql":
        row = straight(tx, _LIVE_SESSION_SQL, values)
    else:
        row = tx.execute(_live_session, values).first()
    return None if row is None else Actor(row.user_id, row.openid, row.id, row.channel, row.device_id)


def last_seen(tx: Connection, user_id: str, now: datetime) -> Actor | None:
    """The person in the live session that was opened last; None when they are logged in nowhere."""
    columns = (
        _sessions.c.user_id,
        _sessions.c.openid,
        _sessions.c.id,
        _sessions.c.channel,
        _sessions.c.device_id,
    )
    live = (_sessions.c.user_id == user_id) & _sessions.c.ended_at.is_(None) & (_sessions.c.expires_at > now)
    newest = (
        select(*columns).where(live).order_by(_sessions.c.created_at.desc(), _sessions.c.public_id.desc())
    )
    row = tx.execute(newest.limit(1)).first()
    return None if row is None else Actor(*row)


def end_session(tx: Connection, session_id: str, now: datetime) -> None:
    ended = update(_sessions).where(_sessions.c.id == session_id, _sessions.c.ended_at.is_(None))
    tx.execute(ended.values(ended_at=now))
