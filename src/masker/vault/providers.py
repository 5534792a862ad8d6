"""Key providers: who wraps the key-encryption key of a store.

A provider is asked once an epoch, never once a message. What it wraps it binds to a context (which
store, which epoch), so that a wrapped key of one store is of no use in another.

`open_keys` makes one from a specification:

* `file:PATH`: a key file of mode 0600; `masker keys init` makes it.
* `env:NAME`: 32 bytes in Base64 or hex, in an environment variable.
* `passphrase:env:NAME` or `passphrase:file:PATH`: a passphrase, through scrypt.
* `aws-kms:KEY`: a key of AWS KMS, by id, ARN or alias (`pip install 'masker[aws]'`).
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from masker.errors import KeysError
from masker.vault.keyfile import read_key_file
from masker.vault.suites import AES_256_GCM, KEY_BYTES, NONCE_BYTES, SUITES, Suite

_MAGIC = b"MW1"
_SALT_BYTES = 16
# OWASP's and RFC 7914's cost for a secret that is typed seldom: 128 MiB and about half a second.
SCRYPT_N = 2**17
SCRYPT_R = 8
SCRYPT_P = 1


@runtime_checkable
class KeyProvider(Protocol):
    """Wraps and unwraps key-encryption keys.

    `name` says what kind it is and where its secret lies, never the secret.
    """

    name: str

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap a key so that only this provider, told the same context, unwraps it.

        Raises:
            KeysError: the provider cannot be reached or has no usable secret.
        """

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The key that was wrapped.

        Raises:
            KeysError: the provider cannot be reached, or these are not its keys.
        """

    def destroy(self, wrapped: bytes) -> None:
        """Forget what `wrapped` needs, where the provider keeps something for it alone.

        The store has overwritten its only copy of `wrapped` by then.
        """


class _RootKey:
    """Wraps under one key of its own; what the local providers have in common."""

    name: str

    def __init__(self, root: bytes) -> None:
        self._root = root

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap a key under the root key, bound to the context."""
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(NONCE_BYTES)
        cipher = _suite(context).wrap_cipher(self._root_for(salt))
        return _MAGIC + salt + nonce + cipher.encrypt(nonce, key, _canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The key that was wrapped under the root key."""
        salt = wrapped[len(_MAGIC) : len(_MAGIC) + _SALT_BYTES]
        start = len(_MAGIC) + _SALT_BYTES
        cipher = _suite(context).wrap_cipher(self._root_for(salt))
        try:
            if not wrapped.startswith(_MAGIC):
                raise InvalidTag
            return cipher.decrypt(
                wrapped[start : start + NONCE_BYTES],
                wrapped[start + NONCE_BYTES :],
                _canonical(context),
            )
        except (InvalidTag, ValueError):
            raise KeysError(f"{self.name} does not hold the keys of this store") from None

    def destroy(self, wrapped: bytes) -> None:
        """Nothing is kept for one wrapped key alone."""

    def _root_for(self, salt: bytes) -> bytes:
        return self._root


class FileKeys(_RootKey):
    """The root key in a file that only its owner can read.

    Raises:
        KeysError: the file is missing, no key file, or others may read it; says what to do.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = f"file:{os.fspath(path)}"
        super().__init__(read_key_file(Path(path)))


class EnvironmentKeys(_RootKey):
    """The root key in an environment variable, as Base64 or hex of 32 bytes.

    Raises:
        KeysError: the variable is not set, or holds something else.
    """

    def __init__(self, variable: str) -> None:
        self.name = f"env:{variable}"
        text = os.environ.get(variable, "").strip()
        if not text:
            raise KeysError(
                f"environment variable {variable} is not set; "
                f"make a key with: masker keys init --keys env:{variable}"
            )
        super().__init__(_decoded(text, variable))


class PassphraseKeys(_RootKey):
    """The root key made from a passphrase by scrypt (RFC 7914), N=2^17, r=8, p=1.

    Raises:
        KeysError: the passphrase is empty.
    """

    def __init__(self, passphrase: str, *, name: str = "passphrase") -> None:
        if not passphrase:
            raise KeysError(f"{name}: the passphrase is empty")
        self.name = name
        super().__init__(b"")
        self._passphrase = passphrase.encode("utf-8", "surrogatepass")
        self._known: dict[bytes, bytes] = {}

    def _root_for(self, salt: bytes) -> bytes:
        if salt not in self._known:
            scrypt = Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
            self._known[salt] = scrypt.derive(self._passphrase)
        return self._known[salt]


def open_keys(specification: str | os.PathLike[str] | KeyProvider) -> KeyProvider:
    """The provider a specification names; a provider is given back as it is.

    Raises:
        KeysError: there is no such provider, or it has no usable secret; says what to do.
    """
    if isinstance(specification, os.PathLike):
        return FileKeys(specification)
    if not isinstance(specification, str):
        return specification
    kind, _, rest = specification.partition(":")
    match kind:
        case "file" if rest:
            return FileKeys(rest)
        case "env" | "environment" if rest:
            return EnvironmentKeys(rest)
        case "passphrase":
            return _passphrase_keys(rest)
        case "aws-kms" if rest:
            from masker.vault.aws import AwsKmsKeys

            return AwsKmsKeys(rest)
        case _:
            raise KeysError(
                "keys are given as file:PATH, env:NAME, passphrase:env:NAME, "
                "passphrase:file:PATH or aws-kms:KEY"
            )


def new_root_key() -> str:
    """A fresh root key as `env:NAME` takes it.

    >>> len(base64.b64decode(new_root_key()))
    32
    """
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _passphrase_keys(rest: str) -> PassphraseKeys:
    kind, _, where = rest.partition(":")
    if kind == "env" and where:
        text = os.environ.get(where, "")
        if not text:
            raise KeysError(f"environment variable {where} is not set; it should hold a passphrase")
        return PassphraseKeys(text, name=f"passphrase:env:{where}")
    if kind == "file" and where:
        try:
            text = Path(where).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise KeysError(f"passphrase file {where} cannot be read") from None
        return PassphraseKeys(text, name=f"passphrase:file:{where}")
    raise KeysError("a passphrase is given as passphrase:env:NAME or passphrase:file:PATH")


def _decoded(text: str, variable: str) -> bytes:
    for decode in (bytes.fromhex, _from_base64):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise KeysError(f"environment variable {variable} is not {KEY_BYTES} bytes in Base64 or hex")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _suite(context: Mapping[str, str]) -> Suite:
    return SUITES.get(int(context.get("suite", "1")), AES_256_GCM)


def _canonical(context: Mapping[str, str]) -> bytes:
    """The context as bytes that no other context gives."""
    parts = [part.encode() for pair in sorted(context.items()) for part in pair]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)
