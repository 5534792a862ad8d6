"""The keys of a store: epochs, slots, and what is remembered beside them.

    provider -> key-encryption key of an epoch -> subject's key -> data key of a segment -> record

Everything here is in the database of keys, which is small, kept current, and never kept in old
copies: what is destroyed in it is destroyed for every backup of the data.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from masker.errors import TamperedError
from masker.stores.database import Database
from masker.stores.model import KeyStatus, Progress
from masker.vault import slots
from masker.vault.providers import KeyProvider
from masker.vault.receipts import Signer
from masker.vault.slots import DESTROYED, OWNER_BYTES, Kind, Label
from masker.vault.suites import KEY_BYTES, Aead, Suite

_SECRET_OWNER = b"secret".ljust(OWNER_BYTES, b"\0")
_SIGNING_OWNER = b"signing".ljust(OWNER_BYTES, b"\0")
_NONE = bytes(OWNER_BYTES)
_SUBJECTS_CACHED = 4096
_REWRAP = 2_000
"""Slots wrapped again in one transaction of a rotation."""


class Want(NamedTuple):
    """Keys to make: so many data keys of an owner, under the key in `parent`, or of a subject."""

    owner: bytes
    subject: bytes
    wanted: int
    parent: int | None = None


class DataKey(NamedTuple):
    """A data key, the slot it is wrapped in, and a mark that no later key in that slot has."""

    slot: int
    key: bytes
    mark: bytes
    parent: int


class Keyring:
    """Wraps, unwraps and destroys the keys of one store.

    Raises:
        KeysError: the provider's keys are not those of this store.
        TamperedError: the store's own secrets were changed.
    """

    def __init__(
        self, database: Database, suite: Suite, store: bytes, provider: KeyProvider
    ) -> None:
        self._database = database
        self._suite = suite
        self._store = store
        self._provider = provider
        self._epochs: dict[int, Aead] = {}
        self._roots: dict[int, bytes] = {}
        self._subjects: OrderedDict[int, Aead] = OrderedDict()
        self.epoch = 0
        self._open_epochs()
        self.secret = self._own(Kind.SECRET, _SECRET_OWNER)
        self.signer = Signer(self._own(Kind.SIGNING, _SIGNING_OWNER))

    def __repr__(self) -> str:
        return f"Keyring(epoch {self.epoch})"

    # -- epochs --------------------------------------------------------------------------------

    def _open_epochs(self) -> None:
        if not self._database.execute("SELECT 1 FROM epoch LIMIT 1"):
            with self._database.transaction():
                self._begin_epoch(1, self._provider)
                for kind, owner in ((Kind.SECRET, _SECRET_OWNER), (Kind.SIGNING, _SIGNING_OWNER)):
                    (number,) = self._database.allocate("slot", 1)
                    label = Label(kind, 1, owner, 0)
                    wrapped = slots.wrap(
                        self._suite, self._epochs[1], self._store, number, label,
                        os.urandom(KEY_BYTES),
                    )  # fmt: skip
                    self._insert([(number, wrapped, owner)])
        for number, _, wrapped in self._living_epochs():
            self.epoch = max(self.epoch, number)
            if number not in self._epochs:
                self._know(number, self._provider.unwrap(wrapped, self._context(number)))
        if not self._epochs:
            raise TamperedError(place="keys", reason="every epoch was destroyed")

    def _living_epochs(self) -> list[tuple[int, str, bytes]]:
        rows = self._database.execute("SELECT number, provider, wrapped FROM epoch ORDER BY number")
        return [(number, name, bytes(data)) for number, name, data in rows if any(bytes(data))]

    def _begin_epoch(self, number: int, provider: KeyProvider) -> None:
        key = os.urandom(KEY_BYTES)
        wrapped = provider.wrap(key, self._context(number))
        self._database.execute(
            "INSERT INTO epoch (number, provider, wrapped) VALUES (?, ?, ?)",
            (number, provider.name, wrapped),
        )
        self._know(number, key)

    def _know(self, epoch: int, key: bytes) -> None:
        self._roots[epoch] = key
        self._epochs[epoch] = self._suite.wrap_cipher(key)

    def _context(self, epoch: int) -> Mapping[str, str]:
        return {
            "purpose": "masker key-encryption key",
            "store": self._store.hex(),
            "epoch": str(epoch),
            "suite": str(self._suite.number),
        }

    def _own(self, kind: Kind, owner: bytes) -> bytes:
        for number, wrapped in self._leased(owner):
            label = self._label(number, wrapped)
            if label.kind is kind and label.owner == owner:
                return self._unwrap(number, wrapped, label)
        raise TamperedError(place="keys", reason=f"the store's {kind.name.lower()} key is missing")

    # -- data keys -----------------------------------------------------------------------------

    def provide(self, wants: Sequence[Want]) -> dict[bytes, list[DataKey]]:
        """Make data keys; within a transaction of the keys, durable when that ends."""
        subjects: dict[bytes, int] = {}
        rows: list[tuple[int, bytes, bytes]] = []
        numbers = self._numbers(sum(want.wanted for want in wants) + len(wants))
        made: dict[bytes, list[DataKey]] = {}
        for owner, subject, wanted, parent in wants:
            if parent is None:
                parent = subjects.get(subject) or self._subject_slot(subject)
            if parent is None:
                parent = numbers.pop()
                key = os.urandom(KEY_BYTES)
                label = Label(Kind.SUBJECT, self.epoch, subject, 0)
                rows.append(
                    (parent, self._wrap(self._epochs[self.epoch], parent, label, key), subject)
                )
                self._remember_subject(parent, self._suite.wrap_cipher(key))
            subjects[subject] = parent
            cipher = self._subject(parent)
            label = Label(Kind.DATA, 0, owner, parent)
            keys = made.setdefault(owner, [])
            for _ in range(wanted):
                number = numbers.pop()
                key = os.urandom(KEY_BYTES)
                wrapped = self._wrap(cipher, number, label, key)
                rows.append((number, wrapped, owner))
                keys.append(DataKey(number, key, slots.mark(wrapped), parent))
        self._insert(sorted(rows))
        self._give_back(numbers)
        return made

    def leased(self, owner: bytes) -> dict[int, bytes]:
        """The wrapped keys of an owner, by slot."""
        return dict(self._leased(owner))

    def is_data(self, slot: int, wrapped: bytes) -> bool:
        """Whether a slot holds a data key, as far as it says so itself."""
        return self._label(slot, wrapped).kind is Kind.DATA

    def unwrap(self, owner: bytes, slot: int, wrapped: bytes | None) -> DataKey:
        """A data key of this owner.

        Raises:
            TamperedError: the slot is not what was written for this owner.
        """
        place = f"key slot {slot}"
        if wrapped is None:
            raise TamperedError(place=place, reason="holds no key of this conversation any more")
        label = self._label(slot, wrapped)
        if label.kind is not Kind.DATA or label.owner != owner:
            raise TamperedError(place=place, reason="holds a key of something else")
        key = self._unwrap(slot, wrapped, label)
        return DataKey(slot, key, slots.mark(wrapped), label.parent)

    def destroy(self, owned: Iterable[tuple[bytes, int]]) -> None:
        """Overwrite keys where they lie; within a transaction of the keys."""
        pairs = list(owned)
        execute_many = self._database.execute_many
        execute_many(
            "UPDATE slot SET wrapped = ? WHERE number = ?", [(DESTROYED, s) for _, s in pairs]
        )
        execute_many("DELETE FROM lease WHERE owner = ? AND slot = ?", pairs)
        execute_many(
            "INSERT INTO spent (slot) VALUES (?) ON CONFLICT DO NOTHING", [(s,) for _, s in pairs]
        )
        for _, slot in pairs:
            self._subjects.pop(slot, None)

    def destroy_all(self, owner: bytes) -> int:
        """Overwrite every key leased to an owner; how many there were."""
        owned = [(owner, slot) for slot in self.leased(owner)]
        self.destroy(owned)
        return len(owned)

    def doomed(self, marked: Iterable[tuple[int, bytes]]) -> list[tuple[bytes, int]]:
        """Which of these slots still hold the very key that was marked, with their owners."""
        out = []
        for number, mark in marked:
            for (data,) in self._database.execute(
                "SELECT wrapped FROM slot WHERE number = ?", (number,)
            ):
                wrapped = bytes(data)
                try:
                    label = slots.read_label(self._suite, number, wrapped)
                except TamperedError:
                    continue  # it opens nothing; `verify` names it
                if label is not None and slots.mark(wrapped) == mark:
                    out.append((label.owner, number))
        return out

    def under(self, parents: Iterable[int]) -> list[tuple[bytes, int]]:
        """The data keys that are wrapped under these subjects' keys, with their owners."""
        found = []
        for parent in parents:
            rows = self._database.execute(
                f"SELECT number, wrapped FROM slot"
                f" WHERE substr(wrapped, {slots.PARENT_FROM}, {slots.PARENT_BYTES}) = ?",
                (parent.to_bytes(slots.PARENT_BYTES, "big"),),
            )
            for number, data in rows:
                with suppress(TamperedError):  # it opens nothing; `verify` names it
                    label = self._label(number, bytes(data))
                    if label.kind is Kind.DATA:
                        found.append((label.owner, number))
        return found

    def is_destroyed(self, numbers: Iterable[int]) -> bool:
        """Whether nothing is left in these slots."""
        return all(
            bytes(wrapped) == DESTROYED
            for number in numbers
            for (wrapped,) in self._database.execute(
                "SELECT wrapped FROM slot WHERE number = ?", (number,)
            )
        )

    def _numbers(self, count: int) -> list[int]:
        """Slots to write: destroyed ones first, so that revisions do not grow the file for ever."""
        spent = self._database.execute(
            "DELETE FROM spent WHERE slot IN (SELECT slot FROM spent ORDER BY slot LIMIT ?)"
            " RETURNING slot",
            (count,),
        )
        self._reused = {slot for (slot,) in spent}
        return sorted(
            [*self._reused, *self._database.allocate("slot", count - len(spent))], reverse=True
        )

    def _give_back(self, numbers: list[int]) -> None:
        unused = [(number,) for number in numbers if number in self._reused]
        self._database.execute_many("INSERT INTO spent (slot) VALUES (?)", unused)

    def _insert(self, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
        # A reused slot is written where it lies.
        self._database.execute_many(
            "INSERT INTO slot (number, wrapped) VALUES (?, ?)"
            " ON CONFLICT (number) DO UPDATE SET wrapped = excluded.wrapped",
            [(number, wrapped) for number, wrapped, _ in rows],
        )
        self._database.execute_many(
            "INSERT INTO lease (owner, slot) VALUES (?, ?)",
            [(owner, number) for number, _, owner in rows],
        )

    def _leased(self, owner: bytes) -> list[tuple[int, bytes]]:
        rows = self._database.execute(
            "SELECT slot.number, slot.wrapped FROM lease JOIN slot ON slot.number = lease.slot"
            " WHERE lease.owner = ?",
            (owner,),
        )
        return [(number, bytes(wrapped)) for number, wrapped in rows]

    # -- subjects' keys ------------------------------------------------------------------------

    def _subject_slot(self, subject: bytes) -> int | None:
        for number, wrapped in self._leased(subject):
            if self._label(number, wrapped).kind is Kind.SUBJECT:
                return number
        return None

    def _subject(self, slot: int) -> Aead:
        cipher = self._subjects.get(slot)
        if cipher is None:
            rows = self._database.execute("SELECT wrapped FROM slot WHERE number = ?", (slot,))
            if not rows:
                raise TamperedError(place=f"key slot {slot}", reason="is missing")
            wrapped = bytes(rows[0][0])
            label = self._label(slot, wrapped)
            if label.kind is not Kind.SUBJECT:
                raise TamperedError(
                    place=f"key slot {slot}", reason="holds a key of something else"
                )
            cipher = self._suite.wrap_cipher(self._unwrap(slot, wrapped, label))
            self._remember_subject(slot, cipher)
        else:
            self._subjects.move_to_end(slot)
        return cipher

    def _remember_subject(self, slot: int, cipher: Aead) -> None:
        self._subjects[slot] = cipher
        if len(self._subjects) > _SUBJECTS_CACHED:
            self._subjects.popitem(last=False)

    def forget(self) -> None:
        """Drop every key that can be unwrapped again."""
        self._subjects.clear()

    # -- slots ---------------------------------------------------------------------------------

    def _wrap(self, cipher: Aead, number: int, label: Label, key: bytes) -> bytes:
        return slots.wrap(self._suite, cipher, self._store, number, label, key)

    def _unwrap(self, number: int, wrapped: bytes, label: Label) -> bytes:
        if label.parent:
            cipher = self._subject(label.parent)
        elif label.epoch in self._epochs:
            cipher = self._epochs[label.epoch]
        else:
            # Another process may have begun an epoch since.
            self._open_epochs()
            if label.epoch not in self._epochs:
                raise TamperedError(place=f"key slot {number}", reason="is of no epoch there is")
            cipher = self._epochs[label.epoch]
        return slots.unwrap(cipher, self._store, number, wrapped)

    def _label(self, number: int, wrapped: bytes) -> Label:
        label = slots.read_label(self._suite, number, wrapped)
        if label is None:
            raise TamperedError(
                place=f"key slot {number}", reason="was destroyed, and no purge says so"
            )
        return label

    # -- rotation ------------------------------------------------------------------------------

    @property
    def provider(self) -> KeyProvider:
        """What the newest epoch is wrapped with."""
        return self._provider

    @property
    def is_rotating(self) -> bool:
        """Whether a rotation was begun and is not over."""
        return len(self._living_epochs()) > 1

    def rotate(self, provider: KeyProvider | None = None, progress: Progress | None = None) -> int:
        """Wrap again, under a new key-encryption key, every key that the old one wraps.

        Records are not touched. What was begun before is gone on with, and is all there is to do
        unless other keys are given. The old epoch is destroyed when nothing needs it. How many
        keys were wrapped again.
        """
        done = 0
        if self.is_rotating:
            done = self.finish_rotation(progress)
            if provider is None:
                return done
        chosen = provider or self._provider
        with self._database.transaction():
            if provider is not None:
                self._hand_over(provider)
            self._begin_epoch(self.epoch + 1, chosen)
        self.epoch += 1
        self._provider = chosen
        return done + self.finish_rotation(progress)

    def _hand_over(self, provider: KeyProvider) -> None:
        """Wrap the living epochs under other keys, so that these alone open all there is.

        From one moment to the next: of a rotation that is interrupted some keys are under the old
        epoch and some under the new one, and whoever opens the store then has one provider.
        """
        for number, _, _ in self._living_epochs():
            wrapped = provider.wrap(self._roots[number], self._context(number))
            self._database.execute(
                "UPDATE epoch SET provider = ?, wrapped = ? WHERE number = ?",
                (provider.name, wrapped, number),
            )

    def finish_rotation(self, progress: Progress | None = None) -> int:
        """Go on with a rotation that was begun; safe to be interrupted at any moment."""
        ((highest,),) = self._database.execute("SELECT coalesce(max(number), 0) FROM slot")
        last = done = 0
        while last < highest:
            with self._database.transaction():
                rows = self._database.execute(
                    "SELECT number, wrapped FROM slot WHERE number > ? ORDER BY number LIMIT ?"
                    f"{self._database.for_update}",
                    (last, _REWRAP),
                )
                changed = [
                    pair for number, data in rows if (pair := self._rewrapped(number, bytes(data)))
                ]
                self._database.execute_many("UPDATE slot SET wrapped = ? WHERE number = ?", changed)
            last = rows[-1][0] if rows else highest
            done += len(changed)
            if progress is not None:
                progress(last, highest)
        self._end_epochs()
        return done

    def _rewrapped(self, number: int, wrapped: bytes) -> tuple[bytes, int] | None:
        label = slots.read_label(self._suite, number, wrapped)
        if label is None or label.parent or label.epoch == self.epoch:
            return None
        key = self._unwrap(number, wrapped, label)
        label = label._replace(epoch=self.epoch)
        return self._wrap(self._epochs[self.epoch], number, label, key), number

    def _end_epochs(self) -> None:
        old = [epoch for epoch in self._living_epochs() if epoch[0] < self.epoch]
        with self._database.transaction():
            self._database.execute_many(
                "UPDATE epoch SET wrapped = ? WHERE number = ?",
                [(bytes(len(wrapped)), number) for number, _, wrapped in old],
            )
        self._database.scrub()
        for number, name, wrapped in old:
            del self._epochs[number], self._roots[number]
            if name == self._provider.name:
                self._provider.destroy(wrapped)

    def status(self) -> KeyStatus:
        """The keys, without the keys."""
        ((keys,),) = self._database.execute("SELECT count(*) FROM slot")
        ((spent,),) = self._database.execute("SELECT count(*) FROM spent")
        return KeyStatus(
            suite=self._suite.name,
            provider=self._provider.name,
            epoch=self.epoch,
            rotating=self.is_rotating,
            keys=keys - spent,
            destroyed=spent,
            public_key=self.signer.public_key,
        )

    def check_all(self) -> int:
        """Unwrap every key there is; how many.

        Raises:
            TamperedError: one of them is not what was written.
        """
        count = last = 0
        while rows := self._database.execute(
            "SELECT number, wrapped FROM slot WHERE number > ? ORDER BY number LIMIT ?",
            (last, _REWRAP),
        ):
            last = rows[-1][0]
            for number, data in rows:
                wrapped = bytes(data)
                label = slots.read_label(self._suite, number, wrapped)
                if label is not None:
                    self._unwrap(number, wrapped, label)
                    count += 1
                elif not self._database.execute("SELECT 1 FROM spent WHERE slot = ?", (number,)):
                    raise TamperedError(
                        place=f"key slot {number}", reason="was destroyed, and no purge says so"
                    )
        return count
