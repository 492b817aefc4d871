"""SM3 and SM4, the national hash and cipher, as OpenSSL computes them (GB/T 32905-2016, GB/T 32907-2016).

gmssl has both too, a thousand times slower, with unpadding that is not checked and without GCM: here it
serves only below `app.providers.sm2`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC

SM3_BYTES = 32
SM4_KEY_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16


class GmFault(ValueError):
    """Material that GM cryptography refuses. The message names the fault and never holds the material."""


def sm3(data: bytes) -> bytes:
    """The 32 bytes of the SM3 digest."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """The 32 bytes of HMAC (RFC 2104) with SM3."""
    mac = HMAC(key, hashes.SM3())
    mac.update(data)
    return mac.finalize()


def sm4_gcm_seal(key: bytes, nonce: bytes, plain: bytes, bound: bytes) -> bytes:
    """SM4-GCM (RFC 8998): the ciphertext and its 16-byte tag. `bound` is authenticated, not encrypted.

    Never twice with one key and nonce. Raise GmFault for a key that is not 16 bytes or a nonce not 12.
    """
    _check(key, nonce)
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(bound)
    return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


def sm4_gcm_open(key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
    """The plain text of `sm4_gcm_seal`. Raise GmFault when key, nonce, text, tag or `bound` do not fit.

    The tag is compared by OpenSSL in constant time, and nothing is handed out before it fits.
    """
    _check(key, nonce)
    if len(sealed) < TAG_BYTES:
        raise GmFault(f"shorter than the {TAG_BYTES} bytes of a tag")
    text, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(bound)
    try:
        return decryptor.update(text) + decryptor.finalize()
    except InvalidTag:
        raise GmFault("the tag does not fit") from None


def sm4_encrypt(key: bytes, mode: modes.ECB | modes.CBC | modes.CTR, plain: bytes) -> bytes:
    """SM4 in one of the unauthenticated modes (ECB, CBC, CTR): for known answers and a vendor's format,
    never for what we keep. Whole blocks of 16 bytes, except for CTR."""
    encryptor = Cipher(algorithms.SM4(key), mode).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def _check(key: bytes, nonce: bytes) -> None:
    if len(key) != SM4_KEY_BYTES:
        raise GmFault(f"an SM4 key has {SM4_KEY_BYTES} bytes, not {len(key)}")
    if len(nonce) != NONCE_BYTES:
        raise GmFault(f"the nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
