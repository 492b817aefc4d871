"""Prefixed ULIDs: sortable, 30 characters, so inside WeChat's 32 for out_trade_no."""

from __future__ import annotations

import re
from enum import StrEnum

from ulid import ULID


class Kind(StrEnum):
    """The prefix says what an id names, in logs and on the phone to a helper."""

    USER = "usr"
    SESSION = "ses"
    CARD = "crd"
    ORDER = "ord"
    EVENT = "evt"
    ENTRY = "ent"
    OUTBOX = "out"
    CONVERSATION = "cnv"
    TURN = "trn"
    REFUND = "rfd"
    DIFFERENCE = "dif"
    CASE = "cas"
    BATCH = "bat"
    CONSENT = "con"
    DEVICE = "dev"
    CODE = "cod"
    CHALLENGE = "chl"
    PAY_REQUEST = "prq"
    STANDING_ORDER = "sto"
    PROPOSAL = "prp"
    HELP = "hlp"
    DEED = "dee"


_SHAPE = re.compile(r"[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}")


def new_id(kind: Kind) -> str:
    """A fresh id, e.g. `ord_01JD…` (30 characters)."""
    return f"{kind.value}_{ULID()}"


def is_id(text: str, kind: Kind) -> bool:
    """Whether `text` has the shape of an id of this kind."""
    return text.startswith(kind.value + "_") and _SHAPE.fullmatch(text) is not None
