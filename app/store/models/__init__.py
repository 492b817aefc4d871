"""The tables. Statements are written with Core on these; nothing is loaded lazily.

Moments are stored as UTC. Amounts are BIGINT fen. Names of constraints are fixed, so that a migration can
name them on both databases.
"""

from __future__ import annotations

from app.store.models import family, identity, money, people, rights, watch
from app.store.models.base import ID, Base, Moment, db, metadata

__all__ = [
    "ID",
    "Base",
    "Moment",
    "db",
    "family",
    "identity",
    "metadata",
    "money",
    "people",
    "rights",
    "watch",
]
