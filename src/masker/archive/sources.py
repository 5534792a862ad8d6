"""What is to be read, and where it goes.

A file is known by its device and inode: however many names it has (hard links, symbolic links,
the same path given twice), it is read once and written under each of its names. The output
folder, and what another scan left there, is never input.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from masker.archive import layers
from masker.archive.fields import Fields
from masker.archive.formats import FORMATS, Context, Parquet, recognised
from masker.archive.formats.json_scan import ALL_TEXTS
from masker.archive.records import ArchiveError

STATE = ".masker-scan"
PART = ".masker-part"
STDIN = "-"
# What is called so is text: where it does not look like one, it is not taken for a picture.
_TEXT_NAMES = {
    ".csv", ".eml", ".htm", ".html", ".json", ".jsonl", ".log", ".mbox", ".md", ".ndjson", ".tsv",
    ".txt", ".xml",
}  # fmt: skip


class Source(msgspec.Struct):
    """One plain stream: a file, or a member of a zip."""

    number: int
    file: int
    member: str | None
    name: str
    folder: str
    compression: str | None
    encoding: str
    format: str
    chosen: dict[str, str]
    hints: dict[str, str]
    size: int

    @property
    def layers(self) -> layers.Layers:
        """How it is wrapped."""
        return layers.Layers(self.compression, self.encoding)


class File(msgspec.Struct):
    """One file of the archive, and the names under which it is written."""

    number: int
    path: str
    name: str
    outputs: list[str]
    identity: list[int]
    sources: list[Source] = []
    is_zip: bool = False


def identity_of(path: Path) -> list[int]:
    """What tells that a file is still the same: any write to it changes this."""
    stat = path.stat()
    return [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns]


class Found:
    """A path that was given, or found in a folder that was."""

    def __init__(self, path: Path, relative: str, root: str, *, told: bool) -> None:
        self.path = path
        self.relative = relative
        self.root = root
        self.told = told


def found(paths: Iterable[str], outside: Iterable[Path], notes: list[str]) -> list[Found]:
    """The files under these paths, sorted; what lies in `outside` is left out.

    Raises:
        ArchiveError: a path does not exist.
    """
    away = [path.resolve() for path in outside]
    files: list[Found] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            files += _walk(path, away, notes)
        elif path.exists():
            files.append(Found(path, path.name, "", told=True))
        elif glob.has_magic(given):
            files += _globbed(given, away, notes)
        else:
            raise ArchiveError(f"{given} does not exist")
    return files


def _globbed(given: str, away: list[Path], notes: list[str]) -> Iterator[Found]:
    fixed = Path(*_before_magic(Path(given)))
    names = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not names:
        raise ArchiveError(f"{given} matches nothing")
    for name in names:
        path = Path(name)
        if path.is_file() and not _is_away(path, away):
            yield Found(path, os.path.relpath(path, fixed), "", told=True)
        elif path.is_dir() and not given.endswith("**"):
            for one in _walk(path, away, notes):
                yield Found(one.path, os.path.relpath(one.path, fixed), "", told=False)


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _walk(root: Path, away: list[Path], notes: list[str]) -> Iterator[Found]:
    inside = root.resolve()
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder)
        notes.extend(
            f"{here / name}: is a link to a folder and is not followed"
            for name in sorted(folders)
            if (here / name).is_symlink()
        )
        folders[:] = sorted(
            name for name in folders
            if name != STATE and not (here / name).is_symlink() and not _is_away(here / name, away)
        )  # fmt: skip
        for name in sorted(names):
            path = here / name
            if name.endswith(PART) or _is_away(path, away):
                continue
            if path.is_symlink() and not path.exists():
                notes.append(f"{path}: is a link to nothing")
            elif not path.is_file():
                notes.append(f"{path}: is no file")
            else:
                yield Found(path, os.path.relpath(path, root), inside.name, told=False)


def _raise(error: OSError) -> None:
    raise error


def _is_away(path: Path, away: list[Path]) -> bool:
    real = path.resolve()
    return any(real == one or one in real.parents for one in away)


def files_of(
    found_files: list[Found], out: Path | None, notes: list[str]
) -> tuple[list[File], list[bool]]:
    """One `File` a file, and whether it was named itself. `out` is None to write in place.

    Raises:
        ArchiveError: two files would be written to one place, or one over itself.
    """
    files: list[File] = []
    told: list[bool] = []
    by_inode: dict[tuple[int, int], int] = {}
    names = [one.relative for one in found_files]
    several = len(set(names)) < len({one.path.resolve() for one in found_files}) and any(
        one.root for one in found_files
    )
    taken: dict[Path, str] = {}
    for one in found_files:
        if out is None and one.path.is_symlink() and not one.told:
            # What it leads to may lie anywhere: in place only what was given is changed.
            notes.append(f"{one.path}: is a link and is not followed")
            continue
        real = one.path.resolve()
        identity = identity_of(real)
        relative = f"{one.root}/{one.relative}" if several and one.root else one.relative
        target = out / relative if out is not None else real
        if out is not None and target.exists() and os.path.samefile(target, real):  # noqa: PTH121 - of two paths
            raise ArchiveError(f"{one.path} would be written over itself: that is --in-place")
        owner = taken.setdefault(target.absolute(), str(real))
        if owner != str(real):
            raise ArchiveError(f"{owner} and {real} would both be written to {target}")
        inode = (identity[0], identity[1])
        if inode in by_inode:
            known = files[by_inode[inode]]
            if str(target) not in known.outputs:
                known.outputs.append(str(target))
            told[by_inode[inode]] |= one.told
            continue
        by_inode[inode] = len(files)
        name = _printable(str(one.path))
        files.append(File(len(files), str(real), name, [str(target)], identity))
        told.append(one.told)
    if out is None:
        _require_all_names(files)
    return files, told


def _printable(name: str) -> str:
    """A name as it is told: file names may be any bytes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _require_all_names(files: list[File]) -> None:
    for file in files:
        links = Path(file.path).stat().st_nlink
        if links > len(file.outputs):
            raise ArchiveError(
                f"{file.name} has {links} names (hard links), of which "
                f"{len(file.outputs)} were given; in place the others would keep the unmasked file"
            )


