"""Digests that say what a conversation must look like.

The *head* stands beside a conversation's records and authenticates the whole of them: how many
there are, a keyed digest over each record with its place and revision, summed (so that one record
more or less costs one digest), and the end of the trail's chain. A record that was removed,
swapped, cut or put back does not add up.

The *anchor* stands with the keys and says how far the head had come: a head that is older was
rolled back, together with its records. Anchors are written with the next write to the keys and on
closing, so that saving needs not wait for both files; what was saved since the last one can be
rolled back by somebody who also crashes the process.

A *fence* stands with the keys where something was purged: until when, and what its receipt is.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from masker.errors import TamperedError
from masker.vault.suites import KEY_BYTES, MAC_BYTES, Suite

NAME_BYTES = 16
CHANNEL_BYTES = 8
NO_CHANNEL = bytes(CHANNEL_BYTES)
"""Of messages without a channel; `MIXED` of those with several."""
MIXED = b"\xff" * CHANNEL_BYTES
_SUM = 1 << (8 * MAC_BYTES)
_HEAD = struct.Struct(">BIQQIQ32sQ32sQ")
_ANCHOR = struct.Struct(">BQ32s")
_FENCE = struct.Struct(">BIqB3xQQ")
_VERSION = 1
_KNOWN = 10_000
"""Names that are kept in memory, so that a busy conversation's is made once."""


@dataclass(slots=True)
class Head:
    """The state of a conversation; changed in place while it is written to."""

    incarnation: int = 0
    """How often it was purged."""
    generation: int = 0
    """How often it was written."""
    next: int = 0
    """The sequence number of the next message."""
    records: int = 0
    messages: int = 0
    total: int = 0
    """The sum of the digests of its records."""
    events: int = 0
    chain: bytes = bytes(MAC_BYTES)
    """The digest of the newest event of its trail, which covers all before."""
    last: int = 0
    """The number of that event."""

    def purged(self, incarnation: int) -> None:
        """Begin a life in which nothing was said yet."""
        self.incarnation = incarnation
        self.records = self.messages = self.total = 0


class Fence(NamedTuple):
    """What was purged, and until when."""

    incarnation: int
    """The incarnation of the conversation that was purged; later ones live."""
    until: int
    """Messages up to this time, in microseconds since 1970, belong to what was purged."""
    undated: bool
    """Whether messages without a time are refused as well."""
    receipt: int
    messages: int


class Anchor(NamedTuple):
    """How far a conversation had come when its keys were last written."""

    generation: int
    digest: bytes


