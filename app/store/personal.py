"""Every table, and what becomes of a person's rows in it: shown in their export, kept or deleted at erasure.

The one place for it: a new table without an entry here and in docs/RETENTION.md fails a test. Entries stand
in the order in which rows may be deleted: what points comes before what it points to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import String as Text

from app.domain.clock import iso
from app.domain.identity import masked
from app.domain.orders import MONEY_HELD, UNPAID, State
from app.store import models

MASKED_AFTER = timedelta(days=7)  # reconciliation compares a card's number until the T+2 files are read

_t: Mapping[str, Table] = models.metadata.tables
_cards, _orders, _users = _t["cards"], _t["orders"], _t["users"]
Whose = Callable[[str], ColumnElement[bool]]


class Erasure(StrEnum):
    DELETE = "delete"
    KEEP = "keep"  # the law or the books need it; it holds the person's number at most
    BLANK = "blank"  # the row stays, what tells of a person goes
    NOBODY = "nobody"  # the table tells nothing of a person


@dataclass(frozen=True, slots=True)
class Entry:
    """One table. `whose` picks a user's rows; `shown` are the columns of the export, `masked` those of which
    only the ends are shown; `blank` are the values of Erasure.BLANK, in the rows `owned` picks."""

    erasure: Erasure
    whose: Whose | None = None
    shown: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    blank: Mapping[str, Any] = field(default_factory=dict)
    owned: Whose | None = None


def _by(table: str, *columns: str) -> Whose:
    return lambda user_id: or_(*(_t[table].c[column] == user_id for column in columns))


def _of_orders(table: str, column: str = "order_id") -> Whose:
    """Rows about orders this person paid for or that were for them."""
    mine = _by("orders", "user_id", "beneficiary_id")
    return lambda user_id: _t[table].c[column].in_(select(_orders.c.id).where(mine(user_id)))


def _by_openid(table: str) -> Whose:
    known = _t["wechat_identities"]
    return lambda user_id: _t[table].c.openid.in_(select(known.c.openid).where(known.c.user_id == user_id))


def _unused_cards(user_id: str) -> ColumnElement[bool]:
    return (_cards.c.user_id == user_id) & ~exists().where(_orders.c.card_id == _cards.c.id)


_E = Erasure
TABLES: Mapping[str, Entry] = {
    "face_templates": Entry(_E.DELETE, _by("face_templates", "user_id"), ("enrolled_at", "expires_at")),
    "motion_traces": Entry(_E.DELETE, _by("motion_traces", "user_id"), ("at",)),
    "frames_seen": Entry(_E.DELETE, _by("frames_seen", "user_id"), ("at",)),
    "challenges": Entry(
        _E.DELETE, _by("challenges", "user_id"), ("order_id", "kind", "opened_at", "used_at", "outcome")
    ),
    "one_time_codes": Entry(
        _E.DELETE, _by("one_time_codes", "user_id"), ("purpose", "opened_at", "expires_at", "used_at")
    ),
    "real_names": Entry(
        _E.DELETE, _by("real_names", "user_id"), ("named_at", "phone_at", "bank_card_at")
    ),  # the flow adds what is sealed, masked
    "own_limits": Entry(_E.DELETE, _by("own_limits", "user_id"), ("single_fen", "day_fen", "at")),
    "relatives": Entry(
        _E.DELETE,
        _by("relatives", "elder_id", "relative_id"),
        ("elder_id", "relative_id", "name", "state", "bound_at", "ended_at"),
    ),
    "conversations": Entry(_E.DELETE, _by("conversations", "user_id"), ("version", "memory", "updated_at")),
    "turns": Entry(_E.DELETE, _by("turns", "user_id"), ("at",)),
    "subscriptions": Entry(_E.DELETE, _by_openid("subscriptions"), ("template", "credits", "updated_at")),
    "sessions": Entry(
        _E.DELETE,
        _by("sessions", "user_id"),
        ("public_id", "device_id", "channel", "created_at", "expires_at", "ended_at"),
    ),
    "devices": Entry(
        _E.DELETE, _by("devices", "user_id"), ("id", "first_seen_at", "last_seen_at", "told_at")
    ),
    "wechat_identities": Entry(
        _E.DELETE, _by("wechat_identities", "user_id"), ("app_id",), ("openid", "unionid")
    ),
    "cards": Entry(
        _E.BLANK,
        _by("cards", "user_id"),
        ("id", "city", "mode", "registered", "nickname", "position", "created_at"),
        ("card_number",),
        {"nickname": None},
    ),
    "orders": Entry(
        _E.BLANK,
        _by("orders", "user_id", "beneficiary_id"),
        ("id", "card_id", "amount_fen", "fee_fen", "method", "bank", "channel", "state", "created_at")
        + ("paid_at", "promised_at", "credited_at", "credit_fen", "rest_fen", "balance_after_fen")
        + ("transaction_id", "card_reference"),
        blank={"payer_openid": ""},
        owned=_by("orders", "user_id"),
    ),
    "order_events": Entry(_E.KEEP, _of_orders("order_events"), ("order_id", "event", "state_after", "at")),
    "identity_checks": Entry(
        _E.KEEP, _by("identity_checks", "user_id"), ("order_id", "level", "reasons", "opened_at", "passed_at")
    ),
    "check_factors": Entry(_E.KEEP, _of_orders("check_factors"), ("order_id", "factor", "at")),
    "ledger_entries": Entry(
        _E.KEEP, _of_orders("ledger_entries", "subject"), ("subject", "event", "account", "amount_fen", "at")
    ),
    "refunds": Entry(
        _E.KEEP, _of_orders("refunds"), ("order_id", "refund_fen", "state", "opened_at", "ended_at")
    ),
    "notices": Entry(_E.KEEP, _of_orders("notices"), ("order_id", "event_type", "verdict", "received_at")),
    "differences": Entry(
        _E.KEEP, _of_orders("differences"), ("order_id", "kind", "day", "amount_fen", "state", "resolved_at")
    ),
    "cases": Entry(
        _E.KEEP, _of_orders("cases"), ("order_id", "kind", "opened_at", "plan", "resolved_at", "resolution")
    ),
    "outside_queries": Entry(
        _E.KEEP, _of_orders("outside_queries"), ("order_id", "asked", "answer", "times", "last_at")
    ),
    "outbox": Entry(_E.KEEP, _of_orders("outbox", "subject"), ("subject", "topic", "done_at", "outcome")),
    "consents": Entry(
        _E.KEEP, _by("consents", "user_id"), ("purpose", "version", "act", "at", "channel")
    ),  # we must be able to prove what was agreed to
    "users": Entry(_E.KEEP, _by("users", "id"), ("id", "created_at", "erased_at")),
    "alarms": Entry(_E.NOBODY),
    "batches": Entry(_E.NOBODY),
    "reconciled_days": Entry(_E.NOBODY),
    "rate_counters": Entry(_E.NOBODY),  # keyed hashes that nobody can turn back, for a day at most
}


# What the sweep deletes by itself: so long after the moment in this column.
EXPIRES: Mapping[str, tuple[str, timedelta]] = {
    "face_templates": ("expires_at", timedelta(0)),  # as the consent says
    "one_time_codes": ("expires_at", timedelta(days=7)),
    "challenges": ("expires_at", timedelta(days=30)),
    "frames_seen": ("at", timedelta(days=180)),  # as long as the template they could be played to
    "motion_traces": ("at", timedelta(days=180)),
    "turns": ("at", timedelta(days=7)),
    "sessions": ("expires_at", timedelta(days=180)),  # who logged in when, should a person ask
    "rate_counters": ("ends_at", timedelta(0)),
}


def export(tx: Connection, user_id: str) -> dict[str, list[dict[str, Any]]]:
    """The person's rows of every table that has any, ready for JSON; never a secret, never a sealed text."""
    found = {}
    for name, entry in TABLES.items():
        if entry.whose is None:
            continue
        table = _t[name]
        columns = [table.c[column] for column in (*entry.shown, *entry.masked)]
        statement = select(*columns).where(entry.whose(user_id)).order_by(*table.primary_key.columns)
        rows = [_shown(dict(row._mapping), entry.masked) for row in tx.execute(statement)]
        if rows:
            found[name] = rows
    return found


