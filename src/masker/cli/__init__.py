"""The command line: what a person or a shell pipe calls.

Data goes to standard output, everything else to standard error, and no message ever reaches the
latter. Exit codes: 0 done, 1 masking failed somewhere (nothing unmasked came out), 2 bad usage or
unreadable input, 128 + n ended by signal n.
"""

from __future__ import annotations

import io
import sys
from typing import NoReturn

# What the extra `cli` installs; the library itself needs none of it.
_EXTRA = frozenset({"msgspec", "rich", "typer"})
# 128 + SIGINT, as a shell has it.
_INTERRUPTED = 130


def main() -> None:
    """Run `masker`, the console script."""
    try:
        _run()
    except KeyboardInterrupt:
        # Before a command has begun: what begins ends its own way.
        sys.exit(_INTERRUPTED)


def _run() -> None:
    if sys.stdout is None:
        _end("standard output is closed")
    try:
        from masker.cli.app import app
        from masker.cli.terminal import is_written
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _end("the command line is an extra: pip install 'masker[cli]'")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Chinese still gets its table.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    finally:
        if not is_written(sys.stdout):
            _end("standard output cannot be written")
        is_written(sys.stderr)


def _end(reason: str) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(f"masker: {reason}\n")
    sys.exit(2)
