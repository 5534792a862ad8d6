"""What a format is to the scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import BinaryIO, ClassVar

from masker.archive.fields import Fields
from masker.archive.records import Record, Rows, Unreadable

Read = Iterator[Record | Rows | Unreadable]


@dataclass(slots=True)
class Context:
    """What a reader knows of the file it reads."""

    name: str
    """How the file is called in messages, and in conversations that are files."""
    folder: str = ""
    fields: Fields = field(default_factory=Fields)
    zone: tzinfo = UTC
    chosen: dict[str, str] = field(default_factory=dict)
    """The fields that were guessed; filled in by `Format.prepare`, as is the next."""
    hints: dict[str, str] = field(default_factory=dict)


class Format:
    """One kind of transcript; subclasses are stateless.

    `read` gives the records of a plain stream in the order of their regions. Where `splits` is set,
    a stream may be read in ranges of bytes: one gives the records that begin in it.
    """

    name: ClassVar[str]
    splits: ClassVar[bool] = False

    def recognises(self, head: bytes, path: Path) -> bool:
        """Whether this is how such a file begins."""
        raise NotImplementedError

    def prepare(self, head: bytes, context: Context) -> None:
        """Look at the beginning for what holds for the whole file: the names of fields."""

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        """The records that begin in this range of bytes."""
        raise NotImplementedError
