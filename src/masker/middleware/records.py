"""Log records: written once, and never revised.

A number cut over several records of one conversation is put together as anywhere. But what was
written to a log cannot be taken back, and a log that holds records for minutes loses them when
the process dies, just when they matter. So nothing is held: what may be part of a number is masked
in the record it stands in, for good. That masks some digits that turn out harmless; so records are
joined only where somebody says that they belong to one conversation, and all others are masked
each by itself.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count
from threading import Lock
from types import TracebackType
from typing import Any

from masker import Masker, Message
from masker.buffers import MemoryBuffers
from masker.core.masking import blank, replace
from masker.core.runs import digit_runs, word_runs

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]

UNREADABLE = "a log record that could not be masked"
# Objects in objects deeper than this are written as text.
_DEPTH = 8
_FRAME = re.compile(r' *File ".*", line [0-9]+(?:, in .*)?')
_PLAIN = (bool, type(None))
_conversation: ContextVar[str | None] = ContextVar("masker_conversation", default=None)


@contextmanager
def conversation(conversation_id: str) -> Iterator[None]:
    """What is logged within belongs to one conversation, in this thread or task."""
    token = _conversation.set(conversation_id)
    try:
        yield
    finally:
        _conversation.reset(token)


class RecordMasker:
    """Masks the texts and values of log records; may be used by several threads."""

    def __init__(self, masker: Masker, *, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._masker = masker
        self._redactor = masker.redactor(buffers=MemoryBuffers(max_bytes=max_bytes))
        self._numbers = count()
        self._lock = Lock()

    def text(self, text: str, conversation_id: str | None, at: datetime | None = None) -> str:
        """A text as it may be logged; joined with what its conversation said before."""
        try:
            if conversation_id is None:
                conversation_id = _conversation.get()
            if conversation_id is None:
                return self._masker.mask(text).text
            when = at if at is not None else datetime.now(UTC)
            message_id = str(next(self._numbers))
            message = Message(conversation_id, message_id, "log", text, when)
            with self._lock:
                self._redactor.advance(when)
                for out in self._redactor.receive(message):
                    if out.message_id == message_id:
                        return out.text
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            return blank(text)
        return blank(text)

    def alone(self, text: str) -> str:
        """A text as it may be logged, joined with nothing."""
        return self._masker.mask(text).text

    def is_joined(self, conversation_id: str | None) -> bool:
        """Whether what is logged now belongs to a conversation."""
        return conversation_id is not None or _conversation.get() is not None

    def value(self, value: Any, conversation_id: str | None, *, depth: int = 0) -> Any:
        """Any value as it may be logged; what is not text stays what it is, where it may."""
        if isinstance(value, str):
            return self.text(value, conversation_id)
        if isinstance(value, _PLAIN):
            return value
        try:
            if isinstance(value, bytes):
                return self._as_text(value, value.decode("utf-8", "replace"))
            if depth < _DEPTH:
                if isinstance(value, Mapping):
                    written: dict[Any, Any] = {}
                    for key, one in value.items():
                        name = self.name(key, written)
                        written[name] = self.value(one, conversation_id, depth=depth + 1)
                    return written
                if isinstance(value, (list, tuple, set, frozenset)):
                    masked = [self.value(one, conversation_id, depth=depth + 1) for one in value]
                    return masked if isinstance(value, list) else tuple(masked)
            return self._as_text(value, str(value), repr(value))
        except Exception:  # noqa: BLE001 - an object that cannot be written is not written
            return f"<{type(value).__name__}>"

    def exception(self, error: ExceptionInfo, conversation_id: str | None) -> str:
        """A traceback as it may be logged: of its frames nothing is lost but numbers.

        Whatever stands outside the frames (source, messages, notes) may hold a part of a number
        of the conversation: there, all that could be one is masked.
        """
        try:
            written = "".join(traceback.format_exception(*error)).rstrip("\n")
        except Exception:  # noqa: BLE001 - its `__str__` may do anything
            return f"{error[0].__name__} (its text could not be written)"
        if self.is_joined(conversation_id):
            # What an exception quotes may be a part, and what follows the rest.
            self.value(str(error[1]), conversation_id)
        return self.trace(written, conversation_id)

    def trace(self, written: str, conversation_id: str | None) -> str:
        """A traceback or a stack that is text already."""
        if conversation_id is None:
            conversation_id = _conversation.get()
        try:
            masked = self._masker.mask(written).text.split("\n")
            if conversation_id is None:
                return "\n".join(masked)
            lines = written.split("\n")
            return "\n".join(
                after if _FRAME.fullmatch(line) else _without_runs(after)
                for line, after in zip(lines, masked, strict=True)
            )
        except Exception:  # noqa: BLE001 - fail closed, whatever it was
            return blank(written)

    def name(self, name: Any, taken: Container[Any]) -> Any:
        """The name of a value as it may be logged; two that are masked alike stay two."""
        if isinstance(name, str):
            shown: Any = self._masker.mask(name).text
        else:
            shown = self._as_text(name, str(name), repr(name))
        while shown in taken:
            shown = f"{shown}*"
        return shown

    def _as_text(self, value: Any, *texts: str) -> Any:
        """The value itself, where no way of writing it shows anything."""
        masked = [self._masker.mask(text).text for text in texts]
        return value if masked == list(texts) else masked[0]


def _without_runs(line: str) -> str:
    """The line with every run masked that a number could have as a part."""
    runs = digit_runs(line) + word_runs(line)
    return replace(line, {place for start, end in runs for place in range(start, end)})
