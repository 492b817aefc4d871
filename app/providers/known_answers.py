"""Published answers of every algorithm we rely on, recomputed on this machine: GM standards first.

A cipher that is built wrongly works well with itself, and so does a library that an upgrade has changed:
only an answer that somebody else published shows it. The files are in `vectors/`, with their sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.ports import VaultFault
from app.providers import sm2
from app.providers.gm import TAG_BYTES, GmFault, sm3, sm4_encrypt, sm4_gcm_open, sm4_gcm_seal
from app.providers.vault import Sm4Vault

VECTORS = Path(__file__).parent / "vectors"
_hex = bytes.fromhex
_ECB = modes.ECB()  # noqa: S305 - what the standard's examples use


@dataclass(frozen=True, slots=True)
class Case:
    """One published answer. `holds` recomputes it: False, or any exception, means that it differs."""

    algorithm: str
    name: str
    source: str
    holds: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """`fault` is None when the answer is the published one."""

    algorithm: str
    name: str
    source: str
    fault: str | None


def vectors(name: str) -> Any:
    """One file of vectors."""
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def answered(cases: Iterator[Case]) -> Iterator[Answer]:
    """Recompute them one after another."""
    for case in cases:
        fault = None
        try:
            if not case.holds():
                fault = "differs"
        except Exception as broken:
            # A self-test reports whatever breaks, an algorithm the installed OpenSSL lacks included.
            fault = f"{type(broken).__name__}: {broken}"
        yield Answer(case.algorithm, case.name, case.source, fault)


def refuses(call: Callable[[], object], *faults: type[Exception]) -> bool:
    """Whether the call ends in one of these faults: what was tampered with must."""
    try:
        call()
    except faults:
        return True
    return False


def gm_cases(gm: Any) -> Iterator[Case]:
    """SM3, SM4 in every mode that has a vector, SM2; `gm` is gm_standards.json."""
    for number, case in enumerate(gm["sm3"]["cases"], 1):
        yield Case("SM3", f"example {number}", gm["sm3"]["source"], partial(_sm3, case))
    ecb = gm["sm4_ecb"]
    yield Case("SM4-ECB", "one block", ecb["source"], lambda: _ecb(ecb))
    yield Case("SM4-ECB", "1,000,000 times", ecb["source"], lambda: _million(ecb))
    for number, case in enumerate(gm["sm4_cbc"]["cases"], 1):
        source = gm["sm4_cbc"]["source"]
        yield Case("SM4-CBC", f"example {number}", source, partial(_mode, case, modes.CBC(_hex(case["iv"]))))
    ctr = gm["sm4_ctr"]
    yield Case("SM4-CTR", "four blocks", ctr["source"], lambda: _mode(ctr, modes.CTR(_hex(ctr["iv"]))))
    gcm = gm["sm4_gcm"]
    yield Case("SM4-GCM", "sealed", gcm["source"], lambda: _sealed(gcm).hex() == gcm["ct"] + gcm["tag"])
    yield Case("SM4-GCM", "opened", gcm["source"], lambda: _opened(gcm, _hex(gcm["aad"])) == _hex(gcm["pt"]))
    yield Case("SM4-GCM", "other data refused", gcm["source"], lambda: refuses(lambda: _opened(gcm), GmFault))
    ccm = gm["sm4_ccm"]
    yield Case("SM4-CCM", "sealed", ccm["source"], lambda: _ccm(ccm).hex() == ccm["ct"] + ccm["tag"])
    yield from _sm2_cases(gm["sm2_sign"], gm["sm2_enc"])


def other_cases(found: Any) -> Iterator[Case]:
    """SM4 again from another source, and AES-256-GCM; `found` is crypto_vectors.json."""
    for case in found["vectors"]:
        if case["id"].startswith("SM4"):
            yield Case(case["id"], "again", case["source"], partial(_sm4_again, case))
        else:
            yield Case("AES-256-GCM", case["id"], case["source"], partial(_aes_gcm, case))


def vault_cases(keys: Sequence[tuple[str, str]], lookup_keys: Sequence[tuple[str, str]]) -> Iterator[Case]:
    """Whether each configured key seals and opens, in its place only. `keys` are (id, hex digits)."""
    for key in keys:
        yield Case("vault", f"key {key[0]}", "ANXIN_VAULT_KEYS", partial(_round_trip, key, lookup_keys))


def _round_trip(key: tuple[str, str], lookup_keys: Sequence[tuple[str, str]]) -> bool:
    vault = Sm4Vault([key], lookup_keys)
    plain, place = b"selftest", "selftest.column:row"
    sealed = vault.seal(plain, place)
    elsewhere = refuses(lambda: vault.open(sealed, "selftest.column:other"), VaultFault)
    return vault.open(sealed, place) == plain and vault.current(sealed) and elsewhere


def _sm3(case: Any) -> bool:
    return sm3(_hex(case["msg_hex"])) == _hex(case["digest"])


def _ecb(case: Any) -> bool:
    return sm4_encrypt(_hex(case["key"]), _ECB, _hex(case["pt"])) == _hex(case["ct"])


def _million(case: Any) -> bool:
    encryptor, block = Cipher(algorithms.SM4(_hex(case["key"])), _ECB).encryptor(), _hex(case["pt"])
    for _ in range(1_000_000):
        block = encryptor.update(block)
    return block == _hex(case["ct_after_1000000"])


def _mode(case: Any, mode: modes.CBC | modes.CTR) -> bool:
    return sm4_encrypt(_hex(case["key"]), mode, _hex(case["pt"])) == _hex(case["ct"])


def _sealed(case: Any) -> bytes:
    return sm4_gcm_seal(_hex(case["key"]), _hex(case["iv"]), _hex(case["pt"]), _hex(case["aad"]))


def _opened(case: Any, bound: bytes = b"other") -> bytes:
    return sm4_gcm_open(_hex(case["key"]), _hex(case["iv"]), _hex(case["ct"] + case["tag"]), bound)


def _ccm(case: Any) -> bytes:
    """CCM (RFC 3610) put together from CBC and CTR: no library has it for SM4, and only this vector asks."""
    key, nonce, plain, bound = (_hex(case[name]) for name in ("key", "iv", "pt", "aad"))
    size = 15 - len(nonce)
    flags = 64 + (TAG_BYTES - 2) // 2 * 8 + size - 1
    blocks = bytes([flags]) + nonce + len(plain).to_bytes(size) + _whole(len(bound).to_bytes(2) + bound)
    tag = sm4_encrypt(key, modes.CBC(bytes(16)), blocks + _whole(plain))[-TAG_BYTES:]
    counter = modes.CTR(bytes([size - 1]) + nonce + bytes(size))
    hidden = sm4_encrypt(key, counter, tag + plain)
    return hidden[TAG_BYTES:] + hidden[:TAG_BYTES]


def _whole(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _sm4_again(case: Any) -> bool:
    if case["id"] == "SM4-ECB":
        return _ecb(case)
    sealed = _sealed(case)
    return sealed.startswith(_hex(case["ct_first8"])) and sealed.endswith(_hex(case["tag"]))


def _aes_gcm(case: Any) -> bool:
    sealed = AESGCM(_hex(case["key"])).encrypt(_hex(case["iv"]), _hex(case["pt"]), b"")
    return sealed == _hex(case.get("ct", "") + case["tag"])


def _sm2_cases(signing: Any, encryption: Any) -> Iterator[Case]:
    key, user_id = sm2.PrivateKey(int(signing["d"], 16)), signing["id"].encode()
    public, message = key.public(), signing["msg"].encode()

    def k() -> int:
        return int(signing["k"], 16)

    def signature() -> bytes:
        return encode_dss_signature(int(signing["r"], 16), int(signing["s"], 16))

    def case(name: str, holds: Callable[[], bool]) -> Case:
        return Case("SM2", name, signing["source"], holds)

    yield case("public key", lambda: public.to_bytes().hex() == "04" + signing["px"] + signing["py"])
    yield case("who signs (ZA)", lambda: sm2.identity_digest(public, user_id).hex() == signing["za"])
    yield case("what is signed (e)", lambda: sm3(_hex(signing["za"]) + message).hex() == signing["e"])
    yield case("signature", lambda: sm2.sign(key, message, user_id, k) == signature())
    yield case("verified", lambda: sm2.verify(public, message, signature(), user_id))
    yield case("other message refused", lambda: not sm2.verify(public, b"other", signature(), user_id))
    c1, c3, c2 = (_hex(encryption[name]) for name in ("c1", "c3", "c2"))
    secret = encryption["msg"].encode()

    def opened(hidden: bytes) -> bytes:
        return sm2.decrypt_parts(key, sm2.PublicKey.from_bytes(c1), c3, hidden)

    def sealed() -> bytes:
        return sm2.written(sm2.PublicKey.from_bytes(c1), c3, c2)

    def other(name: str, holds: Callable[[], bool]) -> Case:
        return Case("SM2", name, encryption["source"], holds)

    yield other("encrypted", lambda: sm2.encrypt(public, secret, k) == sealed())
    yield other("decrypted", lambda: opened(c2) == secret)
    yield other("changed text refused", lambda: refuses(lambda: opened(bytes([c2[0] ^ 1]) + c2[1:]), GmFault))
