"""Cipher suites: which algorithms a store is sealed with, chosen once, when it is made.

A suite gives three things, and everything above it is built of them:

* `derive`: a record's own key, nonce and commitment, from a data key and a random salt. The random
  salt takes away GCM's limits on nonces, and nonce reuse after a store was restored. The commitment
  is there because GCM does not commit to its key: one ciphertext can be made to open under two.
* `wrap_cipher`: an AEAD under a key that wraps other keys.
* `mac`: a 32-byte keyed digest.

Suite 1 is AES-256-GCM (NIST SP 800-38D) with HKDF-SHA512 (RFC 5869) and HMAC-SHA256. Suite 2 is
SM4-GCM (GB/T 32907, RFC 8998) with HKDF-SM3 and HMAC-SM3 (GB/T 32905), for those who must.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from masker.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
COMMITMENT_BYTES = 32
TAG_BYTES = 16
MAC_BYTES = 32

_RECORD = b"masker record key, nonce and commitment, version 1"
_WRAP = b"masker wrapping key, version 1"
_SM4_KEY_BYTES = 16


class RecordKey(NamedTuple):
    """What one record is sealed with; used once."""

    key: bytes
    nonce: bytes
    commitment: bytes


class Aead(Protocol):
    """Authenticated encryption under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The ciphertext with its tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The plaintext; raises `InvalidTag` where anything was changed."""


class Suite(Protocol):
    """One choice of algorithms."""

    number: int
    name: str

    def derive(self, data_key: bytes, salt: bytes) -> RecordKey:
        """The key, nonce and commitment of the record with this salt."""

    def cipher(self, key: bytes) -> Aead:
        """The AEAD under a record's key."""

    def wrap_cipher(self, key: bytes) -> Aead:
        """The AEAD under a key of 32 bytes that wraps other keys."""

    def mac(self, key: bytes, data: bytes) -> bytes:
        """A keyed digest of 32 bytes."""


class _AesGcm:
    number = 1
    name = "aes-256-gcm"

    def derive(self, data_key: bytes, salt: bytes) -> RecordKey:
        length = KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES
        out = HKDF(hashes.SHA512(), length, salt, _RECORD).derive(data_key)
        return RecordKey(out[:32], out[32:44], out[44:])

    def cipher(self, key: bytes) -> Aead:
        return AESGCM(key)

    def wrap_cipher(self, key: bytes) -> Aead:
        return AESGCM(key)

    def mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, "sha256")


class _Sm4Gcm:
    number = 2
    name = "sm4-gcm"

    def derive(self, data_key: bytes, salt: bytes) -> RecordKey:
        length = _SM4_KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES
        out = HKDF(hashes.SM3(), length, salt, _RECORD).derive(data_key)
        return RecordKey(out[:16], out[16:28], out[28:])

    def cipher(self, key: bytes) -> Aead:
        return Sm4GcmCipher(key)

    def wrap_cipher(self, key: bytes) -> Aead:
        return Sm4GcmCipher(HKDF(hashes.SM3(), _SM4_KEY_BYTES, None, _WRAP).derive(key))

    def mac(self, key: bytes, data: bytes) -> bytes:
        digest = HMAC(key, hashes.SM3())
        digest.update(data)
        return digest.finalize()


class Sm4GcmCipher:
    """SM4 in GCM with a tag of 16 bytes at the end, as AESGCM has it."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The ciphertext with its tag."""
        encryptor = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The plaintext; raises `InvalidTag` where anything was changed."""
        # GCM would take a shorter tag for a valid one of that length.
        if len(data) < TAG_BYTES:
            raise InvalidTag
        mode = modes.GCM(nonce, data[-TAG_BYTES:], min_tag_length=TAG_BYTES)
        decryptor = Cipher(self._algorithm, mode).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-TAG_BYTES]) + decryptor.finalize()


AES_256_GCM: Suite = _AesGcm()
SM4_GCM: Suite = _Sm4Gcm()
SUITES: dict[int, Suite] = {suite.number: suite for suite in (AES_256_GCM, SM4_GCM)}


def suite_named(name: str) -> Suite:
    """The suite of that name.

    Raises:
        VaultError: there is none.
    """
    for suite in SUITES.values():
        if suite.name == name:
            return suite
    known = ", ".join(suite.name for suite in SUITES.values())
    raise VaultError(f"no cipher suite is called {name!r}; there are: {known}")


def suite_numbered(number: int) -> Suite:
    """The suite of that number, as records and slots name it.

    Raises:
        VaultError: this version of masker does not know it.
    """
    if number not in SUITES:
        raise VaultError(f"cipher suite {number} is not known to this version of masker")
    return SUITES[number]
