"""What of a redactor's state belongs together.

A redactor over buffers holds nothing between two calls but what the buffers keep for it, in
*parts*: one for each conversation (the lanes of its senders, the question last asked, the order
of held messages, messages that came before their turn), and one for each subject (one lane, over
all its conversations). A part is loaded, worked on by a plain `Redactor`, and put back if nobody
else put one back in between. A part with nothing in it is not kept.

A part is *veiled* where something said in it may be missing: the buffers were lost, were
unreadable, or out of reach while a message came. A number with a part missing looks harmless, so
everything that could belong to one then comes out masked, until nothing of the kind was said for
a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from masker.core.lanes import Lane
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey, Place
from masker.core.questions import Asked
from masker.core.redactor import LaneKey

Scope = tuple[Literal["conversation", "subject"], str]


class Seen(NamedTuple):
    """What is remembered of a message id: to know it when it is sent again."""

    mark: bytes
    """A keyed fingerprint of sender and text."""
    revision: int
    """One more than the revision it first came out with."""
    final: bool = False


class Waiting(NamedTuple):
    """A message that came before its turn."""

    order: float
    message: Message
    seen: Seen | None
    """What was known of its id when it came."""
    since: float | None
    """The time from which it has been waiting, where messages have a time."""
    recalled: bool = False


@dataclass(slots=True)
class Part:
    """The state of one conversation, or of one subject over all conversations."""

    name: str
    """What the buffers call it; says nothing of whose it is where they can be read by others."""
    scope: Scope | None = None
    """None where nobody can tell any more."""
    lanes: dict[LaneKey, Lane] = field(default_factory=dict)
    asked: Asked | None = None
    subjects: frozenset[str] = frozenset()
    """Subjects that had something of this conversation in their lane when last looked at."""
    subjects_at: float | None = None
    order: tuple[Place, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    turn: float | None = None
    """Whose turn is next, in a conversation that is kept in order; and when the last one was."""
    turn_at: float | None = None
    veiled: bool = False
    veiled_at: float | None = None

    def __repr__(self) -> str:
        kind = self.scope[0] if self.scope else "part"
        return f"Part({kind}, {len(self.lanes)} lanes, {len(self.waiting)} waiting)"

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it need be kept."""
        return (
            not (
                self.lanes
                or self.asked
                or self.subjects
                or self.order
                or self.waiting
                or self.veiled
            )
            and self.turn is None
        )

    @property
    def pending(self) -> int:
        """Messages in it that are not final."""
        return sum(len(lane.notes) for lane in self.lanes.values()) + len(self.waiting)


class Found(NamedTuple):
    """A part as the buffers gave it out."""

    part: Part
    token: bytes
    """Says which state this is: it can be put back only where it still is this one."""
    missing: str | None = None
    """Why something said in it may be missing; such a part is to be veiled."""


class Loaded(NamedTuple):
    """What the buffers know of a message and of the parts it concerns."""

    found: tuple[Found, ...]
    seen: Seen | None = None
    again: tuple[MaskedMessage, ...] = ()
    """What the message made come out when it was first received, if that may not have arrived."""
    again_id: bytes = b""
    """The step that did."""
    stored: bool = False
    """Nothing stood in the way of a quiet message: it is taken, and there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one call changes, at once or not at all."""

    id: bytes
    before: tuple[Found, ...]
    after: tuple[Part, ...]
    """In the order of `before`."""
    due: tuple[float | None, ...]
    """When to look at each part again, in the time of messages."""
    seen: Mapping[MessageKey, Seen] = field(default_factory=dict)
    finals: tuple[MessageKey, ...] = ()
    out: tuple[MaskedMessage, ...] = ()
    replaces: bytes = b""
    """A step whose messages come out again with this one."""

    def __repr__(self) -> str:
        return f"Step({len(self.after)} parts, {len(self.out)} messages out)"
