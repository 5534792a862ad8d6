"""Sealing: what was sealed comes back, and nothing else is ever taken for it."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from gcm import Gcm, two_key_ciphertext
from masker.errors import KeysError, ReceiptError, TamperedError, VaultError
from masker.vault import envelope, slots
from masker.vault.envelope import HEADER_BYTES, Place
from masker.vault.receipts import FIRST, Receipt, Signer, commitment
from masker.vault.slots import DESTROYED, SLOT_BYTES, Kind, Label
from masker.vault.suites import AES_256_GCM, SM4_GCM, SUITES, Suite, suite_named, suite_numbered

VECTORS = Path(cryptography_vectors.__file__).parent
STORE = b"store-of-16-byte"
KEY = bytes(range(32))
PLACE = Place(b"conversation-16b", 7, 2, 41, 3, 1_700_000_000_000_000, 1_700_000_000_000_001)
WHERE = "conversation 1, record 7"

suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


def sealed(suite: Suite = AES_256_GCM, payload: bytes = b"my card is **** 1111") -> bytes:
    return envelope.seal(suite, STORE, KEY, PLACE, payload)


def unseal(suite: Suite, record: bytes, *, key: bytes = KEY, place: Place = PLACE) -> bytes:
    return envelope.unseal(suite, STORE, key, place, record, WHERE)


# --- records ---------------------------------------------------------------------------


@suites
@given(payload=st.binary(max_size=3000), key=st.binary(min_size=32, max_size=32))
def test_what_was_sealed_comes_back(suite: Suite, payload: bytes, key: bytes) -> None:
    record = envelope.seal(suite, STORE, key, PLACE, payload)
    assert unseal(suite, record, key=key) == payload
    assert len(record) == envelope.size_class(len(record))


@suites
def test_a_record_shows_nothing_of_its_payload_or_key(suite: Suite) -> None:
    payload = os.urandom(64)
    record = sealed(suite, payload)
    for secret in (payload, KEY):
        assert not [at for at in range(len(secret) - 8) if secret[at : at + 8] in record]


@suites
def test_every_flipped_bit_of_a_record_is_detected(suite: Suite) -> None:
    record = sealed(suite)
    for bit in range(8 * len(record)):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(VaultError):
            unseal(suite, bytes(changed))


@suites
def test_every_truncation_and_extension_of_a_record_is_detected(suite: Suite) -> None:
    record = sealed(suite)
    for length in range(len(record)):
        with pytest.raises(TamperedError):
            unseal(suite, record[:length])
    for more in (b"\0", record[-16:], record):
        with pytest.raises(TamperedError):
            unseal(suite, record + more)


@suites
@pytest.mark.parametrize("field", Place._fields)
def test_a_record_opens_in_its_own_place_only(suite: Suite, field: str) -> None:
    value = getattr(PLACE, field)
    other: Any = b"conversation-16c" if isinstance(value, bytes) else value + 1
    with pytest.raises(TamperedError, match="another place"):
        unseal(suite, sealed(suite), place=PLACE._replace(**{field: other}))


@suites
def test_a_record_opens_in_its_own_store_and_under_its_own_key_only(suite: Suite) -> None:
    with pytest.raises(TamperedError, match="was changed"):
        envelope.unseal(suite, b"another-16-bytes", KEY, PLACE, sealed(suite), WHERE)
    with pytest.raises(TamperedError, match="does not belong to its key"):
        unseal(suite, sealed(suite), key=bytes(32))
    other = SM4_GCM if suite is AES_256_GCM else AES_256_GCM
    with pytest.raises(TamperedError, match="another cipher suite"):
        unseal(other, sealed(suite))


def test_every_record_has_a_salt_of_its_own() -> None:
    assert len({envelope.read_header(sealed(), WHERE).salt for _ in range(100)}) == 100


def test_a_ciphertext_that_opens_under_two_keys_is_refused() -> None:
    """GCM alone takes it under both keys; the commitment names one."""
    other = bytes(reversed(KEY))
    salt = bytes(16)
    template = envelope._seal(AES_256_GCM, STORE, KEY, PLACE, bytes(40), salt)
    header = template[:HEADER_BYTES]
    associated = STORE + header
    derived = [AES_256_GCM.derive(key, salt) for key in (KEY, other)]
    one, two = (Gcm(each.key, each.nonce) for each in derived)
    body = two_key_ciphertext(one, two, associated, template[HEADER_BYTES:-32])
    for each in derived:
        plain = AES_256_GCM.cipher(each.key).decrypt(each.nonce, body, associated)
        assert len(plain) == len(body) - 16
    record = header + body
    assert len(record) == len(template)
    with pytest.raises(TamperedError, match="does not belong to its key"):
        unseal(AES_256_GCM, record, key=other)


@given(size=st.integers(1, 1_000_000))
def test_size_classes_hold_what_they_are_for_and_waste_little(size: int) -> None:
    kept = envelope.size_class(size)
    assert kept >= size
    assert kept - size < max(64, size / 8 + 1)
    assert envelope.size_class(kept) == kept


# --- slots -----------------------------------------------------------------------------

LABEL = Label(Kind.DATA, 0, b"owner-of-16-byte", 12)


@suites
def test_a_wrapped_key_comes_back_from_its_own_slot_only(suite: Suite) -> None:
    cipher = suite.wrap_cipher(KEY)
    slot = slots.wrap(suite, cipher, STORE, 5, LABEL, bytes(range(32, 64)))
    assert len(slot) == SLOT_BYTES
    assert slots.read_label(suite, 5, slot) == LABEL
    assert slots.unwrap(cipher, STORE, 5, slot) == bytes(range(32, 64))
    for store, number in ((b"another-16-bytes", 5), (STORE, 6)):
        with pytest.raises(TamperedError):
            slots.unwrap(cipher, store, number, slot)


@suites
def test_every_flipped_bit_and_truncation_of_a_slot_is_detected(suite: Suite) -> None:
    cipher = suite.wrap_cipher(KEY)
    slot = slots.wrap(suite, cipher, STORE, 5, LABEL, KEY)

    def opened(changed: bytes) -> bytes | None:
        if slots.read_label(suite, 5, changed) is None:
            return None
        return slots.unwrap(cipher, STORE, 5, changed)

    for bit in range(8 * len(slot)):
        changed = bytearray(slot)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperedError):
            opened(bytes(changed))
    for length in range(len(slot)):
        with pytest.raises(TamperedError):
            opened(slot[:length])
    assert opened(DESTROYED) is None


# --- vectors ---------------------------------------------------------------------------


def vectors(path: str) -> Iterator[dict[str, str]]:
    """Records of a NIST response file; a line without `=` is a flag."""
    found: dict[str, str] = {}
    for line in (VECTORS / path).read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if name.lower() == "count":
            if found:
                yield found
            found = {}
        elif name and not name.startswith(("#", "[")):
            found[name.upper()] = value if equals else name
    yield found


def test_aes_gcm_agrees_with_every_nist_vector_of_our_sizes() -> None:
    """NIST's CAVS vectors for 256-bit keys, tampered ones ("FAIL") with them."""
    good = bad = 0
    for each in vectors("ciphers/AES/GCM/gcmDecrypt256.rsp"):
        key, nonce, tag = (bytes.fromhex(each[name]) for name in ("KEY", "IV", "TAG"))
        text, associated = bytes.fromhex(each["CT"]), bytes.fromhex(each["AAD"])
        if len(nonce) != 12 or len(tag) != 16:
            continue
        cipher = AES_256_GCM.cipher(key)
        if "FAIL" in each:
            bad += 1
            with pytest.raises(InvalidTag):
                cipher.decrypt(nonce, text + tag, associated)
        else:
            good += 1
            plain = bytes.fromhex(each["PT"])
            assert cipher.decrypt(nonce, text + tag, associated) == plain
            assert cipher.encrypt(nonce, plain, associated) == text + tag
            assert Gcm(key, nonce).tag(associated, text) == tag
    assert good > 100
    assert bad > 100