class Digests:
    """Keyed names and digests of one store, all made from its secret."""

    def __init__(self, suite: Suite, store: bytes, secret: bytes) -> None:
        self._suite = suite
        self._store = store
        self._names, self._owners, self._records, self._heads, self._fences = (
            HKDF(hashes.SHA512(), KEY_BYTES, store, f"masker {use}".encode()).derive(secret)
            for use in ("names", "owners", "records", "heads", "fences")
        )
        self._known: dict[tuple[bytes, str], bytes] = {}

    def conversation(self, conversation_id: str) -> bytes:
        """The name of a conversation: says nothing to those without the secret."""
        return self._name(b"c", conversation_id)

    def subject(self, subject: str) -> bytes:
        """The name of a subject."""
        return self._name(b"s", subject)

    def scope(self, kind: str, what: str) -> bytes:
        """The name of what a purge is about."""
        return self._name(b"p" + kind.encode() + b"\0", what)

    def channel(self, channel: str | None) -> bytes:
        """The name of a channel."""
        if channel is None:
            return NO_CHANNEL
        return self._name(b"h", channel)[:CHANNEL_BYTES]

    def owner(self, name: bytes, incarnation: int) -> bytes:
        """Whose keys and records those of a conversation are, until it is purged."""
        data = name + incarnation.to_bytes(4, "big")
        return self._suite.mac(self._owners, data)[:NAME_BYTES]

    def record(self, record: bytes) -> int:
        """What a record adds to its conversation's head."""
        return int.from_bytes(self._suite.mac(self._records, record), "big")

    def event(self, name: bytes, previous: int, chain: bytes, entry: bytes) -> bytes:
        """The chain of a trail after one more event; `previous` is the number of the one before."""
        data = name + previous.to_bytes(8, "big") + chain + entry
        return self._suite.mac(self._heads, b"trail" + data)

    # -- heads ---------------------------------------------------------------------------------

    def pack_head(self, name: bytes, head: Head) -> bytes:
        """A head as it is stored."""
        data = _HEAD.pack(
            _VERSION, head.incarnation, head.generation, head.next, head.records, head.messages,
            (head.total % _SUM).to_bytes(MAC_BYTES, "big"), head.events, head.chain, head.last,
        )  # fmt: skip
        return data + self._suite.mac(self._heads, self._store + name + data)

    def read_head(self, name: bytes, packed: bytes, place: str) -> Head:
        """A head that is believed.

        Raises:
            TamperedError: it is not what was written for this conversation.
        """
        data = packed[: _HEAD.size]
        if len(packed) != _HEAD.size + MAC_BYTES or not hmac.compare_digest(
            packed[_HEAD.size :], self._suite.mac(self._heads, self._store + name + data)
        ):
            raise TamperedError(place=place, reason="its head was changed")
        _, incarnation, generation, following, records, messages, total, events, chain, last = (
            _HEAD.unpack(data)
        )
        return Head(
            incarnation, generation, following, records, messages, int.from_bytes(total, "big"),
            events, chain, last,
        )  # fmt: skip

    # -- anchors and fences --------------------------------------------------------------------

    def pack_anchor(self, name: bytes, generation: int, packed_head: bytes) -> bytes:
        """How far a conversation has come, for the keys to remember."""
        digest = self._suite.mac(self._fences, b"head" + packed_head)
        data = _ANCHOR.pack(_VERSION, generation, digest)
        return data + self._suite.mac(self._fences, b"anchor" + self._store + name + data)

    def read_anchor(self, name: bytes, packed: bytes) -> Anchor:
        """An anchor that is believed."""
        data = self._believed(b"anchor", name, packed, _ANCHOR.size, "anchor")
        _, generation, digest = _ANCHOR.unpack(data)
        return Anchor(generation, digest)

    def is_anchored(self, anchor: Anchor, packed_head: bytes) -> bool:
        """Whether a head is the very one of an anchor."""
        digest = self._suite.mac(self._fences, b"head" + packed_head)
        return hmac.compare_digest(anchor.digest, digest)

    def pack_fence(self, name: bytes, fence: Fence) -> bytes:
        """A fence as it is stored."""
        data = _FENCE.pack(
            _VERSION, fence.incarnation, fence.until, fence.undated, fence.receipt, fence.messages
        )
        return data + self._suite.mac(self._fences, b"fence" + self._store + name + data)

    def read_fence(self, name: bytes, packed: bytes) -> Fence:
        """A fence that is believed."""
        data = self._believed(b"fence", name, packed, _FENCE.size, "fence")
        _, incarnation, until, undated, receipt, messages = _FENCE.unpack(data)
        return Fence(incarnation, until, bool(undated), receipt, messages)

    def pack_entry(self, use: bytes, name: bytes, data: bytes) -> bytes:
        """Any other entry of the keys: an intent, a hold."""
        return data + self._suite.mac(self._fences, use + self._store + name + data)

    def read_entry(self, use: bytes, name: bytes, packed: bytes, what: str) -> bytes:
        """Such an entry, believed."""
        return self._believed(use, name, packed, len(packed) - MAC_BYTES, what)

    def _believed(self, use: bytes, name: bytes, packed: bytes, size: int, what: str) -> bytes:
        data = packed[:size]
        expected = self._suite.mac(self._fences, use + self._store + name + data)
        if len(packed) != size + MAC_BYTES or not hmac.compare_digest(packed[size:], expected):
            raise TamperedError(place=f"{what} among the keys", reason="was changed")
        return data

    def _name(self, kind: bytes, text: str) -> bytes:
        name = self._known.get((kind, text))
        if name is None:
            data = kind + text.encode("utf-8", "surrogatepass")
            name = self._suite.mac(self._names, data)[:NAME_BYTES]
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[kind, text] = name
        return name
