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
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from masker.archive.fields import Fields
from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.json_scan import Scanner
from masker.archive.records import ArchiveError, Rows, Unreadable, all_microseconds, strings

CHUNK = 1 << 20
MAX_LINE = 1 << 26
_SAMPLE = 200
_FIRST = 8
BOM = b"\xef\xbb\xbf"
_ROLES = ("conversation", "sender", "id", "time", "channel", "subject")
# A name of a field may be written with escapes; then it is not seen as what it is.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_ESCAPED = b"\\u00"
_SAID = re.compile(rb'["0-9]')
_Scalar = str | int | float | None


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
        decoder = _decoder_for(context.fields, context.chosen)
        scanner = Scanner(context)
        number = 0 if not stream.seekable() else -1
        for offset, chunk in _chunks(stream, start, end):
            lines = chunk.split(b"\n")
            if not lines[-1]:
                lines.pop()
            rows = _rows(decoder, chunk, lines, context)
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


def _decoder_for(fields: Fields, chosen: dict[str, str]) -> msgspec.json.Decoder[Any] | None:
    """A decoder of the fields that matter; None where the text is nowhere at the top."""
    if "text" not in chosen:
        return None
    wanted: list[tuple[str, Any, Any]] = [("text", str, msgspec.NODEFAULT)]
    rename = {"text": chosen["text"]}
    for role in _ROLES:
        wanted.append((role, _Scalar, None))
        rename[role] = chosen.get(role, f"~{role}, which is not there")
    # Another text field in a line makes that line one to look at with care.
    others = [name for name in _other_texts(fields) if name != chosen["text"]]
    for place, name in enumerate(others):
        if name not in rename.values():
            wanted.append((f"other{place}", None, None))
            rename[f"other{place}"] = name
    row = msgspec.defstruct("Row", wanted, rename=rename, gc=False)
    return msgspec.json.Decoder(row)


def _other_texts(fields: Fields) -> tuple[str, ...]:
    if "text" in fields.told:
        return ()
    return (
        "text", "body", "content", "message", "msg", "description", "summary", "title", "subject",
    )  # fmt: skip


def _rows(
    decoder: msgspec.json.Decoder[Any] | None, chunk: bytes, lines: list[bytes], context: Context
) -> list[Any] | None:
    """The rows of a chunk, if every line of it is a plain one."""
    if decoder is None:
        return None
    key = f'"{context.chosen["text"]}"'.encode()
    if (
        chunk.count(key) != len(lines)
        or (_ESCAPED in chunk and _ESCAPED_LETTER.search(chunk))
        or chunk[:3] == b"\xef\xbb\xbf"
    ):
        return None
    try:
        rows: list[Any] = decoder.decode_lines(chunk)
    except (ValueError, RecursionError):
        return None
    return rows if len(rows) == len(lines) else None


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
