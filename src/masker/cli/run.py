"""`masker run`: JSONL messages in, JSONL masked messages out, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO

from masker import MaskedMessage, Message
from masker.cli.keeping import Keeper
from masker.cli.lines import read_message, write_message
from masker.cli.terminal import FAILED, UNREADABLE, Interruptible, note
from masker.core.redactor import Redactor
from masker.errors import MessageError

# No message is that long; without a limit an input without line ends would fill the memory.
MAX_LINE_BYTES = 1 << 28


class Run:
    """One input through one redactor; holds no more than the redactor does."""

    def __init__(self, redactor: Redactor, sink: BinaryIO, keeper: Keeper | None = None) -> None:
        self._redactor = redactor
        self._sink = sink
        self._keeper = keeper
        self._now: datetime | None = None
        self._unreadable = False
        self._failed = False
        self._failures = 0

    def read(self, source: BinaryIO) -> int:
        """Mask every line of `source`, close every conversation; the exit code."""
        with Interruptible() as interruptible:
            for number, line in _numbered(source, interruptible):
                self._take(number, line)
                if self._keeper is not None and self._keeper.is_due(source):
                    self._keep()
            self._end()
        if interruptible.exit_code:
            return interruptible.exit_code
        return UNREADABLE if self._unreadable else FAILED if self._failed else 0

    def _take(self, number: int, line: bytes) -> None:
        try:
            message = read_message(_whole(line), number)
        except MessageError as error:
            self._unreadable = True
            note(f"line {number}: {error}")
            return
        if message is None:
            return
        try:
            self._pass_time(message.timestamp)
            self._write(self._redactor.receive(message))
            self._tell_failures(f"line {number}")
        except MessageError as error:
            self._unreadable = True
            note(f"line {number}: {error}")
        except OSError:
            # What was masked cannot be written.
            raise
        except Exception as error:  # noqa: BLE001 - any failure ends in masked text
            self._failed = True
            note(f"line {number}: masking failed ({type(error).__name__}), all of it is masked")
            self._write([_all_masked(message)])

    def _pass_time(self, timestamp: datetime | None) -> None:
        # Time only goes forward: files are often sorted by conversation, each with its own clock.
        if timestamp is not None and (self._now is None or timestamp > self._now):
            self._now = timestamp
            self._write(self._redactor.advance(timestamp))

    def _end(self) -> None:
        try:
            self._write(self._redactor.close())
            self._tell_failures("at the end")
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - any failure ends in masked text
            self._failed = True
            note(f"at the end: masking failed ({type(error).__name__}), the rest is not written")
        self._keep()
        if self._keeper is not None and self._keeper.waiting:
            self._failed = True
            note(f"at the end: messages that could not be stored: {self._keeper.waiting}")

    def _tell_failures(self, where: str) -> None:
        # The redactor itself lets nothing out that it could not look at, and counts what that was.
        new = self._redactor.failures - self._failures
        if new:
            self._failed = True
            self._failures += new
            note(f"{where}: masking failed for messages that are wholly masked now: {new}")

    def _write(self, messages: Iterable[MaskedMessage]) -> None:
        if self._keeper is not None:
            self._keeper.take(messages)
            return
        self._put(messages)

    def _keep(self) -> None:
        """Store what came out so far, and only then write it."""
        if self._keeper is not None:
            self._failed |= not self._keeper.keep()
            self._put(self._keeper.given())

    def _put(self, messages: Iterable[MaskedMessage]) -> None:
        # All lines are made before the first is written: half of an answer never comes out.
        if lines := b"".join([write_message(message) for message in messages]):
            self._sink.write(lines)
            self._sink.flush()


def _numbered(source: BinaryIO, interruptible: Interruptible) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := interruptible.readline(source, MAX_LINE_BYTES + 1):
        number += 1
        rest = line
        # What is left of a line over the limit is read and forgotten.
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = interruptible.readline(source, MAX_LINE_BYTES + 1)
        yield number, line


def _whole(line: bytes) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise MessageError(f"is longer than {MAX_LINE_BYTES} bytes")
    return line


def _all_masked(message: Message) -> MaskedMessage:
    """What comes out of a message that could not be looked at: its shape."""
    return MaskedMessage(
        conversation_id=message.conversation_id,
        message_id=message.message_id,
        sender=message.sender,
        text="".join(each if each.isspace() else "*" for each in message.text),
        timestamp=message.timestamp,
        channel=message.channel,
        subject=message.subject,
        extra=message.extra,
        revision=0,
        final=True,
        findings=(),
    )
