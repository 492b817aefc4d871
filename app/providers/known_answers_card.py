"""Chip cards' published answers: the session key, MACs and TAC of loading an e-purse (PBOC, JT/T 978).

Triple DES is what these cards speak; the card system holds their keys and answers with the MACs, so
nothing of ours computes one. What stands here shows that this machine still could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from app.providers.known_answers import Case

Values = Mapping[str, bytes]


def card_cases(found: Any) -> Iterator[Case]:
    """One case for each value of pboc_load_vectors.json."""
    for vector in found["vectors"]:
        given = {name: bytes.fromhex(digits) for name, digits in vector["in"].items()}
        source = f"PBOC, {vector['status']}"
        for name, digits in vector["out"].items():
            yield Case("3DES", f"{vector['id']} {name}", source, partial(_holds, given, name, digits))


def _holds(given: Values, name: str, digits: str) -> bool:
    wanted: dict[str, Any] = {
        "session_key": _session_key,
        "mac1": _mac1,
        "mac2": _mac2,
        "tac": _tac,
        "tac8": _tac,
        "sub_key": lambda g: _des(g["master_key"], g["factor"] + bytes(255 - byte for byte in g["factor"])),
    }
    expected = bytes.fromhex(digits)
    return bool(wanted[name](given)[: len(expected)] == expected)


def _session_key(given: Values) -> bytes:
    if "purchase_key" in given:
        return _des(given["purchase_key"], given["random"] + given["offline_seq"] + given["terminal_seq"][2:])
    return _des(given["load_key"], given["random"] + given["online_seq"] + b"\x80\0")


def _mac1(given: Values) -> bytes:
    told = ("amount", "txn_type", "terminal")
    before, after = ((), ("datetime",)) if "purchase_key" in given else (("old_balance",), ())
    return _mac(_session_key(given), _joined(given, *before, *told, *after))


def _mac2(given: Values) -> bytes:
    return _mac(_session_key(given), _joined(given, "amount", "txn_type", "terminal", "datetime"))


def _tac(given: Values) -> bytes:
    if "tac_key_xored" in given:
        key, balance = given["tac_key_xored"], given["new_balance"]
    else:
        whole = given["tac_key_full"]
        key = bytes(a ^ b for a, b in zip(whole[:8], whole[8:], strict=True))
        balance = (int.from_bytes(given["old_balance"]) + int.from_bytes(given["amount"])).to_bytes(4)
    told = _joined(given, "online_seq", "amount", "txn_type", "terminal", "datetime")
    return _mac(key, balance + told, given.get("iv", bytes(8)))


def _joined(given: Values, *names: str) -> bytes:
    return b"".join(given[name] for name in names)


def _des(key: bytes, data: bytes) -> bytes:
    """Keys of 8 bytes are single DES, written as three equal ones; of 16, the first is the third too."""
    whole = key * 3 if len(key) == 8 else key + key[:8]
    encryptor = Cipher(TripleDES(whole), modes.ECB()).encryptor()  # noqa: S305 - as the cards do
    return encryptor.update(data) + encryptor.finalize()


def _mac(key: bytes, data: bytes, start: bytes = bytes(8)) -> bytes:
    """CBC-MAC of ISO 9797-1, algorithm 1, padding method 2; all 8 bytes of it."""
    data += b"\x80"
    data += bytes(-len(data) % 8)
    encryptor = Cipher(TripleDES(key * 3), modes.CBC(start)).encryptor()
    return encryptor.update(data)[-8:]
