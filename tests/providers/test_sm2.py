"""SM2 through the safe wrapper: against OpenSSL and the standard, and against what gmssl gets wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from gmssl import sm2 as gmssl_sm2
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import sm2
from app.providers.gm import GmFault, sm4_gcm_open, sm4_gcm_seal

N = int(gmssl_sm2.default_ecc_table["n"], 16)
P = int(gmssl_sm2.default_ecc_table["p"], 16)
KEY = sm2.PrivateKey(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)
PUBLIC = KEY.public()
OPENSSL = shutil.which("openssl")

keys = st.integers(1, N - 2).map(sm2.PrivateKey)


@settings(max_examples=25, deadline=None)
@given(keys, st.binary(max_size=200), st.binary(max_size=40))
def test_what_one_signs_everyone_can_verify(key: sm2.PrivateKey, message: bytes, user_id: bytes) -> None:
    signature = sm2.sign(key, message, user_id)
    assert sm2.verify(key.public(), message, signature, user_id)
    assert not sm2.verify(key.public(), message + b"!", signature, user_id)
    assert not sm2.verify(key.public(), message, signature, user_id + b"!")
    assert not sm2.verify(PUBLIC, message, signature, user_id)


@settings(max_examples=25, deadline=None)
@given(keys, st.binary(min_size=1, max_size=100))
def test_what_is_encrypted_only_its_reader_decrypts(key: sm2.PrivateKey, message: bytes) -> None:
    ciphertext = sm2.encrypt(key.public(), message)
    assert sm2.decrypt(key, ciphertext) == message
    with pytest.raises(GmFault):
        sm2.decrypt(KEY, ciphertext)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20))
def test_a_changed_bit_of_a_signature_or_a_ciphertext_is_noticed(bit: int) -> None:
    """gmssl hands a ciphertext with a changed bit out as a changed message."""
    signature, ciphertext = sm2.sign(KEY, b"pay 100 yuan"), sm2.encrypt(PUBLIC, b"pay 100 yuan")
    assert not sm2.verify(PUBLIC, b"pay 100 yuan", flipped(signature, bit))
    with pytest.raises(GmFault):
        sm2.decrypt(KEY, flipped(ciphertext, bit))


def flipped(text: bytes, bit: int) -> bytes:
    bit %= len(text) * 8  # lengths differ from one signature to the next
    changed = bytearray(text)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_anything_malformed_is_refused_in_words(text: bytes) -> None:
    assert not sm2.verify(PUBLIC, b"m", text)
    with pytest.raises(GmFault):
        sm2.decrypt(KEY, text)
    with pytest.raises(GmFault):
        sm2.PublicKey.from_bytes(text)


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (0, 0), (N, 1), (1, N), (1, N - 1), (N + 1, 5), (2**256, 7)]
)
def test_r_and_s_out_of_range_are_refused(r: int, s: int) -> None:
    assert not sm2.verify(PUBLIC, b"m", encode_dss_signature(r, s))


def test_a_signature_has_one_spelling_and_one_value() -> None:
    signature = sm2.sign(KEY, b"m")
    r, s = decode_dss_signature(signature)
    assert sm2.verify(PUBLIC, b"m", signature)
    assert not sm2.verify(PUBLIC, b"m", encode_dss_signature(r, s + N))
    assert not sm2.verify(PUBLIC, b"m", encode_dss_signature(r, N - s))
    assert not sm2.verify(PUBLIC, b"m", signature + b"\0")
    assert not sm2.verify(PUBLIC, b"m", signature[:1] + b"\x81" + signature[1:])  # the long form of a length


@pytest.mark.parametrize(
    ("x", "y"), [(0, 0), (1, 1), (PUBLIC.x, PUBLIC.y + 1), (PUBLIC.x + P, PUBLIC.y), (-1, 5)]
)
def test_a_point_off_the_curve_is_no_key_and_no_ciphertext(x: int, y: int) -> None:
    with pytest.raises(GmFault, match="curve|prime"):
        sm2.PublicKey(x, y)


def test_a_ciphertext_whose_point_is_off_the_curve_is_refused_before_it_meets_the_key() -> None:
    from Cryptodome.Util.asn1 import DerOctetString, DerSequence

    forged = DerSequence([5, 7, DerOctetString(bytes(32)), DerOctetString(b"x")]).encode()
    with pytest.raises(GmFault, match="not a point of the SM2 curve"):
        sm2.decrypt(KEY, forged)


@pytest.mark.parametrize("d", [0, -1, N - 1, N, 2**256])
def test_a_private_key_out_of_range_is_refused(d: int) -> None:
    with pytest.raises(GmFault, match="between 1 and n-2"):
        sm2.PrivateKey(d)


@pytest.mark.parametrize("d", [1, 2, 3, N - 2, N - 3, N // 2, 2**255, 2**128])
def test_the_edges_of_the_range_sign_and_decrypt(d: int) -> None:
    key = sm2.PrivateKey(d)
    assert sm2.verify(key.public(), b"m", sm2.sign(key, b"m"))
    assert sm2.decrypt(key, sm2.encrypt(key.public(), b"m")) == b"m"


def test_keys_whose_digits_begin_with_zeros_and_fours_are_taken_whole() -> None:
    """gmssl strips such digits from every eighth key that is written with its 04."""
    found = [key for key in map(sm2.PrivateKey, range(1, 120)) if key.public().x >> 252 in (0, 4)]
    assert len(found) > 5
    for key in found:
        public = sm2.PublicKey.from_bytes(key.public().to_bytes())
        assert public == key.public() and sm2.verify(public, b"m", sm2.sign(key, b"m"))


def test_a_message_of_one_byte_never_comes_back_as_nothing() -> None:
    """gmssl gives up on one message of 256: an all-zero key stream is drawn again here."""
    scalars = iter(range(1, 2000))
    zero = next(k for k in range(1, 2000) if sm2._derived(sm2._times(k, sm2._hex(PUBLIC)), 1) == b"\0")
    assert sm2.decrypt(KEY, sm2.encrypt(PUBLIC, b"1", lambda: zero + next(scalars) - 1)) == b"1"


def test_an_empty_message_is_refused_and_no_key_is_shown() -> None:
    with pytest.raises(GmFault, match="at least one byte"):
        sm2.encrypt(PUBLIC, b"")
    assert str(KEY.d) not in repr(KEY)


def test_two_signatures_of_one_message_share_no_scalar() -> None:
    """gmssl draws from a generator that a seed or 624 outputs foretell; then one signature tells the key."""
    assert len({sm2.sign(KEY, b"m") for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("key", "nonce", "sealed", "told"),
    [(15, 12, 16, "16 bytes, not 15"), (16, 13, 16, "12 bytes, not 13"), (16, 12, 15, "shorter than the 16")],
)
def test_sm4_gcm_names_what_has_the_wrong_length(key: int, nonce: int, sealed: int, told: str) -> None:
    with pytest.raises(GmFault, match=told):
        sm4_gcm_open(bytes(key), bytes(nonce), bytes(sealed), b"")
    if sealed == 16:
        with pytest.raises(GmFault, match=told):
            sm4_gcm_seal(bytes(key), bytes(nonce), b"", b"")


def openssl(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *words], cwd=folder, capture_output=True, check=False)


@pytest.mark.skipif(OPENSSL is None, reason="no openssl command on this machine")
def test_openssl_verifies_and_decrypts_what_we_make_and_we_what_openssl_makes(tmp_path: Path) -> None:
    for words in (
        ("genpkey", "-algorithm", "SM2", "-out", "key.pem"),
        ("pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"),
    ):
        assert openssl(tmp_path, *words).returncode == 0
    told = openssl(tmp_path, "pkey", "-in", "key.pem", "-text", "-noout").stdout.decode()
    digits = told.split("priv:")[1].split("pub:")[0].replace(":", "").split()
    key = sm2.PrivateKey(int("".join(digits), 16))
    (tmp_path / "message").write_bytes(b"message")
    (tmp_path / "ours.sig").write_bytes(sm2.sign(key, b"message"))
    (tmp_path / "ours.enc").write_bytes(sm2.encrypt(key.public(), b"message"))
    sm3 = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")
    check = ("pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-in", "message", "-sigfile", "ours.sig")
    assert openssl(tmp_path, *check, *sm3).returncode == 0
    assert (
        openssl(tmp_path, "pkeyutl", "-decrypt", "-inkey", "key.pem", "-in", "ours.enc").stdout == b"message"
    )
    signed = openssl(tmp_path, "pkeyutl", "-sign", "-inkey", "key.pem", "-in", "message", *sm3).stdout
    assert sm2.verify(key.public(), b"message", signed)
    hidden = openssl(
        tmp_path, "pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "message"
    ).stdout
    assert sm2.decrypt(key, hidden) == b"message"
