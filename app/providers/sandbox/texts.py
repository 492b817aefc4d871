"""An SMS gateway (docs/IDENTITY_GATEWAYS.md). It keeps what it would have sent, for the phone to read."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Any

from flask import Blueprint, jsonify, request
from flask.wrappers import Response

from app.providers.sandbox.asks import asked
from app.providers.sandbox.asks import text as asked_text
from app.providers.sandbox.signed_edge import GatewayError
from app.providers.sandbox.store import canonical
from app.providers.sandbox.world import AnswerLost, World, seeds

REFUSED, UNAVAILABLE_ONCE, ANSWER_LOST_ONCE = "19900000031", "19900000032", "19900000033"
LONGEST_FACT = 64
REQUEST_ID = re.compile(r"[A-Za-z0-9_\-]{6,64}")
_PHONE = re.compile(r"1[3-9][0-9]{9}")


class TextGateway:
    """One accepted request is one message, once for each request id."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /texts/v1/messages {request_id, phone, template, facts} -> {request_id}."""
        phone, template = body.get("phone"), body.get("template")
        request_id = checked_request_id(body)
        if not isinstance(phone, str) or not _PHONE.fullmatch(phone):
            raise GatewayError(422, "phone_malformed")
        words = rendered(template, body.get("facts"))
        if phone == REFUSED:
            raise GatewayError(422, "phone_refused")
        store, once = self._world.store, f"text:{request_id}"
        if phone == UNAVAILABLE_ONCE and store.first_time(once):
            raise GatewayError(503, "unavailable")
        said, facts = canonical(body), json.dumps(body["facts"], ensure_ascii=False)
        with store.write() as tx:
            done = tx.execute("SELECT request FROM texts WHERE request_id = ?", (request_id,)).fetchone()
            if done is not None and done["request"] != said:
                raise GatewayError(409, "conflict")
            if done is None:
                tx.execute(
                    "INSERT INTO texts (request_id, request, phone, template, facts, text, sent_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (request_id, said, phone, template, facts, words, self._world.now()),
                )
        if phone == ANSWER_LOST_ONCE and store.first_time(once):
            raise AnswerLost
        return {"request_id": request_id}

    def kept(self, phone: str | None) -> list[dict[str, Any]]:
        """The messages of a phone number, or all, oldest first."""
        rows = self._world.store.rows(
            "SELECT request_id, phone, template, facts, text, sent_at FROM texts"
            " WHERE phone = COALESCE(:phone, phone) ORDER BY seq",
            {"phone": phone},
        )
        return [row | {"facts": json.loads(row["facts"])} for row in rows]

    def listing(self) -> Response:
        """GET /sandbox/texts?phone= -> {"texts": [...]}."""
        return jsonify({"texts": self.kept(request.args.get("phone"))})

    def inbox(self) -> Response:
        """POST /phone/texts {"phone"} -> {"texts": [...]}: what that phone shows."""
        return jsonify({"texts": self.kept(asked_text(asked(), "phone"))})

    def routes(self) -> Blueprint:
        routes = Blueprint("texts", __name__)
        routes.get("/sandbox/texts")(self.listing)
        routes.post("/phone/texts")(self.inbox)
        return routes


def checked_request_id(body: dict[str, Any]) -> str:
    """A request id these gateways take; GatewayError otherwise."""
    request_id = body.get("request_id")
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        raise GatewayError(422, "request_id_malformed")
    return request_id


def rendered(template: object, facts: object) -> str:
    """The words of a registered template with exactly its facts filled in."""
    words = seeds()["text_templates"].get(template) if isinstance(template, str) else None
    if words is None:
        raise GatewayError(404, "template_unknown")
    wanted = {name for _, name, _, _ in Formatter().parse(words) if name}
    if not isinstance(facts, dict) or set(facts) != wanted:
        raise GatewayError(422, "facts_malformed")
    if not all(isinstance(fact, str) and 0 < len(fact) <= LONGEST_FACT for fact in facts.values()):
        raise GatewayError(422, "facts_malformed")
    return str(words.format(**facts))
