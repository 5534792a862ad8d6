"""A whole archive: find, extract, mask, write.

Three passes, each over as many processes as are asked for. *Extract* reads every file once and
puts what may matter into partitions, whole conversations to one. *Mask* takes each partition in
the order of conversation and time through the redactor and gives edits. *Write* copies every file
with its edits.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from masker import MaskedMessage
from masker.archive import passes
from masker.archive.extraction import MAX_LINKS, Extracted, roots_of
from masker.archive.formats import FORMATS, Parquet
from masker.archive.formats.documents import JsonDocument
from masker.archive.journal import Journal, Plan
from masker.archive.partitions import merged
from masker.archive.passes import ExtractTask, Setup
from masker.archive.records import ArchiveError, is_full, reason_of
from masker.archive.sources import STATE, STDIN, File, Inspector, Source, files_of, found
from masker.archive.workers import Workers
from masker.archive.writing import clean, publish

RANGE_BYTES = 32 << 20
_PARTITION_BYTES = 48 << 20
_MIN_PARTITIONS, _MAX_PARTITIONS = 8, 256


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a scan is asked to do; `out` is None for `in_place` and `dry_run`."""

    out: Path | None = None
    in_place: bool = False
    dry_run: bool = False
    resume: bool = False
    jobs: int = 1
    form: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    encoding: str | None = None
    zone: str = "UTC"
    per_file: bool = False
    rules: tuple[str, ...] = ()
    rules_path: Path | None = None
    digest_key: bytes | None = None


class Listener(Protocol):
    """Whom a scan tells how it goes."""

    def note(self, text: str) -> None:
        """Something a person should know; never content."""

    def phase(self, name: str, total: int) -> None:
        """A pass begins over so many bytes."""

    def advance(self, done: int) -> None:
        """So many bytes of this scan are done, over all passes."""


@dataclass
class Summary:
    """What a scan did."""

    files: int = 0
    changed: int = 0
    copied: int = 0
    texts: int = 0
    unreadable: int = 0
    failed: int = 0
    failures: int = 0
    numbers: int = 0
    dry_run: bool = False
    rules: tuple[str, ...] = ()
    complaints: list[str] = field(default_factory=list)
    """What a person was told of, which is no content: files and lines that could not be read."""
    sources: list[Source] = field(default_factory=list)
    findings: Path | None = None


def scan(
    paths: Iterable[str],
    options: Options,
    listener: Listener,
    *,
    report: Callable[[Summary], None] | None = None,
    store: Callable[[list[MaskedMessage]], None] | None = None,
    stdin: BinaryIO | None = None,
) -> Summary:
    """Mask an archive.

    `report` is called while the findings are still there; `store` takes every message, masked.

    Raises:
        ArchiveError: nothing could be done. What is wrong with one file is told to the listener.
    """
    given = list(paths)
    folder, temporary = _state_folder(given, options)
    try:
        with Journal(folder) as journal:
            return _Scan(journal, options, listener, report, store).run(given, stdin)
    except OSError as error:
        place = error.filename or folder
        raise ArchiveError(f"{place}: {os.strerror(error.errno or 0).lower()}") from None
    finally:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)


def _state_folder(paths: list[str], options: Options) -> tuple[Path, bool]:
    if options.dry_run:
        return Path(tempfile.mkdtemp(prefix="masker-scan-")), True
    if options.out is not None:
        if options.out.exists() and not options.out.is_dir():
            raise ArchiveError(f"{options.out}: a file, where masked files go into a folder")
        return options.out / STATE, False
    if not paths or paths == [STDIN]:
        raise ArchiveError("--in-place takes files and folders, not standard input")
    first = Path(paths[0])
    return (first if first.is_dir() else first.absolute().parent) / STATE, False


