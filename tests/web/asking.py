"""Asking over HTTP, and what every refusal must look like."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests

from app.domain.screens import Next
from app.errors import catalogue
from app.store import ledger, outbox
from tests.world import Phone, World

SPEECH_ENDS = "。？！"


def fault_of(answer: requests.Response) -> str:
    """The code of a refusal that a person can hear and act on."""
    body = answer.json()
    assert set(body) == {"code", "say", "next", "request_id"}, body
    assert answer.status_code == catalogue()[body["code"]].status
    assert body["code"] != "internal_error", body
    assert body["say"][-1] in SPEECH_ENDS and "{" not in body["say"]
    assert body["next"] in {*Next, "login"}
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return str(body["code"])


def send(phone: Phone, method: str, path: str, **options: Any) -> requests.Response:
    """A request as this person; the raw answer."""
    headers = {"Authorization": f"Bearer {phone.token}", **options.pop("headers", {})}
    return requests.request(method, phone.base_url + path, headers=headers, timeout=60, **options)


def say(phone: Phone, audio: bytes, key: str, name: str = "a.mp3", **form: str) -> requests.Response:
    """One spoken turn of somebody who agreed to be heard; the raw answer."""
    phone.agree()
    files = {"audio": (name, audio)}
    return send(phone, "POST", "/api/v1/conversation/turns", files=files, data={"client_key": key, **form})


def photograph(phone: Phone, photo: bytes, name: str = "card.jpg", **form: str) -> requests.Response:
    """Bind a card by a photo; the raw answer."""
    return send(phone, "POST", "/api/v1/cards", files={"photo": (name, photo)}, data=form)


def books(world: World, phone: Phone) -> tuple[Any, ...]:
    """Everything a refused request must leave as it was."""
    with world.deps.database.read() as tx:
        balance = ledger.balance(tx)
        waiting = outbox.waiting(tx)
    assert balance.ok
    cards = phone.ok("GET", "/api/v1/cards")["cards"]
    return balance, waiting, phone.ok("GET", "/api/v1/orders")["orders"], cards


def raw(base_url: str, head: str, *pieces: bytes) -> tuple[int, bytes]:
    """Send exactly this over a socket, and read (status, body); nothing else is ever sent."""
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up before the end: its answer may still be there to read
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()
