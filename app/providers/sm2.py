"""SM2 signatures and encryption (GB/T 32918.2 and .4, curve of .5): a safe wrapper around gmssl's points.

OpenSSL below `cryptography` offers no SM2, and gmssl 3.2.2 does it unsafely: predictable scalars from
`random`, no check of the curve, of the range or of a ciphertext's digest, an `lstrip` that eats keys. So
gmssl multiplies points here and nothing else; scalars come from `secrets`, and everything received is
checked first. Pure Python leaks time and manages about fifty signatures a second: fit for signing a
chain of records, not for answering strangers.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from Cryptodome.Util.asn1 import DerInteger, DerOctetString, DerSequence
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from gmssl import sm2 as gmssl_sm2

from app.providers.gm import SM3_BYTES, GmFault, sm3

_TABLE = gmssl_sm2.default_ecc_table
_P, _N, _A, _B = (int(_TABLE[name], 16) for name in "pnab")
_BASE = _TABLE["g"]
USER_ID = b"1234567812345678"  # the standard's default, and WeChat Pay's
NOT_DECRYPTED = "does not decrypt"  # one message for every reason: an attacker learns nothing from it

Scalar = Callable[[], int]


def random_scalar() -> int:
    """1 to n-1, each as likely, from the system's secure randomness."""
    return secrets.randbelow(_N - 1) + 1


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point of the curve. GmFault for anything else: multiplying one would give a private key away."""

    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.x < _P and 0 <= self.y < _P):
            raise GmFault("the coordinates of an SM2 point lie below the field's prime")
        if (self.y * self.y - (self.x * self.x + _A) * self.x - _B) % _P:
            raise GmFault("not a point of the SM2 curve")

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """From 65 bytes (04, x, y) or 64 (x, y)."""
        if len(data) == 65 and data[0] == 4:
            data = data[1:]
        if len(data) != 64:
            raise GmFault("an SM2 point is written as 64 bytes, or as 65 that begin with 04")
        return cls(int.from_bytes(data[:32]), int.from_bytes(data[32:]))

    def to_bytes(self) -> bytes:
        """65 bytes: 04, x, y."""
        return b"\x04" + self.x.to_bytes(32) + self.y.to_bytes(32)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A scalar of 1 to n-2. GmFault for any other: with n-1 nothing could be signed."""

    d: int = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.d <= _N - 2:
            raise GmFault("an SM2 private key lies between 1 and n-2")

    @classmethod
    def generate(cls) -> PrivateKey:
        return cls(secrets.randbelow(_N - 2) + 1)

    def public(self) -> PublicKey:
        return _times(self.d, _BASE)


def sign(key: PrivateKey, message: bytes, user_id: bytes = USER_ID, scalar: Scalar = random_scalar) -> bytes:
    """A DER signature, SM2 with SM3. `scalar` is given only where a published answer is recomputed."""
    e = _digest(key.public(), message, user_id)
    while True:
        k = scalar()
        r = (e + _times(k, _BASE).x) % _N
        s = pow(1 + key.d, -1, _N) * (k - r * key.d) % _N
        if r and s and r + k != _N:
            return encode_dss_signature(r, s)


def verify(key: PublicKey, message: bytes, signature: bytes, user_id: bytes = USER_ID) -> bool:
    """Whether this DER signature is of the holder of `key`. False for anything malformed.

    The encoding must be the only one (strict DER), and r and s within 1 to n-1.
    """
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    if not (1 <= r < _N and 1 <= s < _N and (r + s) % _N):
        return False
    digest = _digest(key, message, user_id).to_bytes(32)
    try:
        return _engine(_hex(key)).verify(f"{r:064x}{s:064x}", digest) is True
    except TypeError:  # the two points sum to infinity, which gmssl answers with None
        return False


