"""Parquet: a row is a message.

Written back by pyarrow with the same schema, compression and row groups.

A place is a row and a column here, not bytes: `start` is the row, `end` the column.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from masker.archive.fields import Fields
from masker.archive.formats.base import Context, Format, Read
from masker.archive.records import (
    MAX_MICROSECONDS,
    ArchiveError,
    Edit,
    Record,
    Rows,
    all_microseconds,
    strings,
    with_copies,
)
from masker.archive.sifting import strings_of
from masker.archive.spelling import BLANK

_BATCH = 8192


class Parquet(Format):
    """A Parquet file."""

    name: ClassVar[str] = "parquet"
    splits = True

    def recognises(self, head: bytes, path: Path) -> bool:
        return head[:4] == b"PAR1"

    def row_groups(self, stream: BinaryIO) -> list[tuple[int, int]]:
        """Where each row group begins and ends, in rows."""
        metadata = _opened(stream).metadata
        ends, at = [], 0
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            ends.append((at, at + rows))
            at += rows
        return ends

    def prepare_file(self, stream: BinaryIO, context: Context) -> None:
        """Guess the fields from the schema.

        Raises:
            ArchiveError: there is text within a column of lists or structs.
        """
        schema = _opened(stream).schema_arrow
        for field in schema:
            if pa.types.is_nested(field.type) and _holds_text(field, context.fields):
                where = f"has text within its column {field.name!r}"
                raise ArchiveError(f"{where}, which is not read: flatten it first")
        context.chosen = context.fields.chosen(schema.names)

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        file = _opened(stream)
        schema = file.schema_arrow
        texts = [
            name for name in context.fields.texts(schema.names) if _is_text(schema.field(name).type)
        ]
        if not texts:
            raise ArchiveError("has no column that is known as text and holds any")
        columns = list(dict.fromkeys([*texts, *context.chosen.values()]))
        row = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row >= start and (end is None or row < end):
                at = row
                for whole in file.iter_batches(_BATCH, row_groups=[group], columns=columns):
                    batch = _without_views(whole)
                    if len(texts) == 1:
                        yield _rows(batch, at, texts[0], schema, context)
                    else:
                        yield from _records(batch, at, texts, schema, context)
                    at += batch.num_rows
            row += rows

    def rewrite(self, source: BinaryIO, sink: BinaryIO, edits: Iterator[Edit]) -> int:
        """Write the file with these edits; the number of texts that had to be blanked."""
        file = _opened(source)
        schema = file.schema_arrow
        blanked, row = 0, 0
        edit = next(edits, None)
        with pq.ParquetWriter(sink, schema, **_settings(file)) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                stop = row + table.num_rows
                changes: dict[int, dict[int, Edit]] = {}
                while edit is not None and edit.start < stop:
                    changes.setdefault(edit.end, {})[edit.start - row] = edit
                    edit = next(edits, None)
                for column, at in changes.items():
                    values, bad = _masked(table.column(column), at)
                    blanked += bad
                    table = table.set_column(column, schema.field(column), values)
                writer.write_table(table, row_group_size=max(1, table.num_rows))
                row = stop
        return blanked


def _opened(stream: BinaryIO) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(stream)
    except (pa.ArrowException, OSError):
        raise ArchiveError("is broken Parquet") from None


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _holds_text(field: pa.Field, fields: Fields) -> bool:
    """Whether a field is called as text is, or one within it."""
    kind = field.type
    if pa.types.is_struct(kind):
        return any(_holds_text(kind.field(place), fields) for place in range(kind.num_fields))
    if pa.types.is_map(kind):
        return _holds_text(kind.item_field.with_name(field.name), fields)
    if pa.types.is_nested(kind):
        return _holds_text(pa.field(field.name, kind.value_type), fields)
    return _is_text(kind) and fields.is_text(field.name)


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with plain strings for views of strings, which pyarrow can do little with."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_string_view(field.type):
            plain = batch.column(place).cast(pa.large_string())
            batch = batch.set_column(place, field.with_type(plain.type), plain)
    return batch


def _rows(batch: pa.RecordBatch, row: int, name: str, schema: pa.Schema, context: Context) -> Rows:
    """A batch with one column of text, column by column."""
    places = list(range(row, row + batch.num_rows))
    kept = batch.column(name).is_valid()
    if kept.false_count:
        places = [place for place, there in zip(places, kept.to_pylist(), strict=True) if there]
        batch = batch.filter(kept)
    size, chosen = batch.num_rows, context.chosen
    nothing: list[Any] = [None] * size

    def column(role: str) -> list[Any]:
        return strings(batch.column(chosen[role]).to_pylist()) if role in chosen else nothing

    return Rows(
        "value",
        places,
        [schema.get_field_index(name)] * size,
        batch.column(name).to_pylist(),
        [context.name if told is None else told for told in column("conversation")],
        ["user" if told is None else told for told in column("sender")],
        column("id"),
        _times(batch, context) or nothing,
        column("channel"),
        column("subject"),
    )


def _records(
    batch: pa.RecordBatch, row: int, texts: list[str], schema: pa.Schema, context: Context
) -> Iterator[Record]:
    size, chosen = batch.num_rows, context.chosen
    nothing: list[Any] = [None] * size

    def column(role: str) -> list[Any]:
        return batch.column(chosen[role]).to_pylist() if role in chosen else nothing

    conversations, senders, ids = column("conversation"), column("sender"), column("id")
    channels, subjects = column("channel"), column("subject")
    times = _times(batch, context) or nothing
    values = [
        (schema.get_field_index(name), f"\0{name}" if place else "", batch.column(name).to_pylist())
        for place, name in enumerate(texts)
    ]
    for at in range(size):
        conversation, sender, identity = conversations[at], senders[at], ids[at]
        records = [
            Record(
                row + at,
                index,
                "value",
                said[at],
                context.name if conversation is None else str(conversation),
                ("user" if sender is None else str(sender)) + lane,
                None if identity is None else f"{identity}{lane}",
                times[at],
                None if channels[at] is None else str(channels[at]),
                None if subjects[at] is None or lane else str(subjects[at]),
            )
            for index, lane, said in values
            if said[at] is not None
        ]
        yield from with_copies(records) if len(records) > 1 else records


def _times(batch: pa.RecordBatch, context: Context) -> list[int | None]:
    if "time" not in context.chosen:
        return []
    values = batch.column(context.chosen["time"])
    if pa.types.is_timestamp(values.type):
        # Nanoseconds are more than a datetime holds.
        zone = values.type.tz
        values = values.cast(pa.timestamp("us", zone), safe=False)
        if zone is not None or context.zone is UTC:
            return _within(values.cast(pa.int64()).to_pylist())
    return all_microseconds(values.to_pylist(), context.zone)


def _within(times: list[int | None]) -> list[int | None]:
    """Times in microseconds, less those of no year that a message can be of."""
    return [time if time is not None and abs(time) < MAX_MICROSECONDS else None for time in times]


def _masked(column: pa.ChunkedArray, edits: dict[int, Edit]) -> tuple[pa.ChunkedArray, int]:
    """A column with these edits, of rows in their order; and how many were blanked."""
    kind = column.type
    # Not `pa.array`: that imports pandas where there is one, which is half of a scan's memory.
    rows = pa.Array.from_buffers(pa.int64(), len(edits), [None, pa.py_buffer(array("q", edits))])
    plain = column if pa.types.is_large_string(kind) else column.cast(pa.large_string())
    texts, blanked = [], 0
    for text, edit in zip(plain.take(rows).to_pylist(), edits.values(), strict=True):
        characters = list(text or "")
        if edit.spelling == BLANK or len(characters) != edit.size:
            blanked += 1
            texts.append("*" * len(characters))
            continue
        for low, high in edit.ranges:
            characters[low:high] = "*" * (high - low)
        texts.append("".join(characters))
    marks = bytearray(-(-len(column) // 8))
    for row in edits:
        marks[row >> 3] |= 1 << (row & 7)
    mask = pa.Array.from_buffers(pa.bool_(), len(column), [None, pa.py_buffer(marks)])
    masked = pc.replace_with_mask(plain.combine_chunks(), mask, strings_of(texts))
    if pa.types.is_dictionary(kind):
        masked = masked.cast(kind.value_type).dictionary_encode()
    return pa.chunked_array([masked if masked.type == kind else masked.cast(kind)]), blanked


def _settings(file: pq.ParquetFile) -> dict[str, Any]:
    """How the file was written, as far as Parquet says."""
    metadata = file.metadata
    version = {"1.0": "1.0", "2.4": "2.4"}.get(metadata.format_version, "2.6")
    settings: dict[str, Any] = {"version": version, "store_schema": _has_schema(metadata)}
    if metadata.num_row_groups == 0:
        return settings
    group = metadata.row_group(0)
    compression, dictionaries, statistics = {}, [], []
    for place in range(group.num_columns):
        column = group.column(place)
        path = column.path_in_schema
        codec = column.compression
        compression[path] = "NONE" if codec == "UNCOMPRESSED" else codec
        if any("DICTIONARY" in encoding for encoding in column.encodings):
            dictionaries.append(path)
        if column.is_stats_set:
            statistics.append(path)
    settings["compression"] = compression
    settings["use_dictionary"] = dictionaries or False
    settings["write_statistics"] = statistics or False
    settings["use_deprecated_int96_timestamps"] = any(
        group.column(place).physical_type == "INT96" for place in range(group.num_columns)
    )
    return settings


def _has_schema(metadata: Any) -> bool:
    return metadata.metadata is not None and b"ARROW:schema" in metadata.metadata
