"""Wrapped keys: each in a slot of fixed size, overwritten where it lies when it is destroyed.

    slot     92 bytes: version, suite, kind, 0, epoch of the key-encryption key (0: wrapped under
             the key of the slot `parent`), owner, parent, nonce, wrapped key of 32 bytes and its
             tag

The associated data is the id of the store, the slot's number and everything before the nonce: a
wrapped key opens only in its own slot, for its own owner, under its own parent. A slot that was
destroyed is zeros and nothing else, so a slot that was damaged is never taken for one.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from masker.errors import TamperedError
from masker.vault.suites import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Aead, Suite

VERSION = 1
_HEADER = struct.Struct(">BBBBI16sQ")
_HEADER_BYTES = _HEADER.size
PARENT_BYTES = 8
PARENT_FROM = _HEADER_BYTES - PARENT_BYTES + 1
"""Where `parent` stands in a slot, counted from 1 as SQL does."""
_SECRET = _HEADER_BYTES + NONCE_BYTES
SLOT_BYTES = _SECRET + KEY_BYTES + TAG_BYTES
DESTROYED = bytes(SLOT_BYTES)
OWNER_BYTES = 16


class Kind(IntEnum):
    """What a wrapped key is for."""

    SECRET = 1
    """The store's own secret, from which names and digests are keyed."""
    SIGNING = 2
    """The Ed25519 key that signs receipts."""
    SUBJECT = 3
    """A person's key, under the key-encryption key."""
    DATA = 4
    """The key of a segment's records, under a person's key."""


class Label(NamedTuple):
    """Whose key a slot holds, and what it is wrapped under."""

    kind: Kind
    epoch: int
    owner: bytes
    parent: int


def wrap(suite: Suite, cipher: Aead, store: bytes, number: int, label: Label, key: bytes) -> bytes:
    """The bytes of slot `number`, with a key wrapped under the key behind `cipher`."""
    return _wrap(suite, cipher, store, number, label, key, os.urandom(NONCE_BYTES))


def _wrap(
    suite: Suite, cipher: Aead, store: bytes, number: int, label: Label, key: bytes, nonce: bytes
) -> bytes:
    header = _HEADER.pack(
        VERSION, suite.number, label.kind, 0, label.epoch, label.owner, label.parent
    )
    return header + nonce + cipher.encrypt(nonce, key, _bound(store, number, header))


def unwrap(cipher: Aead, store: bytes, number: int, slot: bytes) -> bytes:
    """The key in slot `number`.

    Raises:
        TamperedError: the slot is not what was written there.
    """
    try:
        return cipher.decrypt(
            slot[_HEADER_BYTES:_SECRET],
            slot[_SECRET:],
            _bound(store, number, slot[:_HEADER_BYTES]),
        )
    except (InvalidTag, ValueError):
        raise TamperedError(place=f"key slot {number}", reason="was changed") from None


def read_label(suite: Suite, number: int, slot: bytes) -> Label | None:
    """What a slot says it holds, before it is believed; None where it was destroyed.

    Raises:
        TamperedError: it is no slot of this store.
    """
    if slot == DESTROYED:
        return None
    place = f"key slot {number}"
    if len(slot) != SLOT_BYTES:
        raise TamperedError(place=place, reason="is cut short or has grown")
    version, of_suite, kind, zero, epoch, owner, parent = _HEADER.unpack_from(slot)
    if version != VERSION or of_suite != suite.number or zero or kind not in _KINDS:
        raise TamperedError(place=place, reason="holds no key")
    return Label(Kind(kind), epoch, owner, parent)


def mark(slot: bytes) -> bytes:
    """What tells this key from any other that the slot held or will hold: its nonce."""
    return slot[_HEADER_BYTES:_SECRET]


_KINDS = frozenset(Kind)


def _bound(store: bytes, number: int, header: bytes) -> bytes:
    return store + number.to_bytes(8, "big") + header
