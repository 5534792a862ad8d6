"""Messages that come out once, final, in the order of their conversation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from masker.core.messages import MaskedMessage

MessageKey = tuple[str, str]


class Place:
    """A message's place in the order of its conversation, until it can come out."""

    __slots__ = ("key", "masked", "revision", "size")

    def __init__(self, key: MessageKey, revision: int, size: int) -> None:
        self.key = key
        self.revision = revision
        self.size = size
        self.masked: MaskedMessage | None = None


class Order(dict[str, deque[Place]]):
    """For each conversation its messages that have not come out, in the order they came in."""

    def expect(self, key: MessageKey, revision: int, size: int) -> None:
        """A message came in; one that is waiting under the same id gives it its place."""
        places = self.setdefault(key[0], deque())
        for place in places:
            if place.key == key:
                place.revision, place.masked = revision, None
                return
        places.append(Place(key, revision, size))

    def release(self, out: Iterable[MaskedMessage]) -> list[MaskedMessage]:
        """What can come out now that these are known."""
        final = [masked for masked in out if masked.final]
        for masked in final:
            for place in self.get(masked.conversation_id, ()):
                if place.key[1] == masked.message_id:
                    place.masked = masked
        return self.ready(dict.fromkeys([masked.conversation_id for masked in final]))

    def ready(self, conversation_ids: Iterable[str]) -> list[MaskedMessage]:
        """What nothing waits before in these conversations any more."""
        released: list[MaskedMessage] = []
        for conversation_id in conversation_ids:
            places = self.get(conversation_id, deque())
            while places and places[0].masked is not None:
                place = places.popleft()
                if place.masked is not None:
                    released.append(replace(place.masked, revision=place.revision))
            if not places:
                self.pop(conversation_id, None)
        return released

    def size(self, conversation_id: str) -> int:
        """How many characters of a conversation wait."""
        return sum(place.size for place in self.get(conversation_id, ()))
