"""What is kept in memory of a conversation: enough to write to it without reading it first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from masker.stores.heads import Fence, Head
from masker.stores.keyring import DataKey


class Entry(NamedTuple):
    """One record, as the directory has it."""

    first: int
    place: int
    slot: int
    revision: int
    messages: int
    pending: int
    oldest: int
    newest: int
    channel: bytes
    size: int
    digest: int


class Doomed(NamedTuple):
    """A key that is to be destroyed, and what of a purge by age goes with it."""

    owner: bytes
    slot: int
    mark: bytes
    intent: int = 0
    messages: int = 0
    conversations: int = 0


@dataclass(slots=True)
class State:
    """A conversation, as far as it is needed to write to it."""

    name: bytes
    number: int
    owner: bytes
    head: Head
    packed: bytes
    fence: Fence | None = None
    is_new: bool = False
    is_leftover: bool = False
    """Purged, and still in this file: it was restored from an older copy."""
    entries: dict[int, Entry] = field(default_factory=dict)
    """Records by the number of their first message."""
    segments: dict[int, dict[int, Entry]] = field(default_factory=dict)
    """The same, by the slot of their key."""
    filled: dict[int, int] = field(default_factory=dict)
    """How many messages are under the key of a slot."""
    known: dict[str, int] = field(default_factory=dict)
    """Message ids, and the first number of the record each is in."""
    keys: dict[int, DataKey] = field(default_factory=dict)
    spare: list[DataKey] = field(default_factory=list)
    """Data keys that are durable and not used yet."""
    used: int = 0
    """Keys that were made for it since it was loaded."""
    subjects: set[bytes] = field(default_factory=set)
    events: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)
    """Events of this transaction: number, the one before, entry, chain."""

    @property
    def place(self) -> str:
        """How errors name it."""
        return f"conversation {self.number}"

    @property
    def parent(self) -> int | None:
        """The slot of the key that its data keys are wrapped under, where it has any."""
        for key in (*self.keys.values(), *self.spare):
            return key.parent
        return None

    @property
    def newest(self) -> Entry | None:
        """The record with the newest messages."""
        # Nearly always the one that was put in last; a record that was sealed again may be, too.
        last = next(reversed(self.entries), None)
        if last is None:
            return None
        if last + self.entries[last].messages < self.head.next:
            last = max(self.entries)
        return self.entries[last]

    def put(self, entry: Entry) -> None:
        """A record is there now."""
        self.entries[entry.first] = entry
        self.segments.setdefault(entry.slot, {})[entry.first] = entry
        self.filled[entry.slot] = self.filled.get(entry.slot, 0) + entry.messages

    def take(self, entry: Entry) -> None:
        """A record is gone."""
        del self.entries[entry.first]
        self.filled[entry.slot] -= entry.messages
        segment = self.segments[entry.slot]
        del segment[entry.first]
        if not segment:
            del self.segments[entry.slot], self.filled[entry.slot]