class Inspector:
    """Looks at how files begin."""

    def __init__(
        self, *, form: str | None, encoding: str | None, fields: dict[str, str], zone: str
    ) -> None:
        if form is not None and form not in FORMATS:
            raise ArchiveError(f"there is no format {form!r}; there are: {', '.join(FORMATS)}")
        self._form = form
        self._encoding = encoding
        self._fields = Fields(fields)
        self._zone = zone
        self._next = 0

    def inspect(self, file: File, *, told: bool) -> list[str]:
        """Fill in a file's sources; notes about what was guessed.

        Raises:
            ArchiveError: it cannot be read, or is no transcript although it was named as one.
        """
        path = Path(file.path)
        with path.open("rb") as raw:
            start = raw.read(4)
        if start in (layers.ZIP, layers.EMPTY_ZIP):
            infos = layers.members(path)
            if layers.is_office(info.filename for info in infos):
                return self._untouched(told)
            file.is_zip = True
            notes = []
            for info in infos:
                if not info.is_dir():
                    notes += self._look(file, path, info.filename, info.file_size, told=False)
            return notes
        return self._look(file, path, None, path.stat().st_size, told=told)

    def _require_no_text(
        self, path: Path, member: str | None, compression: str | None, head: bytes, inner: Path
    ) -> None:
        """Raise where what is no text to us may well hold some: it must not pass for masked."""
        kind = layers.container(head)
        if kind is None and member is None and layers.is_zip(path):
            kind = "zip"
        if kind == "zip" and member and not compression and layers.holds_office(path, member):
            return
        if kind is not None:
            place = f" ({_printable(member)})" if member else ""
            raise ArchiveError(f"holds {kind} inside, which is not read{place}: unpack it first")
        kind = layers.tables(head)
        if kind is not None:
            place = f" ({_printable(member)})" if member else ""
            raise ArchiveError(f"is {kind}, which is not read{place}: export it first")
        if inner.suffix.casefold() in _TEXT_NAMES:
            raise ArchiveError(f"is called {inner.suffix} and is no text")

    def _untouched(self, told: bool) -> list[str]:
        if told:
            raise ArchiveError("is no transcript, and holds no text that could be read")
        return []

    def _look(
        self, file: File, path: Path, member: str | None, size: int, *, told: bool
    ) -> list[str]:
        with layers.opened(path, member) as raw:
            wrapped, head = layers.recognised(raw, self._encoding)
        name = file.name if member is None else f"{file.name}!{_printable(member)}"
        inner = Path(member or file.name)
        if wrapped.compression:
            inner = inner.with_suffix("")
        if not head:
            return []
        if wrapped.encoding == "binary" and head[:4] != layers.PARQUET:
            self._require_no_text(path, member, wrapped.compression, head, inner)
            return self._untouched(told)
        form = FORMATS[self._form] if self._form else recognised(head, inner)
        folder = _printable(
            f"{file.name}!{inner.parent}" if member else str(Path(file.path).parent)
        )
        context = Context(name, folder, self._fields)
        if isinstance(form, Parquet):
            if wrapped.compression or member:
                raise ArchiveError("is Parquet inside another file; take it out first")
            with path.open("rb") as raw:
                form.prepare_file(raw, context)
        else:
            form.prepare(head, context)
        if form.name in {"csv", "parquet"} and "text" not in context.chosen:
            raise ArchiveError("has no column that is known as text; say which: --field text=NAME")
        file.sources.append(
            Source(
                self._next,
                file.number,
                member,
                name,
                folder,
                wrapped.compression,
                wrapped.encoding,
                form.name,
                context.chosen,
                context.hints,
                size,
            )
        )
        self._next += 1
        if ALL_TEXTS in context.hints:
            taken = "no field is known as text, so every string is taken for one"
            return [f"{form.name}: {taken}; say which: --field text=NAME"]
        return [f"{form.name}: {_shown(context.chosen)}"] if context.chosen else []


def _shown(chosen: dict[str, str]) -> str:
    return " ".join(f"{role}={name}" for role, name in sorted(chosen.items()))


def context_of(source: Source, fields: Fields, zone: str) -> Context:
    """What a reader of this source knows."""
    from zoneinfo import ZoneInfo

    return Context(source.name, source.folder, fields, ZoneInfo(zone), source.chosen, source.hints)
