"""Login: WeChat's one-time code becomes our own signed session token. No session_key is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from itsdangerous import BadSignature, Signer
from sqlalchemy import Connection

from app.config import Settings
from app.domain.orders import Topic
from app.errors import AppError
from app.flows import rates
from app.flows.deps import Deps
from app.ports import Refused, Unavailable, Unknown
from app.store import devices, outbox, people
from app.store.people import Actor

LONGEST_TOKEN = 256


@dataclass(frozen=True, slots=True)
class Login:
    """A fresh session. `token` goes to the phone; only its session id is stored."""

    token: str
    user_id: str
    expires_at: datetime


@cache
def _signer(keys: tuple[str, ...]) -> Signer:
    # itsdangerous signs with the last key and verifies with all: ours lists the newest first.
    return Signer(list(reversed(keys)), salt="anxin.session", digest_method=hashlib.sha256)


def sign(settings: Settings, session_id: str) -> str:
    """The token of a session: its id and our signature."""
    return _signer(settings.session_keys).sign(session_id).decode()


def login(
    deps: Deps, code: str, channel: str, device: str | None = None, address: str | None = None
) -> Login:
    """Exchange the code, find or make the person, open a session.

    `device` is a random text the phone keeps; a new one beside one that is known is told to the person.
    `address` is whom we are connected to. AppError login_refused for a bad or used code, login_unavailable
    when WeChat cannot be asked, too_many_tries from an address that tries without end.
    """
    now = deps.clock.now()
    if address is not None:
        most = deps.settings.logins_per_minute
        rates.spend(deps, f"login:address:{address}", most, timedelta(minutes=1))
    try:
        identity = deps.login.exchange(code)
    except Refused as no:
        raise AppError("login_refused") from no
    except (Unavailable, Unknown) as silence:
        raise AppError("login_unavailable") from silence
    expires_at = now + timedelta(days=deps.settings.session_days)
    with deps.database.write() as tx:
        user_id = people.user_for(tx, deps.settings.wechat.app_id, identity, now)
        device_id = None if device is None else _device(deps, tx, user_id, device, now)
        session_id = people.open_session(tx, user_id, identity.openid, channel, now, expires_at, device_id)
    return Login(sign(deps.settings, session_id), user_id, expires_at)


def _device(deps: Deps, tx: Connection, user_id: str, device: str, now: datetime) -> str:
    """The device's id. One more device of a person is told to them: it may not be theirs."""
    seen = devices.seen(tx, user_id, deps.vault.lookups(device, "device"), now)
    if seen.unexpected:
        outbox.add(tx, Topic.DEVICE_NEW, seen.id, now)
    return seen.id


def authenticate(deps: Deps, token: str) -> Actor:
    """The person behind a token. AppError login_required for a forged, expired or ended session."""
    if not token or len(token) > LONGEST_TOKEN:
        raise AppError("login_required")
    try:
        session_id = _signer(deps.settings.session_keys).unsign(token).decode()
    except (BadSignature, UnicodeDecodeError):
        raise AppError("login_required") from None
    with deps.database.read() as tx:
        actor = people.actor(tx, session_id, deps.clock.now())
    if actor is None:
        raise AppError("login_required")
    return actor


def logout(deps: Deps, actor: Actor) -> None:
    """End this session at once."""
    with deps.database.write() as tx:
        people.end_session(tx, actor.session_id, deps.clock.now())