class _Scan:
    def __init__(
        self,
        journal: Journal,
        options: Options,
        listener: Listener,
        report: Callable[[Summary], None] | None,
        store: Callable[[list[MaskedMessage]], None] | None,
    ) -> None:
        self._journal = journal
        self._options = options
        self._tell = listener
        self._report = report
        self._store = store
        self._failed: set[int] = set()
        self._complaints: list[str] = []
        self._again = False

    def run(self, paths: list[str], stdin: BinaryIO | None) -> Summary:
        """All passes, or those that are left."""
        options, journal = self._options, self._journal
        plan = journal.plan()
        if plan is not None and not options.resume:
            raise ArchiveError(
                f"{journal.folder} holds a scan that was not finished: --resume goes on with it; "
                "without that folder a new one begins"
            )
        print_of_options = self._digest(paths)
        if plan is not None and plan.options != print_of_options:
            raise ArchiveError(
                f"the scan in {journal.folder} was started with other paths or options"
            )
        resumed = plan is not None
        files = plan.files if plan is not None else self._inspected(paths, stdin)
        setup = self._setup(files)
        workers = Workers(self._jobs(files), passes.begin, (setup,))
        try:
            if plan is None:
                plan = self._masked(files, setup, workers, print_of_options)
            else:
                for complaint in plan.complaints:
                    self._tell.note(complaint)
                self._failed = set(plan.failed)
                self._complaints += plan.complaints
            summary = self._summary(plan)
            if not options.dry_run:
                self._write(plan, workers, summary, resumed=resumed)
        finally:
            workers.close()
        if self._report is not None:
            self._report(summary)
        # What could not be written for want of room is left to be written later.
        if not self._again:
            journal.forget()
        summary.findings = None
        return summary

    def _jobs(self, files: list[File]) -> int:
        # A process costs half a second to start: what one does in less, one does.
        size = sum(source.size for file in files for source in file.sources)
        return max(1, self._options.jobs) if size > passes.WORTH_PROCESSES else 1

    def _digest(self, paths: list[str]) -> str:
        options = self._options
        told = (
            sorted(paths),
            str(options.out),
            options.in_place,
            options.form,
            sorted(options.fields.items()),
            options.encoding,
            options.zone,
            options.per_file,
            options.rules,
            str(options.rules_path),
            options.digest_key is not None,
            self._store is not None,
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _setup(self, files: list[File]) -> Setup:
        options = self._options
        size = sum(source.size for file in files for source in file.sources)
        return Setup(
            folder=self._journal.work,
            state=self._journal.folder,
            attempt=self._journal.attempt,
            key=passes.new_key(),
            partitions=min(max(size // _PARTITION_BYTES, _MIN_PARTITIONS), _MAX_PARTITIONS),
            files=files,
            fields=options.fields,
            zone=options.zone,
            per_file=options.per_file,
            keep_all=self._store is not None,
            rules=options.rules,
            rules_path=options.rules_path,
            digest_key=options.digest_key,
        )

    # -- finding -------------------------------------------------------------------------------

    def _inspected(self, paths: list[str], stdin: BinaryIO | None) -> list[File]:
        options = self._options
        notes: list[str] = []
        spooled: Path | None = None
        if STDIN in paths:
            spooled = self._spooled(stdin)
            paths = [str(spooled) if path == STDIN else path for path in paths]
        outside = [self._journal.folder] + ([options.out] if options.out else [])
        there = found(paths, [] if spooled else outside, notes)
        out = None if options.in_place else options.out or self._journal.folder
        files, told = files_of(there, out, notes)
        for note in notes:
            self._complain(note)
        inspector = Inspector(
            form=options.form, encoding=options.encoding, fields=options.fields, zone=options.zone
        )
        guesses: dict[str, list[str]] = {}
        for file, named in zip(files, told, strict=True):
            if spooled is not None and file.path == str(spooled.resolve()):
                file.name = STDIN
            try:
                for guess in inspector.inspect(file, told=named):
                    guesses.setdefault(guess, []).append(file.name)
            except Exception as error:  # noqa: BLE001 - a broken file ends nothing but itself
                self._fail(file, reason_of(error))
        for guess, names in guesses.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self._tell.note(f"{names[0]}{more}: {guess}")
        return files

    def _spooled(self, stdin: BinaryIO | None) -> Path:
        """Standard input as a file of this scan, which only its owner can read."""
        path = self._journal.work / "stdin"
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as sink:
            if stdin is not None:
                shutil.copyfileobj(stdin, sink, 1 << 20)
        return path

    # -- extracting and masking ----------------------------------------------------------------

    def _masked(self, files: list[File], setup: Setup, workers: Workers, options: str) -> Plan:
        total = sum(source.size for file in files for source in file.sources)
        self._tell.phase("reading", total)
        plan = Plan(1, options, files, [], {}, [], 0, 0, 0)
        links: set[int] | None = set()
        reported: dict[int, int] = {}
        sources = {source.number: source for file in files for source in file.sources}
        for task, answer in workers.run(passes.extract, self._tasks(files), self._tell.advance):
            for piece, extracted in zip(task.pieces, answer, strict=True):
                links = self._noted(files, sources[piece[0]], extracted, plan, links, reported)
        if links is None or links:
            passes.relink(setup, None if links is None else roots_of(links))
        edits, findings = [*self._journal.work.glob("run-*")], []
        self._tell.phase("masking", total)
        runner: Iterable[tuple[int, passes.MaskAnswer]]
        if self._store is None:
            runner = workers.run(passes.mask, range(setup.partitions))
        else:
            # A store has one writer.
            passes.begin(setup)
            runner = (
                (number, passes.mask(number, self._store)) for number in range(setup.partitions)
            )
        for count, (_, masked) in enumerate(runner, 1):
            edits += masked.edits
            findings += masked.findings
            plan.failures += masked.failures
            self._tell.advance(total * count // setup.partitions)
        plan.sections = self._together(edits, self._journal.work / "edits")
        self._together(findings, self._journal.work / "findings")
        plan.failed = sorted(self._failed)
        plan.complaints = self._complaints
        self._journal.keep(plan, self._journal.work / "edits", self._journal.work / "findings")
        return plan

    def _noted(
        self,
        files: list[File],
        source: Source,
        extracted: Extracted,
        plan: Plan,
        links: set[int] | None,
        reported: dict[int, int],
    ) -> set[int] | None:
        plan.texts += extracted.texts
        plan.unreadable += extracted.unreadable
        for line in extracted.reported:
            reported[source.number] = reported.get(source.number, 0) + 1
            if reported[source.number] <= 10:
                self._complain(line)
        if extracted.unreadable > len(extracted.reported):
            more = extracted.unreadable - len(extracted.reported)
            self._complain(f"{source.name}: {more} more cannot be read")
        if extracted.failed is not None:
            self._fail(files[source.file], extracted.failed)
        elif extracted.unreadable and self._options.in_place and source.file not in self._failed:
            # Blanked in a copy; in place it would be lost.
            self._fail(files[source.file], "has lines that cannot be read, and stays as it is")
        elif not (extracted.texts or extracted.unreadable) and source.size < RANGE_BYTES:
            self._note_no_text(source, files[source.file])
        if links is None or extracted.links is None:
            return None
        links |= extracted.links
        return links if len(links) <= MAX_LINKS else None

    def _note_no_text(self, source: Source, file: File) -> None:
        if source.format == "jsonl":
            self._fail(file, "has no field that is known as text; say which: --field text=NAME")
        elif isinstance(FORMATS[source.format], JsonDocument):
            self._complain(
                f"{source.name}: no field of it is known as text; nothing is masked in it"
            )

    def _together(self, runs: list[Path], target: Path) -> dict[int, tuple[int, int]]:
        """All sorted runs as one file, and where each source's part of it is."""
        sections: dict[int, tuple[int, int]] = {}
        at = 0
        with target.open("wb") as sink:
            for record in merged(runs, self._journal.work):
                source = int.from_bytes(record[:4], "big")
                sink.write(len(record).to_bytes(4, "big") + record)
                size = 4 + len(record)
                sections[source] = (sections.get(source, (at, at))[0], at + size)
                at += size
        return sections

    def _tasks(self, files: list[File]) -> Iterator[ExtractTask]:
        """Small sources together, large ones in ranges, so that all processes have work."""
        small: list[tuple[int, int, int | None]] = []
        size = 0
        for file in files:
            if file.number in self._failed:
                continue
            for source in file.sources:
                pieces = _ranges(source, file)
                if len(pieces) == 1 and source.size < RANGE_BYTES // 2:
                    small += pieces
                    size += source.size
                    if size > RANGE_BYTES or len(small) >= 512:
                        yield ExtractTask(small)
                        small, size = [], 0
                else:
                    for piece in pieces:
                        yield ExtractTask([piece])
        if small:
            yield ExtractTask(small)

    # -- writing -------------------------------------------------------------------------------

    def _summary(self, plan: Plan) -> Summary:
        summary = Summary(
            files=len(plan.files),
            texts=plan.texts,
            unreadable=plan.unreadable,
            failures=plan.failures,
            sources=[source for file in plan.files for source in file.sources],
            findings=self._journal.findings,
            dry_run=self._options.dry_run,
            rules=self._options.rules,
            complaints=self._complaints,
        )
        summary.failed = len(self._failed)
        for found_one in passes.findings_in(self._journal.findings):
            summary.numbers += found_one.messages > 0
        return summary

    def _write(self, plan: Plan, workers: Workers, summary: Summary, *, resumed: bool) -> None:
        journal = self._journal
        if resumed:
            clean(plan.files)
        done = journal.done(plan.files) if resumed else {}
        left: list[tuple[int, dict[int, tuple[int, int]]]] = []
        for file in plan.files:
            if file.number in self._failed:
                continue
            sections = {
                source.number: plan.sections[source.number]
                for source in file.sources
                if source.number in plan.sections
            }
            summary.changed += bool(sections)
            summary.copied += not file.sources
            if file.number in done or (self._options.in_place and not sections):
                continue
            left.append((file.number, sections))
        sizes = {file.number: Path(file.path).stat().st_size if Path(file.path).exists() else 0
                 for file in plan.files}  # fmt: skip
        self._tell.phase("writing", sum(sizes[number] for number, _ in left))
        count = 0
        for (number, _), (part, blanked, wrong, again) in workers.run(passes.write, left):
            file = plan.files[number]
            if part is not None:
                try:
                    journal.note(number, blanked, part)
                    publish(file, part)
                except OSError as error:
                    part.unlink(missing_ok=True)
                    wrong, again = reason_of(error), is_full(error)
            if wrong is not None:
                self._fail(file, wrong)
                self._again |= again
                summary.failed += 1
            elif blanked:
                self._complain(
                    f"{file.name}: {blanked} texts are not as they were read, and blanked"
                )
                summary.failures += blanked
            count += sizes[number]
            self._tell.advance(count)

    def _fail(self, file: File, reason: str) -> None:
        self._failed.add(file.number)
        self._complain(f"{file.name}: {reason}")

    def _complain(self, text: str) -> None:
        self._complaints.append(text)
        self._tell.note(text)


def _ranges(source: Source, file: File) -> list[tuple[int, int, int | None]]:
    form = FORMATS[source.format]
    whole = [(source.number, 0, None)]
    if not form.splits or source.compression or source.member or source.encoding == "gb18030":
        return list(whole)
    if isinstance(form, Parquet):
        with Path(file.path).open("rb") as raw:
            groups = form.row_groups(raw)
        return [(source.number, low, high) for low, high in groups] or list(whole)
    if source.encoding != "utf-8" or source.size <= RANGE_BYTES:
        return list(whole)
    cuts = [*range(0, source.size, RANGE_BYTES), source.size]
    return [(source.number, low, high) for low, high in itertools.pairwise(cuts)]
