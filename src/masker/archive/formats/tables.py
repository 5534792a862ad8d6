"""CSV and TSV: a row is a message, a column its text.

The standard library's reader says where a row ends and what its fields are; where a field
stands in the row is worked out again only for rows that change. Which way fields are quoted is
told by the first rows: it is the one in which most of them are as wide as the line of headings.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from masker.archive.fields import Fields
from masker.archive.formats.base import Context, Format, Read
from masker.archive.records import Record, Unreadable, microseconds, with_copies
from masker.archive.spelling import decoded, field_spans

_DELIMITERS = ",\t;|"
_BOM = "\ufeff"
_MAX_FIELD = 1 << 24
_TITLE_LINES = 10


class Quoting(NamedTuple):
    """How fields are quoted: not at all, with quotes doubled, or with a backslash before them."""

    name: str
    options: dict[str, Any]


_PLAIN = Quoting("0", {"quoting": csv.QUOTE_NONE})
_DOUBLED = Quoting("1", {"quoting": csv.QUOTE_MINIMAL})
_ESCAPED = Quoting("2", {"quoting": csv.QUOTE_MINIMAL, "doublequote": False, "escapechar": "\\"})
_QUOTINGS = {quoting.name: quoting for quoting in (_PLAIN, _DOUBLED, _ESCAPED)}


class Table(Format):
    """A line of headings, then rows; comma, tab, semicolon or bar between fields."""

    name = "csv"

    def recognises(self, head: bytes, path: Path) -> bool:
        return _heading(head) is not None or (
            _delimiter(head) is not None and path.suffix.casefold() in {".csv", ".tsv"}
        )

    def prepare(self, head: bytes, context: Context) -> None:
        above = _heading(head, context.fields) or 0
        below = b"".join(head.splitlines(keepends=True)[above:])
        delimiter = _delimiter(below) or ","
        context.hints["above"] = str(above)
        context.hints["delimiter"] = delimiter
        context.hints["quoted"] = _quoting(below, delimiter)
        context.chosen = context.fields.chosen(_header(below, delimiter))

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        lines = _Lines(stream)
        for _ in range(int(context.hints["above"])):
            next(lines, None)
        delimiter, quoting = context.hints["delimiter"], _QUOTINGS[context.hints["quoted"]]
        csv.field_size_limit(_MAX_FIELD)
        reader = csv.reader(lines, delimiter=delimiter, **quoting.options)
        header = [name.removeprefix(_BOM) for name in next(reader, [])]
        columns = {role: header.index(name) for role, name in context.chosen.items()}
        texts = [header.index(name) for name in context.fields.texts(header)]
        width = len(header)
        while True:
            begin, line = lines.offset, lines.number + 1
            lines.taken = []
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield Unreadable(begin, lines.offset, line, "is not CSV")
                continue
            if not row:
                continue
            raw = b"".join(lines.taken)
            try:
                spans = field_spans(raw, ord(delimiter), quoting.name)
            except ValueError:
                spans = []
            there = [column for column in texts if column < len(row)]
            if len(row) > width or len(spans) != len(row) or not there:
                reason = f"has {len(row)} fields, the header {width}"
                if not spans:
                    reason = "has a quote that is not closed"
                yield Unreadable(begin, lines.offset, line, reason)
                continue
            yield from with_copies(
                [
                    _record(
                        row, column, place, columns, context, (begin, lines.offset),
                        f"csv:{ord(delimiter)} {quoting.name} {column}",
                    )
                    for place, column in enumerate(there)
                ]
            )  # fmt: skip


def _record(
    row: list[str],
    column: int,
    place: int,
    columns: dict[str, int],
    context: Context,
    region: tuple[int, int],
    spelling: str,
) -> Record:
    def given(role: str) -> str | None:
        column_of = columns.get(role, len(row))
        return row[column_of] or None if column_of < len(row) else None

    sender, identity = given("sender") or "user", given("id")
    if place:
        sender, identity = f"{sender}\0{column}", f"{identity}\0{column}" if identity else None
    return Record(
        *region,
        spelling,
        row[column],
        given("conversation") or context.name,
        sender,
        identity,
        microseconds(given("time"), context.zone),
        given("channel"),
        given("subject") if not place else None,
    )


class _Lines:
    """The lines of a stream as text, while counting what was taken."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.offset = 0
        self.number = 0
        self.taken: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(_MAX_FIELD)
        if not line:
            raise StopIteration
        self.offset += len(line)
        self.number += 1
        self.taken.append(line)
        return decoded(line)


def _heading(head: bytes, fields: Fields | None = None) -> int | None:
    """How many lines stand above the headings: a title, or what Excel reads (`sep=;`)."""
    fields = fields or Fields()
    for place, line in enumerate(head.split(b"\n")[:_TITLE_LINES]):
        delimiter = _delimiter(line)
        if delimiter is not None:
            chosen = fields.chosen(_header(line, delimiter))
            if "text" in chosen and len(chosen) > 1:
                return place
    return None


def _delimiter(head: bytes) -> str | None:
    first = decoded(head.split(b"\n", 1)[0])
    counts = {cut: first.count(cut) for cut in _DELIMITERS}
    best = max(counts, key=lambda cut: counts[cut])
    return best if counts[best] else None


def _header(head: bytes, delimiter: str) -> list[str]:
    line = decoded(head.split(b"\n", 1)[0]).removeprefix(_BOM).strip("\r\n")
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _quoting(head: bytes, delimiter: str) -> str:
    """How fields are quoted; what is usual where several ways would do."""
    order = (_PLAIN, _DOUBLED, _ESCAPED) if delimiter == "\t" else (_DOUBLED, _ESCAPED, _PLAIN)
    return min(order, key=lambda quoting: _misfits(head, delimiter, quoting)).name


def _misfits(head: bytes, delimiter: str, quoting: Quoting) -> int:
    """How many of the first rows are not as wide as the headings, read so."""
    lines = decoded(head).splitlines(keepends=True)
    if len(lines) > 1 and not head.endswith(b"\n"):
        # It may be cut off.
        lines.pop()
    width, wrong = 0, 0
    try:
        for row in csv.reader(lines, delimiter=delimiter, **quoting.options):
            width = width or len(row)
            wrong += bool(row) and len(row) != width
    except csv.Error:
        return len(lines)
    return wrong
