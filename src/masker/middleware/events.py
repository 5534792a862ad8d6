"""Lines and server-sent events, cut out of a body that comes in pieces.

The grammar of events is that of the HTML standard, section 9.2.6 (server-sent events):
a line ends in CR, LF or both, an empty line ends an event, the lines `data:` of one event
are one text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from masker.errors import BodyError

_LINE_END = re.compile(rb"\r\n|\n|\r")


class Lines:
    """Bytes in, whole lines out, with their ends. A line has a greatest length.

    A CR at the end of what has come may be half of a CR LF: it waits.
    """

    def __init__(self, limit: int, *, newline_only: bool = False) -> None:
        self._limit = limit
        self._rest = b""
        self._end = re.compile(rb"\r?\n") if newline_only else _LINE_END

    def feed(self, piece: bytes, *, last: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Each line, and what ended it.

        Raises:
            BodyError: a line is longer than the limit.
        """
        held = self._rest + piece
        at = 0
        for found in self._end.finditer(held):
            if found.end() == len(held) and found[0] == b"\r" and not last:
                break
            yield held[at : found.start()], found[0]
            at = found.end()
        self._rest = held[at:]
        if len(self._rest) > self._limit:
            raise BodyError(what="line", limit=self._limit)
        if last and self._rest:
            rest, self._rest = self._rest, b""
            yield rest, b""


@dataclass(slots=True)
class Event:
    """A server-sent event: its lines but for the data, and its data as one text."""

    lines: list[bytes] = field(default_factory=list)
    data: bytes | None = None
    name: str = ""
    end: bytes = b"\n"

    def __repr__(self) -> str:
        return f"Event({len(self.data or b'')} bytes)"

    def write(self, data: bytes | None, *, lines: list[bytes] | None = None) -> bytes:
        """The event with other data."""
        out = [*(self.lines if lines is None else lines)]
        if data is not None:
            out += [b"data: " + part if part else b"data:" for part in _LINE_END.split(data)]
        return b"".join(line + self.end for line in out) + self.end


class Events:
    """Bytes in, whole events out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines = Lines(limit)
        self._event = Event()
        self._size = 0

    def feed(self, piece: bytes, *, last: bool = False) -> Iterator[Event]:
        """Each event that is whole.

        Raises:
            BodyError: an event is longer than the limit.
        """
        for line, end in self._lines.feed(piece, last=last):
            self._size += len(line)
            if self._size > self._limit:
                raise BodyError(what="event", limit=self._limit)
            if line:
                self._event.end = end or b"\n"
                self._take(line)
                continue
            if self._event.lines or self._event.data is not None:
                self._event.end = end
                yield self._event
            self._event, self._size = Event(), 0
        if last and (self._event.lines or self._event.data is not None):
            yield self._event
            self._event, self._size = Event(), 0

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            held = self._event.data
            self._event.data = value if held is None else held + b"\n" + value
        else:
            if name == b"event":
                self._event.name = value.decode("utf-8", "replace")
            self._event.lines.append(line)
