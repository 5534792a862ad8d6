"""Purging by age, which takes messages and not conversations.

It goes the way of a revision: segments that are wholly past their time lose their record and then
their key; one that is so in part is sealed again without what has expired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from masker.core.messages import MaskedMessage
from masker.errors import TamperedError
from masker.stores import codec
from masker.stores.dooming import destroy_doomed
from masker.stores.heads import MIXED
from masker.stores.holds import Holds
from masker.stores.intents import Intent, Intents
from masker.stores.keyring import Want
from masker.stores.model import Progress
from masker.stores.shelf import Shelf
from masker.stores.states import Doomed, Entry, State

_CHUNK = 200
"""Conversations that a purge by age looks at in one transaction."""


class Limits:
    """Until when messages are past their time, by channel."""

    def __init__(self, before: int | None, channels: Mapping[bytes, int]) -> None:
        self._before = before
        self._channels = channels

    @property
    def latest(self) -> int | None:
        """Nothing from then on can be past its time."""
        limits = [*self._channels.values(), *([] if self._before is None else [self._before])]
        return max(limits, default=None)

    def of(self, channel: bytes) -> int | None:
        """The limit of a channel."""
        return self._channels.get(channel, self._before)

    def whole(self, entry: Entry) -> bool:
        """Whether all of a record is past its time, as far as can be told without opening it."""
        limit = self.of(entry.channel)
        return entry.channel != MIXED and limit is not None and entry.newest < limit

    def part(self, entry: Entry) -> bool:
        """Whether some of it may be."""
        limit = self.latest if entry.channel == MIXED else self.of(entry.channel)
        return limit is not None and entry.oldest < limit


class Ageing:
    """Takes out of a store what is past its time."""

    def __init__(self, shelf: Shelf, intents: Intents, holds: Holds) -> None:
        self._shelf = shelf
        self._intents = intents
        self._holds = holds

    def is_due(self, number: int, limits: Limits) -> bool:
        """Whether a purge by age would take something of a conversation."""
        shelf = self._shelf
        name = shelf.named(number)
        with shelf.data.transaction():
            try:
                state, _ = shelf.load(name)
            except TamperedError:
                return False
            if state.is_leftover or self._holds.covers(state):
                return False
            return any(
                limits.whole(entry)
                or any(
                    self._is_past(message, entry, limits)
                    for message in shelf.records.open_entries(state, [entry])
                )
                for entry in state.entries.values()
                if limits.part(entry)
            )

    def aged(self, limits: Limits) -> Iterator[int]:
        """Numbers of conversations in which something may be past its time."""
        latest = limits.latest
        if latest is None:
            return
        rows = self._shelf.data.execute(
            "SELECT DISTINCT conversation, channel, oldest FROM directory WHERE oldest < ?"
            " ORDER BY conversation",
            (latest,),
        )
        last = None
        for number, channel, oldest in rows:
            limit = latest if bytes(channel) == MIXED else limits.of(bytes(channel))
            if number == last or limit is None or oldest >= limit:
                continue
            last = number
            yield number

    def sweep(self, intent: Intent, now: int, progress: Progress | None = None) -> None:
        """Take out what an intent says, some conversations at a time; done twice it is no more."""
        shelf = self._shelf
        limits = Limits(intent.before, intent.limits)
        numbers = list(self.aged(limits))
        intent.held = 0
        for start in range(0, len(numbers), _CHUNK):
            self._sweep_some(intent, limits, numbers[start : start + _CHUNK], now)
            if progress is not None:
                progress(min(start + _CHUNK, len(numbers)), len(numbers))

        with shelf.keys.transaction():
            self._intents.put(intent)

    def _sweep_some(self, intent: Intent, limits: Limits, numbers: Sequence[int], now: int) -> None:
        shelf = self._shelf
        doomed: list[Doomed] = []
        names: list[bytes] = []
        with shelf.data.transaction():
            for number in numbers:
                name = shelf.named(number)
                names.append(name)
                shelf.drop(name)
                try:
                    state, _ = shelf.load(name)
                except TamperedError:
                    # One that is damaged does not keep the others: `verify` names it, and a purge
                    # by its id takes it.
                    intent.held += 1
                    continue
                if state.is_leftover:
                    continue
                if self._holds.covers(state):
                    intent.held += 1
                    continue
                doomed += self._swept(intent, state, limits, now)
            shelf.writer.doom(doomed)
        for name in names:
            shelf.drop(name)
        destroy_doomed(shelf, self._intents)
        current = self._intents.find(intent.number)
        if current is not None:
            held = intent.held
            intent.conversations, intent.messages, intent.keys = (
                current.conversations, current.messages, current.keys,
            )  # fmt: skip
            intent.held = held

    def _swept(self, intent: Intent, state: State, limits: Limits, now: int) -> list[Doomed]:
        """Take what is past its time out of one conversation; the keys that go with it."""
        shelf = self._shelf
        doomed: list[Doomed] = []
        gone = 0
        for slot, segment in list(state.segments.items()):
            entries = sorted(segment.values())
            if not any(limits.part(entry) for entry in entries):
                continue
            kept: list[MaskedMessage] = []
            if not all(limits.whole(entry) for entry in entries):
                kept = [
                    message
                    for entry in entries
                    for message in shelf.records.open_entries(state, [entry])
                    if not self._is_past(message, entry, limits)
                ]
            count = sum(entry.messages for entry in entries) - len(kept)
            if not count:
                continue
            mark = state.keys[slot].mark
            doomed.append(Doomed(state.owner, slot, mark, intent.number, count, int(not gone)))
            gone += count
            if kept:
                self._reseal(state, entries, kept)
            else:
                shelf.writer.erase(state, entries)
        if gone:
            shelf.writer.add_event(state, now, "purged", gone)
            shelf.writer.write_head(state)
        return doomed

    def _is_past(self, message: MaskedMessage, entry: Entry, limits: Limits) -> bool:
        limit = limits.of(self._shelf.digests.channel(message.channel))
        at = entry.newest if message.timestamp is None else codec.microseconds(message.timestamp)
        return limit is not None and at < limit

    def _reseal(
        self, state: State, entries: Sequence[Entry], kept: Sequence[MaskedMessage]
    ) -> None:
        shelf = self._shelf
        if not state.spare:
            with shelf.keys.transaction():
                want = Want(state.owner, state.owner, 1, state.parent)
                state.spare += shelf.ring.provide([want])[state.owner]
        shelf.writer.write(
            state,
            kept[0].conversation_id,
            kept,
            first=entries[0].first,
            revision=max(entry.revision for entry in entries) + 1,
            key=state.spare.pop(0),
            now=max(entry.newest for entry in entries),
            instead_of=entries,
        )


def age_fence_name(shelf: Shelf) -> bytes:
    """Under which name the fence of purges by age stands."""
    return shelf.digests.scope("before", "")
