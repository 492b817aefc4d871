"""The two merchant numbers of the sandbox's WeChat Pay. One never sees what belongs to the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from app.providers.sandbox.keys import MerchantKeys, SandboxKeys
from app.providers.wechat_pay_signing import load_private_key, load_public_key

PRIMARY, STANDBY = "primary", "standby"
MERCHANT_NAMES = (PRIMARY, STANDBY)


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant, ready to work. `signs_with` holds WeChat's own keys for it, the public key first."""

    name: str
    keys: MerchantKeys
    own_key: RSAPublicKey = field(repr=False)
    signs_with: dict[str, RSAPrivateKey] = field(repr=False)

    @property
    def id(self) -> str:
        """The merchant number (mchid)."""
        return self.keys.merchant_id


class Merchants:
    """Finds a merchant by its number, its name, or the serial of a key WeChat signs with for it."""

    def __init__(self, keys: SandboxKeys) -> None:
        self._all = [_merchant(PRIMARY, keys), _merchant(STANDBY, keys.standby)]

    def __iter__(self) -> Iterator[Merchant]:
        return iter(self._all)

    def get(self, merchant_id: str) -> Merchant | None:
        return next((one for one in self._all if one.id == merchant_id), None)

    def by_id(self, merchant_id: str) -> Merchant:
        """KeyError for a number that is neither's."""
        found = self.get(merchant_id)
        if found is None:
            raise KeyError(merchant_id)
        return found

    def named(self, name: str) -> Merchant:
        """KeyError for a name that is not primary or standby."""
        found = next((one for one in self._all if one.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def signing_with(self, serial: str) -> Merchant:
        """KeyError for a serial WeChat has no key for."""
        found = next((one for one in self._all if serial in one.signs_with), None)
        if found is None:
            raise KeyError(serial)
        return found


def _merchant(name: str, keys: MerchantKeys) -> Merchant:
    return Merchant(
        name=name,
        keys=keys,
        own_key=load_public_key(keys.merchant_certificate_pem),
        signs_with={
            keys.public_key_id: load_private_key(keys.public_key_private_key_pem),
            keys.platform_serial: load_private_key(keys.platform_private_key_pem),
        },
    )
