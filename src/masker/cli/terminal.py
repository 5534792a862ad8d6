"""What the commands share with each other: notes on stderr, endings, interrupts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import BinaryIO, Self, TextIO

import typer
from rich.console import Console

from masker.errors import MaskerError

STDIN = "-"
"""What standard input is called on a command line."""
FAILED = 1
UNREADABLE = 2
_SIGNALLED = 128


class _Notes(Console):
    """Standard error: that nobody reads it is no reason to lose the data."""

    def on_broken_pipe(self) -> None:
        """Say no more, and go on."""
        self.quiet = True


class Page(Console):
    """Standard output for people: that nobody reads on is told to the command."""

    def on_broken_pipe(self) -> None:
        """End as any other command would: see `failing_closed`."""
        raise BrokenPipeError


notes = _Notes(stderr=True, markup=False, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something to the person: on stderr, never part of the data."""
    with suppress(OSError):
        notes.print(f"masker: {text}")


def standard_input() -> BinaryIO:
    """Standard input, as bytes.

    Raises:
        MaskerError: whoever started the command closed it.
    """
    if sys.stdin is None:
        raise MaskerError("standard input is closed")
    return sys.stdin.buffer


def is_asked_by_a_person() -> bool:
    """Whether there is somebody to answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def failing_closed() -> Iterator[None]:
    """End the command for whatever goes wrong in it, without a word of what it was reading.

    An error of ours is written to be shown. Of any other only the type is told: its message, and
    the lines of a traceback, may quote a message.
    """
    try:
        try:
            yield
        finally:
            # What cannot be written is to be known now, and not when the interpreter ends.
            sys.stdout.flush()
    except MaskerError as error:
        note(str(error))
        raise typer.Exit(UNREADABLE) from None
    except BrokenPipeError:
        # The reader has gone (`| head`).
        drop(sys.stdout)
        raise typer.Exit(_SIGNALLED + signal.SIGPIPE) from None
    except KeyboardInterrupt:
        raise typer.Exit(_SIGNALLED + signal.SIGINT) from None
    except OSError as error:
        drop(sys.stdout)
        note(f"{type(error).__name__}: {os.strerror(error.errno or 0).lower()}")
        raise typer.Exit(UNREADABLE) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not print what it read
        note(f"internal error ({type(error).__name__}); nothing more was written")
        raise typer.Exit(FAILED) from None


def is_written(stream: TextIO | None) -> bool:
    """Whether all that a stream holds is written; what cannot be is let go of.

    Python would complain of it once more when it flushes at exit, and change the exit code.
    """
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        drop(stream)
        return False
    return True


def drop(stream: TextIO | None) -> None:
    """Write what a stream holds, and all that follows, to nowhere."""
    if stream is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Interruptible:
    """Lets SIGINT and SIGTERM end the input, and never a message that is half masked.

    While a line is awaited a signal ends the waiting at once. While a message is being masked it
    is only remembered, so that what was received still comes out. A second signal ends all.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._waiting = False

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._remember)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        again = self.signal is not None
        self.signal = number
        if self._waiting or again:
            raise KeyboardInterrupt

    def readline(self, source: BinaryIO, limit: int) -> bytes:
        """The next line, or nothing where the input or our time is over."""
        try:
            self._waiting = True
            return b"" if self.signal else source.readline(limit)
        except KeyboardInterrupt:
            return b""
        finally:
            self._waiting = False

    @property
    def exit_code(self) -> int:
        """What a shell expects of a command that a signal ended; 0 where none did."""
        return _SIGNALLED + self.signal if self.signal else 0
