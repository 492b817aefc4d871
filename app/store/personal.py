"""A person's rows: the export, erasure, what is forgotten by itself, and the masking of their cards.

Which rows are a person's, and what becomes of them, says `personal_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, literal, or_, select, update

from app.domain.clock import iso
from app.domain.identity import masked
from app.domain.orders import MONEY_HELD, UNPAID, State
from app.store import models
from app.store.personal_tables import EXPIRES, TABLES, Entry, Erasure
from app.store.sealed import SEALED

MASKED_AFTER = timedelta(days=7)  # reconciliation compares a card's number until the T+2 files are read

_t: Mapping[str, Table] = models.metadata.tables
_cards, _orders, _users = _t["cards"], _t["orders"], _t["users"]
Export = dict[str, list[dict[str, Any]]]
Opened = Callable[[str, str], str]  # (sealed text, its context) to the plain text


def _unused_cards(user_id: str) -> ColumnElement[bool]:
    return (_cards.c.user_id == user_id) & ~exists().where(_orders.c.card_id == _cards.c.id)


def export(tx: Connection, user_id: str, opened: Opened) -> Export:
    """The person's rows of every table that has any, ready for JSON; never a secret, never a sealed text:
    what `opened` hands out is shown masked."""
    found = {}
    for name, entry in TABLES.items():
        if entry.whose is None:
            continue
        table = _t[name]
        asked = select(table).where(entry.whose(user_id)).order_by(*table.primary_key.columns)
        rows = [_shown(name, entry, row._mapping, opened) for row in tx.execute(asked)]
        if rows:
            found[name] = rows
    return found


def _shown(table: str, entry: Entry, row: Mapping[Any, Any], opened: Opened) -> dict[str, Any]:
    places = {each.column: each for each in SEALED if each.table == table}
    shown = {}
    for name in (*entry.shown, *entry.masked, *entry.sealed):
        value = row[name]
        if isinstance(value, datetime):
            value = iso(value)
        elif isinstance(value, date):
            value = value.isoformat()
        elif name in entry.sealed and value is not None:
            key = (row[column] for column in places[name].key)
            value = mask(opened(value, places[name].context(*key)))
        elif name in entry.masked and value is not None:
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
    """Cards of erased people lose their number once no reconciliation needs it: the issuer's eight digits and
    the last four stay, for the books. Returns how many."""
    recent = exists().where(
        _orders.c.card_id == _cards.c.id,
        or_(_orders.c.paid_at > now - MASKED_AFTER, _orders.c.credited_at > now - MASKED_AFTER),
    )
    erased = _cards.c.user_id.in_(select(_users.c.id).where(_users.c.erased_at.is_not(None)))
    masked = update(_cards).where(erased, _cards.c.card_number.is_not(None), ~recent)
    return tx.execute(masked.values(card_number=None, card_number_lookup=None)).rowcount
