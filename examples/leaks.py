"""Counts what was ever readable: every revision that came out, against what was planted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# A message is known by its conversation and its own id.
Key = tuple[str, str]
FILL = "*"


def key_of(message: Mapping[str, Any]) -> Key:
    """What a consumer upserts by."""
    return message["conversation_id"], message["message_id"]


@dataclass
class Number:
    """A number planted in an example: each of its characters by message and offset."""

    name: str
    rule: str
    length: int
    keep_last: int
    # A part sent twice stands at two places.
    places: list[tuple[Key, int, int]] = field(default_factory=list)

    @classmethod
    def read(cls, name: str, planted: Mapping[str, Any]) -> Number:
        number = cls(name, planted["rule"], planted["length"], planted["keep_last"])
        for part in planted["parts"]:
            conversation, message, first, offsets = part.split(" ")
            for index, offset in enumerate(offsets.split(","), int(first)):
                number.places.append(((conversation, message), int(offset), index))
        return number

    @property
    def hidden(self) -> int:
        """How many of its characters must never be readable."""
        return self.length - self.keep_last


@dataclass
class Count:
    """What came of one file."""

    leaked: dict[str, int]
    changed: int
    lost: int
    returned: int


def count(
    typed: Iterable[Mapping[str, Any]],
    stored: Iterable[Mapping[str, Any]],
    numbers: Iterable[Number],
) -> Count:
    """Read every revision in `stored` and count, per number, the characters that ever showed.

    Also counts the characters outside of numbers that did not come back, the messages that did
    not become final exactly once, and those that were held back at first and then came back.
    """
    originals: dict[Key, str] = {key_of(message): message["text"] for message in typed}
    revisions: dict[Key, list[Mapping[str, Any]]] = {key: [] for key in originals}
    for message in stored:
        revisions.setdefault(key_of(message), []).append(message)

    planted: set[tuple[Key, int]] = set()
    leaked: dict[str, int] = {}
    for number in numbers:
        seen: set[int] = set()
        for key, offset, index in number.places:
            planted.add((key, offset))
            if index >= number.hidden:
                continue
            original = originals[key]
            if any(_shows(original, revision["text"], offset) for revision in revisions[key]):
                seen.add(index)
        leaked[number.name] = len(seen)

    changed = lost = returned = 0
    for key, original in originals.items():
        finals = [revision["text"] for revision in revisions[key] if revision["final"]]
        if len(finals) != 1:
            lost += 1
            continue
        changed += sum(
            (key, offset) not in planted and not _shows(original, finals[0], offset)
            for offset in range(len(original))
        )
        first = revisions[key][0]["text"]
        returned += any(
            not _shows(original, first, offset) and _shows(original, finals[0], offset)
            for offset in range(len(original))
        )
    return Count(leaked, changed, lost, returned)


def _shows(original: str, text: str, offset: int) -> bool:
    """Whether a character of the original can be read in what came out.

    Masking keeps the length, so it stands where it stood. Where the length is another, nothing
    is known of places, and the worst is assumed.
    """
    return len(text) != len(original) or text[offset] == original[offset]
