"""Whose turn it is, where two workers race.

Two messages of one conversation that are on their way at once reach the buffers in either order,
and a number whose parts changed places is no number. `order="arrival"` takes them as they come:
right where the source sends the next message of a conversation only when the one before is taken
(a partition of a log, a queue with a group key). Otherwise a message waits for its turn:

* "sequence": `extra["sequence"]` counts the messages of a conversation up from one. A message
  waits for those before it, `order_seconds` at most; then one is taken for lost.
* "time": a message waits until another one, or `advance`, is `order_seconds` past its
  timestamp; those that came by then are taken in the order of their timestamps.

A message that comes after its turn, and whatever follows one that was lost, is veiled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import inf
from typing import Literal, get_args

from masker.buffers.part import Part, Seen, Waiting
from masker.buffers.worktable import Worktable, conversation, scopes_of
from masker.core.messages import MaskedMessage, Message
from masker.core.order import MessageKey
from masker.core.redactor import MAX_HELD_CHARACTERS
from masker.errors import MessageError

Order = Literal["arrival", "sequence", "time"]
FIELD = "sequence"
FIRST = 1
# So many messages of a conversation wait for others at most.
MAX_WAITING = 256


class Turns:
    """The order in which the messages of a conversation are taken."""

    def __init__(self, order: Order, seconds: float) -> None:
        if order not in get_args(Order):
            raise MessageError("order is none of 'arrival', 'sequence', 'time'")
        if not 0 < seconds < inf:
            raise MessageError("order_seconds is a time longer than none")
        self.order = order
        self._seconds = seconds

    def check(self, message: Message) -> None:
        """Hold a message to what `Message` says.

        Raises:
            MessageError: a field is something else.
        """
        if not isinstance(message.text, str):
            raise MessageError("text is not a str")
        for name in ("conversation_id", "message_id", "sender"):
            if not isinstance(getattr(message, name), str):
                raise MessageError(f"{name} is not a str")
        for name in ("channel", "subject"):
            if not isinstance(getattr(message, name), str | None):
                raise MessageError(f"{name} is neither a str nor None")
        at = message.timestamp
        if at is not None and not isinstance(at, datetime):
            raise MessageError("timestamp is not a datetime")
        if at is not None and at.tzinfo is None:
            raise MessageError("timestamp has no time zone; a message's time is an aware datetime")
        if self.order == "sequence":
            number = message.extra.get(FIELD)
            if not isinstance(number, int) or isinstance(number, bool) or number < FIRST:
                raise MessageError(f"extra[{FIELD!r}] is no whole number from {FIRST} on")

    def take(self, work: Worktable, message: Message, seen: Seen | None) -> list[MaskedMessage]:
        """A message came: take it, and all whose turn it is now; or let it wait."""
        stamp = message.timestamp.timestamp() if message.timestamp is not None else None
        if self.order == "arrival" or (self.order == "time" and stamp is None):
            return _take(work, Waiting(0.0, message, seen, stamp))
        part = work.part(conversation(message.conversation_id))
        key = (message.conversation_id, message.message_id)
        number = float(message.extra[FIELD]) if self.order == "sequence" else stamp or 0.0
        mine = Waiting(number, message, seen, stamp)
        if part.turn is not None and number < part.turn:
            if seen is not None and not self.is_waiting(work, key):
                return _take(work, mine)  # an edit of what had its turn
            return _veil(work, message) + _take(work, mine)
        others = [one for one in part.waiting if _key(one) != key]
        part.waiting = tuple(sorted([*others, mine], key=lambda one: one.order))
        if self.order == "sequence":
            out = self._run(work, part, lambda one: one.order <= _turn(part))
        else:
            ripe = part.waiting[-1].order - self._seconds
            out = self._run(work, part, lambda one: one.order <= ripe)
        return out + self._relieve(work, part)

    def _relieve(self, work: Worktable, part: Part) -> list[MaskedMessage]:
        """Where too much waits, the first is taken as if those before it were lost."""
        out: list[MaskedMessage] = []
        held = sum(len(one.message.text) for one in part.waiting)
        while len(part.waiting) > MAX_WAITING or held > MAX_HELD_CHARACTERS:
            out += self._skip(work, part)
            held = sum(len(one.message.text) for one in part.waiting)
        return out

    def advance(self, work: Worktable, now: datetime) -> list[MaskedMessage]:
        """Time passes: who waited too long for others is taken without them."""
        stamp = now.timestamp()
        out: list[MaskedMessage] = []
        for part in work.conversations:
            part.waiting = tuple(
                one._replace(since=stamp) if one.since is None else one for one in part.waiting
            )
            if self.order == "time":
                ripe = stamp - self._seconds
                out += self._run(work, part, lambda one, ripe=ripe: one.order <= ripe)  # type: ignore[misc]
            while part.waiting and stamp - min(_since(o) for o in part.waiting) >= self._seconds:
                out += self._skip(work, part)
        return out

    def close(self, work: Worktable) -> list[MaskedMessage]:
        """A conversation ends: nobody waits any more."""
        out: list[MaskedMessage] = []
        for part in work.conversations:
            while part.waiting:
                out += self._skip(work, part)
            part.turn = part.turn_at = None
        return out

    def recall(self, work: Worktable, key: MessageKey) -> bool:
        """A message is taken back: if it waits, it becomes final as soon as it has its turn."""
        if not self.is_waiting(work, key):
            return False
        part = work.part(conversation(key[0]))
        part.waiting = tuple(
            one._replace(recalled=True) if _key(one) == key else one for one in part.waiting
        )
        return True

    def forget(self, work: Worktable, key: MessageKey) -> None:
        """A message came out by another way."""
        part = work.part(conversation(key[0]))
        part.waiting = tuple(one for one in part.waiting if _key(one) != key)

    def is_waiting(self, work: Worktable, key: MessageKey) -> bool:
        """Whether a message waits for its turn."""
        return any(_key(one) == key for one in work.part(conversation(key[0])).waiting)

    def due(self, part: Part, otherwise: float | None) -> float | None:
        """When to look at a part again."""
        if not part.waiting:
            return otherwise
        first = min(_since(one) for one in part.waiting) + self._seconds
        return first if otherwise is None else min(first, otherwise)

    def _skip(self, work: Worktable, part: Part) -> list[MaskedMessage]:
        """Take the first that waits, and those right behind it."""
        first = part.waiting[0]
        if self.order == "time":
            return self._run(work, part, lambda one: one is first)
        out: list[MaskedMessage] = []
        if part.turn is not None and first.order > part.turn:
            out = _veil(work, first.message)
        part.turn = first.order
        return out + self._run(work, part, lambda one: one.order <= _turn(part))

    def _run(
        self, work: Worktable, part: Part, has_its_turn: Callable[[Waiting], bool]
    ) -> list[MaskedMessage]:
        out: list[MaskedMessage] = []
        while part.waiting and has_its_turn(part.waiting[0]):
            one, part.waiting = part.waiting[0], part.waiting[1:]
            part.turn = one.order + 1 if self.order == "sequence" else one.order
            part.turn_at = one.since
            out += _take(work, one)
        return out


def _take(work: Worktable, one: Waiting) -> list[MaskedMessage]:
    key = _key(one)
    if one.seen is not None:
        work.remember(key, one.seen)
    out = work.receive(one.message)
    return out + work.recall(*key) if one.recalled else out


def _veil(work: Worktable, message: Message) -> list[MaskedMessage]:
    out: list[MaskedMessage] = []
    for scope in scopes_of(message):
        work.part(scope)
        out += work.veil(scope)
    return out


def _key(one: Waiting) -> MessageKey:
    return (one.message.conversation_id, one.message.message_id)


def _turn(part: Part) -> float:
    return FIRST if part.turn is None else part.turn


def _since(one: Waiting) -> float:
    return -inf if one.since is None else one.since
