"""Conversations on disk: found by their names, kept in memory while they are written to.

Order of writing, from which everything else follows: a key is durable before the record that needs
it, a record is durable before the key of what it replaces is destroyed, and what is to be destroyed
is written down (`doomed`) in the transaction that makes it so.
"""

from __future__ import annotations

from collections import OrderedDict

from masker.core.messages import MaskedMessage
from masker.errors import RolledBackError, TamperedError
from masker.stores.database import Database, Row
from masker.stores.heads import Digests, Head
from masker.stores.keyring import Keyring
from masker.stores.marks import Marks
from masker.stores.records import Records
from masker.stores.states import State
from masker.stores.writing import Writer
from masker.vault.suites import Suite

_CACHED_IDS = 500_000
"""Message ids that are kept in memory, over all conversations."""


class Shelf:
    """All conversations of a store; `records` opens what is in them, `writer` writes it.

    `marks` is what the keys remember of them.
    """

    def __init__(
        self, data: Database, keys: Database, ring: Keyring, suite: Suite, store: bytes
    ) -> None:
        self.data = data
        self.keys = keys
        self.ring = ring
        self.digests = Digests(suite, store, ring.secret)
        self.store = store
        self.marks = Marks(keys, self.digests)
        self.records = Records(data, ring, self.digests, self.marks, suite=suite, store=store)
        self.writer = Writer(data, self.digests, suite=suite, store=store)
        self._states: OrderedDict[bytes, State] = OrderedDict()
        self._ids = 0

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
            for entry, held in self.records.open_all(state):
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
        fence, anchor = self.marks.fence(name), self.marks.anchor(name)
        if not rows:
            if anchor is not None:
                raise RolledBackError(
                    place="a conversation", reason="is gone from the data, and no purge says so"
                )
            incarnation = fence.incarnation + 1 if fence is not None else 0
            owner = self.digests.owner(name, incarnation)
            state = State(name, 0, owner, Head(incarnation=incarnation), b"", fence, is_new=True)
            self.records.take_spare(state)
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
            fence = self.marks.fence(name)
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
        return self.marks.fence(state.name) == state.fence

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
        self.writer.drop()
        self._states.clear()
        self._ids = 0
        self.ring.forget()

    def conversation_id(self, name: bytes) -> str | None:
        """The id of a conversation, from its first record; None where it holds no messages."""
        state = self.outline(name)
        if state.is_leftover or not state.head.messages:
            return None
        messages = self.records.stream(state)
        try:
            return next(messages).conversation_id
        except StopIteration:
            raise TamperedError(place=state.place, reason="its records are missing") from None
        finally:
            messages.close()
