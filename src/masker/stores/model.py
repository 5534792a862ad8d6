"""What a transcript store takes and gives: the protocol, and the data around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from masker.core.messages import MaskedMessage
from masker.vault.providers import KeyProvider
from masker.vault.receipts import Receipt

EventKind = Literal["received", "masked", "revised", "read", "purged", "held", "released"]
Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much; 0 where that is not known."""


class Tombstone(list[MaskedMessage]):
    """What is left of a transcript that was purged: no messages, and when and why that is."""

    def __init__(self, *, purged_at: datetime, receipt: int, messages: int) -> None:
        super().__init__()
        self.purged_at = purged_at
        self.receipt = receipt
        """The number of the receipt that says what was destroyed."""
        self.messages = messages

    def __repr__(self) -> str:
        return f"Tombstone(purged_at={self.purged_at.isoformat()!r}, receipt={self.receipt})"


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was not stored, because what it belongs to was purged."""

    conversation_id: str
    message_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long messages are kept, in days since their timestamp.

    `channels` says it by channel, `days` for all others; None keeps them.
    """

    days: float | None = None
    channels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening a store found unfinished, and did about it."""

    purges_finished: int = 0
    purges_pending: int = 0
    keys_destroyed: int = 0
    """Keys of revisions that were replaced just before the end."""
    rotation_finished: bool = False
    compaction_finished: bool = False
    pending_messages: int = 0
    """Messages that were waiting for the rest of a number; they stay masked."""

    def __str__(self) -> str:
        said = []
        if self.purges_finished:
            said.append(f"purges finished: {self.purges_finished}")
        if self.purges_pending:
            said.append(f"purges still pending: {self.purges_pending}")
        if self.keys_destroyed:
            said.append(f"keys of replaced revisions destroyed: {self.keys_destroyed}")
        if self.rotation_finished:
            said.append("a key rotation finished")
        if self.compaction_finished:
            said.append("a compaction finished")
        if self.pending_messages:
            said.append(f"messages not final, kept masked: {self.pending_messages}")
        return "; ".join(said) or "nothing was unfinished"

    def __bool__(self) -> bool:
        return self != Recovery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the service trail: what happened when; counts and rule names, no content."""

    at: datetime
    kind: EventKind
    count: int
    rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What `verify` walked, and the first thing wrong, by place."""

    conversations: int
    records: int
    messages: int
    keys: int
    fault: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """The keys of a store, without the keys."""

    suite: str
    provider: str
    epoch: int
    rotating: bool
    keys: int
    destroyed: int
    public_key: str


class TranscriptStore(Protocol):
    """Keeps masked messages, sealed; one contract over every backend.

    A call that returns has made what it did durable. One that raises a `StoreError` or
    `TamperedError` has acknowledged nothing, and may be called again.
    """

    recovery: Recovery

    def save(self, message: MaskedMessage) -> None:
        """Store one message; a higher revision replaces and destroys the one before."""

    def save_all(self, messages: Iterable[MaskedMessage]) -> tuple[Refused, ...]:
        """Store messages in one transaction; gives back those that a purge forbids."""

    def transcript(self, conversation_id: str) -> list[MaskedMessage]:
        """The newest revision of each message, in the order they first came."""

    def conversations(self, subject: str | None = None) -> list[str]:
        """The ids of conversations that hold messages, of one subject or of all."""

    def purge(
        self,
        *,
        conversation_id: str | None = None,
        subject: str | None = None,
        before: datetime | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Destroy the keys and the bytes of a conversation, of a subject, or of an age."""

    def expire(
        self, now: datetime, retention: Retention | None = None, progress: Progress | None = None
    ) -> Receipt | None:
        """Purge what is past its time; None where nothing is."""

    def hold(self, *, conversation_id: str | None = None, subject: str | None = None) -> None:
        """Put under legal hold: purges are deferred, and say so."""

    def release(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[Receipt]:
        """Lift a legal hold, and carry out the purges that it deferred."""

    def trail(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[Event]:
        """The service trail of a conversation or a subject, oldest first."""

    def receipts(self) -> list[Receipt]:
        """Every receipt of a completed purge, in the order of their chain."""

    def rotate(self, keys: KeyProvider | None = None, progress: Progress | None = None) -> int:
        """Wrap every key again under a new key-encryption key, of another provider if given."""

    def verify(self, progress: Progress | None = None) -> Inspection:
        """Walk everything; report the first thing wrong by its place."""

    def close(self) -> None:
        """Give the store back; what was saved is safe whether or not this is called."""