def _shown(row: Mapping[str, Any], masked: tuple[str, ...]) -> dict[str, Any]:
    shown = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = iso(value)
        elif isinstance(value, date):
            value = value.isoformat()
        elif name in masked and value is not None:
            value = mask(value)
        shown[name] = value
    return shown


def mask(text: str) -> str:
    """Enough to recognise one's own, too little to use: the last four of a long text, the first of a short
    one."""
    return masked(text, 0, 4) if len(text) > 6 else masked(text, 1, 0)


def delete_rows(tx: Connection, name: str, user_id: str) -> None:
    """Delete this person's rows of a table now. ValueError for one that is not deleted from."""
    entry = TABLES[name]
    if entry.erasure is not Erasure.DELETE or entry.whose is None:
        raise ValueError(f"{name} is kept")
    tx.execute(delete(_t[name]).where(entry.whose(user_id)))


def exists_unerased(tx: Connection, user_id: str) -> bool:
    """Whether there is such a person, and they are not erased. Locks the row, so that nothing new of theirs
    is written meanwhile: new orders and cards point to it."""
    mine = select(_users.c.id).where(_users.c.id == user_id, _users.c.erased_at.is_(None))
    return tx.execute(mine.with_for_update()).first() is not None


def orders_under_way(tx: Connection, user_id: str, *, lock: bool = False) -> dict[str, State]:
    """The person's orders, and those for them, that are not at rest. With `lock` none moves meanwhile."""
    moving = [state.value for state in (*UNPAID, *MONEY_HELD)]
    mine = TABLES["orders"].whose
    assert mine is not None
    statement = select(_orders.c.id, _orders.c.state).where(mine(user_id), _orders.c.state.in_(moving))
    statement = statement.order_by(_orders.c.id)
    rows = tx.execute(statement.with_for_update() if lock else statement)
    return {row.id: State(row.state) for row in rows}


