"""What the keys remember of conversations: how far each had come, and what was purged.

An *anchor* is the generation of a conversation's head: data older than that were put back. A
*fence* stands where something was purged: what belongs before it is refused. Both lie with the
keys, which no old copy of the data brings back.
"""

from __future__ import annotations

from collections.abc import Iterable

from masker.stores.database import Database
from masker.stores.heads import Anchor, Digests, Fence
from masker.stores.states import State

_DIRTY = 4096
"""Conversations that may have moved on since their anchor was written."""


class Marks:
    """Anchors and fences, each authenticated."""

    def __init__(self, keys: Database, digests: Digests) -> None:
        self._keys = keys
        self._digests = digests
        self._dirty: dict[bytes, tuple[int, bytes]] = {}

    def moved(self, state: State) -> None:
        """A conversation is durable as it is now: its anchor is due."""
        self._dirty[state.name] = (state.head.generation, state.packed)

    @property
    def is_due(self) -> bool:
        """Whether so many anchors wait that they are worth a write of their own."""
        return len(self._dirty) > _DIRTY

    def write_anchors(self) -> list[bytes]:
        """Write the anchors that are due, within a transaction of the keys; their names."""
        names = list(self._dirty)
        if names:
            self._keys.execute_many(
                "INSERT INTO anchor (name, entry) VALUES (?, ?)"
                # Never back: another process may have written a later one. Entries begin with the
                # generation, so they compare as it does.
                " ON CONFLICT (name) DO UPDATE SET entry = excluded.entry"
                " WHERE excluded.entry > anchor.entry",
                [
                    (name, self._digests.pack_anchor(name, generation, packed))
                    for name, (generation, packed) in self._dirty.items()
                ],
            )
        return names

    def anchored(self, names: Iterable[bytes]) -> None:
        """Anchors are durable."""
        for name in names:
            self._dirty.pop(name, None)

    def unanchor(self, name: bytes) -> None:
        """A conversation was purged: a fence takes the place of its anchor."""
        self._dirty.pop(name, None)
        self._keys.execute("DELETE FROM anchor WHERE name = ?", (name,))

    def fence(self, name: bytes) -> Fence | None:
        """What was purged under this name."""
        rows = self._keys.execute("SELECT entry FROM fence WHERE name = ?", (name,))
        return self._digests.read_fence(name, bytes(rows[0][0])) if rows else None

    def put_fence(self, name: bytes, fence: Fence) -> None:
        """Write what was purged, within a transaction of the keys."""
        self._keys.execute(
            "INSERT INTO fence (name, entry) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET entry = excluded.entry",
            (name, self._digests.pack_fence(name, fence)),
        )

    def anchor(self, name: bytes) -> Anchor | None:
        """How far a conversation had come when its anchor was written."""
        rows = self._keys.execute("SELECT entry FROM anchor WHERE name = ?", (name,))
        return self._digests.read_anchor(name, bytes(rows[0][0])) if rows else None
