"""Records written: sealed, put where there is room, overwritten where they lie.

A message that is revised has its whole segment sealed again, as one record under a new key; the old
key is then destroyed. What is to be destroyed is written down (`doomed`) in the transaction that
makes it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from masker.core.messages import MaskedMessage
from masker.stores import codec
from masker.stores.database import Database
from masker.stores.heads import MIXED, Digests
from masker.stores.keyring import DataKey
from masker.stores.model import EventKind
from masker.stores.states import Doomed, Entry, State
from masker.stores.trails import pack_event
from masker.vault import envelope
from masker.vault.envelope import Place
from masker.vault.suites import Suite

_RECORD = "INSERT INTO record (place, sealed) VALUES (?, ?)"
_DIRECTORY = (
    "INSERT INTO directory (conversation, first, place, slot, revision, messages, pending, oldest,"
    " newest, channel) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CONVERSATION = "INSERT INTO conversation (number, name, head) VALUES (?, ?, ?)"
_HEAD = "UPDATE conversation SET head = ? WHERE number = ?"
_TRAIL = "INSERT INTO trail (number, previous, entry, chain) VALUES (?, ?, ?, ?)"
_WRITES = (_RECORD, _DIRECTORY, _CONVERSATION, _HEAD, _TRAIL)


class Writer:
    """Writes records, heads and events, within a transaction of the data."""

    def __init__(self, data: Database, digests: Digests, *, suite: Suite, store: bytes) -> None:
        self._data = data
        self._digests = digests
        self._suite = suite
        self._store = store
        self._rows: dict[str, list[Any]] = {sql: [] for sql in _WRITES}
        self.is_gathering = False
        """Whether rows wait for `flush`, because several conversations are written together."""
        self.settled: list[tuple[int, bytes]] = []
        """Slots and marks of keys that were doomed and are destroyed."""
        self._vacancies = self._vacant_sizes()

    def drop(self) -> None:
        """Forget what was not written, and what may not be so any more."""
        for rows in self._rows.values():
            rows.clear()
        self.is_gathering = False
        self._vacancies = self._vacant_sizes()

    def _vacant_sizes(self) -> set[int]:
        return {size for (size,) in self._data.execute("SELECT DISTINCT size FROM vacant")}

    def write(
        self,
        state: State,
        conversation_id: str,
        messages: Sequence[MaskedMessage],
        *,
        first: int,
        revision: int,
        key: DataKey,
        now: int,
        instead_of: Sequence[Entry] = (),
    ) -> Entry:
        """Seal messages as one record, in place of others where there are any."""
        payload = codec.encode(conversation_id, messages)
        oldest, newest = codec.span(messages, now)
        place = Place(state.owner, first, revision, key.slot, len(messages), oldest, newest)
        record = envelope.seal(self._suite, self._store, key.key, place, payload)
        channels = {message.channel for message in messages}
        channel = self._digests.channel(channels.pop()) if len(channels) == 1 else MIXED
        taken = None
        if instead_of:
            same = [entry for entry in instead_of if entry.size == len(record)]
            taken = same[0].place if same and self._data.in_place else None
            self.erase(state, instead_of, keep=taken)
        where = self._put(record, taken)
        entry = Entry(
            first, where, key.slot, revision, len(messages),
            [message.final for message in messages].count(False), oldest, newest, channel,
            len(record), self._digests.record(record),
        )  # fmt: skip
        self._rows[_DIRECTORY].append((state.number, *entry[:9]))
        state.put(entry)
        state.keys[key.slot] = key
        state.head.total += entry.digest
        state.head.records += 1
        state.head.messages += len(messages)
        return entry

    def _put(self, record: bytes, taken: int | None) -> int:
        size = len(record)
        if taken is None and size in self._vacancies:
            rows = self._data.execute(
                "DELETE FROM vacant WHERE place = (SELECT place FROM vacant WHERE size = ? LIMIT 1)"
                " RETURNING place",
                (size,),
            )
            if rows:
                taken = rows[0][0]
            else:
                self._vacancies.discard(size)
        if taken is not None:
            self._data.execute("UPDATE record SET sealed = ? WHERE place = ?", (record, taken))
            return taken
        (place,) = self._data.allocate("place", 1)
        self._rows[_RECORD].append((place, record))
        return place

    def erase(self, state: State, entries: Iterable[Entry], *, keep: int | None = None) -> None:
        """Overwrite records where they lie, and take them out of the directory and the head."""
        gone = list(entries)
        if not gone:
            return
        self._overwrite([(entry.place, entry.size) for entry in gone if entry.place != keep])
        self._data.execute_many(
            "DELETE FROM directory WHERE conversation = ? AND first = ?",
            [(state.number, entry.first) for entry in gone],
        )
        for entry in gone:
            state.take(entry)
            state.head.total -= entry.digest
            state.head.records -= 1
            state.head.messages -= entry.messages

    def erase_conversation(self, state: State) -> list[int]:
        """Overwrite every record of a conversation without opening any; their places."""
        rows = self._data.execute(
            "SELECT d.place, length(r.sealed) FROM directory d JOIN record r ON r.place = d.place"
            " WHERE d.conversation = ?",
            (state.number,),
        )
        self._overwrite(rows)
        self._data.execute("DELETE FROM directory WHERE conversation = ?", (state.number,))
        return [place for place, _ in rows]

    def _overwrite(self, places: Sequence[tuple[int, int]]) -> None:
        if not self._data.in_place:
            self._data.execute_many(
                "DELETE FROM record WHERE place = ?", [(place,) for place, _ in places]
            )
            return
        self._data.execute_many(
            "UPDATE record SET sealed = ? WHERE place = ?",
            [(bytes(size), place) for place, size in places],
        )
        self._data.execute_many("INSERT INTO vacant (place, size) VALUES (?, ?)", places)
        self._vacancies.update(size for _, size in places)

    def add_event(
        self,
        state: State,
        now: int,
        kind: EventKind,
        count: int,
        rules: dict[str, int] | None = None,
    ) -> None:
        """Put an event at the end of a conversation's trail."""
        entry = pack_event(now, kind, count, rules or {})
        head = state.head
        (number,) = self._data.allocate("event", 1)
        head.chain = self._digests.event(state.name, head.last, head.chain, entry)
        state.events.append((number, head.last, entry, head.chain))
        head.last = number
        head.events += 1

    def write_head(self, state: State) -> None:
        """Write the head and the new events of a conversation, a generation on."""
        state.head.generation += 1
        state.packed = self._digests.pack_head(state.name, state.head)
        if state.is_new:
            self._rows[_CONVERSATION].append((state.number, state.name, state.packed))
            state.is_new = False
        else:
            self._rows[_HEAD].append((state.packed, state.number))
        self._rows[_TRAIL] += state.events
        state.events.clear()
        if not self.is_gathering:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were gathered: all of a kind in one go is quicker than one by one."""
        for sql, rows in self._rows.items():
            if rows:
                self._data.execute_many(sql, rows)
                rows.clear()

    def doom(self, doomed: Sequence[Doomed]) -> None:
        """Write down which keys are to be destroyed once this transaction is durable."""
        self._data.execute_many(
            "INSERT INTO doomed (slot, mark, intent, messages, conversations)"
            " VALUES (?, ?, ?, ?, ?)",
            [each[1:] for each in doomed],
        )

    def settle(self) -> None:
        """Cross off the keys that are destroyed by now, within a transaction of the data.

        Until then another process, or this one after a crash, would look for them once more. The
        mark sees to it that it does not take a later key in the same slot for one of them.
        """
        if self.settled:
            self._data.execute_many("DELETE FROM doomed WHERE slot = ? AND mark = ?", self.settled)
            self.settled.clear()
