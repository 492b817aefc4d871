"""A city card system behind the protocol of docs/CARD_SYSTEM.md: cards, and credits exactly once."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from app.providers.sandbox.store import Store, use_nonce
from app.providers.sandbox.world import AnswerLost, Magic, World, magic, seeds

CLOCK_WINDOW_SECONDS = 300
CEILING_REGISTERED_FEN = 500_000
CEILING_ANONYMOUS_FEN = 100_000
_ORDER_ID = re.compile(r"[A-Za-z0-9_\-]{6,64}")


class CardError(Exception):
    """An error answer of the card system."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def seed_cards(store: Store) -> None:
    """Put the documented cards in; cards that are there keep their balances."""
    with store.write() as tx:
        for card in seeds()["cards"]:
            tx.execute(
                "INSERT OR IGNORE INTO cards VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    card["card_number"],
                    card["city"],
                    card.get("mode", "account"),
                    card.get("registered", True),
                    card["balance_fen"],
                    card.get("holder_masked"),
                    card.get("behaviour", "normal"),
                ),
            )


class Cards:
    """The card system's three services. The order id is the request id: it never credits twice."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._secret = world.keys.card_secret.encode()

    # --- the edge ---

    def handle(self, work: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
        """Authenticate, parse, do `work(body)`, answer signed."""
        raw = request.get_data(cache=True)
        try:
            self._authenticate(raw)
            return self._signed(200, work(_parsed(raw)))
        except CardError as fault:
            return self._signed(fault.status, {"code": fault.code})

    def _authenticate(self, raw: bytes) -> None:
        headers, now = request.headers, int(self._world.now())
        timestamp, nonce = headers.get("X-Card-Timestamp", ""), headers.get("X-Card-Nonce", "")
        if headers.get("X-Card-Key") != self._world.keys.card_client_id:
            raise CardError(401, "key_unknown")
        if not re.fullmatch("[0-9]{1,12}", timestamp) or abs(now - int(timestamp)) > CLOCK_WINDOW_SECONDS:
            raise CardError(401, "stale")
        if not re.fullmatch("[0-9a-f]{32}", nonce):
            raise CardError(401, "nonce_malformed")
        target = request.environ.get("REQUEST_URI") or request.path
        expected = self._mac(request.method, target, timestamp, nonce, raw)
        given = headers.get("X-Card-Signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(expected.encode(), given):
            raise CardError(401, "signature")
        with self._world.store.write() as tx:
            if not use_nonce(tx, "cards", f"{timestamp}:{nonce}", now, 2 * CLOCK_WINDOW_SECONDS):
                raise CardError(401, "nonce_used")

    def _mac(self, first: str, second: str, timestamp: str, nonce: str, body: bytes) -> str:
        lines = [first, second, timestamp, nonce, hashlib.sha256(body).hexdigest()]
        return hmac.new(self._secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()

    def _signed(self, status: int, body: dict[str, Any]) -> Response:
        """The answer is bound to its request by the request's nonce."""
        raw = json.dumps(body, ensure_ascii=False).encode()
        timestamp = str(int(self._world.now()))
        nonce = request.headers.get("X-Card-Nonce", "")
        response = Response(raw, status, content_type="application/json")
        response.headers["X-Card-Timestamp"] = timestamp
        response.headers["X-Card-Signature"] = self._mac("ANSWER", str(status), timestamp, nonce, raw)
        return response

    # --- the services ---

    def find(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /card-system/v1/cards/find {card_number}."""
        card = self._world.store.row("SELECT * FROM cards WHERE card_number = ?", body.get("card_number"))
        if card is None:
            raise CardError(404, "card_unknown")
        if card["behaviour"] == "blocked":
            raise CardError(403, "card_blocked")
        if card["behaviour"] == "find_unavailable_once" and self._world.store.first_time(
            f"find:{card['card_number']}"
        ):
            raise CardError(503, "unavailable")
        return {
            "card_number": card["card_number"],
            "city": card["city"],
            "mode": card["mode"],
            "registered": bool(card["registered"]),
            "balance_fen": card["balance_fen"],
            "holder_masked": card["holder_masked"],
        }

    def credit(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /card-system/v1/credits {order_id, card_number, amount_fen}."""
        order_id, amount_fen = body.get("order_id"), body.get("amount_fen")
        if not isinstance(order_id, str) or not _ORDER_ID.fullmatch(order_id):
            raise CardError(422, "order_id_malformed")
        if type(amount_fen) is not int or not 0 < amount_fen <= CEILING_REGISTERED_FEN:
            raise CardError(422, "amount_malformed")
        card = self._world.store.row("SELECT * FROM cards WHERE card_number = ?", body.get("card_number"))
        behaviour = card["behaviour"] if card else ""
        fault = magic(amount_fen)
        if fault is Magic.CREDIT_REFUSED or behaviour == "credit_refused":
            raise CardError(422, "credit_refused")
        once = f"credit:{order_id}"
        if fault is Magic.CREDIT_UNAVAILABLE_ONCE or behaviour == "credit_unavailable_once":
            if self._world.store.first_time(once):
                raise CardError(503, "unavailable")
        if fault is Magic.CREDIT_ERROR_ONCE and self._world.store.first_time(once):
            raise CardError(500, "internal")
        with self._world.store.write() as tx:
            answer = self._book(tx, order_id, str(body.get("card_number")), amount_fen)
        if fault is Magic.CREDIT_ANSWER_LOST_ONCE or behaviour == "credit_answer_lost_once":
            if self._world.store.first_time(once):
                raise AnswerLost
        return answer

    def _book(self, tx: sqlite3.Connection, order_id: str, number: str, amount_fen: int) -> dict[str, Any]:
        """Credit once. The transaction holds the write lock, so two at a time cannot both be first."""
        done = tx.execute("SELECT * FROM card_credits WHERE order_id = ?", (order_id,)).fetchone()
        if done is not None:
            if (done["card_number"], done["amount_fen"]) != (number, amount_fen):
                raise CardError(409, "conflict")
            return _shown(done)
        card = tx.execute("SELECT * FROM cards WHERE card_number = ?", (number,)).fetchone()
        if card is None:
            raise CardError(404, "card_unknown")
        if card["behaviour"] == "blocked":
            raise CardError(403, "card_blocked")
        ceiling_fen = CEILING_REGISTERED_FEN if card["registered"] else CEILING_ANONYMOUS_FEN
        if card["balance_fen"] + amount_fen > ceiling_fen:
            raise CardError(422, "ceiling_exceeded")
        chip = card["mode"] == "chip"  # a chip's balance changes when the chip is written, not now
        balance_fen = card["balance_fen"] + (0 if chip else amount_fen)
        tx.execute("UPDATE cards SET balance_fen = ? WHERE card_number = ?", (balance_fen, number))
        tx.execute(
            "INSERT INTO card_credits VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                order_id,
                number,
                amount_fen,
                "write_issued" if chip else "credited",
                f"CS{secrets.randbelow(10**18):018d}",
                balance_fen,
                self._world.now(),
            ),
        )
        return _shown(tx.execute("SELECT * FROM card_credits WHERE order_id = ?", (order_id,)).fetchone())

    def query(self, order_id: str) -> dict[str, Any]:
        """GET /card-system/v1/credits/{order_id}."""
        done = self._world.store.row("SELECT * FROM card_credits WHERE order_id = ?", order_id)
        if done is None:
            raise CardError(404, "credit_unknown")
        return _shown(done)

    def routes(self) -> Blueprint:
        """The services on their paths."""
        routes = Blueprint("cards", __name__, url_prefix="/card-system/v1")
        routes.post("/cards/find", endpoint="find")(lambda: self.handle(self.find))
        routes.post("/credits", endpoint="credit")(lambda: self.handle(self.credit))
        routes.get("/credits/<order_id>", endpoint="query")(
            lambda order_id: self.handle(lambda _body: self.query(order_id))
        )
        return routes


def _shown(credit: Any) -> dict[str, Any]:
    return {
        name: credit[name]
        for name in ("order_id", "card_number", "amount_fen", "state", "reference", "balance_fen")
    }


def _parsed(raw: bytes) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise CardError(400, "not_json")
    return body
