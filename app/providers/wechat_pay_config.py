"""What is needed to be one merchant at WeChat Pay, and what can be wrong with it before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.providers.http import FILE_TIMEOUTS, Timeouts
from app.providers.wechat_pay_signing import (
    PUBLIC_KEY_PREFIX,
    certificate_serial,
    load_private_key,
    load_public_key,
)


@dataclass(frozen=True, slots=True)
class PayConfig:
    """One merchant at WeChat Pay.

    wechatpay_keys: certificate serial or PUB_KEY_ID -> PEM of the platform certificate or public key, both
    kinds side by side. wechatpay_serial: which of them shall sign the answers to us. notice_window_seconds:
    how far a signature's time may be from ours (WeChat's rule is 300). file_timeouts: for a bill's
    download. standby_url: where to turn when base_url cannot be connected to; the host is not part of a
    signature.
    """

    base_url: str
    app_id: str
    merchant_id: str
    merchant_serial: str
    merchant_private_key_pem: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    wechatpay_keys: Mapping[str, str] = field(repr=False)
    wechatpay_serial: str
    notify_url: str
    refund_notify_url: str
    notice_window_seconds: int = 300
    timeouts: Timeouts = Timeouts()
    file_timeouts: Timeouts = FILE_TIMEOUTS
    standby_url: str | None = None

    def faults(self) -> list[str]:
        """What is wrong, in words for an operator; empty when all is well."""
        found = [
            f"{name} is missing"
            for name in ("app_id", "merchant_id", "merchant_serial")
            if not getattr(self, name)
        ]
        if len(self.apiv3_key.encode()) != 32:
            found.append("the APIv3 key is not 32 bytes")
        if self.wechatpay_serial not in self.wechatpay_keys:
            found.append(f"no WeChat Pay key is called {self.wechatpay_serial!r}")
        for name in (self.notify_url, self.refund_notify_url):
            if "?" in name or "#" in name:
                found.append(f"a notify address may carry no query: {name}")
        for serial, pem in self.wechatpay_keys.items():
            found.extend(_key_faults(serial, pem))
        try:
            load_private_key(self.merchant_private_key_pem)
        except ValueError:
            found.append("the merchant's private key cannot be read (RSA, PEM, without a password)")
        return found


def _key_faults(serial: str, pem: str) -> list[str]:
    """Certificates, public keys and their names are mixed up more often than anything else here."""
    try:
        load_public_key(pem)
        real = certificate_serial(pem)
    except ValueError:
        return [f"WeChat Pay key {serial} is neither a certificate nor a public key (RSA)"]
    if real is None and not serial.startswith(PUBLIC_KEY_PREFIX):
        return [f"WeChat Pay key {serial} is a public key, so its name starts {PUBLIC_KEY_PREFIX}"]
    if real is not None and real != serial:
        return [f"the certificate given as {serial} has the serial {real}"]
    return []
