"""A sealed record: a header that anyone may read and nobody may change, and a ciphertext.

    header   112 bytes: magic, version, suite, type, conversation, place in it, revision, slot of
             the data key, times, salt, commitment, length of the ciphertext
    body     the padded payload under AES-256-GCM or SM4-GCM, and its tag of 16 bytes

The associated data is the id of the store and the whole header, so a record opens only in its
store, in its conversation, in its place, under its key. Opening compares the commitment first, in
constant time, and only then decrypts.

The payload is padded to a size class. A record that is sealed again usually keeps its class and is
overwritten where it lies; a record that is purged leaves a hole the next one of its class fits
into. It also hides how long a message is, to an eighth.
"""

from __future__ import annotations

import hmac
import os
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag

from masker.errors import TamperedError
from masker.vault.suites import TAG_BYTES, Suite

MAGIC = b"MK"
VERSION = 1
MESSAGES = 1
"""The type of a record that holds messages; the only one of version 1."""

SALT_BYTES = 16
_HEADER = struct.Struct(">2sBBBBH16sQIQqq16s32sI")
HEADER_BYTES = _HEADER.size
_LENGTH = struct.Struct(">I")
_STEP = 64


class Place(NamedTuple):
    """Where a record stands: what its header must say, whatever the database says."""

    conversation: bytes
    first: int
    revision: int
    slot: int
    messages: int
    oldest: int
    newest: int


class Header(NamedTuple):
    """The header of a record, read and not yet believed."""

    suite: int
    kind: int
    place: Place
    salt: bytes
    commitment: bytes
    length: int


def seal(suite: Suite, store: bytes, key: bytes, place: Place, payload: bytes) -> bytes:
    """Seal a payload for its place under a data key; every call draws a salt of its own."""
    return _seal(suite, store, key, place, payload, os.urandom(SALT_BYTES))


def _seal(
    suite: Suite, store: bytes, key: bytes, place: Place, payload: bytes, salt: bytes
) -> bytes:
    record = suite.derive(key, salt)
    room = padded(len(payload))
    header = _HEADER.pack(
        MAGIC, VERSION, suite.number, MESSAGES, 0, place.messages, place.conversation, place.first,
        place.revision, place.slot, place.oldest, place.newest, salt, record.commitment,
        room + TAG_BYTES,
    )  # fmt: skip
    plain = (_LENGTH.pack(len(payload)) + payload).ljust(room, b"\0")
    return header + suite.cipher(record.key).encrypt(record.nonce, plain, store + header)


def unseal(
    suite: Suite, store: bytes, key: bytes, place: Place, record: bytes, where: str
) -> bytes:
    """Open a record that must stand in this place; `where` names it in an error.

    Raises:
        TamperedError: it is not the record that was sealed for this place under this key.
    """
    header = read_header(record, where)
    if header.suite != suite.number:
        raise TamperedError(place=where, reason="is sealed with another cipher suite")
    if header.place != place:
        raise TamperedError(place=where, reason="is a record of another place")
    derived = suite.derive(key, header.salt)
    if not hmac.compare_digest(derived.commitment, header.commitment):
        raise TamperedError(place=where, reason="does not belong to its key")
    try:
        plain = suite.cipher(derived.key).decrypt(
            derived.nonce, record[HEADER_BYTES:], store + record[:HEADER_BYTES]
        )
    except InvalidTag:
        raise TamperedError(place=where, reason="was changed") from None
    (length,) = _LENGTH.unpack_from(plain)
    return plain[_LENGTH.size : _LENGTH.size + length]


def read_header(record: bytes, where: str) -> Header:
    """What the header of a record says, before its key is known.

    Raises:
        TamperedError: it is no record, or not a whole one.
    """
    if len(record) < HEADER_BYTES:
        raise TamperedError(place=where, reason="is cut short")
    (
        magic, version, suite, kind, flags, count, conversation, first, revision, slot, oldest,
        newest, salt, commitment, length,
    ) = _HEADER.unpack_from(record)  # fmt: skip
    if magic != MAGIC or version != VERSION or kind != MESSAGES or flags:
        raise TamperedError(place=where, reason="is no record")
    if len(record) != HEADER_BYTES + length:
        raise TamperedError(place=where, reason="is cut short or has grown")
    place = Place(conversation, first, revision, slot, count, oldest, newest)
    return Header(suite, kind, place, salt, commitment, length)


def padded(length: int) -> int:
    """The room for a payload, so that the whole record has the size of its class.

    >>> padded(10) == padded(20)
    True
    """
    fixed = HEADER_BYTES + TAG_BYTES
    return size_class(fixed + _LENGTH.size + length) - fixed


def size_class(size: int) -> int:
    """The size of the records among which one of `size` bytes is kept.

    >>> [size_class(size) for size in (130, 192, 1025, 5000)]
    [192, 192, 1152, 5120]
    """
    # Steps of 64 bytes at first, then eight to each doubling.
    step = max(_STEP, 1 << max(0, (size - 1).bit_length() - 4))
    return -(-size // step) * step
