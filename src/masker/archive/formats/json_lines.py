"""JSONL: one object a line.

Most lines are alike and flat: those are decoded by msgspec, many at a time, and only where one is
to change is it looked at where its text stands. Any other line goes through the scanner that
knows every string's place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.json_scan import Scanner
from masker.archive.records import ArchiveError, Rows, Unreadable, all_microseconds, strings
from masker.archive.spelling import is_markup

CHUNK = 1 << 20
MAX_LINE = 1 << 26
_SAMPLE = 200
_FIRST = 8
BOM = b"\xef\xbb\xbf"
_ROLES = ("conversation", "sender", "id", "time", "channel", "subject")
# A name of a field may be written with escapes; then it is not seen as what it is.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_ESCAPE, _ESCAPED = b"\\", b"\\u00"
_ESCAPED_LESS_THAN = b"\\u003"
_SAID = re.compile(rb'["0-9]')
_NAME = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"\s*:', re.DOTALL)
# Lines with more different fields than these have values for names.
_MAX_NAMES = 256
_Scalar = str | int | float | None
_any_lines = msgspec.json.Decoder()


class JsonLines(Format):
    """One JSON value a line."""

    name = "jsonl"
    splits = True

    def recognises(self, head: bytes, path: Path) -> bool:
        lines = [line for line in head.removeprefix(BOM).split(b"\n")[:_FIRST] if line.strip()]
        if not lines or lines[0].lstrip()[:1] != b"{":
            return False
        whole = sum(map(_is_object, lines))
        # One object alone is a document, unless it is called otherwise; and a line may be broken.
        return (
            whole > 1
            or (whole == 1 and len(lines) > 1)
            or (path.suffix.casefold() in {".jsonl", ".ndjson"})
        )

    def prepare(self, head: bytes, context: Context) -> None:
        names: dict[str, None] = {}
        for line in head.lstrip(b"\xef\xbb\xbf").split(b"\n")[:_SAMPLE]:
            try:
                value = msgspec.json.decode(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                names.update(dict.fromkeys(value))
        context.chosen = context.fields.chosen(names)

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        plain = _PlainRows(context)
        scanner = Scanner(context)
        number = 0 if not stream.seekable() else -1
        for offset, chunk in _chunks(stream, start, end):
            lines = chunk.split(b"\n")
            if not lines[-1]:
                lines.pop()
            rows = plain.rows(chunk, len(lines))
            if rows is not None:
                yield _fast(rows, lines, offset, context)
            else:
                # Only where a line may be told of is it known how many are before it.
                number = _lines_before(stream, offset) if number < 0 else number
                yield from _careful(lines, offset, number, scanner, context)
            if number >= 0:
                number += len(lines)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines_before(stream: BinaryIO, offset: int) -> int:
    if offset == 0 or not stream.seekable():
        return 0
    here = stream.tell()
    stream.seek(0)
    count = 0
    while offset > 0 and (chunk := stream.read(min(CHUNK, offset))):
        count += chunk.count(b"\n")
        offset -= len(chunk)
    stream.seek(here)
    return count


def _chunks(stream: BinaryIO, start: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Whole lines that begin within the range, some megabyte at a time."""
    offset = start
    if start:
        # A line that begins before the range belongs to the range before.
        stream.seek(start - 1)
        offset = start - 1 + len(stream.readline())
    while end is None or offset < end:
        size = CHUNK if end is None else min(CHUNK, end - offset)
        chunk = stream.read(size)
        if not chunk:
            return
        if not chunk.endswith(b"\n"):
            chunk += stream.readline(MAX_LINE)
        yield offset, chunk
        offset += len(chunk)


