"""The vault: what is sealed opens only in its place, under its key, unchanged."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.ports import Vault, VaultFault
from app.providers.vault import Sm4Vault
from app.store.models.base import LOOKUP as LOOKUP_COLUMN

OLD = ("k1", "00112233445566778899aabbccddeeff")
NEW = ("k2", "ffeeddccbbaa99887766554433221100")
LOOKUP, NEW_LOOKUP = ("l1", "l" * 32), ("l2", "m" * 32)
NAME = "real_names.name:usr_1"

contexts = st.text(max_size=80)
plains = st.binary(max_size=1200)  # a face template is about 540 bytes


def vault(*keys: tuple[str, str], lookup: Sequence[tuple[str, str]] = (LOOKUP,)) -> Vault:
    return Sm4Vault(keys or (OLD,), lookup)


@given(plains, contexts)
def test_what_is_sealed_opens_in_its_place(plain: bytes, context: str) -> None:
    sealed = vault().seal(plain, context)
    assert sealed.startswith("k1:") and sealed.isascii()
    assert vault().open(sealed, context) == plain


@given(plains, contexts, contexts)
def test_what_is_sealed_opens_in_no_other_place(plain: bytes, context: str, other: str) -> None:
    assume(context != other)
    sealed = vault().seal(plain, context)
    with pytest.raises(VaultFault):
        vault().open(sealed, other)


@given(plains, contexts, st.binary(min_size=16, max_size=16))
def test_what_is_sealed_opens_under_no_other_key(plain: bytes, context: str, key: bytes) -> None:
    assume(key.hex() != OLD[1])
    sealed = vault().seal(plain, context)
    with pytest.raises(VaultFault):
        vault((OLD[0], key.hex())).open(sealed, context)  # the same id: only the tag can tell


@given(plains, st.data())
def test_a_single_changed_bit_is_noticed(plain: bytes, data: st.DataObject) -> None:
    key_id, _, text = vault().seal(plain, NAME).partition(":")
    raw = bytearray(b64decode(text))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VaultFault):
        vault().open(f"{key_id}:{b64encode(raw).decode()}", NAME)


@given(st.binary(max_size=60), st.data())
def test_a_single_changed_character_is_noticed(plain: bytes, data: st.DataObject) -> None:
    """Also in the last one, whose spare bits base64 ignores."""
    sealed = vault().seal(plain, NAME)
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != sealed[place]))
    with pytest.raises(VaultFault):
        vault().open(sealed[:place] + other + sealed[place + 1 :], NAME)


@given(st.text(max_size=300))
def test_anything_else_is_refused_in_words_without_being_repeated(text: str) -> None:
    for sealed in (text, f"k1:{text}"):
        with pytest.raises(VaultFault) as refused:
            vault().open(sealed, NAME)
        assert len(text) < 8 or text not in str(refused.value)


def test_the_same_plain_text_never_looks_the_same_twice() -> None:
    assert len({vault().seal(b"same", NAME) for _ in range(1000)}) == 1000


@given(plains, contexts)
def test_a_new_key_seals_while_the_old_one_still_opens(plain: bytes, context: str) -> None:
    before, during, after = vault(OLD), vault(NEW, OLD), vault(NEW)
    old = before.seal(plain, context)
    assert before.current(old) and not during.current(old)
    assert during.open(old, context) == plain
    new = during.seal(during.open(old, context), context)
    assert during.current(new) and after.current(new)
    assert after.open(new, context) == plain
    with pytest.raises(VaultFault, match="not among ANXIN_VAULT_KEYS"):
        after.open(old, context)
    with pytest.raises(VaultFault):
        before.open(new, context)


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_a_lookup_is_the_same_for_one_purpose_and_another_for_another(text: str, one: str, two: str) -> None:
    assume(one != two)
    assert vault().lookup(text, one) == vault(NEW, OLD).lookup(text, one)  # survives a rotation
    assert vault().lookup(text, one) != vault().lookup(text, two)
    assert len(vault().lookup(text, one)) == 64 + len("l1:")


@given(st.text(max_size=40), st.text(max_size=20))
def test_while_a_lookup_key_is_replaced_a_text_is_found_by_both(text: str, purpose: str) -> None:
    before, after = vault(), vault(lookup=[NEW_LOOKUP])
    for during in (vault(lookup=[LOOKUP, NEW_LOOKUP]), vault(lookup=[NEW_LOOKUP, LOOKUP])):
        found = {before.lookup(text, purpose), after.lookup(text, purpose)}
        assert set(during.lookups(text, purpose)) == found and len(found) == 2
        assert during.lookup(text, purpose) == during.lookups(text, purpose)[0]
        assert during.current_lookup(during.lookups(text, purpose)[0])
        assert not during.current_lookup(during.lookups(text, purpose)[1])
    assert before.lookup(text, purpose)[3:] != after.lookup(text, purpose)[3:]
    assert not vault().current_lookup(before.lookup(text, purpose)[3:])  # one of before keys had ids


def test_a_lookup_of_the_longest_key_id_fits_its_columns() -> None:
    made = vault(lookup=[("k" * 16, "l" * 32)]).lookup("text", "purpose")
    assert len(made) == LOOKUP_COLUMN.length


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_purpose_and_text_cannot_be_shifted_into_each_other(one: str, two: str, a: str, b: str) -> None:
    assume((one, a) != (two, b))
    assert vault().lookup(a, one) != vault().lookup(b, two)