def encrypt(key: PublicKey, message: bytes, scalar: Scalar = random_scalar) -> bytes:
    """DER of x, y, C3, C2 (GM/T 0009), at least one byte. GmFault for an empty message."""
    if not message:
        raise GmFault("SM2 encrypts at least one byte")
    while True:
        k = scalar()
        shared = _times(k, _hex(key))
        stream = _derived(shared, len(message))
        if any(stream):
            break
    return written(_times(k, _BASE), _check_value(shared, message), _xor(message, stream))


def decrypt(key: PrivateKey, ciphertext: bytes) -> bytes:
    """What `encrypt` was given. GmFault when it is malformed, its point is off the curve, or C3 differs."""
    malformed = GmFault("not the DER of an SM2 ciphertext")
    try:
        parts: Any = DerSequence().decode(ciphertext, strict=True, nr_elements=4)
        c3, c2 = (DerOctetString().decode(part, strict=True).payload for part in parts[2:4])
    except (ValueError, IndexError, TypeError):
        raise malformed from None
    x, y = parts[:2]
    if not (isinstance(x, int) and isinstance(y, int)):
        raise malformed
    c1 = PublicKey(x, y)
    if written(c1, c3, c2) != ciphertext:  # a second spelling of the same
        raise malformed
    return decrypt_parts(key, c1, c3, c2)


def decrypt_parts(key: PrivateKey, c1: PublicKey, c3: bytes, c2: bytes) -> bytes:
    """The same for the three parts themselves, as GB/T 32918.4 writes them one after another."""
    if len(c3) != SM3_BYTES or not c2:
        raise GmFault(NOT_DECRYPTED)
    shared = _times(key.d, _hex(c1))
    stream = _derived(shared, len(c2))
    message = _xor(c2, stream)
    fits = hmac.compare_digest(_check_value(shared, message), c3)
    if not (fits and any(stream)):
        raise GmFault(NOT_DECRYPTED)
    return message


def identity_digest(key: PublicKey, user_id: bytes = USER_ID) -> bytes:
    """ZA: the digest of who signs, 32 bytes (GB/T 32918.2, 5.5). GmFault for an id above 8191 bytes."""
    if len(user_id) * 8 > 0xFFFF:
        raise GmFault("an SM2 user id has at most 8191 bytes")
    curve = bytes.fromhex(_TABLE["a"] + _TABLE["b"] + _BASE)
    return sm3((len(user_id) * 8).to_bytes(2) + user_id + curve + key.to_bytes()[1:])


def _digest(key: PublicKey, message: bytes, user_id: bytes) -> int:
    return int.from_bytes(sm3(identity_digest(key, user_id) + message))


def _hex(point: PublicKey) -> str:
    return f"{point.x:064x}{point.y:064x}"


def _engine(public: str = "") -> gmssl_sm2.CryptSM2:
    engine = gmssl_sm2.CryptSM2(private_key="", public_key="")
    engine.public_key = public  # its constructor would strip leading zeros and fours from it
    return engine


def _times(k: int, point: str) -> PublicKey:
    """k times a point of 128 hex digits. 1 <= k < n, so never infinity: the curve's cofactor is 1."""
    return PublicKey.from_bytes(bytes.fromhex(_engine()._kg(k, point)))


def _derived(shared: PublicKey, length: int) -> bytes:
    """The key stream of this many bytes (KDF of GB/T 32918.4, 5.4.3)."""
    seed = shared.to_bytes()[1:]
    blocks = (sm3(seed + count.to_bytes(4)) for count in range(1, length // SM3_BYTES + 2))
    return b"".join(blocks)[:length]


def written(c1: PublicKey, c3: bytes, c2: bytes) -> bytes:
    """The DER of a ciphertext's three parts."""
    parts = (DerInteger(c1.x), DerInteger(c1.y), DerOctetString(c3), DerOctetString(c2))
    encoded: bytes = DerSequence(parts).encode()
    return encoded


def _check_value(shared: PublicKey, message: bytes) -> bytes:
    """C3: binds the message to the shared point."""
    return sm3(shared.x.to_bytes(32) + message + shared.y.to_bytes(32))


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))
