"""WeChat Pay's cryptography against published vectors, and against another implementation."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpayv3 import utils as oracle

from app.domain.clock import FakeClock
from app.providers.known_answers import vectors
from app.providers.wechat_pay import WeChatPayV3
from app.providers.wechat_pay_signing import (
    NotGenuine,
    Sealed,
    authorization,
    certificate_serial,
    check_signature,
    is_signed_by,
    load_private_key,
    load_public_key,
    request_message,
    seal,
    sign,
    unseal,
)
from tests.providers.adapters import pay_config
from tests.sandbox_server import START, sandbox_keys

JAVA: dict[str, Any] = vectors("wechatpay_java_rsa")
GO: dict[str, Any] = vectors("wechatpay_go_notice")

MERCHANT_KEY = load_private_key(JAVA["merchant_private_key_pem"])
MERCHANT_KEY_OF_ORACLE = oracle.load_private_key(JAVA["merchant_private_key_pem"])
WECHAT_KEY = load_private_key(JAVA["wechatpay_private_key_pem"])
WECHAT_CERTIFICATE = load_public_key(JAVA["wechatpay_certificate_pem"])
GO_CERTIFICATE = load_public_key(GO["platform_certificate_pem"])

# A shared machine may be slow for a moment: that is no fault of the code.
unhurried = settings(deadline=None, max_examples=50)


# --- published vectors ---


def test_the_published_request_string_is_built_to_the_byte() -> None:
    case = JAVA["authorization_string_to_sign"]
    message = request_message(
        case["method"], case["url"], case["timestamp"], case["nonce"], case["body"].encode()
    )
    assert message.decode() == case["message"]


def test_the_published_signature_is_made_and_accepted() -> None:
    case = JAVA["rsa_verify"]
    assert sign(load_private_key(JAVA["merchant_private_key_pem"]), b"message") == case["signature_b64"]
    merchant = load_public_key(JAVA["merchant_certificate_pem"])
    assert is_signed_by(merchant, b"message", case["signature_b64"])
    wechat = load_public_key(JAVA["wechatpay_public_key_pem"])
    assert not is_signed_by(wechat, b"message", case["signature_b64"])


def test_certificates_are_called_by_their_published_serials() -> None:
    assert certificate_serial(JAVA["merchant_certificate_pem"]) == JAVA["merchant_serial"]
    assert certificate_serial(JAVA["wechatpay_certificate_pem"]) == JAVA["wechatpay_serial"]
    assert certificate_serial(JAVA["wechatpay_public_key_pem"]) is None


def test_the_published_sealed_text_opens_and_is_sealed_the_same() -> None:
    case, key = JAVA["aes_256_gcm"], JAVA["apiv3_key"].encode()
    sealed = seal(key, case["plaintext"].encode(), case["nonce"], case["aad"])
    assert sealed.ciphertext == case["ciphertext_b64"]
    assert unseal(key, sealed) == case["plaintext"].encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"associated_data": "bad-associatedData"},
        {"nonce": "bad-4a9R25RW"},
        {"ciphertext": base64.b64encode(bytes(128)).decode()},
        {"ciphertext": "not base64!"},
        {"ciphertext": ""},
        {"nonce": "short"},
        {"nonce": "\ud800"},
        {"algorithm": "AEAD_SM4_GCM"},
    ],
)
def test_a_sealed_text_that_was_changed_does_not_open(changed: dict[str, str]) -> None:
    case = JAVA["aes_256_gcm"]
    values = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": case["nonce"],
        "ciphertext": case["ciphertext_b64"],
        "associated_data": case["aad"],
    }
    with pytest.raises(NotGenuine):
        unseal(JAVA["apiv3_key"].encode(), Sealed(**(values | changed)))


def test_the_published_certificates_answer_holds_the_published_certificate() -> None:
    entry = json.loads(JAVA["certificates_response"]["body"])["data"][0]
    sealed = Sealed(**entry["encrypt_certificate"])
    pem = unseal(JAVA["apiv3_key"].encode(), sealed)
    assert certificate_serial(pem.decode()) == JAVA["certificates_response"]["expect_serial"]
    assert entry["serial_no"] == JAVA["certificates_response"]["expect_serial"]
    assert load_public_key(pem.decode()).key_size == 2048


def published_notice(**changed: str) -> tuple[dict[str, str], bytes]:
    return GO["headers"] | changed, GO["body"].encode()


def check_published(headers: dict[str, str], body: bytes, now: int = GO["now"]) -> None:
    check_signature(headers, body, {GO["serial"]: GO_CERTIFICATE}, now, window_seconds=300)


def test_the_published_notice_verifies_and_opens() -> None:
    headers, body = published_notice()
    check_published(headers, body)
    resource = json.loads(body)["resource"]
    resource.pop("original_type")
    assert unseal(GO["apiv3_key"].encode(), Sealed(**resource)).decode() == GO["plaintext"]


@pytest.mark.parametrize(
    ("now", "genuine"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)]
)
def test_the_window_is_five_minutes_both_ways(now: int, genuine: bool) -> None:
    headers, body = published_notice()
    if genuine:
        check_published(headers, body, GO["now"] + now)
    else:
        with pytest.raises(NotGenuine, match="stale"):
            check_published(headers, body, GO["now"] + now)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Wechatpay-Signature": ""}, "header_missing"),
        ({"Wechatpay-Nonce": ""}, "header_missing"),
        ({"Wechatpay-Timestamp": ""}, "header_missing"),
        ({"Wechatpay-Serial": ""}, "header_missing"),
        ({"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}, "signature_type"),
        (
            {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + GO["headers"]["Wechatpay-Signature"]},
            "probe",
        ),
        ({"Wechatpay-Timestamp": "1624523846.0"}, "timestamp"),
        ({"Wechatpay-Timestamp": "-1624523846"}, "timestamp"),
        ({"Wechatpay-Timestamp": "١٦٢٤٥٢٣٨٤٦"}, "timestamp"),
        ({"Wechatpay-Timestamp": "9" * 5000}, "timestamp"),
        ({"Wechatpay-Timestamp": "1624523847"}, "signature"),
        ({"Wechatpay-Nonce": "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NBz\n{"}, "header_malformed"),
        ({"Wechatpay-Nonce": "\ud800"}, "header_malformed"),
        ({"Wechatpay-Serial": "D7CE59D1F522D702"}, "serial_unknown"),
        ({"Wechatpay-Serial": "PUB_KEY_ID_0123"}, "serial_unknown"),
        ({"Wechatpay-Signature": "AAAA"}, "signature"),
        ({"Wechatpay-Signature": "é" * 300}, "signature"),
        ({"Wechatpay-Signature": GO["headers"]["Wechatpay-Signature"] + "\n"}, "signature"),
    ],
)
def test_the_published_notice_with_one_header_changed_is_not_genuine(
    changed: dict[str, str], reason: str
) -> None:
    headers, body = published_notice(**changed)
    with pytest.raises(NotGenuine) as rejected:
        check_published(headers, body)
    assert rejected.value.reason == reason


def test_the_same_json_written_differently_is_not_genuine() -> None:
    headers, body = published_notice()
    rewritten = json.dumps(json.loads(body)).encode()
    assert json.loads(rewritten) == json.loads(body)
    with pytest.raises(NotGenuine, match="signature"):
        check_published(headers, rewritten)


# --- keys ---


def test_what_is_no_rsa_key_of_decent_size_is_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    pem = {"encoding": serialization.Encoding.PEM}
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    for key in (weak, curve):
        private = key.private_bytes(
            **pem,
            format=serialization.PrivateFormat.PKCS8,
            encryption_algorithm=serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(**pem, format=serialization.PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ValueError, match="RSA"):
            load_private_key(private.decode())
        with pytest.raises(ValueError, match="RSA"):
            load_public_key(public.decode())
    locked = curve.private_bytes(
        **pem,
        format=serialization.PrivateFormat.PKCS8,
        encryption_algorithm=serialization.BestAvailableEncryption(b"x"),
    )
    for text in (locked.decode(), "", "密钥", JAVA["merchant_certificate_pem"]):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it is, it is no key
            load_private_key(text)


# --- another implementation ---

TARGETS = st.from_regex(r"/v3/[a-z0-9/\-]{1,40}(\?mchid=[0-9]{4,10})?", fullmatch=True)
BODIES = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4)


@unhurried
@given(target=TARGETS, body=BODIES, timestamp=st.integers(1_600_000_000, 2_000_000_000))
def test_our_request_signature_verifies_where_another_library_verifies(
    target: str, body: dict[str, str], timestamp: int
) -> None:
    raw = json.dumps(body, ensure_ascii=False).encode()
    header = authorization(
        MERCHANT_KEY,
        JAVA["mchid"],
        JAVA["merchant_serial"],
        method="POST",
        target=target,
        timestamp=timestamp,
        nonce="593BEC0C930BF1AFEB40B4A08C8FB242",
        body=raw,
    )
    theirs = oracle.rsa_sign(
        MERCHANT_KEY_OF_ORACLE,
        f"POST\n{target}\n{timestamp}\n593BEC0C930BF1AFEB40B4A08C8FB242\n{raw.decode()}\n",
    )
    assert header == (
        f'WECHATPAY2-SHA256-RSA2048 mchid="{JAVA["mchid"]}",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",'
        f'timestamp="{timestamp}",serial_no="{JAVA["merchant_serial"]}",signature="{theirs}"'
    )


@unhurried
@given(body=st.text(max_size=200), timestamp=st.integers(1, 2_000_000_000))
def test_an_answer_both_sides_sign_alike_is_genuine_to_both(body: str, timestamp: int) -> None:
    raw = body.encode()
    signature = sign(WECHAT_KEY, f"{timestamp}\nnonce\n".encode() + raw + b"\n")
    assert oracle.rsa_verify(str(timestamp), "nonce", body, signature, WECHAT_CERTIFICATE)
    headers = {
        "Wechatpay-Timestamp": str(timestamp),
        "Wechatpay-Nonce": "nonce",
        "Wechatpay-Serial": "S",
        "Wechatpay-Signature": signature,
    }
    check_signature(headers, raw, {"S": WECHAT_CERTIFICATE}, timestamp, 300)


@unhurried
@given(plaintext=st.binary(max_size=300), associated=st.text(max_size=20))
def test_what_we_seal_another_library_opens(plaintext: bytes, associated: str) -> None:
    text = base64.b64encode(plaintext).decode()  # the oracle returns text
    sealed = seal(JAVA["apiv3_key"].encode(), text.encode(), "uluk4a9R25RW", associated)
    opened = oracle.aes_decrypt("uluk4a9R25RW", sealed.ciphertext, associated, JAVA["apiv3_key"])
    assert opened == text
    assert unseal(JAVA["apiv3_key"].encode(), sealed) == text.encode()


def test_our_pay_sign_verifies_where_another_library_verifies() -> None:
    keys = sandbox_keys()
    clock = FakeClock(START)
    adapter = WeChatPayV3(pay_config("http://127.0.0.1:9", keys), clock)
    told = adapter.pay_parameters("wx201410272009395522657a690389285100", clock.now() + timedelta(seconds=7))
    assert told["timeStamp"] == str(int(START.timestamp()) + 7)
    assert told["signType"] == "RSA"
    assert told["package"] == "prepay_id=wx201410272009395522657a690389285100"
    message = f"{keys.app_id}\n{told['timeStamp']}\n{told['nonceStr']}\n{told['package']}\n"
    private = oracle.load_private_key(keys.merchant_private_key_pem)
    assert told["paySign"] == oracle.rsa_sign(private, message)
