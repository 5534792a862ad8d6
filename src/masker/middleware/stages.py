"""What a pipeline is between: the redactor and the store it asks, and what comes of a message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from masker.core.messages import MaskedMessage, Message


class ConversationRedactor(Protocol):
    """What `Masker.redactor` gives, whatever it keeps its conversations in."""

    def receive(self, message: Message) -> Any:
        """Take a message; give what may be stored or shown now."""

    def advance(self, now: datetime) -> Any:
        """Time passes: give what that decides."""

    def close(self, conversation_id: str | None = None) -> Any:
        """A conversation ends, or all do: give what waited in it."""

    def recall(self, conversation_id: str, message_id: str) -> Any:
        """A message was taken back: give what comes of that."""


class Store(Protocol):
    """Where masked messages rest: one of `masker.stores`."""

    def save_all(self, messages: Iterable[MaskedMessage]) -> Any:
        """Keep these messages, all or none; of a message the highest revision counts."""

    def purge(self, *, conversation_id: str | None = None, subject: str | None = None) -> Any:
        """Delete a conversation, or all of a subject, for good; give a receipt."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be done outside: a method of the redactor or of the store."""

    of: Literal["redactor", "store"]
    verb: str
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one message.

    `text` is for the next stage, and `None` where there is nothing for it to see: the message
    was an order to the chat itself, and `answer` is what to say. `masked` is the message as it
    was stored, `revisions` everything that came out with it, and before that what the store had
    not taken until then. `receipt` is what the store gave for a purge that was done.
    """

    text: str | None
    masked: MaskedMessage | None = None
    revisions: tuple[MaskedMessage, ...] = ()
    answer: str | None = None
    receipt: Any = None

    def __repr__(self) -> str:
        state = "nothing" if self.text is None else f"{len(self.text)} characters"
        return f"Turn({state} for the next stage, {len(self.revisions)} revisions)"
