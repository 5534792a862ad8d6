"""`masker scan`: an archive, masked; the progress bar, the table at the end, the exit code."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich import box
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from masker import MaskedMessage
from masker.archive import ArchiveError, Options, Summary, report, scan
from masker.archive.fields import parse
from masker.archive.tally import tally
from masker.cli.terminal import FAILED, STDIN, UNREADABLE, note, notes, standard_input

_STDOUT = Path("-")


class _Bar:
    """Tells a person on a terminal how far it is; on anything else only what should be known."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=notes,
            transient=True,
            disable=not notes.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Say something beside the bar."""
        note(text)

    def phase(self, name: str, total: int) -> None:
        """Begin another bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=max(1, total))

    def advance(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=done)


def digest_key(spec: str | None) -> bytes | None:
    """The key for digests: `file:PATH` or `env:NAME`, never on the command line itself.

    Raises:
        ArchiveError: there is no such key, or it is too short to be one.
    """
    if spec is None:
        return None
    kind, _, name = spec.partition(":")
    if kind == "file":
        try:
            key = Path(name).read_bytes().strip()
        except OSError as error:
            raise ArchiveError(
                f"--digest-key: {name}: {os.strerror(error.errno or 0).lower()}"
            ) from None
    elif kind == "env":
        key = os.environ.get(name, "").encode()
    else:
        raise ArchiveError("--digest-key takes file:PATH or env:NAME")
    if len(key) < 16:
        raise ArchiveError("--digest-key: a key has 16 bytes or more")
    return key


def run(
    paths: list[str],
    *,
    out: Path | None,
    in_place: bool,
    dry_run: bool,
    resume: bool,
    jobs: int,
    form: str | None,
    fields: list[str],
    encoding: str | None,
    zone: str,
    per_file: bool,
    reports: list[Path],
    digest: str | None,
    fail_on_findings: bool,
    rules: tuple[str, ...],
    rules_path: Path | None,
    store_url: str | None,
    keys: str,
    keys_url: str | None,
) -> int:
    """The command; its exit code."""
    _require_known(zone, encoding)
    options = Options(
        out=out, in_place=in_place, dry_run=dry_run, resume=resume, jobs=jobs, form=form,
        fields=parse(fields), encoding=encoding, zone=zone, per_file=per_file,
        rules=rules, rules_path=rules_path, digest_key=digest_key(digest),
    )  # fmt: skip
    if store_url is None:
        return run_scan(paths, options, reports, fail_on_findings=fail_on_findings)
    if dry_run:
        raise ArchiveError("--dry-run writes nothing, and so nothing into a store")
    from masker.stores import open_store  # Most scans need no store.

    refused = 0
    with open_store(store_url, keys, keys_url=keys_url) as opened:

        def save(messages: list[MaskedMessage]) -> None:
            nonlocal refused
            refused += len(opened.save_all(messages))

        code = run_scan(paths, options, reports, fail_on_findings=fail_on_findings, store=save)
    if refused:
        note(f"{refused} messages are not stored: what they belong to was purged")
    return code


def _require_known(zone: str, encoding: str | None) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ArchiveError("--timezone: there is no such time zone") from None
    if encoding is not None:
        try:
            # Some codecs of Python's are from bytes to bytes, and none for text.
            codecs.decode(b"", encoding)
            "".encode(encoding)
        except LookupError:
            raise ArchiveError("--encoding: there is no such encoding") from None


def run_scan(
    paths: list[str],
    options: Options,
    reports: list[Path],
    *,
    fail_on_findings: bool,
    store: Callable[[list[MaskedMessage]], None] | None = None,
) -> int:
    """Scan, report, and say how it went: the exit code."""
    if sum((options.out is not None, options.in_place, options.dry_run)) != 1:
        if not options.dry_run or options.in_place:
            raise ArchiveError(
                "say where the masked files go: --out DIR, or --in-place, or --dry-run"
            )
        options = replace(options, out=None)
    for path in reports:
        report.kind_of(path)
    stdin = standard_input() if STDIN in paths else None
    if options.out == _STDOUT:
        if paths != [STDIN]:
            raise ArchiveError("--out - is for standard input alone")
        with tempfile.TemporaryDirectory(prefix="masker-scan-") as folder:
            code = run_scan(
                paths, replace(options, out=Path(folder)), reports,
                fail_on_findings=fail_on_findings, store=store,
            )  # fmt: skip
            made = Path(folder) / "stdin"
            if made.exists():
                with made.open("rb") as masked:
                    shutil.copyfileobj(masked, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            return code

    def write_reports(summary: Summary) -> None:
        if reports:
            counted = tally(summary)
            for path in reports:
                report.write(path, summary, counted)

    with _Bar() as bar:
        summary = scan(paths, options, bar, report=write_reports, store=store, stdin=stdin)
    _show(summary, written=not options.dry_run)
    if summary.failed or summary.unreadable:
        return UNREADABLE
    if summary.failures or (fail_on_findings and summary.numbers):
        return FAILED
    return 0


def _show(summary: Summary, *, written: bool) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows = {
        "files": summary.files,
        "files with something to mask" if not written else "files changed": summary.changed,
        "files without text, copied": summary.copied,
        "texts": summary.texts,
        "numbers masked" if written else "numbers found": summary.numbers,
        "lines that could not be read, blanked": summary.unreadable,
        "files that could not be read or written": summary.failed,
        "texts wholly masked because masking failed": summary.failures,
    }
    for name, value in rows.items():
        if value or name in {"files", "texts"} or name.startswith("numbers"):
            table.add_row(name, f"{value:,}")
    notes.print(table)
