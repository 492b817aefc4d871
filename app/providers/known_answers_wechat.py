"""WeChat's published answers: payment signatures and sealed resources, messages, a phone's sealed data."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from wechatpy.crypto import PrpCrypto, WeChatCrypto, WeChatWxaCrypto
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.utils import check_signature as check_wechat_signature

from app.providers import wechat_pay_signing as pay
from app.providers.known_answers import Case, refuses, vectors

_SHA1 = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - what WeChat Pay uses
_SHA256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def payment_cases() -> Iterator[Case]:
    """WeChat Pay v3 with our own signing module (wechatpay_java_rsa.json, wechatpay_go_notice.json)."""
    java, source = vectors("wechatpay_java_rsa"), "wechatpay-java"
    key = pay.load_private_key(java["merchant_private_key_pem"])
    merchant = pay.load_public_key(java["merchant_certificate_pem"])
    wechat = pay.load_public_key(java["wechatpay_public_key_pem"])
    given, apiv3 = java["rsa_verify"]["signature_b64"], java["apiv3_key"].encode()

    def case(algorithm: str, name: str, holds: Callable[[], bool]) -> Case:
        return Case(algorithm, name, source, holds)

    yield case("RSA-SHA256", "signature", lambda: pay.sign(key, b"message") == given)
    yield case("RSA-SHA256", "verified", lambda: pay.is_signed_by(merchant, b"message", given))
    yield case("RSA-SHA256", "other key refused", lambda: not pay.is_signed_by(wechat, b"message", given))
    yield case("RSA-SHA256", "what a request signs", lambda: _request(java["authorization_string_to_sign"]))
    oaep, pkcs1 = java["rsa_oaep_sha1_decrypt"], java["rsa_pkcs1v15_decrypt"]
    yield case("RSA-OAEP-SHA1", "decrypted", lambda: _decrypted(key, oaep, _SHA1))
    yield case("RSA-PKCS1v15", "decrypted", lambda: _decrypted(key, pkcs1, padding.PKCS1v15()))
    yield case("X.509", "serials", lambda: _serials(java))
    sealed = java["aes_256_gcm"]
    yield case("AES-256-GCM", "sealed and opened", lambda: _sealed(apiv3, sealed))
    for told in sealed["must_fail"]:
        yield case("AES-256-GCM", f"{told} refused", partial(_refused, apiv3, sealed, told))
    yield case("AES-256-GCM", "certificates", lambda: _certificates(apiv3, java["certificates_response"]))
    for name, most in vectors("crypto_vectors")["rsa2048_max_plaintext_bytes"].items():
        yield case("RSA-2048", f"{name} takes {most} bytes", partial(_takes, merchant, name, most))
    go = vectors("wechatpay_go_notice")
    yield Case("RSA-SHA256", "notice", "wechatpay-go", lambda: _notice(go))
    yield Case("AES-128-GCM", "notice opened", "wechatpay-go", lambda: _notice_opened(go))


def message_cases() -> Iterator[Case]:
    """Official account messages and encryptedData, with wechatpy (wechat_message_crypto.json)."""
    found, source = vectors("wechat_message_crypto"), "wechatpy"
    server, message, data = found["server_verify"], found["aes_message"], found["wxa_data"]
    crypto = WeChatCrypto(message["token"], message["encoding_aes_key"], message["app_id"])

    def case(algorithm: str, name: str, holds: Callable[[], bool]) -> Case:
        return Case(algorithm, name, source, holds)

    def verified(signature: str) -> bool:
        check_wechat_signature(server["token"], signature, server["timestamp"], server["nonce"])
        return True

    yield case("SHA-1", "server verified", lambda: verified(server["signature"]))
    yield case(
        "SHA-1",
        "other signature refused",
        lambda: refuses(lambda: verified(server["must_fail_signature"]), InvalidSignatureException),
    )
    yield case("AES-256-CBC", "echo opened", lambda: bool(_echo(crypto, message["echostr"])))
    yield case("AES-256-CBC", "message sealed", lambda: _message(crypto, message["encrypt"]))
    yield case("AES-256-CBC", "message opened", lambda: _received(crypto, message["decrypt"]))
    yield case("AES-128-CBC", "encryptedData opened", lambda: bool(_phone_data(data)))


def _request(case: Any) -> bool:
    body = case["body"].encode()
    built = pay.request_message(case["method"], case["url"], case["timestamp"], case["nonce"], body)
    return bool(built.decode() == case["message"])


def _decrypted(key: Any, case: Any, scheme: Any) -> bool:
    return bool(key.decrypt(b64decode(case["ciphertext_b64"]), scheme) == case["plaintext"].encode())


def _serials(java: Any) -> bool:
    return all(
        pay.certificate_serial(java[f"{who}_certificate_pem"]) == java[f"{who}_serial"]
        for who in ("merchant", "wechatpay")
    )


def _sealed(key: bytes, case: Any) -> bool:
    sealed = pay.seal(key, case["plaintext"].encode(), case["nonce"], case["aad"])
    opened = pay.unseal(key, sealed)
    return (sealed.ciphertext, opened.decode()) == (case["ciphertext_b64"], case["plaintext"])


def _refused(key: bytes, case: Any, told: str) -> bool:
    """`told` is "aad=…", "nonce=…" or "ciphertext=128 zero bytes"."""
    name, _, value = told.partition("=")
    changed = {"aad": case["aad"], "nonce": case["nonce"], "ciphertext": case["ciphertext_b64"], name: value}
    if name == "ciphertext":
        changed[name] = b64encode(bytes(128)).decode()
    sealed = pay.Sealed(pay.SEALING, changed["nonce"], changed["ciphertext"], changed["aad"])
    return refuses(lambda: pay.unseal(key, sealed), pay.NotGenuine)


def _certificates(key: bytes, case: Any) -> bool:
    entry = json.loads(case["body"])["data"][0]
    pem = pay.unseal(key, pay.Sealed(**entry["encrypt_certificate"])).decode()
    return {pay.certificate_serial(pem), entry["serial_no"]} == {case["expect_serial"]}


def _takes(key: Any, name: str, most: int) -> bool:
    scheme = {"OAEP-SHA256": _SHA256, "OAEP-SHA1": _SHA1, "PKCS1v1.5": padding.PKCS1v15()}[name]
    key.encrypt(bytes(most), scheme)
    return refuses(lambda: key.encrypt(bytes(most + 1), scheme), ValueError)


def _notice(go: Any) -> bool:
    keys = {go["serial"]: pay.load_public_key(go["platform_certificate_pem"])}
    pay.check_signature(go["headers"], go["body"].encode(), keys, go["now"], 300)
    return True


def _notice_opened(go: Any) -> bool:
    resource = json.loads(go["body"])["resource"]
    resource.pop("original_type")
    opened = pay.unseal(go["apiv3_key"].encode(), pay.Sealed(**resource))
    return bool(opened.decode() == go["plaintext"])


def _echo(crypto: Any, case: Any) -> str:
    opened: str = crypto._check_signature(
        case["signature"], case["timestamp"], case["nonce"], case["echostr"], PrpCrypto
    )
    return opened


def _message(crypto: Any, case: Any) -> bool:
    class Published(PrpCrypto):  # type: ignore[misc]  # wechatpy is untyped
        """The sixteen characters in front are random otherwise."""

        def get_random_string(self) -> str:
            return str(case["random16"])

    made = crypto._encrypt_message(case["plaintext"], case["nonce"], case["timestamp"], Published)
    return bool(made == case["expected_xml"])


def _received(crypto: Any, case: Any) -> bool:
    opened = crypto.decrypt_message(case["xml"], case["signature"], case["timestamp"], case["nonce"])
    return all(f"<{name}><![CDATA[{value}]]></{name}>" in opened for name, value in case["expect"].items())


def _phone_data(case: Any) -> dict[str, Any]:
    """The app id in the watermark is checked by wechatpy."""
    opened: dict[str, Any] = WeChatWxaCrypto(case["session_key"], case["iv"], case["appid"]).decrypt_message(
        case["encrypted_data"]
    )
    return opened
