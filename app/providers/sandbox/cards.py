"""A city card system behind the protocol of docs/CARD_SYSTEM.md: cards, and credits exactly once."""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Any

from app.providers.sandbox.signed_edge import GatewayError
from app.providers.sandbox.store import Store
from app.providers.sandbox.world import AnswerLost, Magic, World, magic, seeds

CEILING_REGISTERED_FEN = 500_000
CEILING_ANONYMOUS_FEN = 100_000
BEHAVIOURS = (
    "normal",
    "blocked",
    "credit_refused",
    "credit_unavailable_once",
    "credit_answer_lost_once",
    "find_unavailable_once",
)
_ORDER_ID = re.compile(r"[A-Za-z0-9_\-]{6,64}")


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


def book(tx: sqlite3.Connection, order_id: str, number: str, amount_fen: int, at: float) -> dict[str, Any]:
    """Credit once, whether the order comes singly or in a file. GatewayError says why not.

    The transaction holds the write lock, so two at a time cannot both be first. What was credited stays
    credited, whatever has become of the card since.
    """
    done = tx.execute("SELECT * FROM card_credits WHERE order_id = ?", (order_id,)).fetchone()
    if done is not None:
        if (done["card_number"], done["amount_fen"]) != (number, amount_fen):
            raise GatewayError(409, "conflict")
        return shown(done)
    card = tx.execute("SELECT * FROM cards WHERE card_number = ?", (number,)).fetchone()
    if magic(amount_fen) is Magic.CREDIT_REFUSED or (card and card["behaviour"] == "credit_refused"):
        raise GatewayError(422, "credit_refused")
    if card is None:
        raise GatewayError(404, "card_unknown")
    if card["behaviour"] == "blocked":
        raise GatewayError(403, "card_blocked")
    ceiling_fen = CEILING_REGISTERED_FEN if card["registered"] else CEILING_ANONYMOUS_FEN
    if card["balance_fen"] + amount_fen > ceiling_fen:
        raise GatewayError(422, "ceiling_exceeded")
    chip = card["mode"] == "chip"  # a chip's balance changes when the chip is written, not now
    balance_fen = card["balance_fen"] + (0 if chip else amount_fen)
    tx.execute("UPDATE cards SET balance_fen = ? WHERE card_number = ?", (balance_fen, number))
    state = "write_issued" if chip else "credited"
    reference = f"CS{secrets.randbelow(10**18):018d}"
    row = (order_id, number, amount_fen, state, reference, balance_fen, at)
    tx.execute("INSERT INTO card_credits VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return dict(zip(_SHOWN, row, strict=False))


def checked_credit(order_id: object, amount_fen: object) -> tuple[str, int]:
    """An order id and an amount this system takes; GatewayError otherwise."""
    if not isinstance(order_id, str) or not _ORDER_ID.fullmatch(order_id):
        raise GatewayError(422, "order_id_malformed")
    if type(amount_fen) is not int or not 0 < amount_fen <= CEILING_REGISTERED_FEN:
        raise GatewayError(422, "amount_malformed")
    return order_id, amount_fen


_SHOWN = ("order_id", "card_number", "amount_fen", "state", "reference", "balance_fen")


def shown(credit: Any) -> dict[str, Any]:
    """A credit as answers show it."""
    return {name: credit[name] for name in _SHOWN}


class Cards:
    """The services about one card or one credit. The order id is the request id: it never credits twice."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, body: dict[str, Any]) -> dict[str, Any]:
        """POST /card-system/v1/cards/find {card_number}."""
        card = self._card(body.get("card_number"))
        if card is None:
            raise GatewayError(404, "card_unknown")
        if card["behaviour"] == "blocked":
            raise GatewayError(403, "card_blocked")
        if card["behaviour"] == "find_unavailable_once" and self._world.store.first_time(
            f"find:{card['card_number']}"
        ):
            raise GatewayError(503, "unavailable")
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
        order_id, amount_fen = checked_credit(body.get("order_id"), body.get("amount_fen"))
        card = self._card(body.get("card_number"))
        behaviour = card["behaviour"] if card else ""
        fault, store = magic(amount_fen), self._world.store
        once = f"credit:{order_id}"
        if fault is Magic.CREDIT_UNAVAILABLE_ONCE or behaviour == "credit_unavailable_once":
            if store.first_time(once):
                raise GatewayError(503, "unavailable")
        if fault is Magic.CREDIT_ERROR_ONCE and store.first_time(once):
            raise GatewayError(500, "internal")
        with store.write() as tx:
            answer = book(tx, order_id, str(body.get("card_number")), amount_fen, self._world.now())
        if fault is Magic.CREDIT_ANSWER_LOST_ONCE or behaviour == "credit_answer_lost_once":
            if store.first_time(once):
                raise AnswerLost
        return answer

    def query(self, order_id: str) -> dict[str, Any]:
        """GET /card-system/v1/credits/{order_id}."""
        done = self._world.store.row("SELECT * FROM card_credits WHERE order_id = ?", order_id)
        if done is None:
            raise GatewayError(404, "credit_unknown")
        return shown(done)

    def change(self, number: str, changes: dict[str, Any]) -> dict[str, Any] | None:
        """A tester changes a card behind everybody's back; the card's row, or None when there is none."""
        with self._world.store.write() as tx:
            for name, value in changes.items():  # the caller has chosen the names
                tx.execute(f"UPDATE cards SET {name} = ? WHERE card_number = ?", (value, number))  # noqa: S608
        return self._card(number)

    def _card(self, number: object) -> dict[str, Any] | None:
        return self._world.store.row("SELECT * FROM cards WHERE card_number = ?", number)
