"""Every table, and what becomes of a person's rows in it: shown in their export, kept or deleted at erasure.

The one place for it: a new table without an entry here and in docs/RETENTION.md fails a test. Entries stand
in the order in which rows may be deleted: what points comes before what it points to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Table, or_, select

from app.store import models

_t: Mapping[str, Table] = models.metadata.tables
_orders = _t["orders"]
Whose = Callable[[str], ColumnElement[bool]]


class Erasure(StrEnum):
    DELETE = "delete"
    KEEP = "keep"  # the law or the books need it; it holds the person's number at most
    BLANK = "blank"  # the row stays, what tells of a person goes
    NOBODY = "nobody"  # the table tells nothing of a person


@dataclass(frozen=True, slots=True)
class Entry:
    """One table. `whose` picks a user's rows; `shown` are the columns of the export, `masked` those of which
    only the ends are shown, `sealed` those that are opened for it first; `blank` are the values of
    Erasure.BLANK, in the rows `owned` picks."""

    erasure: Erasure
    whose: Whose | None = None
    shown: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()
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


def _of_help(table: str) -> Whose:
    sessions = _t["help_sessions"]
    mine = _by("help_sessions", "elder_id", "relative_id")
    return lambda user_id: _t[table].c.session_id.in_(select(sessions.c.id).where(mine(user_id)))


def _of_requests(user_id: str) -> ColumnElement[bool]:
    """Asked of this person, or in a request of theirs."""
    asks, requests = _t["pay_request_asks"], _t["pay_requests"]
    own = select(requests.c.id).where(requests.c.elder_id == user_id)
    return or_(asks.c.relative_id == user_id, asks.c.request_id.in_(own))


def _of_standing_orders(user_id: str) -> ColumnElement[bool]:
    standing = _t["standing_orders"]
    mine = select(standing.c.id).where(_by("standing_orders", "relative_id", "elder_id")(user_id))
    return _t["proposals"].c.standing_order_id.in_(mine)


_E = Erasure
TABLES: Mapping[str, Entry] = {
    "face_templates": Entry(_E.DELETE, _by("face_templates", "user_id"), ("enrolled_at", "expires_at")),
    "frames_seen": Entry(_E.DELETE, _by("frames_seen", "user_id"), ("at",)),
    "challenges": Entry(
        _E.DELETE, _by("challenges", "user_id"), ("order_id", "kind", "opened_at", "used_at", "outcome")
    ),
    "one_time_codes": Entry(
        _E.DELETE, _by("one_time_codes", "user_id"), ("purpose", "opened_at", "expires_at", "used_at")
    ),
    "real_names": Entry(
        _E.DELETE,
        _by("real_names", "user_id"),
        ("named_at", "phone_at", "bank_card_at"),
        sealed=("name", "id_number", "phone", "bank_card"),
    ),
    "own_limits": Entry(_E.DELETE, _by("own_limits", "user_id"), ("single_fen", "day_fen", "at")),
    "relatives": Entry(
        _E.DELETE,
        _by("relatives", "elder_id", "relative_id"),
        ("elder_id", "relative_id", "name", "roles", "state", "bound_at", "agreed_until", "ended_at")
        + ("single_fen", "day_fen", "month_fen", "frozen_at", "frozen_why"),
    ),
    "help_tickets": Entry(_E.DELETE, _of_help("help_tickets"), ("session_id", "side", "expires_at")),
    "help_events": Entry(
        _E.DELETE, _of_help("help_events"), ("session_id", "number", "side", "kind", "body", "at")
    ),
    "help_sessions": Entry(
        _E.DELETE,
        _by("help_sessions", "elder_id", "relative_id"),
        ("id", "elder_id", "relative_id", "asked_at", "opened_at", "ended_at", "ended_by"),
    ),
    "pay_request_asks": Entry(
        _E.DELETE,
        _of_requests,
        ("request_id", "relative_id", "asked_at", "answered_at", "answer", "reason"),
    ),
    "pay_requests": Entry(
        _E.DELETE,
        _by("pay_requests", "elder_id"),
        ("id", "elder_id", "card_id", "amount_fen", "state", "opened_at", "ended_at", "order_id"),
    ),
    "proposals": Entry(
        _E.DELETE,
        _of_standing_orders,
        ("standing_order_id", "period", "amount_fen", "state", "opened_at", "answered_at", "order_id"),
    ),
    "standing_orders": Entry(
        _E.DELETE,
        _by("standing_orders", "relative_id", "elder_id"),
        ("id", "relative_id", "elder_id", "card_id", "kind", "amount_fen", "day_of_month", "threshold_fen")
        + ("month_ceiling_fen", "state", "created_at", "ended_at"),
    ),
    "deeds": Entry(_E.DELETE, _by("deeds", "elder_id"), ("actor_id", "kind", "subject", "facts", "at")),
    "questions": Entry(
        _E.KEEP, _of_orders("questions"), ("order_id", "kind", "reasons", "asked_at", "answer", "answered_at")
    ),  # what a person was asked before they paid, should the payment be disputed
    "holds": Entry(
        _E.KEEP,
        _by("holds", "elder_id", "placed_by"),
        ("order_id", "placed_by", "reason", "placed_at", "until", "released_at"),
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
        ("id", "prefix", "last_four", "city", "mode", "registered", "nickname", "position", "created_at"),
        sealed=("card_number",),
        blank={"nickname": None},
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
    "turns": ("at", timedelta(days=7)),
    "help_tickets": ("expires_at", timedelta(0)),
    "sessions": ("expires_at", timedelta(days=180)),  # who logged in when, should a person ask
    "rate_counters": ("ends_at", timedelta(0)),
}
