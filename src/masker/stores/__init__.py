"""Transcript stores: where masked messages rest, sealed, until they are purged.

    store = open_store("sqlite:///transcripts.db", keys="file:masker.keys")

Masked text only goes in. What is stored can be read with the keys, destroyed for every copy of the
data, and checked to be whole. `TranscriptStore` is what every backend keeps to.
"""

from __future__ import annotations

from masker.stores.model import (
    Event,
    Inspection,
    KeyStatus,
    Recovery,
    Refused,
    Retention,
    Tombstone,
    TranscriptStore,
)
from masker.stores.opening import open_store
from masker.vault.receipts import Receipt

__all__ = [
    "Event",
    "Inspection",
    "KeyStatus",
    "Receipt",
    "Recovery",
    "Refused",
    "Retention",
    "Tombstone",
    "TranscriptStore",
    "open_store",
]
