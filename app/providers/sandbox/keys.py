"""The sandbox's keys and ids: made at first start, kept in a folder, read from there by our app too."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEYS_FILE = "keys.json"
# Fixed dates, so that a fake clock can be anywhere between them.
_VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(2050, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantKeys:
    """What one merchant number has at WeChat Pay, both sides' material. Our app may read everything but
    the two private keys of WeChat (`platform_private_key_pem`, `public_key_private_key_pem`).
    """

    merchant_id: str
    merchant_serial: str
    merchant_private_key_pem: str = field(repr=False)
    merchant_certificate_pem: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    platform_serial: str
    platform_certificate_pem: str = field(repr=False)
    platform_private_key_pem: str = field(repr=False)
    public_key_id: str
    public_key_pem: str = field(repr=False)
    public_key_private_key_pem: str = field(repr=False)

    @property
    def wechatpay_keys(self) -> dict[str, str]:
        """What this merchant verifies WeChat with: serial or PUB_KEY_ID -> PEM."""
        return {
            self.platform_serial: self.platform_certificate_pem,
            self.public_key_id: self.public_key_pem,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxKeys(MerchantKeys):
    """The whole sandbox's material: the first merchant's own, the second merchant's (`standby`, bound to
    the same app), the app's, and the card system's.
    """

    app_id: str
    app_secret: str = field(repr=False)
    card_client_id: str
    card_secret: str = field(repr=False)
    standby: MerchantKeys

    def gateway_secret(self, name: str) -> str:
        """What another gateway ("texts", "bank_checks", "soter") has for a secret: made from the card
        system's, so that a folder from before them needs no change.
        """
        return hmac.digest(self.card_secret.encode(), name.encode(), "sha256").hex()

    def save(self, folder: Path) -> None:
        """Write `keys.json` (0600) into `folder` (0700), whole or not at all."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = folder / f".{KEYS_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / KEYS_FILE)


def load_or_create_keys(folder: Path) -> SandboxKeys:
    """The keys of `folder`, made now if it has none; keys from before the second merchant get one.

    Safe when the sandbox and our app start at the same moment: both take the folder's lock, and one of
    them generates. Raises ValueError when the file is there but damaged (never silently replaced,
    because trades already signed with it would become unverifiable).
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / KEYS_FILE
        if not path.exists():
            generate_keys().save(folder)
        try:
            told = json.loads(path.read_text(encoding="ascii"))
            grown = "standby" not in told
            standby = generate_merchant() if grown else MerchantKeys(**told["standby"])
            keys = SandboxKeys(**(told | {"standby": standby}))
        except (ValueError, TypeError) as fault:
            raise ValueError(f"{path} is damaged: remove the folder to start afresh") from fault
        if grown:
            keys.save(folder)
        return keys
    finally:
        os.close(lock)


def generate_keys() -> SandboxKeys:
    """Fresh keys for everybody: six RSA-2048 pairs (a second or two), certificates, symmetric secrets."""
    return SandboxKeys(
        **asdict(generate_merchant()),
        app_id="wx" + secrets.token_hex(8),
        app_secret=secrets.token_hex(16),
        card_client_id="anxin",
        card_secret=secrets.token_hex(32),
        standby=generate_merchant(),
    )


def generate_merchant() -> MerchantKeys:
    """A merchant number with its key and certificate, and the two keys WeChat signs with for it."""
    merchant_id = "19" + _digits(8)
    merchant = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    platform = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    bare = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    merchant_certificate = _certificate(merchant, f"sandbox merchant {merchant_id}")
    platform_certificate = _certificate(platform, f"sandbox platform for {merchant_id}")
    return MerchantKeys(
        merchant_id=merchant_id,
        merchant_serial=format(merchant_certificate.serial_number, "X"),
        merchant_private_key_pem=_private_pem(merchant),
        merchant_certificate_pem=_pem(merchant_certificate),
        apiv3_key=secrets.token_hex(16),
        platform_serial=format(platform_certificate.serial_number, "X"),
        platform_certificate_pem=_pem(platform_certificate),
        platform_private_key_pem=_private_pem(platform),
        public_key_id="PUB_KEY_ID_01" + merchant_id + _digits(20),
        public_key_pem=bare.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii"),
        public_key_private_key_pem=_private_pem(bare),
    )


def _digits(count: int) -> str:
    return "".join(str(secrets.randbelow(10)) for _ in range(count))


def _certificate(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .sign(key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _private_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")
