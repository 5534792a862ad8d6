"""`masker run --store`: what comes out is stored first, and then written.

A pipe gets its answer line by line. A file is read ahead, so that many lines share one transaction.
Where the store fails, what it did not take waits and is offered again with what follows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from masker import MaskedMessage
from masker.cli.terminal import note
from masker.errors import MaskerError, MessageError, StoreError

if TYPE_CHECKING:
    from masker.stores import TranscriptStore

_TOGETHER = 200
"""Messages of a file that are stored in one transaction."""
_WAITING = 100_000
"""Messages that may wait for a store that fails; then the run ends."""


class Keeper:
    """Messages on their way into a store."""

    def __init__(self, store: TranscriptStore) -> None:
        self._store = store
        self._taken: list[MaskedMessage] = []
        self._unsaved: list[MaskedMessage] = []
        self._is_file: bool | None = None

    @property
    def waiting(self) -> int:
        """How many messages the store has not taken."""
        return len(self._unsaved)

    def take(self, messages: Iterable[MaskedMessage]) -> None:
        """Messages came out of the redactor."""
        self._taken += messages

    def is_due(self, source: BinaryIO) -> bool:
        """Whether it is time to store: at once, unless more of a file is there to be read."""
        if self._is_file is None:
            self._is_file = _is_file(source)
        return not self._is_file or len(self._taken) >= _TOGETHER

    def keep(self) -> bool:
        """Store what was taken; whether all of it is."""
        offered = self._unsaved + self._taken
        if not offered:
            return True
        try:
            refused = self._store.save_all(offered)
        except MessageError:
            self._unsaved = []
            return self._keep_each(offered)
        except StoreError as error:
            self._unsaved = offered
            note(f"not stored yet ({error}): {len(offered)} messages wait")
            if len(offered) > _WAITING:
                raise
            return False
        self._unsaved = []
        for each in refused:
            note(f"message {each.message_id!r} of {each.conversation_id!r}: {each.reason}")
        return not refused

    def _keep_each(self, messages: list[MaskedMessage]) -> bool:
        """One of them cannot be stored: the others still are."""
        for message in messages:
            try:
                self._store.save(message)
            except MaskerError as error:
                note(str(error))
        return False

    def given(self) -> list[MaskedMessage]:
        """What may be written now."""
        taken, self._taken = self._taken, []
        return taken


def _is_file(source: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False
