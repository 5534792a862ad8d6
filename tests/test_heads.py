"""What says what a conversation must look like is believed as it was written, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from masker.errors import TamperedError
from masker.stores.heads import Digests, Fence, Head
from masker.vault.suites import SUITES, Suite

STORE = bytes(range(16))
NAME = b"a conversation.."
OTHER = b"another one....."

suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
Read = Callable[[bytes, bytes], object]


def digests(suite: Suite, store: bytes = STORE) -> Digests:
    return Digests(suite, store, bytes(32))


def kinds(suite: Suite) -> Iterator[tuple[str, bytes, Read]]:
    """Each kind of entry, as it is stored, and how it is read."""
    made = digests(suite)
    head = Head(1, 2, 3, 4, 5, 6 << 200, 7, bytes(range(32)), 8)
    packed = made.pack_head(NAME, head)
    yield "head", packed, lambda name, data: made.read_head(name, data, "here")
    yield "anchor", made.pack_anchor(NAME, 2, packed), made.read_anchor
    yield "fence", made.pack_fence(NAME, Fence(1, 2, True, 3, 4)), made.read_fence
    yield (
        "entry",
        made.pack_entry(b"hold", NAME, b"since when"),
        lambda name, data: made.read_entry(b"hold", name, data, "hold"),
    )


@suites
def test_every_flipped_bit_and_truncation_is_detected(suite: Suite) -> None:
    for kind, packed, read in kinds(suite):
        assert read(NAME, packed), kind
        for place in range(len(packed)):
            for bit in range(8):
                changed = bytearray(packed)
                changed[place] ^= 1 << bit
                with pytest.raises(TamperedError):
                    read(NAME, bytes(changed))
        for size in range(len(packed)):
            with pytest.raises(TamperedError):
                read(NAME, packed[:size])
        with pytest.raises(TamperedError):
            read(NAME, packed + b"\0")


@suites
def test_an_entry_of_another_conversation_kind_or_store_is_refused(suite: Suite) -> None:
    for kind, packed, read in kinds(suite):
        with pytest.raises(TamperedError):
            read(OTHER, packed)
        for other, _, read_other in kinds(suite):
            if other != kind:
                with pytest.raises(TamperedError):
                    read_other(NAME, packed)
        elsewhere = digests(suite, bytes(16))
        with pytest.raises(TamperedError):
            elsewhere.read_head(NAME, packed, "here")


def test_a_head_comes_back_as_it_was() -> None:
    for suite in SUITES.values():
        head = Head(1, 2, 3, 4, 5, (1 << 256) - 1, 7, bytes(range(32)), 8)
        made = digests(suite)
        assert made.read_head(NAME, made.pack_head(NAME, head), "here") == head
