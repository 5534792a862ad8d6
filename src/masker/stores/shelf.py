"""Conversations on disk: loading them, opening their records, writing them back.

A conversation's messages lie in *records*, each one sealed blob of up to 128 messages. Records that
share a data key are a *segment*. A message that is revised has its whole segment sealed again, as
one record under a new key; the old key is then destroyed.

Order of writing, from which everything else follows: a key is durable before the record that needs
it, a record is durable before the key of what it replaces is destroyed, and what is to be destroyed
is written down (`doomed`) in the transaction that makes it so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from masker.core.messages import MaskedMessage
from masker.errors import RolledBackError, StoreError, TamperedError
from masker.stores import codec
from masker.stores.database import Database, Row
from masker.stores.heads import MIXED, Anchor, Digests, Fence, Head
from masker.stores.keyring import DataKey, Keyring
from masker.stores.model import EventKind
from masker.stores.states import Doomed, Entry, State
from masker.stores.trails import pack_event
from masker.vault import envelope
from masker.vault.envelope import Place
from masker.vault.suites import Suite

_RECORDS = (
    "SELECT d.first, d.place, d.slot, d.revision, d.messages, d.pending, d.oldest, d.newest,"
    " d.channel, r.sealed FROM directory d LEFT JOIN record r ON r.place = d.place"
    " WHERE d.conversation = ? ORDER BY d.first"
)
_RECORD = "INSERT INTO record (place, sealed) VALUES (?, ?)"
_DIRECTORY = (
    "INSERT INTO directory (conversation, first, place, slot, revision, messages, pending, oldest,"
    " newest, channel) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CONVERSATION = "INSERT INTO conversation (number, name, head) VALUES (?, ?, ?)"
_HEAD = "UPDATE conversation SET head = ? WHERE number = ?"
_TRAIL = "INSERT INTO trail (number, previous, entry, chain) VALUES (?, ?, ?, ?)"
_WRITES = (_RECORD, _DIRECTORY, _CONVERSATION, _HEAD, _TRAIL)
_CACHED_IDS = 500_000
"""Message ids that are kept in memory, over all conversations."""
_DIRTY = 4096
"""Conversations that may have moved on since their anchor was written."""


class Shelf:
    """All conversations of a store, as sealed records."""

    def __init__(
        self, data: Database, keys: Database, ring: Keyring, suite: Suite, store: bytes
    ) -> None:
        self.data = data
        self.keys = keys
        self.ring = ring
        self.digests = Digests(suite, store, ring.secret)
        self.suite = suite
        self.store = store
        self._states: OrderedDict[bytes, State] = OrderedDict()
        self._ids = 0
        self._dirty: dict[bytes, tuple[int, bytes]] = {}
        self._rows: dict[str, list[Any]] = {sql: [] for sql in _WRITES}
        self.is_gathering = False
        """Whether rows wait for `flush`, because several conversations are written together."""
        self.settled: list[tuple[int, bytes]] = []
        """Slots and marks of keys that were doomed and are destroyed."""
        self._vacancies = {size for (size,) in data.execute("SELECT DISTINCT size FROM vacant")}

    # -- finding -------------------------------------------------------------------------------

    def state(self, name: bytes) -> State:
        """A conversation to write to, from memory where that is current.

        Raises:
            TamperedError: it is not what was stored.
        """
        state = self._states.get(name)
        if state is not None and self.data.shared and not self._is_current(state):
            self.drop(name)
            state = None
        if state is None:
            state, _ = self.load(name)
        else:
            self._states.move_to_end(name)
        return state

    def load(self, name: bytes) -> tuple[State, list[MaskedMessage]]:
        """A conversation from disk, every record of it opened and checked."""
        state = self.outline(name)
        messages: list[MaskedMessage] = []
        if not state.is_leftover:
            for entry, held in self.open_all(state):
                messages += held
                for message in held:
                    state.known[message.message_id] = entry.first
        self._remember(state)
        return state, messages

    def outline(self, name: bytes) -> State:
        """A conversation without its records: its head, believed."""
        rows = self._row(name)
        if not rows and self.data.shared:
            self.data.lock(name)
            rows = self._row(name)
        fence, anchor = self.fence(name), self._anchor(name)
        if not rows:
            if anchor is not None:
                raise RolledBackError(
                    place="a conversation", reason="is gone from the data, and no purge says so"
                )
            incarnation = fence.incarnation + 1 if fence is not None else 0
            owner = self.digests.owner(name, incarnation)
            state = State(name, 0, owner, Head(incarnation=incarnation), b"", fence, is_new=True)
            self._take_spare(state)
            return state
        number, packed = rows[0][0], bytes(rows[0][1])
        head = self.digests.read_head(name, packed, f"conversation {number}")
        owner = self.digests.owner(name, head.incarnation)
        state = State(name, number, owner, head, packed, fence)
        if fence is not None and head.incarnation <= fence.incarnation:
            state.is_leftover = True
        elif anchor is not None and head.generation < anchor.generation:
            raise RolledBackError(
                place=state.place,
                reason="is older than its keys have seen; an old copy of the data was put back",
            )
        elif (
            anchor is not None
            and head.generation == anchor.generation
            and not self.digests.is_anchored(anchor, packed)
        ):
            raise RolledBackError(place=state.place, reason="is not the one its keys have seen")
        state.subjects = self._subjects_of(number)
        return state

    def _row(self, name: bytes) -> list[Row]:
        return self.data.execute(
            f"SELECT number, head FROM conversation WHERE name = ?{self.data.for_update}", (name,)
        )

    def condemned(self, name: bytes) -> State:
        """A conversation that is to be purged: whatever was done to it, its keys can be destroyed.

        Which keys are its own, the keys themselves know; of a head that cannot be believed nothing
        is needed. Its trail begins anew then.
        """
        try:
            return self.outline(name)
        except TamperedError:
            fence = self.fence(name)
        life = fence.incarnation + 1 if fence is not None else 0
        if fence is not None and not self.ring.leased(self.digests.owner(name, life)):
            life = fence.incarnation
        rows = self.data.execute(
            "SELECT c.number, (SELECT coalesce(sum(messages), 0) FROM directory d"
            " WHERE d.conversation = c.number) FROM conversation c WHERE c.name = ?",
            (name,),
        )
        number, messages = rows[0] if rows else (0, 0)
        head = Head(incarnation=life, messages=int(messages))
        state = State(name, number, self.digests.owner(name, life), head, b"", fence)
        state.is_new = not rows
        state.is_leftover = fence is not None and life <= fence.incarnation
        state.subjects = self._subjects_of(number)
        return state

    def _subjects_of(self, number: int) -> set[bytes]:
        rows = self.data.execute("SELECT subject FROM link WHERE conversation = ?", (number,))
        return {bytes(subject) for (subject,) in rows}

    def named(self, number: int) -> bytes:
        """The name of a conversation by its number."""
        rows = self.data.execute("SELECT name FROM conversation WHERE number = ?", (number,))
        if not rows:
            raise TamperedError(place=f"conversation {number}", reason="is gone")
        return bytes(rows[0][0])

    def _is_current(self, state: State) -> bool:
        rows = self.data.execute(
            f"SELECT head FROM conversation WHERE name = ?{self.data.for_update}", (state.name,)
        )
        if state.is_new or not rows or bytes(rows[0][0]) != state.packed:
            return False
        return self.fence(state.name) == state.fence

    def _remember(self, state: State) -> None:
        self.drop(state.name)
        self._states[state.name] = state
        self._ids += len(state.known) + 1
        while self._ids > _CACHED_IDS and len(self._states) > 1:
            _, oldest = self._states.popitem(last=False)
            self._ids -= len(oldest.known) + 1

    def grown(self, count: int) -> None:
        """Note that conversations in memory know so many more ids."""
        self._ids += count

    def drop(self, name: bytes) -> None:
        """Forget what is in memory of a conversation."""
        state = self._states.pop(name, None)
        if state is not None:
            self._ids -= len(state.known) + 1

    def drop_owners(self, owners: set[bytes]) -> None:
        """Forget what is in memory of the conversations that keys of these owners are for."""
        for state in [state for state in self._states.values() if state.owner in owners]:
            self.drop(state.name)

    def drop_all(self) -> None:
        """Forget everything that can be read again, and what was not written."""
        for rows in self._rows.values():
            rows.clear()
        self.is_gathering = False
        self._states.clear()
        self._ids = 0
        self._vacancies = {
            size for (size,) in self.data.execute("SELECT DISTINCT size FROM vacant")
        }
        self.ring.forget()

    # -- opening records -----------------------------------------------------------------------

    def open_all(self, state: State) -> list[tuple[Entry, list[MaskedMessage]]]:
        """Every record of a conversation, opened; the whole checked against its head."""
        rows = self.data.execute(_RECORDS, (state.number,))
        wrapped = self.ring.leased(state.owner)
        found: list[tuple[Entry, list[MaskedMessage]]] = []
        total = 0
        state.entries, state.segments, state.keys = {}, {}, {}
        for row in rows:
            where = f"{state.place}, record {row[0]}"
            entry, record = self._entry(row, where)
            if entry.slot not in state.keys:
                # What was changed in a header is told as that, and not as a key that is missing.
                envelope.read_header(record, where)
                state.keys[entry.slot] = self.ring.unwrap(
                    state.owner, entry.slot, wrapped.pop(entry.slot, None)
                )
            found.append((entry, self._opened(state, entry, record, where)))
            state.put(entry)
            total += entry.digest
        self._check_sum(state, total, len(rows))
        self._take_spare(state, wrapped)
        return found

    def _entry(self, row: Row, where: str) -> tuple[Entry, bytes]:
        first, place, slot, revision, messages, pending, oldest, newest, channel, sealed = row
        if sealed is None:
            raise TamperedError(place=where, reason="is missing")
        record = bytes(sealed)
        entry = Entry(
            first, place, slot, revision, messages, pending, oldest, newest, bytes(channel),
            len(record), self.digests.record(record),
        )  # fmt: skip
        return entry, record

    def _check_sum(self, state: State, total: int, records: int) -> None:
        if (total - state.head.total) % (1 << 256) or records != state.head.records:
            raise TamperedError(
                place=state.place,
                reason="its records do not add up: one was removed, added, swapped or put back",
            )

    def listed(self, state: State) -> list[Entry]:
        """The records of a conversation, as the directory has them; none is opened."""
        rows = self.data.execute(_RECORDS, (state.number,))
        return [self._entry(row, f"{state.place}, record {row[0]}")[0] for row in rows]

    def stream(self, state: State) -> Generator[MaskedMessage]:
        """The messages of a conversation, a record at a time; the rows stay open meanwhile."""
        rows = self.data.rows(_RECORDS, (state.number,))
        wrapped = self.ring.leased(state.owner)
        total = count = 0
        try:
            for row in rows:
                where = f"{state.place}, record {row[0]}"
                entry, record = self._entry(row, where)
                if entry.slot not in state.keys:
                    state.keys[entry.slot] = self.ring.unwrap(
                        state.owner, entry.slot, wrapped.pop(entry.slot, None)
                    )
                yield from self._opened(state, entry, record, where)
                if self.fence(state.name) != state.fence:
                    raise StoreError(f"{state.place} was purged while it was read")
                total += entry.digest
                count += 1
            self._check_sum(state, total, count)
        finally:
            rows.close()

    def conversation_id(self, name: bytes) -> str | None:
        """The id of a conversation, from its first record; None where it holds no messages."""
        state = self.outline(name)
        if state.is_leftover or not state.head.messages:
            return None
        messages = self.stream(state)
        try:
            return next(messages).conversation_id
        except StopIteration:
            raise TamperedError(place=state.place, reason="its records are missing") from None
        finally:
            messages.close()

    def open_entries(self, state: State, entries: Sequence[Entry]) -> list[MaskedMessage]:
        """The messages of some records, in order."""
        messages: list[MaskedMessage] = []
        for entry in sorted(entries):
            where = f"{state.place}, record {entry.first}"
            rows = self.data.execute("SELECT sealed FROM record WHERE place = ?", (entry.place,))
            if not rows:
                raise TamperedError(place=where, reason="is missing")
            record = bytes(rows[0][0])
            if self.digests.record(record) != entry.digest:
                raise TamperedError(place=where, reason="was changed")
            messages += self._opened(state, entry, record, where)
        return messages

    def _opened(self, state: State, entry: Entry, record: bytes, where: str) -> list[MaskedMessage]:
        place = Place(
            state.owner, entry.first, entry.revision, entry.slot, entry.messages, entry.oldest,
            entry.newest,
        )  # fmt: skip
        key = state.keys[entry.slot].key
        payload = envelope.unseal(self.suite, self.store, key, place, record, where)
        conversation_id, messages = codec.decode(payload)
        if (
            len(messages) != entry.messages
            or self.digests.conversation(conversation_id) != state.name
        ):
            raise TamperedError(place=where, reason="holds another conversation")
        return messages

    def _take_spare(self, state: State, wrapped: dict[int, bytes] | None = None) -> None:
        """Keys that were made for this conversation, and used for nothing before a crash."""
        left = self.ring.leased(state.owner) if wrapped is None else wrapped
        state.spare = [
            self.ring.unwrap(state.owner, slot, data)
            for slot, data in left.items()
            if self.ring.is_data(slot, data)
        ]

    # -- writing -------------------------------------------------------------------------------

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
        record = envelope.seal(self.suite, self.store, key.key, place, payload)
        channels = {message.channel for message in messages}
        channel = self.digests.channel(channels.pop()) if len(channels) == 1 else MIXED
        taken = None
        if instead_of:
            same = [entry for entry in instead_of if entry.size == len(record)]
            taken = same[0].place if same and self.data.in_place else None
            self.erase(state, instead_of, keep=taken)
        where = self._put(record, taken)
        entry = Entry(
            first, where, key.slot, revision, len(messages),
            [message.final for message in messages].count(False), oldest, newest, channel,
            len(record), self.digests.record(record),
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
            rows = self.data.execute(
                "DELETE FROM vacant WHERE place = (SELECT place FROM vacant WHERE size = ? LIMIT 1)"
                " RETURNING place",
                (size,),
            )
            if rows:
                taken = rows[0][0]
            else:
                self._vacancies.discard(size)
        if taken is not None:
            self.data.execute("UPDATE record SET sealed = ? WHERE place = ?", (record, taken))
            return taken
        (place,) = self.data.allocate("place", 1)
        self._rows[_RECORD].append((place, record))
        return place

    def erase(self, state: State, entries: Iterable[Entry], *, keep: int | None = None) -> None:
        """Overwrite records where they lie, and take them out of the directory and the head."""
        gone = list(entries)
        if not gone:
            return
        self._overwrite([(entry.place, entry.size) for entry in gone if entry.place != keep])
        self.data.execute_many(
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
        rows = self.data.execute(
            "SELECT d.place, length(r.sealed) FROM directory d JOIN record r ON r.place = d.place"
            " WHERE d.conversation = ?",
            (state.number,),
        )
        self._overwrite(rows)
        self.data.execute("DELETE FROM directory WHERE conversation = ?", (state.number,))
        return [place for place, _ in rows]

    def _overwrite(self, places: Sequence[tuple[int, int]]) -> None:
        if not self.data.in_place:
            self.data.execute_many(
                "DELETE FROM record WHERE place = ?", [(place,) for place, _ in places]
            )
            return
        self.data.execute_many(
            "UPDATE record SET sealed = ? WHERE place = ?",
            [(bytes(size), place) for place, size in places],
        )
        self.data.execute_many("INSERT INTO vacant (place, size) VALUES (?, ?)", places)
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
        (number,) = self.data.allocate("event", 1)
        head.chain = self.digests.event(state.name, head.last, head.chain, entry)
        state.events.append((number, head.last, entry, head.chain))
        head.last = number
        head.events += 1

    def write_head(self, state: State) -> None:
        """Write the head and the new events of a conversation, a generation on."""
        state.head.generation += 1
        state.packed = self.digests.pack_head(state.name, state.head)
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
                self.data.execute_many(sql, rows)
                rows.clear()

    def doom(self, doomed: Sequence[Doomed]) -> None:
        """Write down which keys are to be destroyed once this transaction is durable."""
        self.data.execute_many(
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
            self.data.execute_many("DELETE FROM doomed WHERE slot = ? AND mark = ?", self.settled)
            self.settled.clear()

    # -- anchors and fences --------------------------------------------------------------------

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
            self.keys.execute_many(
                "INSERT INTO anchor (name, entry) VALUES (?, ?)"
                # Never back: another process may have written a later one. Entries begin with the
                # generation, so they compare as it does.
                " ON CONFLICT (name) DO UPDATE SET entry = excluded.entry"
                " WHERE excluded.entry > anchor.entry",
                [
                    (name, self.digests.pack_anchor(name, generation, packed))
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
        self.keys.execute("DELETE FROM anchor WHERE name = ?", (name,))

    def fence(self, name: bytes) -> Fence | None:
        """What was purged under this name."""
        rows = self.keys.execute("SELECT entry FROM fence WHERE name = ?", (name,))
        return self.digests.read_fence(name, bytes(rows[0][0])) if rows else None

    def put_fence(self, name: bytes, fence: Fence) -> None:
        """Write what was purged, within a transaction of the keys."""
        self.keys.execute(
            "INSERT INTO fence (name, entry) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET entry = excluded.entry",
            (name, self.digests.pack_fence(name, fence)),
        )

    def _anchor(self, name: bytes) -> Anchor | None:
        rows = self.keys.execute("SELECT entry FROM anchor WHERE name = ?", (name,))
        return self.digests.read_anchor(name, bytes(rows[0][0])) if rows else None
