"""CSV and TSV: a row is a message, a column its text.

The standard library's reader says where a row ends and what its fields are; where a field
stands in the row is worked out again only for rows that change.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from masker.archive.formats.base import Context, Format, Read
from masker.archive.records import Record, Unreadable, microseconds, with_copies
from masker.archive.spelling import decoded, field_spans

_DELIMITERS = ",\t;|"
_BOM = "\ufeff"
_MAX_FIELD = 1 << 24


class Table(Format):
    """A header line, then rows; comma, tab, semicolon or bar between fields."""

    name = "csv"

    def recognises(self, head: bytes, path: Path) -> bool:
        delimiter = _delimiter(head)
        if delimiter is None:
            return False
        from masker.archive.fields import Fields

        chosen = Fields().chosen(_header(head, delimiter))
        if "text" in chosen and len(chosen) > 1:
            return True
        return path.suffix.casefold() in {".csv", ".tsv"}

    def prepare(self, head: bytes, context: Context) -> None:
        delimiter = _delimiter(head) or ","
        quoted = not (delimiter == "\t" and not _is_quoted(head))
        context.hints["delimiter"] = delimiter
        context.hints["quoted"] = "1" if quoted else "0"
        context.chosen = context.fields.chosen(_header(head, delimiter))

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        lines = _Lines(stream)
        delimiter, quoted = context.hints["delimiter"], context.hints["quoted"] == "1"
        csv.field_size_limit(_MAX_FIELD)
        reader = csv.reader(
            lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
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
                spans = field_spans(raw, ord(delimiter), quoted=quoted)
            except ValueError:
                spans = []
            if len(row) > width or len(spans) != len(row) or max(texts) >= len(row):
                reason = f"has {len(row)} fields, the header {width}"
                if not spans:
                    reason = "has a quote that is not closed"
                yield Unreadable(begin, lines.offset, line, reason)
                continue
            yield from with_copies(
                [
                    _record(
                        row, column, place, columns, context, (begin, lines.offset),
                        f"csv:{ord(delimiter)} {int(quoted)} {column}",
                    )
                    for place, column in enumerate(texts)
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


def _is_quoted(head: bytes) -> bool:
    """Whether fields of a TSV are quoted: every quote that opens one is closed on its line."""
    sample = head.split(b"\n")[:-1]
    fields = [field.rstrip(b"\r") for line in sample for field in line.split(b"\t")]
    opening = [field for field in fields if field.startswith(b'"')]
    return bool(opening) and all(
        len(field) > 1 and field.endswith(b'"') and field.count(b'"') % 2 == 0 for field in opening
    )
