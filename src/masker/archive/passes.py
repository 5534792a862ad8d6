"""What a process of a scan does: a piece of one pass, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from masker import MaskedMessage, Masker
from masker.archive import layers
from masker.archive.conversations import Conversations, Found, Place
from masker.archive.extraction import EDIT, Extracted, Extraction, edit_record
from masker.archive.fields import Fields
from masker.archive.formats import FORMATS
from masker.archive.partitions import Blocks, Partitions, Sorter, files_of, in_order, new_key
from masker.archive.records import Edit, is_full, reason_of
from masker.archive.sources import File, context_of
from masker.archive.workers import tick
from masker.archive.writing import prepare

__all__ = ["new_key"]

WORTH_PROCESSES = 4 << 20
_STORED_TOGETHER = 256
_EDITS_IN_MEMORY = 16 << 20
_TICK = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_found = msgspec.msgpack.Decoder(Found).decode


@dataclass(frozen=True)
class Setup:
    """Everything a process needs to know; sent to it once."""

    folder: Path
    state: Path
    attempt: str
    key: bytes
    partitions: int
    files: list[File]
    fields: dict[str, str]
    zone: str
    per_file: bool
    keep_all: bool
    rules: tuple[str, ...]
    rules_path: Path | None
    digest_key: bytes | None

    def __repr__(self) -> str:
        return f"Setup({len(self.files)} files)"


class ExtractTask(NamedTuple):
    """Ranges of sources: number, from, to."""

    pieces: list[tuple[int, int, int | None]]


class MaskAnswer(NamedTuple):
    """What masking a partition gave: sorted files, and how often it failed."""

    edits: list[Path]
    findings: list[Path]
    failures: int


class _State:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.masker = Masker(rules=setup.rules or None, rules_path=setup.rules_path)
        self.fields = Fields(setup.fields)
        self.sources = {s.number: s for file in setup.files for s in file.sources}


_state: _State | None = None


def begin(setup: Setup) -> None:
    """Get a process ready."""
    global _state
    _state = _State(setup)


def _ready() -> _State:
    assert _state is not None
    return _state


def extract(task: ExtractTask) -> list[Extracted]:
    """The first pass over some ranges."""
    state = _ready()
    setup = state.setup
    extraction = Extraction(
        state.masker, setup.folder, setup.key, setup.partitions,
        keep_all=setup.keep_all, per_file=setup.per_file,
    )  # fmt: skip
    answers = []
    for number, start, end in task.pieces:
        source = state.sources[number]
        path = Path(setup.files[source.file].path)
        form = FORMATS[source.format]
        context = context_of(source, state.fields, setup.zone)
        try:
            with layers.plain(path, source.member, source.layers) as stream:
                answers.append(
                    extraction.take(number, form.read(stream, context, start, end), source.name)
                )
        except Exception as error:
            if is_full(error):
                raise
            answers.append(Extracted(links=set(), failed=reason_of(error)))
        tick(source.size if end is None else end - start)
    extraction.flush()
    extraction.blanks()
    return answers


def relink(setup: Setup, roots: dict[int, int] | None) -> None:
    """Put conversations that share a subject into one component; without roots, all of them."""
    blocks = Blocks(setup.key)
    paths = [path for number in range(setup.partitions) for path in files_of(setup.folder, number)]
    again = Partitions(setup.folder, setup.partitions, setup.key)
    for path in paths:
        for records in blocks.read(path):
            for record in records:
                component = int.from_bytes(record[:4], "big")
                root = 0 if roots is None else roots.get(component, component)
                again.add(root % setup.partitions, root.to_bytes(4, "big") + record[4:])
        path.unlink()
    again.flush()


def mask(partition: int, store: Callable[[list[MaskedMessage]], None] | None = None) -> MaskAnswer:
    """The second pass over one partition."""
    state = _ready()
    setup = state.setup
    edits = Sorter(setup.folder, None, _EDITS_IN_MEMORY)
    findings = Sorter(setup.folder, None, _EDITS_IN_MEMORY)
    waiting: list[MaskedMessage] = []

    def write(place: Place, edit: Edit) -> None:
        edits.add(edit_record(place.source, edit))

    def report(place: Place, found: Found) -> None:
        findings.add(EDIT.pack(place.source, place.start) + _encode(found))

    def keep(message: MaskedMessage) -> None:
        waiting.append(message)
        if store is not None and len(waiting) >= _STORED_TOGETHER:
            store(list(waiting))
            waiting.clear()

    conversations = Conversations(
        state.masker, write, report,
        digest_key=setup.digest_key, keep=keep if store is not None else None,
    )  # fmt: skip
    paths = files_of(setup.folder, partition)
    conversations.mask(in_order(paths, setup.key, setup.folder))
    if store is not None and waiting:
        store(waiting)
    return MaskAnswer(edits.runs(), findings.runs(), conversations.failures)


def write(
    task: tuple[int, dict[int, tuple[int, int]]],
) -> tuple[Path | None, int, str | None, bool]:
    """The third pass over one file.

    Where it was written, what was blanked, what went wrong, and whether that may go well later.
    """
    number, sections = task
    setup = _ready().setup

    def edits(source: int) -> Iterator[Edit]:
        return edits_in(setup.state / "edits", sections.get(source, (0, 0)))

    try:
        part, blanked = prepare(setup.files[number], edits, setup.attempt)
    except Exception as error:  # noqa: BLE001 - a file that cannot be written is not, and no more
        return None, 0, reason_of(error), is_full(error)
    return part, blanked, None, False


def edits_in(path: Path, section: tuple[int, int]) -> Iterator[Edit]:
    """The edits of one source."""
    at, stop = section
    if at >= stop:
        return
    with path.open("rb") as file:
        file.seek(at)
        while at < stop:
            size = int.from_bytes(file.read(4), "big")
            record = file.read(size)
            at += 4 + size
            _, start = EDIT.unpack_from(record)
            end, spelling, length, ranges = msgspec.msgpack.decode(record[EDIT.size :])
            yield Edit(start, end, spelling, length, tuple((a, b) for a, b in ranges))


def findings_in(path: Path) -> Iterator[Found]:
    """All findings of a scan."""
    return (found for _, _, found in findings_with_places(path))


def findings_with_places(path: Path) -> Iterator[tuple[int, int, Found]]:
    """All findings with their source and place, in that order."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while head := file.read(4):
            record = file.read(int.from_bytes(head, "big"))
            source, start = EDIT.unpack_from(record)
            yield source, start, _found(record[EDIT.size :])
