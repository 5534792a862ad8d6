"""What one worker remembers by itself, should the buffers lose what they were told.

Three things: messages it received that are not final as far as it knows; what it gave out lately;
and what it owes, messages that came out without the buffers, of which others must hear. Each has a
limit. Where buffers cannot lose anything (a process's own memory), nothing is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from time import monotonic
from typing import NamedTuple

from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey

MAX_KEPT = 10_000
# A worker asks after its pending messages when they are so much older than the window, in seconds.
PATIENCE = 30.0
# After so many, it asks after the others the next time.
ASKED = 256


class Held(NamedTuple):
    """A message of this worker that is not final yet."""

    message: Message
    since: float
    epoch: bytes


class Given(NamedTuple):
    """What this worker knows of a message it gave out."""

    mark: bytes
    revision: int
    final: bool


class Ledger:
    """One worker's own memory."""

    def __init__(self, *, window_seconds: float) -> None:
        self.pending: OrderedDict[MessageKey, Held] = OrderedDict()
        self.owed: OrderedDict[MessageKey, Message] = OrderedDict()
        self.owes_more = False
        """Whether more is owed than could be remembered."""
        self._given: OrderedDict[MessageKey, Given] = OrderedDict()
        self._patience = window_seconds + PATIENCE

    def received(self, message: Message, mark: bytes, epoch: bytes, *, final: bool) -> None:
        """A message was received; until it is final it is kept at hand."""
        key = (message.conversation_id, message.message_id)
        known = self._given.get(key)
        if known is not None and known.mark == mark and known.final:
            return
        self._know(key, Given(mark, known.revision if known is not None else -1, final))
        if not final:
            self.wait_for(message, epoch)
            if len(self.pending) > MAX_KEPT:
                self.pending.popitem(last=False)

    def wait_for(self, message: Message, epoch: bytes) -> None:
        """It is still pending: the buffers know of it."""
        key = (message.conversation_id, message.message_id)
        self.pending[key] = Held(message, monotonic(), epoch)

    def gave(self, out: Iterable[MaskedMessage]) -> None:
        """These came out, here."""
        for masked in out:
            key = (masked.conversation_id, masked.message_id)
            if masked.final:
                self.pending.pop(key, None)
            known = self._given.pop(key, None)
            mark = known.mark if known is not None else b""
            self._know(key, Given(mark, masked.revision, masked.final))

    def owe(self, message: Message, mark: bytes) -> int | None:
        """A message comes out without the buffers: as which revision; None where it did before."""
        key = (message.conversation_id, message.message_id)
        known = self._given.get(key)
        if known is not None and known.mark == mark and known.final:
            return None
        self.pending.pop(key, None)
        self.owed[key] = message
        if len(self.owed) > MAX_KEPT:
            self.owed.popitem(last=False)
            self.owes_more = True
        revision = known.revision + 1 if known is not None else 0
        self._know(key, Given(mark, revision, final=True))
        return revision

    def drop(self, conversation_id: str | None, subject: str | None) -> None:
        """It was purged: there is nothing to ask after, and nothing to remember of it."""

        def is_meant(message: Message) -> bool:
            is_subject = subject is not None and message.subject == subject
            return is_subject or message.conversation_id == conversation_id

        for key in [key for key, held in self.pending.items() if is_meant(held.message)]:
            del self.pending[key]
        for key in [key for key, message in self.owed.items() if is_meant(message)]:
            del self.owed[key]

    def overdue(self, conversation_id: str | None, epoch: bytes, *, anyway: bool) -> list[Held]:
        """Messages to ask after: they waited too long, or since before something was lost.

        All of a conversation, or of all, where they are asked after `anyway`.
        """
        oldest = monotonic() - self._patience
        found = [
            held
            for key, held in self.pending.items()
            if (conversation_id is None or key[0] == conversation_id)
            and (anyway or held.since < oldest or held.epoch != epoch)
        ]
        return found if anyway else found[:ASKED]

    def _know(self, key: MessageKey, given: Given) -> None:
        self._given[key] = given
        if len(self._given) > MAX_KEPT:
            self._given.popitem(last=False)
