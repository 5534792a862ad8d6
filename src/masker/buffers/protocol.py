"""What a redactor asks of the place its conversations are kept in, and what users ask of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from masker.buffers.part import Loaded, Scope, Seen, Step
from masker.core.lanes import Window
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import Delivery
from masker.core.ruleset import RuleSet


@runtime_checkable
class ConversationRedactor(Protocol):
    """What `Masker.redactor` gives, whatever it keeps its conversations in."""

    @property
    def failures(self) -> int:
        """Messages that came out masked as a whole because something broke."""

    def receive(self, message: Message) -> list[MaskedMessage]:
        """Take one message in; give out what may be stored now."""

    def advance(self, now: datetime) -> list[MaskedMessage]:
        """Time passes: what waited for longer than the window is decided."""

    def close(self, conversation_id: str | None = None) -> list[MaskedMessage]:
        """A conversation ends, or all do: everything pending in it becomes final."""

    def recall(self, conversation_id: str, message_id: str) -> list[MaskedMessage]:
        """The sender took a message back: if it is pending, it becomes final, masked."""


class Buffers(Protocol):
    """Where the parts of conversations are kept between two calls.

    Whatever goes wrong inside is raised as `BuffersError`, which says nothing of what was kept.
    """

    def open(self, rules: RuleSet, delivery: Delivery, window: Window) -> None:
        """A redactor begins to use these; states of other rules or windows are refused."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what happened here so far, by name: round trips, refused states, evictions."""

    @property
    def pending(self) -> int | None:
        """Messages in all parts that are not final; None where only asking around would tell."""

    @property
    def epoch(self) -> bytes | None:
        """Changes when what was kept may have been lost; None where that cannot happen."""

    def name(self, scope: Scope) -> str:
        """What the part of a conversation or a subject is called here."""

    def mark(self, message: Message) -> bytes:
        """A fingerprint of a message's sender and text, comparable within its id only."""

    def load(
        self,
        names: Sequence[str],
        key: MessageKey | None = None,
        quiet: tuple[Step, Seen] | None = None,
    ) -> Loaded:
        """The parts of these names, a new one for each that is not there, and the message id.

        `quiet` is a message in which nothing needs a look: where there is no such part and the id
        is new, it is taken at once, and `Loaded.stored` says so.
        """

    def store(self, step: Step) -> bool:
        """Put parts back and remember what came out; False where any of them has changed since."""

    def due(self, now: float | None, limit: int) -> list[str]:
        """Names of parts to be looked at by `now`, the soonest first; of all where it is None."""

    def excess(self) -> list[str]:
        """Names of parts to be given up now, least recently used first, so that the limit holds."""

    def acknowledge(self, ids: Sequence[bytes], *, now: bool) -> None:
        """What these steps made come out has arrived: it need not be kept any longer.

        Where it need not be `now`, it may be told along with the next question.
        """

    def unclaimed(self, limit: int) -> list[tuple[bytes, tuple[MaskedMessage, ...]]]:
        """Steps whose worker took too long to acknowledge them; they are this worker's now."""

    def is_final(self, key: MessageKey) -> bool:
        """Whether a message is known to have come out final."""

    def lost(self) -> None:
        """Messages were received that are in no part, and nobody can say which: veil everything."""
