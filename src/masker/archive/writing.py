"""Writing a file again with its edits: all else is copied, and all of it or nothing appears."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from zipfile import ZipFile, ZipInfo

from masker.archive import layers
from masker.archive.formats import FORMATS, Parquet
from masker.archive.records import ArchiveError, Edit
from masker.archive.sources import PART, File, Source, identity_of
from masker.archive.spelling import mask_region

_COPY = 1 << 20
Edits = Callable[[int], Iterator[Edit]]
"""The edits of a source, by its number, in the order of their places."""


class Splice:
    """Copies a plain stream and replaces regions of it."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._at = 0
        self.blanked = 0

    def run(self, edits: Iterator[Edit]) -> None:
        """Write all of the stream."""
        waiting: list[Edit] = []
        for edit in edits:
            # Several texts of one row, and one text that was found twice, share a region.
            if waiting and edit.start != waiting[0].start:
                self._write(waiting)
                waiting = []
            waiting.append(edit)
        if waiting:
            self._write(waiting)
        shutil.copyfileobj(self._source, self._sink, _COPY)

    def _write(self, edits: list[Edit]) -> None:
        first = edits[0]
        self._copy(first.start - self._at)
        end = max(edit.end for edit in edits)
        region = self._take(end - first.start)
        self._at = end
        pending: dict[str, Edit] = {}
        for edit in edits:
            pending.setdefault(edit.spelling, edit)
        # A star may be shorter than what it hides, so the last one goes first.
        for edit in sorted(pending.values(), key=_column, reverse=True):
            rest = region[edit.end - first.start :]
            region, whole = mask_region(
                region[: edit.end - first.start], edit.spelling, edit.size, edit.ranges
            )
            region += rest
            self.blanked += not whole
        self._sink.write(region)

    def _copy(self, count: int) -> None:
        if count < 0:
            raise ArchiveError("has edits that cross each other")
        while count:
            chunk = self._take(min(count, _COPY))
            self._sink.write(chunk)
            count -= len(chunk)

    def _take(self, count: int) -> bytes:
        data = self._source.read(count)
        if len(data) < count:
            raise ArchiveError("became shorter while it was read")
        return data


def _column(edit: Edit) -> tuple[int, int, bool]:
    kind, _, rest = edit.spelling.partition(":")
    # What is read with its tags goes before the same without them: there a star may be shorter.
    return edit.end, int(rest.split(" ")[-1]) if kind == "csv" else 0, "html" not in kind


def prepare(file: File, edits: Edits, attempt: str) -> tuple[Path, int]:
    """Write one file beside where it goes; where that is, and how many texts had to be blanked.

    Raises:
        ArchiveError: the file is not the one that was read.
    """
    source = Path(file.path)
    require_same(file)
    target = Path(file.outputs[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{file.number}-{attempt}{PART}")
    try:
        with part.open("wb") as sink:
            blanked = _write(file, source, sink, edits)
            sink.flush()
            os.fsync(sink.fileno())
        require_same(file)
        shutil.copymode(source, part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part, blanked


def require_same(file: File) -> None:
    """Raise where a file was changed since it was first looked at."""
    try:
        same = identity_of(Path(file.path)) == file.identity
    except OSError:
        same = False
    if not same:
        raise ArchiveError("was changed during the scan; it is not written")


def publish(file: File, part: Path) -> None:
    """Put what was prepared in its place, under every name of the file."""
    first, *others = (Path(name) for name in file.outputs)
    for number, other in enumerate(others):
        # Other names of one file stay names of one file.
        other.parent.mkdir(parents=True, exist_ok=True)
        twin = other.with_name(f"{part.name.removesuffix(PART)}-{number}{PART}")
        twin.unlink(missing_ok=True)
        os.link(part, twin)
        twin.replace(other)
        sync_folder(other.parent)
    part.replace(first)
    sync_folder(first.parent)


def clean(files: list[File]) -> None:
    """Remove what a killed scan left half-written beside these files."""
    for folder in {Path(name).parent for file in files for name in file.outputs}:
        if folder.is_dir():
            for left in folder.glob(f".*{PART}"):
                left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(file: File, path: Path, sink: BinaryIO, edits: Edits) -> int:
    changed = {
        source.number: next(edits(source.number), None) is not None for source in file.sources
    }
    if not any(changed.values()):
        with path.open("rb") as raw:
            shutil.copyfileobj(raw, sink, _COPY)
        return 0
    if not file.is_zip:
        return _write_source(file.sources[0], path, sink, edits)
    blanked = 0
    by_member = {source.member: source for source in file.sources}
    with ZipFile(path) as archive, ZipFile(sink, "w") as out:
        out.comment = archive.comment
        for info in archive.infolist():
            with out.open(_like(info), "w", force_zip64=info.file_size >= 1 << 31) as member:
                source = by_member.get(info.filename)
                if source is not None and changed[source.number]:
                    blanked += _write_source(source, path, cast(BinaryIO, member), edits)
                elif not info.is_dir():
                    with archive.open(info) as raw:
                        shutil.copyfileobj(raw, member, _COPY)
    return blanked


def _like(info: ZipInfo) -> ZipInfo:
    made = ZipInfo(info.filename, info.date_time)
    made.compress_type = info.compress_type
    made.external_attr = info.external_attr
    made.create_system = info.create_system
    made.comment = info.comment
    return made


def _write_source(source: Source, path: Path, sink: BinaryIO, edits: Edits) -> int:
    form = FORMATS[source.format]
    if isinstance(form, Parquet):
        with path.open("rb") as raw:
            return form.rewrite(raw, sink, edits(source.number))
    with layers.opened(path, source.member) as raw:
        header = raw.read(512)
    size = -1
    if layers.tells_size(source.layers, header):
        counting = layers.Counting()
        with layers.plain(path, source.member, source.layers) as stream:
            counted = cast(BinaryIO, counting)
            if source.encoding != "utf-8":
                counted = cast(BinaryIO, layers.Recoding(counted, source.encoding))
            Splice(stream, counted).run(edits(source.number))
        size = counting.size
    with (
        layers.plain(path, source.member, source.layers) as stream,
        layers.sink_for(sink, source.layers, header, size) as inner,
    ):
        splice = Splice(stream, inner)
        splice.run(edits(source.number))
    return splice.blanked


@contextmanager
def written_atomically(target: Path) -> Iterator[BinaryIO]:
    """A small file that appears whole or not at all."""
    part = target.with_name(f".{target.name}{PART}")
    try:
        with part.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(target)
        sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)
