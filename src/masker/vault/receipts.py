"""Purge receipts: what was destroyed, when, and a signature that anyone can check.

A receipt holds no content and no name. Whose it is, is told by a salted commitment: who knows the
id of the conversation or subject can check that the receipt is about it (`is_about`), and nobody
else learns it without guessing. Receipts of a store form a chain: each carries the digest of the
one before.

The signature is Ed25519 (RFC 8032) over the canonical JSON of everything else. The public key is in
the receipt for convenience; whoever checks must compare it with the key the operator published.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from masker.errors import ReceiptError

VERSION = 1
FIRST = "0" * 64
"""What the first receipt of a store names as its predecessor."""
_DOMAIN = b"masker purge receipt, version 1\0"

ScopeKind = Literal["conversation", "subject", "before", "retention"]
Status = Literal["complete", "pending", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a purge did.

    `status` is "complete"; or "pending": the keys are destroyed, and a reader still keeps bytes of
    what they opened from being erased; or "held": a legal hold defers it and nothing is destroyed.
    `held` counts conversations that were left: under legal hold, or so damaged that their messages'
    ages cannot be told. Times are ISO 8601, UTC. `before` is the limit of a purge by age.
    """

    version: int = VERSION
    store: str
    number: int
    status: Status
    scope: ScopeKind
    commitment: str | None
    salt: str | None
    before: str | None
    conversations: int
    messages: int
    keys: int
    held: int
    requested_at: str
    completed_at: str | None
    previous: str
    public_key: str
    signature: str = ""

    @property
    def id(self) -> str:
        """What to call it by: the store's first digits and its number."""
        return f"{self.store[:8]}-{self.number}"

    @property
    def pending(self) -> bool:
        """Whether something is still to be done."""
        return self.status != "complete"

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        return _DOMAIN + _canonical(self._fields(signature=False))

    def digest(self) -> str:
        """What the next receipt of the store carries."""
        return hashlib.sha256(self.signed_bytes()).hexdigest()

    def to_json(self) -> str:
        """One line of JSON, as `masker receipt verify` reads it."""
        return json.dumps(self._fields(signature=True), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """Read a receipt; it is not verified yet.

        Raises:
            ReceiptError: this is no receipt of a known version.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            raise ReceiptError("is not JSON") from None
        if not isinstance(fields, dict) or fields.get("version") != VERSION:
            raise ReceiptError("is no purge receipt of a version known here")
        wanted = cls.__dataclass_fields__
        missing = [name for name in wanted if name not in fields]
        unknown = [name for name in fields if name not in wanted]
        if missing:
            raise ReceiptError(f"has no {missing[0]}")
        if unknown:
            raise ReceiptError("has a field that is not signed")
        for name, types in _TYPES.items():
            if not isinstance(fields[name], types) or isinstance(fields[name], bool):
                raise ReceiptError(f"{name} is of the wrong type")
        return cls(**fields)

    def verify(self, public_key: str | bytes | None = None) -> None:
        """Check the signature, against the key the operator published where it is given.

        Raises:
            ReceiptError: something in it was changed, or another key signed it.
        """
        try:
            own = bytes.fromhex(self.public_key)
            trusted = own if public_key is None else _public_bytes(public_key)
            signature = base64.b64decode(self.signature, validate=True)
            key = Ed25519PublicKey.from_public_bytes(trusted)
        except (ValueError, binascii.Error):
            raise ReceiptError("key or signature cannot be read") from None
        if base64.b64encode(signature).decode() != self.signature or own.hex() != self.public_key:
            raise ReceiptError("key or signature is not written as it was signed")
        if not hmac.compare_digest(own, trusted):
            raise ReceiptError("was signed by another key than the one given")
        try:
            key.verify(signature, self.signed_bytes())
        except InvalidSignature:
            raise ReceiptError("was changed: the signature does not hold") from None

    def is_about(self, identifier: str) -> bool:
        """Whether this receipt is about the conversation or subject with this id."""
        if self.commitment is None or self.salt is None:
            return False
        try:
            expected = commitment(self.scope, identifier, bytes.fromhex(self.salt))
            return hmac.compare_digest(expected.encode(), self.commitment.encode())
        except ValueError:
            return False

    def _fields(self, *, signature: bool) -> dict[str, Any]:
        fields = asdict(self)
        if not signature:
            del fields["signature"]
        return fields


_TYPES: dict[str, tuple[type, ...]] = {
    "store": (str,),
    "number": (int,),
    "status": (str,),
    "scope": (str,),
    "commitment": (str, type(None)),
    "salt": (str, type(None)),
    "before": (str, type(None)),
    "conversations": (int,),
    "messages": (int,),
    "keys": (int,),
    "held": (int,),
    "requested_at": (str,),
    "completed_at": (str, type(None)),
    "previous": (str,),
    "public_key": (str,),
    "signature": (str,),
}


class Signer:
    """The receipt key of a store."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public_key = self._key.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"Signer({self.public_key!r})"

    def sign(self, receipt: Receipt) -> Receipt:
        """The receipt with its signature."""
        receipt = replace(receipt, public_key=self.public_key, signature="")
        signature = self._key.sign(receipt.signed_bytes())
        return replace(receipt, signature=base64.b64encode(signature).decode())


def commitment(scope: str, identifier: str, salt: bytes) -> str:
    """A salted digest of an id: tells those who know the id, and nobody else."""
    data = scope.encode() + b"\0" + identifier.encode("utf-8", "surrogatepass")
    return hmac.digest(salt, b"masker receipt commitment\0" + data, "sha256").hex()


def _public_bytes(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else bytes.fromhex(key.strip())


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