def money_unsettled(tx: Connection, user_id: str) -> bool:
    """Whether a refund, a difference or a case about this person's money is still open."""
    refunds, differences, cases = _t["refunds"], _t["differences"], _t["cases"]
    for name, is_open in (
        ("refunds", refunds.c.ended_at.is_(None)),
        ("differences", differences.c.resolved_at.is_(None)),
        ("cases", cases.c.resolved_at.is_(None)),
    ):
        whose = TABLES[name].whose
        assert whose is not None
        if tx.execute(select(literal(1)).select_from(_t[name]).where(whose(user_id), is_open)).first():
            return True
    return False


def sealed_names(tx: Connection, user_id: str) -> dict[str, str]:
    """The person's sealed columns by name, for the flow that may open them."""
    names = _t["real_names"]
    columns = (names.c.name, names.c.id_number, names.c.phone, names.c.bank_card)
    row = tx.execute(select(*columns).where(names.c.user_id == user_id)).first()
    return {} if row is None else {name: sealed for name, sealed in row._mapping.items() if sealed}


def erase(tx: Connection, user_id: str, now: datetime) -> None:
    """Delete and blank what TABLES says, and write down when. No money of theirs may be on its way."""
    for name, entry in TABLES.items():
        if entry.erasure is Erasure.DELETE:
            delete_rows(tx, name, user_id)
        elif entry.erasure is Erasure.BLANK:
            owned = entry.owned or entry.whose
            assert owned is not None, name
            tx.execute(update(_t[name]).where(owned(user_id)).values(**entry.blank))
    tx.execute(delete(_cards).where(_unused_cards(user_id)))
    tx.execute(update(_users).where(_users.c.id == user_id).values(erased_at=now))
    mask_cards(tx, now)


def forget_expired(tx: Connection, now: datetime) -> dict[str, int]:
    """What is kept for a time only, and no longer than people were told; how many rows of what went."""
    gone = {}
    for name, (column, longer) in EXPIRES.items():
        table = _t[name]
        gone[name] = tx.execute(delete(table).where(table.c[column] <= now - longer)).rowcount
    return gone


def faces_stored(tx: Connection) -> int:
    """Of how many people a template is kept."""
    return int(tx.execute(select(func.count()).select_from(_t["face_templates"])).scalar_one())


def mask_cards(tx: Connection, now: datetime) -> int:
    """Cards of erased people lose the middle of their number once no reconciliation needs it: the issuer's
    eight digits and the last four stay, for the books. Returns how many."""
    recent = exists().where(
        _orders.c.card_id == _cards.c.id,
        or_(_orders.c.paid_at > now - MASKED_AFTER, _orders.c.credited_at > now - MASKED_AFTER),
    )
    erased = _cards.c.user_id.in_(select(_users.c.id).where(_users.c.erased_at.is_not(None)))
    middle = literal("*") + cast(_cards.c.position, Text) + literal("*")  # two cards may end alike
    number = func.substr(_cards.c.card_number, 1, 8) + middle + func.substr(_cards.c.card_number, 16, 4)
    masked = update(_cards).where(erased, ~_cards.c.card_number.contains("*"), ~recent)
    return tx.execute(masked.values(card_number=number)).rowcount
