"""The transcript store: masked messages, sealed, over two databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from masker.core.messages import MaskedMessage
from masker.errors import MaskerError, PurgedError, StoreError
from masker.stores import codec
from masker.stores.ageing import age_fence_name
from masker.stores.database import Connect
from masker.stores.heads import NO_CHANNEL
from masker.stores.inspecting import inspect
from masker.stores.model import (
    Event,
    Inspection,
    KeyStatus,
    Progress,
    Recovery,
    Refused,
    Retention,
    Tombstone,
)
from masker.stores.purging import to_microseconds
from masker.stores.restoring import accept
from masker.stores.saving import Batch, grouped
from masker.stores.session import open_session
from masker.stores.shelf import Shelf
from masker.stores.trails import read_trail
from masker.vault.providers import KeyProvider, open_keys
from masker.vault.receipts import Receipt

_DAY = 86_400_000_000
_MOST_DAYS = 1_000_000
"""Longer than the calendar of datetime goes back."""
_EARLIEST = codec.microseconds(datetime.min.replace(tzinfo=UTC))
_SCRUB_AFTER = 256
"""Keys of replaced revisions, after which the log of the keys is emptied."""


def _now() -> int:
    return time.time_ns() // 1000


class SealedStore:
    """A `TranscriptStore` over any pair of databases; made by `open_store`.

    May be used by several threads; they wait for each other. `recovery` says what opening it found.
    """

    def __init__(
        self,
        connect: Connect,
        keys: str | KeyProvider,
        *,
        retention: Retention | None = None,
        clock: Callable[[], int] = _now,
    ) -> None:
        self._connect = connect
        self._provider = open_keys(keys)
        self._retention = retention
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._shelf: Shelf | None = None
        self._unscrubbed = 0
        self.recovery = Recovery()
        self._open()

    def __repr__(self) -> str:
        return f"SealedStore({self._name!r})"

    def __enter__(self) -> SealedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- opening -------------------------------------------------------------------------------

    def _open(self) -> None:
        databases = self._connect()
        self._name = databases.name
        self._shelf, self._purges, self.recovery = open_session(
            databases, self._provider, self._clock
        )
        self._note_fences(self._shelf)

    def _note_fences(self, shelf: Shelf) -> None:
        self._has_fences = shelf.data.shared or bool(
            shelf.keys.execute("SELECT 1 FROM fence LIMIT 1")
        )
        self._age_fence = shelf.marks.fence(age_fence_name(shelf))

    @contextmanager
    def _use(self) -> Iterator[Shelf]:
        """The shelf for one call; after a failure it is opened anew with the next."""
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._shelf is None:
                self._open()
            shelf = self._shelf
            assert shelf is not None
            try:
                yield shelf
            except MaskerError as error:
                if isinstance(error, StoreError):
                    self._abandon(shelf)
                else:
                    # Nothing was committed; what is in memory may be ahead of what is on disk.
                    shelf.drop_all()
                raise
            except BaseException:
                # An interrupt may fall between two transactions: opening finishes what is begun.
                self._abandon(shelf)
                raise

    def _abandon(self, shelf: Shelf) -> None:
        self._shelf = None
        shelf.data.close()
        shelf.keys.close()

    def close(self) -> None:
        """Give the store back; what was saved is safe whether or not this is called."""
        with self._lock:
            shelf, self._shelf = self._shelf, None
            if self._closed or shelf is None:
                self._closed = True
                return
            self._closed = True
            try:
                with shelf.keys.transaction():
                    shelf.marks.write_anchors()
                with shelf.data.transaction():
                    shelf.writer.settle()
                shelf.keys.scrub()
            finally:
                shelf.data.close()
                shelf.keys.close()

    # -- saving --------------------------------------------------------------------------------

    def save(self, message: MaskedMessage) -> None:
        """Store one message; a higher revision replaces and destroys the one before.

        Raises:
            PurgedError: it belongs to what was purged.
            MessageError: it holds what cannot be stored.
            StoreError, TamperedError: nothing was stored.
        """
        refused = self.save_all([message])
        if refused:
            raise PurgedError(
                conversation_id=refused[0].conversation_id,
                message_id=refused[0].message_id,
                reason=refused[0].reason,
            )

    def save_all(self, messages: Iterable[MaskedMessage]) -> tuple[Refused, ...]:
        """Store messages in one transaction; gives back those that a purge forbids.

        When this returns, everything else is durable. When it raises, nothing was stored.

        Raises:
            MessageError: a message holds what cannot be stored.
            StoreError, TamperedError: nothing was stored.
        """
        groups = grouped(messages)
        if not groups:
            return ()
        with self._use() as shelf:
            if shelf.data.shared:
                self._note_fences(shelf)
            batch = Batch(shelf, self._clock(), self._age_fence)
            with shelf.data.transaction():
                shelf.writer.settle()
                batch.write(groups, has_fences=self._has_fences)
            for state in batch.states:
                shelf.marks.moved(state)
            if batch.doomed:
                self._destroy_replaced(shelf, batch)
            return tuple(batch.refused)

    def _destroy_replaced(self, shelf: Shelf, batch: Batch) -> None:
        with shelf.keys.transaction():
            shelf.ring.destroy((each.owner, each.slot) for each in batch.doomed)
            anchored = shelf.marks.write_anchors()
        shelf.marks.anchored(anchored)
        shelf.writer.settled += [(each.slot, each.mark) for each in batch.doomed]
        self._unscrubbed += len(batch.doomed)
        if self._unscrubbed >= _SCRUB_AFTER:
            shelf.keys.scrub()
            self._unscrubbed = 0

    # -- reading -------------------------------------------------------------------------------

    def transcript(self, conversation_id: str) -> list[MaskedMessage]:
        """The newest revision of each message, in the order they first came.

        A conversation that was purged gives a `Tombstone`, an empty list that says when; one that
        never was gives an empty list. That it was read is in the trail before this returns.

        Raises:
            TamperedError: what is stored is not what was stored.
        """
        with self._use() as shelf:
            name = shelf.digests.conversation(conversation_id)
            shelf.drop(name)
            with shelf.data.transaction():
                state, messages = shelf.load(name)
                fence = state.fence
                if state.is_leftover or (fence is not None and not messages):
                    assert fence is not None
                    return Tombstone(
                        purged_at=codec.instant(fence.until),
                        receipt=fence.receipt,
                        messages=fence.messages,
                    )
                if state.is_new:
                    return []
                shelf.writer.add_event(state, self._clock(), "read", len(messages))
                shelf.writer.write_head(state)
            shelf.marks.moved(state)
            return messages

    def conversations(self, subject: str | None = None) -> list[str]:
        """The ids of conversations that hold messages, of one subject or of all."""
        with self._use() as shelf:
            if subject is None:
                rows = shelf.data.execute("SELECT name FROM conversation ORDER BY number")
            else:
                rows = shelf.data.execute(
                    "SELECT c.name FROM link l JOIN conversation c ON c.number = l.conversation"
                    " WHERE l.subject = ? ORDER BY c.number",
                    (shelf.digests.subject(subject),),
                )
            found = (shelf.conversation_id(bytes(name)) for (name,) in rows)
            return [each for each in found if each is not None]

    def trail(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[Event]:
        """The service trail of a conversation or a subject, oldest first.

        Raises:
            TamperedError: an event was changed, added or removed.
        """
        _one_of(conversation_id=conversation_id, subject=subject)
        with self._use() as shelf:
            if conversation_id is not None:
                names = [shelf.digests.conversation(conversation_id)]
            else:
                assert subject is not None
                rows = shelf.data.execute(
                    "SELECT c.name FROM link l JOIN conversation c ON c.number = l.conversation"
                    " WHERE l.subject = ?",
                    (shelf.digests.subject(subject),),
                )
                names = [bytes(name) for (name,) in rows]
            states = [shelf.outline(name) for name in names]
            events = [
                event for state in states for event in read_trail(shelf.data, shelf.digests, state)
            ]
            return sorted(events, key=lambda event: event.at)

    # -- purging -------------------------------------------------------------------------------

    def purge(
        self,
        *,
        conversation_id: str | None = None,
        subject: str | None = None,
        before: datetime | None = None,
        progress: Progress | None = None,
    ) -> Receipt:
        """Destroy the keys and the bytes of a conversation, of a subject, or of an age.

        A subject's purge takes every conversation the subject has written in, whole. Messages that
        come late are refused from then on. Asked again, it gives the same receipt. A receipt may
        say that the purge is `pending` (a reader is in the way) or `held` (a legal hold is).

        Raises:
            StoreError: it cannot be completed now; what was begun completes on opening.
        """
        _one_of(conversation_id=conversation_id, subject=subject, before=before)
        with self._use() as shelf:
            now = self._clock()
            self._purges.resume(now)
            try:
                if conversation_id is not None:
                    return self._purges.purge_named("conversation", conversation_id, now, progress)
                if subject is not None:
                    return self._purges.purge_named("subject", subject, now, progress)
                assert before is not None
                limit = to_microseconds(before, "before")
                receipt = self._purges.purge_aged("before", limit, {}, now, progress)
                assert receipt is not None
                return receipt
            finally:
                self._note_fences(shelf)

    def expire(
        self, now: datetime, retention: Retention | None = None, progress: Progress | None = None
    ) -> Receipt | None:
        """Purge what is past its time at `now`; None where nothing is.

        `retention` overrides what the store was opened with.

        Raises:
            StoreError: neither says how long messages are kept.
        """
        retention = retention or self._retention
        if retention is None:
            raise StoreError("no retention is given: how many days are messages kept?")
        with self._use() as shelf:
            at = to_microseconds(now, "now")
            self._purges.resume(self._clock())
            limits = {
                shelf.digests.channel(channel): _limit(at, days)
                for channel, days in retention.channels.items()
            }
            before = None if retention.days is None else _limit(at, retention.days)
            limits.pop(NO_CHANNEL, None)
            return self._purges.purge_aged("retention", before, limits, self._clock(), progress)

    def hold(self, *, conversation_id: str | None = None, subject: str | None = None) -> None:
        """Put under legal hold: purges are deferred, and say so."""
        with self._use() as shelf:
            self._purges.holds.put(self._named(shelf, conversation_id, subject), self._clock())

    def release(
        self, *, conversation_id: str | None = None, subject: str | None = None
    ) -> list[Receipt]:
        """Lift a legal hold, and carry out the purges that it deferred."""
        with self._use() as shelf:
            receipts = self._purges.release(
                self._named(shelf, conversation_id, subject), self._clock()
            )
            self._note_fences(shelf)
            return receipts

    def receipts(self) -> list[Receipt]:
        """Every receipt of a completed purge, in the order of their chain."""
        with self._use():
            return self._purges.intents.receipts()

    def _named(self, shelf: Shelf, conversation_id: str | None, subject: str | None) -> bytes:
        _one_of(conversation_id=conversation_id, subject=subject)
        if conversation_id is not None:
            return shelf.digests.conversation(conversation_id)
        assert subject is not None
        return shelf.digests.subject(subject)

    # -- upkeep --------------------------------------------------------------------------------

    def rotate(
        self, keys: str | KeyProvider | None = None, progress: Progress | None = None
    ) -> int:
        """Wrap every key again under a new key-encryption key, of another provider if given.

        Records are not touched. May be interrupted; it goes on when the store is opened, with the
        new provider if it is one. How many keys were wrapped again.
        """
        provider = None if keys is None else open_keys(keys)
        with self._use() as shelf:
            try:
                return shelf.ring.rotate(provider, progress)
            finally:
                # Also where it broke off: the store is opened anew with what it is wrapped with.
                self._provider = shelf.ring.provider

    def key_status(self) -> KeyStatus:
        """The keys of the store, without the keys."""
        with self._use() as shelf:
            return shelf.ring.status()

    def verify(self, progress: Progress | None = None) -> Inspection:
        """Walk everything; report the first thing wrong by its place."""
        with self._use() as shelf:
            return inspect(shelf, self._purges, progress)

    def accept_restored(self) -> int:
        """Take an older copy of the data for the present, after a backup was put back.

        What was purged since stays purged, and is overwritten once more. Messages and revisions
        that were saved since are gone. How many conversations had been newer.
        """
        with self._use() as shelf:
            return accept(shelf, self._clock())

    def compact(self) -> None:
        """Give the space of what was purged back to the file system."""
        with self._use() as shelf:
            shelf.data.compact(
                (
                    "DELETE FROM record WHERE place IN (SELECT place FROM vacant)",
                    "DELETE FROM vacant",
                )
            )
            shelf.drop_all()

    @contextmanager
    def reading(self, conversation_id: str) -> Iterator[Iterator[MaskedMessage]]:
        """A transcript message by message, for one too long to hold.

        While it is open, purges stay pending: their keys are destroyed, and the bytes wait. What is
        purged meanwhile is not given out any more.
        """
        with self._use() as shelf:
            name = shelf.digests.conversation(conversation_id)
            with shelf.data.transaction():
                state = shelf.outline(name)
                if not state.is_new and not state.is_leftover:
                    shelf.writer.add_event(state, self._clock(), "read", state.head.messages)
                    shelf.writer.write_head(state)
            shelf.drop(name)
            rows = shelf.records.stream(state)
        try:
            yield self._guarded(rows)
        finally:
            with self._lock:
                rows.close()

    def _guarded(self, messages: Iterator[MaskedMessage]) -> Iterator[MaskedMessage]:
        while True:
            with self._lock:
                message = next(messages, None)
            if message is None:
                return
            yield message


def _limit(at: int, days: float) -> int:
    """Until when messages are past their time that are kept for so many days."""
    if not 0 <= days <= _MOST_DAYS:
        raise StoreError(f"messages are kept for 0 to {_MOST_DAYS} days")
    return max(at - int(days * _DAY), _EARLIEST)


def _one_of(**given: object) -> None:
    if sum(value is not None for value in given.values()) != 1:
        raise StoreError(f"say one of: {', '.join(given)}")
