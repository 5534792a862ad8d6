"""Records opened: messages from sealed blobs, each checked, and a conversation's against its head.

A conversation's messages lie in *records*, each one sealed blob of up to 128 messages. Records that
share a data key are a *segment*.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from masker.core.messages import MaskedMessage
from masker.errors import StoreError, TamperedError
from masker.stores import codec
from masker.stores.database import Database, Row
from masker.stores.heads import Digests
from masker.stores.keyring import Keyring
from masker.stores.marks import Marks
from masker.stores.states import Entry, State
from masker.vault import envelope
from masker.vault.envelope import Place
from masker.vault.suites import Suite

_RECORDS = (
    "SELECT d.first, d.place, d.slot, d.revision, d.messages, d.pending, d.oldest, d.newest,"
    " d.channel, r.sealed FROM directory d LEFT JOIN record r ON r.place = d.place"
    " WHERE d.conversation = ? ORDER BY d.first"
)


class Records:
    """The records of all conversations, to be read."""

    def __init__(
        self,
        data: Database,
        ring: Keyring,
        digests: Digests,
        marks: Marks,
        *,
        suite: Suite,
        store: bytes,
    ) -> None:
        self._data = data
        self._ring = ring
        self._digests = digests
        self._marks = marks
        self._suite = suite
        self._store = store

    def open_all(self, state: State) -> list[tuple[Entry, list[MaskedMessage]]]:
        """Every record of a conversation, opened; the whole checked against its head."""
        rows = self._data.execute(_RECORDS, (state.number,))
        wrapped = self._ring.leased(state.owner)
        found: list[tuple[Entry, list[MaskedMessage]]] = []
        total = 0
        state.entries, state.segments, state.keys = {}, {}, {}
        for row in rows:
            where = f"{state.place}, record {row[0]}"
            entry, record = self._entry(row, where)
            if entry.slot not in state.keys:
                # What was changed in a header is told as that, and not as a key that is missing.
                envelope.read_header(record, where)
                state.keys[entry.slot] = self._ring.unwrap(
                    state.owner, entry.slot, wrapped.pop(entry.slot, None)
                )
            found.append((entry, self._opened(state, entry, record, where)))
            state.put(entry)
            total += entry.digest
        self._check_sum(state, total, len(rows))
        self.take_spare(state, wrapped)
        return found

    def _entry(self, row: Row, where: str) -> tuple[Entry, bytes]:
        first, place, slot, revision, messages, pending, oldest, newest, channel, sealed = row
        if sealed is None:
            raise TamperedError(place=where, reason="is missing")
        record = bytes(sealed)
        entry = Entry(
            first, place, slot, revision, messages, pending, oldest, newest, bytes(channel),
            len(record), self._digests.record(record),
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
        rows = self._data.execute(_RECORDS, (state.number,))
        return [self._entry(row, f"{state.place}, record {row[0]}")[0] for row in rows]

    def stream(self, state: State) -> Generator[MaskedMessage]:
        """The messages of a conversation, a record at a time; the rows stay open meanwhile."""
        rows = self._data.rows(_RECORDS, (state.number,))
        wrapped = self._ring.leased(state.owner)
        total = count = 0
        try:
            for row in rows:
                where = f"{state.place}, record {row[0]}"
                entry, record = self._entry(row, where)
                if entry.slot not in state.keys:
                    state.keys[entry.slot] = self._ring.unwrap(
                        state.owner, entry.slot, wrapped.pop(entry.slot, None)
                    )
                yield from self._opened(state, entry, record, where)
                if self._marks.fence(state.name) != state.fence:
                    raise StoreError(f"{state.place} was purged while it was read")
                total += entry.digest
                count += 1
            self._check_sum(state, total, count)
        finally:
            rows.close()

    def open_entries(self, state: State, entries: Sequence[Entry]) -> list[MaskedMessage]:
        """The messages of some records, in order."""
        messages: list[MaskedMessage] = []
        for entry in sorted(entries):
            where = f"{state.place}, record {entry.first}"
            rows = self._data.execute("SELECT sealed FROM record WHERE place = ?", (entry.place,))
            if not rows:
                raise TamperedError(place=where, reason="is missing")
            record = bytes(rows[0][0])
            if self._digests.record(record) != entry.digest:
                raise TamperedError(place=where, reason="was changed")
            messages += self._opened(state, entry, record, where)
        return messages

    def _opened(self, state: State, entry: Entry, record: bytes, where: str) -> list[MaskedMessage]:
        place = Place(
            state.owner, entry.first, entry.revision, entry.slot, entry.messages, entry.oldest,
            entry.newest,
        )  # fmt: skip
        key = state.keys[entry.slot].key
        payload = envelope.unseal(self._suite, self._store, key, place, record, where)
        conversation_id, messages = codec.decode(payload)
        if (
            len(messages) != entry.messages
            or self._digests.conversation(conversation_id) != state.name
        ):
            raise TamperedError(place=where, reason="holds another conversation")
        return messages

    def take_spare(self, state: State, wrapped: dict[int, bytes] | None = None) -> None:
        """Keys that were made for this conversation, and used for nothing before a crash."""
        left = self._ring.leased(state.owner) if wrapped is None else wrapped
        state.spare = [
            self._ring.unwrap(state.owner, slot, data)
            for slot, data in left.items()
            if self._ring.is_data(slot, data)
        ]
