"""A bank's four-factor check (docs/IDENTITY_GATEWAYS.md). It keeps a digest of what was asked."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from app.providers.sandbox.people import Citizen, by_bank_card
from app.providers.sandbox.signed_edge import GatewayError
from app.providers.sandbox.store import canonical
from app.providers.sandbox.texts import checked_request_id
from app.providers.sandbox.world import AnswerLost, World

_SHAPES = {
    "name": re.compile(r".{1,64}"),
    "id_number": re.compile(r"[0-9]{17}[0-9X]"),
    "card_number": re.compile(r"[0-9]{12,19}"),
    "phone": re.compile(r"1[3-9][0-9]{9}"),
}


class BankChecks:
    """The first request with an id decides; repeating it answers the same."""

    def __init__(self, world: World) -> None:
        self._world = world

    def verify(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /bank-checks/v1/verifications {request_id, name, id_number, card_number, phone}."""
        request_id = checked_request_id(body)
        for name, shape in _SHAPES.items():
            value = body.get(name)
            if not isinstance(value, str) or not shape.fullmatch(value):
                raise GatewayError(422, f"{name}_malformed")
        holder, store = by_bank_card(body["card_number"]), self._world.store
        behaviour, once = holder.behaviour if holder else "normal", f"bank:{request_id}"
        if behaviour == "blocked":
            raise GatewayError(403, "card_blocked")
        if behaviour == "unavailable_once" and store.first_time(once):
            raise GatewayError(503, "unavailable")
        digest = hashlib.sha256(canonical(body).encode()).hexdigest()
        with store.write() as tx:
            tx.execute(
                "INSERT OR IGNORE INTO bank_checks VALUES (?, ?, ?)",
                (request_id, digest, _agrees(holder, body)),
            )
            done = tx.execute("SELECT * FROM bank_checks WHERE request_id = ?", (request_id,)).fetchone()
        if done["request_digest"] != digest:
            raise GatewayError(409, "conflict")
        if behaviour == "answer_lost_once" and store.first_time(once):
            raise AnswerLost
        return {"request_id": request_id, "agrees": bool(done["agrees"])}


def _agrees(holder: Citizen | None, body: dict[str, Any]) -> bool:
    if holder is None:
        return False
    known = (holder.name, holder.id_number, holder.phone)
    return known == (body["name"], body["id_number"], body["phone"])
