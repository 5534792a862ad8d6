"""Walking a whole store: every key, head, record, event, receipt, and what has no place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masker.errors import ReceiptError, StoreError, TamperedError, VaultError
from masker.stores.heads import MIXED
from masker.stores.model import Inspection, Progress
from masker.stores.trails import read_trail
from masker.vault.receipts import FIRST

if TYPE_CHECKING:
    from masker.stores.purging import Purges
    from masker.stores.shelf import Shelf

_BATCH = 1_000


class _Walk:
    """What was walked so far."""

    def __init__(self, shelf: Shelf, purges: Purges, progress: Progress | None) -> None:
        self.shelf = shelf
        self.purges = purges
        self.progress = progress
        self.conversations = self.records = self.messages = self.keys = 0
        self.names: set[bytes] = set()

    def all(self) -> None:
        self.keys = self.shelf.ring.check_all()
        self._conversations()
        self._strays()
        self._anchors()
        self._receipts()

    def _conversations(self) -> None:
        rows = self.shelf.data.execute("SELECT name FROM conversation ORDER BY number")
        for done, (name,) in enumerate(rows, 1):
            self._conversation(bytes(name))
            self.names.add(bytes(name))
            if self.progress is not None:
                self.progress(done, len(rows))

    def _conversation(self, name: bytes) -> None:
        shelf = self.shelf
        state = shelf.outline(name)
        self.conversations += 1
        if state.is_leftover:
            raise TamperedError(
                place=state.place, reason="was purged, and is here again from an older copy"
            )
        subjects = set()
        for entry, messages in shelf.records.open_all(state):
            self.records += 1
            self.messages += entry.messages
            pending = sum(not message.final for message in messages)
            channels = {shelf.digests.channel(message.channel) for message in messages}
            if pending != entry.pending or not _is_channel(entry.channel, channels):
                raise TamperedError(
                    place=f"{state.place}, record {entry.first}", reason="is filed wrongly"
                )
            subjects |= {message.subject for message in messages if message.subject is not None}
        if not {shelf.digests.subject(subject) for subject in subjects} <= state.subjects:
            raise TamperedError(place=state.place, reason="is not linked to one of its subjects")
        read_trail(shelf.data, shelf.digests, state)

    def _strays(self) -> None:
        shelf = self.shelf
        strays = shelf.data.execute(
            "SELECT place FROM record WHERE place NOT IN (SELECT place FROM directory)"
            " AND place NOT IN (SELECT place FROM vacant) LIMIT 1"
        )
        if strays:
            raise TamperedError(
                place=f"place {strays[0][0]}", reason="holds a record of no conversation"
            )
        last = 0
        while rows := shelf.data.execute(
            "SELECT v.place, r.sealed FROM vacant v JOIN record r ON r.place = v.place"
            " WHERE v.place > ? ORDER BY v.place LIMIT ?",
            (last, _BATCH),
        ):
            last = rows[-1][0]
            for place, sealed in rows:
                if any(bytes(sealed)):
                    raise TamperedError(place=f"place {place}", reason="was not overwritten")

    def _anchors(self) -> None:
        for (name,) in self.shelf.keys.execute("SELECT name FROM anchor"):
            if bytes(name) not in self.names:
                raise TamperedError(
                    place="a conversation", reason="is gone from the data, and no purge says so"
                )

    def _receipts(self) -> None:
        previous = FIRST
        for number, receipt in enumerate(self.purges.intents.receipts(), 1):
            try:
                receipt.verify(self.shelf.ring.signer.public_key)
            except ReceiptError as error:
                raise TamperedError(place=f"receipt {number}", reason=str(error)) from None
            if receipt.previous != previous or receipt.number != number:
                raise TamperedError(
                    place=f"receipt {number}", reason="does not follow the one before it"
                )
            previous = receipt.digest()


def inspect(shelf: Shelf, purges: Purges, progress: Progress | None) -> Inspection:
    """Walk everything; the first thing wrong, by place."""
    walk = _Walk(shelf, purges, progress)
    fault = None
    try:
        walk.all()
    except (VaultError, StoreError) as error:
        fault = str(error)
    return Inspection(
        conversations=walk.conversations,
        records=walk.records,
        messages=walk.messages,
        keys=walk.keys,
        fault=fault,
    )


def _is_channel(filed: bytes, found: set[bytes]) -> bool:
    return filed == (next(iter(found)) if len(found) == 1 else MIXED)