def test_sm4_gcm_agrees_with_rfc_8998() -> None:
    (each,) = [each for each in vectors("ciphers/SM4/rfc8998.txt") if "TAG" in each]
    key, nonce, aad, plain = (
        bytes.fromhex(each[name]) for name in ("KEY", "IV", "AAD", "PLAINTEXT")
    )
    from masker.vault.suites import Sm4GcmCipher

    expected = bytes.fromhex(each["CIPHERTEXT"] + each["TAG"])
    assert Sm4GcmCipher(key).encrypt(nonce, plain, aad) == expected
    assert Sm4GcmCipher(key).decrypt(nonce, expected, aad) == plain


@pytest.mark.parametrize("length", range(16))
@suites
def test_a_shortened_tag_is_never_taken(suite: Suite, length: int) -> None:
    key = bytes(suite.derive(KEY, bytes(16)).key)
    for nonce in (bytes(12), b"\xff" * 12, os.urandom(12)):
        text = suite.cipher(key).encrypt(nonce, b"", b"aad")
        with pytest.raises(InvalidTag):
            suite.cipher(key).decrypt(nonce, text[:length], b"aad")


def hkdf(digest: Callable[[bytes, bytes], bytes], key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869, written down once more."""
    extracted = digest(salt, key)
    out = last = b""
    for counter in range(1, 4):
        last = digest(extracted, last + info + bytes([counter]))
        out += last
    return out


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    """RFC 2104 over SM3, which not every OpenSSL gives to hashlib."""

    def sm3(*parts: bytes) -> bytes:
        digest = hashes.Hash(hashes.SM3())
        for part in parts:
            digest.update(part)
        return digest.finalize()

    key = key.ljust(64, b"\0")
    inner = sm3(bytes(byte ^ 0x36 for byte in key), data)
    return sm3(bytes(byte ^ 0x5C for byte in key), inner)


@given(key=st.binary(min_size=32, max_size=32), salt=st.binary(min_size=16, max_size=16))
def test_record_keys_are_hkdf_over_data_key_and_salt(key: bytes, salt: bytes) -> None:
    info = b"masker record key, nonce and commitment, version 1"
    aes = AES_256_GCM.derive(key, salt)
    expected = hkdf(lambda k, d: hmac.digest(k, d, "sha512"), key, salt, info)
    assert expected.startswith(b"".join(aes))
    assert [len(part) for part in aes] == [32, 12, 32]
    sm4 = SM4_GCM.derive(key, salt)
    assert hkdf(hmac_sm3, key, salt, info).startswith(b"".join(sm4))
    assert [len(part) for part in sm4] == [16, 12, 32]


@given(key=st.binary(min_size=32, max_size=32), data=st.binary(max_size=300))
def test_digests_are_hmac(key: bytes, data: bytes) -> None:
    assert AES_256_GCM.mac(key, data) == hmac.new(key, data, hashlib.sha256).digest()
    assert SM4_GCM.mac(key, data) == hmac_sm3(key, data)


def test_receipts_are_signed_as_the_ed25519_vectors_say() -> None:
    """The vectors of the Ed25519 authors: secret and public key, message, signature."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    lines = (VECTORS / "asymmetric/Ed25519/sign.input").read_text().splitlines()
    assert len(lines) > 500
    for line in lines[::8]:
        secret, public, message, signature = (bytes.fromhex(part) for part in line.split(":")[:4])
        assert Signer(secret[:32]).public_key == public.hex()
        signed = Ed25519PrivateKey.from_private_bytes(secret[:32]).sign(message)
        assert signed + message == signature


def test_suites_are_found_by_name_and_number() -> None:
    for suite in SUITES.values():
        assert suite_named(suite.name) is suite
        assert suite_numbered(suite.number) is suite
    with pytest.raises(VaultError, match="there are: aes-256-gcm, sm4-gcm"):
        suite_named("rot13")
    with pytest.raises(VaultError, match="not known"):
        suite_numbered(99)


# --- receipts --------------------------------------------------------------------------


def receipt() -> Receipt:
    salt = bytes(16)
    unsigned = Receipt(
        store=STORE.hex(), number=1, status="complete", scope="subject",
        commitment=commitment("subject", "u-42", salt), salt=salt.hex(), before=None,
        conversations=2, messages=12, keys=3, held=0, requested_at="2024-05-06T10:00:00+00:00",
        completed_at="2024-05-06T10:00:01+00:00", previous=FIRST, public_key="",
    )  # fmt: skip
    return Signer(KEY).sign(unsigned)


def test_a_receipt_is_verified_with_the_public_key_alone() -> None:
    signed = receipt()
    read = Receipt.from_json(signed.to_json())
    assert read == signed
    read.verify(Signer(KEY).public_key)
    read.verify()
    with pytest.raises(ReceiptError, match="another key"):
        read.verify(Signer(bytes(32)).public_key)


def test_a_receipt_tells_those_who_know_the_id_and_nobody_else() -> None:
    signed = receipt()
    assert signed.is_about("u-42")
    assert not signed.is_about("u-43")
    assert "u-42" not in signed.to_json()


def test_every_changed_field_of_a_receipt_is_detected() -> None:
    import json

    fields = json.loads(receipt().to_json())
    for name, value in fields.items():
        for other in ("1", 7, None, "complete"):
            if other == value:
                continue
            with pytest.raises(ReceiptError):
                Receipt.from_json(json.dumps({**fields, name: other})).verify(
                    Signer(KEY).public_key
                )
    for text in ("", "{}", "[]", "null", json.dumps({**fields, "more": 1}), "[" * 100_000):
        with pytest.raises(ReceiptError):
            Receipt.from_json(text)


def test_nothing_secret_is_in_a_repr() -> None:
    assert KEY.hex() not in repr(Signer(KEY))
    assert KEY.hex() not in repr(AES_256_GCM.cipher(KEY))


def test_keys_errors_are_vault_errors() -> None:
    assert issubclass(KeysError, VaultError)
