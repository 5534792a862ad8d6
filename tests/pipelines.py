"""What the tests of pipelines and adapters share: stores that remember, things that break."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from masker import MaskedMessage, Message
from strategies import MASK, Written

SECRET = "4111 1111 1111 1111"


class ListStore:
    """A store that keeps what it is given, in order, and nothing else."""

    def __init__(self) -> None:
        self.saved: list[MaskedMessage] = []
        self.purged: list[dict[str, str | None]] = []
        self.broken = False

    def save_all(self, messages: Iterable[MaskedMessage]) -> None:
        if self.broken:
            # What a database driver would say: its error shows the parameters.
            raise OSError(f"cannot write {[message.text for message in messages]}")
        self.saved += messages

    def purge(self, *, conversation_id: str | None = None, subject: str | None = None) -> str:
        self.purged.append({"conversation_id": conversation_id, "subject": subject})
        kept = [m for m in self.saved if conversation_id not in (None, m.conversation_id)]
        self.saved = [m for m in kept if subject is None or m.subject != subject]
        return f"receipt-{len(self.purged)}"

    @property
    def transcript(self) -> dict[tuple[str, str], MaskedMessage]:
        """The highest revision of each message."""
        newest: dict[tuple[str, str], MaskedMessage] = {}
        for message in self.saved:
            key = message.conversation_id, message.message_id
            if key not in newest or newest[key].revision < message.revision:
                newest[key] = message
        return newest


class BrokenRedactor:
    """A redactor out of reach, whose errors show the text it was given."""

    def receive(self, message: Message) -> list[MaskedMessage]:
        raise ConnectionError(f"cannot send {message.text}")

    def advance(self, now: datetime) -> list[MaskedMessage]:
        raise ConnectionError

    def close(self, conversation_id: str | None = None) -> list[MaskedMessage]:
        raise ConnectionError

    def recall(self, conversation_id: str, message_id: str) -> list[MaskedMessage]:
        raise ConnectionError


def readable(written: Written, shown: str, seen: dict[str, set[int]]) -> None:
    """Collect which digits of planted numbers a shown text of the same length still shows."""
    assert len(shown) == len(written.text)
    for after, before, mark in zip(shown, written.text, written.marks, strict=True):
        assert after in (before, MASK)
        if mark is not None and after == before:
            seen.setdefault(mark[0], set()).add(mark[1])


def leaked(seen: dict[str, set[int]], keep: int = 4) -> dict[str, list[int]]:
    """Per planted number the digits before its last few that could be read."""
    found = {n: sorted(i for i in places if i < len(n) - keep) for n, places in seen.items()}
    return {number: places for number, places in found.items() if places}


def chunked(text: str, seed: int) -> list[str]:
    """A text in chunks as a model writes it, most of a few characters."""
    source = random.Random(seed)
    chunks: list[str] = []
    while text:
        size = source.choice((1, 1, 2, 3, 4, 7, 20))
        chunks.append(text[:size])
        text = text[size:]
    return chunks


def seeds() -> st.SearchStrategy[int]:
    """For `chunked`."""
    return st.integers(0, 2**32)


def everything(value: Any) -> str:
    """All that a debugger or a log line would print of these objects."""
    parts: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    return " ".join(f"{part!r} {part}" for part in parts)
