"""Sealing what leaves the process, and names that tell nothing.

One secret, two keys from it: one names things (HMAC), one seals them. Each record is sealed under a
key of its own, made from a random salt, so that neither the number of records nor a restart with an
old random state ever uses a nonce twice (AES-256-GCM). What a record is called, its format and its
header are bound to it as additional data: it cannot be put in another's place.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from masker.errors import BuffersError
from masker.vault.keyfile import read_key_file

SECRET_BYTES = 32
SALT = 16
NONCE = 12
# Half of an HMAC-SHA256: names collide by chance never, and Redis keeps many of them.
NAME_BYTES = 16


class Sealer:
    """Seals and names things under one secret, in one namespace: nothing is moved to another.

    `key` is 32 bytes or more, or where to find them: `env:NAME` (Base64 or hex), or `file:PATH`, a
    key file as `masker keys init` makes it.

    Raises:
        BuffersError: there is no key there, or it is too short.
        KeysError: the file is no key file, or others may read it.
    """

    def __init__(self, key: bytes | str, *, namespace: str = "", context: bytes = b"") -> None:
        secret = key if isinstance(key, bytes) else _found(key)
        if len(secret) < SECRET_BYTES:
            raise BuffersError(f"the sealing key is {len(secret)} bytes, at least 32 are needed")
        space = namespace.encode()
        # Of the two that are joined here the last has one length, or is empty.
        self._sealing = _derived(secret, b"sealing " + space + b"\0" + context)
        self._naming = _derived(secret, b"naming " + space)

    def __repr__(self) -> str:
        return "Sealer()"

    def name(self, *parts: str) -> str:
        """A name for what has these ids, which tells none of them."""
        return self.digest(*parts).hex()

    def digest(self, *parts: str) -> bytes:
        """The same as bytes."""
        found = hmac.new(self._naming, digestmod=sha256)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            found.update(len(encoded).to_bytes(8, "big") + encoded)
        return found.digest()[:NAME_BYTES]

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """The data, sealed; it opens only with the same `bound`."""
        salt, nonce = token_bytes(SALT), token_bytes(NONCE)
        return salt + nonce + self._cipher(salt).encrypt(nonce, data, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """What was sealed.

        Raises:
            BuffersError: it was changed, moved, or sealed under another key or other rules.
        """
        salt, nonce = sealed[:SALT], sealed[SALT : SALT + NONCE]
        try:
            return self._cipher(salt).decrypt(nonce, sealed[SALT + NONCE :], bound)
        except (InvalidTag, ValueError):
            raise BuffersError("a sealed state does not open") from None

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._sealing, salt, "sha256"))


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"masker buffers " + purpose).derive(secret)


def _found(spec: str) -> bytes:
    kind, _, where = spec.partition(":")
    if kind == "env" and where:
        written = os.environ.get(where)
        if not written:
            raise BuffersError(f"the environment has no sealing key in {where}")
        return _decoded(written.strip())
    if kind == "file" and where:
        return read_key_file(Path(where))
    raise BuffersError("a sealing key is bytes, env:NAME or file:PATH")


def _decoded(written: str) -> bytes:
    try:
        return bytes.fromhex(written)
    except ValueError:
        pass
    try:
        return b64decode(written, validate=True)
    except (Base64Error, ValueError):
        raise BuffersError("the sealing key is neither hex nor base64") from None