class _PlainRows:
    """Decodes lines of which nothing but one string at the top is text.

    Which fields lines have is learned as they come: a field that is not known yet, and any that
    holds text, makes msgspec refuse the line.
    """

    def __init__(self, context: Context) -> None:
        self._fields = context.fields
        self._chosen = context.chosen
        self._key = f'"{context.chosen.get("text", "")}"'.encode()
        self._nested: dict[str, bool] = {}
        self._within: list[str] = []
        self._decoder = self._made() if "text" in context.chosen else None

    def rows(self, chunk: bytes, count: int) -> list[Any] | None:
        """The rows of a chunk of so many lines, if every one is plain."""
        if (
            self._decoder is None
            or chunk.count(self._key) != count
            # A search for one byte is many times as fast as one for several.
            or (_ESCAPE in chunk and _ESCAPED in chunk and _ESCAPED_LETTER.search(chunk))
            or chunk[: len(BOM)] == BOM
        ):
            return None
        try:
            rows = self._decoded(chunk)
        except (ValueError, RecursionError):
            return None
        if len(rows) != count or self._has_text_within(rows):
            return None
        may_be_markup = b"<" in chunk or (_ESCAPE in chunk and _ESCAPED_LESS_THAN in chunk)
        if may_be_markup and any(is_markup(row.text) for row in rows):
            # What is HTML is taken apart.
            return None
        return rows

    def _decoded(self, chunk: bytes) -> list[Any]:
        assert self._decoder is not None
        try:
            return self._decoder.decode_lines(chunk)
        except msgspec.ValidationError:
            if not self._learned(chunk):
                raise
        return self._decoder.decode_lines(chunk)

    def _learned(self, chunk: bytes) -> bool:
        """Whether these lines have fields that were not known, none of which is text."""
        before = dict(self._nested)
        for row in _any_lines.decode_lines(chunk):
            if isinstance(row, dict):
                for name, value in row.items():
                    nested = isinstance(value, dict | list)
                    self._nested[name] = self._nested.get(name, False) or nested
        if self._nested == before or len(self._nested) > _MAX_NAMES:
            return False
        self._decoder = self._made()
        return True

    def _made(self) -> msgspec.json.Decoder[Any]:
        wanted: list[tuple[str, Any, Any]] = [("text", str, msgspec.NODEFAULT)]
        rename = {"text": self._chosen["text"]}
        for role in _ROLES:
            wanted.append((role, _Scalar, None))
            rename[role] = self._chosen.get(role, f"~{role}, which is not there")
        self._within = []
        for place, (name, nested) in enumerate(self._nested.items()):
            if name in rename.values():
                continue
            if self._fields.is_text(name):
                # Another text, where there is one: nothing is to be masked in an empty one.
                kind: Any = Literal[""] | None
            elif nested:
                kind = msgspec.Raw
                self._within.append(f"other{place}")
            else:
                kind = str | int | float | bool | None
            wanted.append((f"other{place}", kind, msgspec.Raw() if kind is msgspec.Raw else None))
            rename[f"other{place}"] = name
        row = msgspec.defstruct("Row", wanted, rename=rename, gc=False, forbid_unknown_fields=True)
        return msgspec.json.Decoder(row)

    def _has_text_within(self, rows: list[Any]) -> bool:
        """Whether what is nested in these rows has a field that holds text."""
        for field in self._within:
            nested = b",".join([bytes(raw) for raw in map(attrgetter(field), rows)])
            for key in set(_NAME.findall(nested)):
                if b"\\" in key or self._fields.is_text(key.decode("utf-8", "replace")):
                    return True
        return False


def _fast(rows: list[Any], lines: list[bytes], offset: int, context: Context) -> Rows:
    ends = list(accumulate(map(len, lines), lambda end, size: end + size + 1, initial=offset))
    return Rows(
        f"json-line:{context.chosen['text']}",
        ends[:-1],
        [end - 1 for end in ends[1:]],
        [row.text for row in rows],
        _named([row.conversation for row in rows], context.name),
        _named([row.sender for row in rows], "user"),
        strings([row.id for row in rows]),
        all_microseconds([row.time for row in rows], context.zone),
        strings([row.channel for row in rows]),
        strings([row.subject for row in rows]),
    )


def _named(told: list[_Scalar], default: str) -> list[str]:
    return [default if value is None else value for value in strings(told)]


def _careful(
    lines: list[bytes], offset: int, number: int, scanner: Scanner, context: Context
) -> Read:
    for line in lines:
        number += 1
        body, start = line, offset
        offset += len(line) + 1
        if body.startswith(b"\xef\xbb\xbf") and start == 0:
            body, start = body[3:], 3
        if not body.strip():
            continue
        reason = None
        try:
            _check(body)
            records = scanner.line(body, start, context.name)
            if not records and _says_something(body):
                reason = "is no object"
        except RecursionError:
            reason = "is nested too deeply"
        except (ArchiveError, ValueError):
            reason = "is not JSON" if len(body) <= MAX_LINE else "is too long"
        if reason is not None:
            yield Unreadable(start, start + len(body.rstrip(b"\r")), number, reason)
            continue
        yield from records


def _says_something(line: bytes) -> bool:
    """Whether a line is a string, a number, or a list of them: whose it is, nobody knows."""
    return line.lstrip()[:1] != b"{" and _SAID.search(line) is not None


def _check(line: bytes) -> None:
    """Raise where a line is no JSON; half surrogates are JSON to everybody but msgspec."""
    if len(line) > MAX_LINE:
        raise ArchiveError("is longer than a line may be")
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        json.loads(line.decode("utf-8"))
