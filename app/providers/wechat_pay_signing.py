"""WeChat Pay API v3 cryptography, RSA variant: what is signed, how, and how a resource is sealed.

Pure: no network, no clock, no configuration. Every rule is from the official v3 documentation
("签名生成", "签名验证", "证书和回调报文解密"); the published vectors of the Java and Go SDKs pass
(tests/providers/test_wechat_pay_signing.py).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SCHEMA = "WECHATPAY2-SHA256-RSA2048"
SEALING = "AEAD_AES_256_GCM"
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
# WeChat now and then sends a deliberately wrong signature to see whether we verify.
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")  # int() of thousands of digits raises, so bound it first
# A line break in a nonce would let a forger move bytes between the nonce and the body.
_TOKEN = re.compile(r"[!-~]{1,256}")
_SIGNATURE = re.compile(r"[!-~]{1,2048}")


class NotGenuine(Exception):
    """What was received is not provably WeChat's. `reason` is a short code for logs and tests."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted resource of a notice or of /v3/certificates, as it stands in the JSON."""

    algorithm: str
    nonce: str
    ciphertext: str
    associated_data: str = ""


# --- keys ---------------------------------------------------------------------------------------


@lru_cache(maxsize=32)  # checking a key takes a tenth of a second
def load_private_key(pem: str) -> RSAPrivateKey:
    """The merchant's key (apiclient_key.pem). ValueError when it is not an RSA key of 2048 bits or more."""
    try:
        key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    except (TypeError, UnsupportedAlgorithm) as fault:  # behind a password, or on an unknown curve
        raise ValueError(str(fault)) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise ValueError("not an RSA private key of at least 2048 bits")
    return key


@lru_cache(maxsize=32)
def load_public_key(pem: str) -> RSAPublicKey:
    """WeChat's key, from a platform certificate or a bare public key. ValueError when it is neither."""
    raw = pem.encode("ascii")
    try:
        key = (
            x509.load_pem_x509_certificate(raw).public_key()
            if b"BEGIN CERTIFICATE" in raw
            else serialization.load_pem_public_key(raw)
        )
    except UnsupportedAlgorithm as fault:
        raise ValueError(str(fault)) from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise ValueError("not an RSA public key of at least 2048 bits")
    return key


def certificate_serial(pem: str) -> str | None:
    """The serial WeChat calls a certificate by (upper-case hexadecimal); None for a bare public key."""
    if "BEGIN CERTIFICATE" not in pem:
        return None
    return format(x509.load_pem_x509_certificate(pem.encode("ascii")).serial_number, "X")


# --- signing ------------------------------------------------------------------------------------


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, base64."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode("ascii")


def request_message(method: str, target: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """The five signed lines of a request. `target` is path and query exactly as sent; GET has no body."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(  # six values are signed or named; a record for them would only be unpacked here
    key: RSAPrivateKey,
    merchant_id: str,
    serial: str,
    *,
    method: str,
    target: str,
    timestamp: int,
    nonce: str,
    body: bytes,
) -> str:
    """The Authorization header of one request; `serial` is the merchant certificate's."""
    signature = sign(key, request_message(method, target, timestamp, nonce, body))
    return (
        f'{SCHEMA} mchid="{merchant_id}",nonce_str="{nonce}",timestamp="{timestamp}",'
        f'serial_no="{serial}",signature="{signature}"'
    )


def payment_message(app_id: str, timestamp: str, nonce: str, package: str) -> bytes:
    """The four lines signed as paySign for wx.requestPayment."""
    return f"{app_id}\n{timestamp}\n{nonce}\n{package}\n".encode()


def pay_parameters(
    key: RSAPrivateKey, app_id: str, prepay_id: str, timestamp: int, nonce: str
) -> dict[str, str]:
    """What wx.requestPayment takes. All values are strings: a numeric timeStamp fails on iPhones."""
    package = f"prepay_id={prepay_id}"
    return {
        "timeStamp": str(timestamp),
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": sign(key, payment_message(app_id, str(timestamp), nonce, package)),
    }


# --- verifying ----------------------------------------------------------------------------------


def answer_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    """The three signed lines of an answer or a notice, over the raw bytes as received."""
    return f"{timestamp}\n{nonce}\n".encode("ascii") + body + b"\n"


def is_signed_by(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether `signature` (strict base64) is `key`'s over `message`. Never raises on garbage."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):  # binascii.Error and UnicodeError are ValueErrors
        return False
    return True


def check_signature(
    headers: Mapping[str, str],
    body: bytes,
    keys: Mapping[str, RSAPublicKey],
    now_seconds: int,
    window_seconds: int,
) -> None:
    """Raise NotGenuine unless `body` is freshly signed by a key we know.

    `keys` holds platform certificates (by serial) and public keys (by PUB_KEY_ID_…) side by side,
    because WeChat moves between the two as it likes. An unknown serial is refused and never looked
    up: fetching on demand would let a forger make us call out. An absent Signature-Type means the
    default scheme (older notices carry none); it chooses nothing here.
    """
    named = {name.lower(): value for name, value in headers.items()}
    timestamp, nonce = named.get("wechatpay-timestamp", ""), named.get("wechatpay-nonce", "")
    serial, signature = named.get("wechatpay-serial", ""), named.get("wechatpay-signature", "")
    if not (timestamp and nonce and serial and signature):
        raise NotGenuine("header_missing")
    if named.get("wechatpay-signature-type", SCHEMA) != SCHEMA:
        raise NotGenuine("signature_type")
    if signature.startswith(PROBE_PREFIX):
        raise NotGenuine("probe")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise NotGenuine("timestamp")
    if abs(now_seconds - int(timestamp)) > window_seconds:
        raise NotGenuine("stale")
    if not (_TOKEN.fullmatch(nonce) and _TOKEN.fullmatch(serial)):
        raise NotGenuine("header_malformed")
    key = keys.get(serial)
    if key is None:
        raise NotGenuine("serial_unknown")
    if not _SIGNATURE.fullmatch(signature) or not is_signed_by(
        key, answer_message(timestamp, nonce, body), signature
    ):
        raise NotGenuine("signature")


# --- sealed resources ---------------------------------------------------------------------------


def unseal(key: bytes, sealed: Sealed) -> bytes:
    """Decrypt a resource with the APIv3 key (32 ASCII bytes). Raise NotGenuine when it does not open."""
    if sealed.algorithm != SEALING:
        raise NotGenuine("algorithm")
    try:
        return AESGCM(key).decrypt(
            sealed.nonce.encode(),
            base64.b64decode(sealed.ciphertext, validate=True),
            sealed.associated_data.encode(),
        )
    except (InvalidTag, binascii.Error, ValueError):
        raise NotGenuine("decrypt") from None


def seal(key: bytes, plaintext: bytes, nonce: str, associated_data: str) -> Sealed:
    """The other direction, as WeChat does it (and our sandbox): `nonce` is 12 ASCII characters."""
    ciphertext = AESGCM(key).encrypt(nonce.encode(), plaintext, associated_data.encode())
    return Sealed(SEALING, nonce, base64.b64encode(ciphertext).decode("ascii"), associated_data)
