"""Outages on demand: a whole outside party that refuses, is silent, or does its work and loses the answer.

Kept in the store, so that a sandbox that was killed comes back as it was.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from app.providers.sandbox.merchants import MERCHANT_NAMES
from app.providers.sandbox.world import AnswerLost

CARDS, MESSAGES = "cards", "messages"
FACES, FINGERPRINTS, TEXTS, BANK_CHECKS = "faces", "fingerprints", "texts", "bank_checks"
WHO = (*MERCHANT_NAMES, CARDS, MESSAGES, FACES, FINGERPRINTS, TEXTS, BANK_CHECKS)
BATCHES = "batches"  # not a party of its own: files that are taken and never worked through


class Outage(StrEnum):
    """How a party is out. docs/SANDBOX.md says what each one's answer looks like."""

    NONE = "none"
    REFUSES = "refuses"  # a no before any effect, in that party's own words
    SILENT = "silent"  # the connection breaks before any effect
    LOST = "lost"  # the work is done, and the connection breaks before the answer


def mode_of(tx: sqlite3.Connection, who: str) -> Outage:
    """How `who` is out at this moment."""
    found = tx.execute("SELECT mode FROM outages WHERE who = ?", (who,)).fetchone()
    return Outage.NONE if found is None else Outage(found["mode"])


def outage_of(tx: sqlite3.Connection, who: str) -> Outage:
    """The same, for a request: SILENT is raised as AnswerLost at once."""
    outage = mode_of(tx, who)
    if outage is Outage.SILENT:
        raise AnswerLost
    return outage


def set_outage(tx: sqlite3.Connection, who: str, outage: Outage) -> None:
    """From now on, also after a restart."""
    tx.execute(
        "INSERT INTO outages VALUES (?, ?) ON CONFLICT (who) DO UPDATE SET mode = excluded.mode",
        (who, outage.value),
    )
