"""What a scan remembers of itself on disk, so that it can be killed at any moment.

Until every conversation is masked nothing but sealed temporary files exists: a scan that is
killed then starts again, for the key died with it. Then the edits - places and lengths, no
content - are made durable, and from here on a scan that is killed goes on. A file that is written
is noted in `done`, with its inode, just before it is renamed; so it can be told whether the
rename still happened.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from masker.archive.records import ArchiveError
from masker.archive.sources import File
from masker.archive.writing import written_atomically

_WAIT_SECONDS = 10.0
_VERSION = 1


class Plan(msgspec.Struct):
    """A scan whose conversations are all masked: what is left is to write its files."""

    version: int
    options: str
    files: list[File]
    failed: list[int]
    sections: dict[int, tuple[int, int]]
    """Where a source's edits stand in the file `edits`: from, to."""
    complaints: list[str]
    texts: int
    unreadable: int
    failures: int


class Journal:
    """The state folder of one scan; locked for as long as the scan lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempt = os.urandom(5).hex()
        self._lock: BinaryIO | None = None
        self._done: BinaryIO | None = None
        self._made = False

    @property
    def work(self) -> Path:
        """Where this attempt keeps what is of no use to another."""
        return self.folder / f"attempt-{self.attempt}"

    @property
    def edits(self) -> Path:
        """All edits, once they are durable."""
        return self.folder / "edits"

    @property
    def findings(self) -> Path:
        """All findings, once they are durable."""
        return self.folder / "findings"

    def __enter__(self) -> Self:
        self._made = not self.folder.parent.exists()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self.folder / "lock").open("ab")
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until:
                    self._lock.close()
                    raise ArchiveError(f"another scan is at work in {self.folder}") from None
                time.sleep(0.2)
            else:
                break
        for old in self.folder.glob("attempt-*"):
            shutil.rmtree(old, ignore_errors=True)
        self.work.mkdir(mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        if self._done is not None:
            self._done.close()
        shutil.rmtree(self.work, ignore_errors=True)
        if not (self.folder / "plan").exists():
            # Nothing here is of use to a later attempt.
            shutil.rmtree(self.folder, ignore_errors=True)
            if self._made and not any(self.folder.parent.iterdir()):
                self.folder.parent.rmdir()
        if self._lock is not None:
            self._lock.close()

    def plan(self) -> Plan | None:
        """What an earlier attempt made durable."""
        try:
            data = (self.folder / "plan").read_bytes()
            # The standard library's JSON holds file names that are no UTF-8; msgspec's does not.
            plan = msgspec.convert(json.loads(data), Plan, strict=False)
        except FileNotFoundError:
            return None
        except ValueError:
            raise ArchiveError(f"{self.folder} is not of this version of masker") from None
        return plan if plan.version == _VERSION else None

    def keep(self, plan: Plan, edits: Path, findings: Path) -> None:
        """Make the edits durable, and then the plan that tells of them."""
        for made, name in ((edits, self.edits), (findings, self.findings)):
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.replace(name)
        with written_atomically(self.folder / "plan") as sink:
            sink.write(json.dumps(msgspec.to_builtins(plan, str_keys=True)).encode())

    def done(self, files: list[File]) -> dict[int, int]:
        """The files written so far, with the texts that were blanked in each."""
        found: dict[int, int] = {}
        try:
            lines = (self.folder / "done").read_bytes().split(b"\n")
        except FileNotFoundError:
            return found
        for line in lines[:-1]:
            number, blanked, inode = map(int, line.split(b" "))
            target = Path(files[number].outputs[0])
            # Noted just before the rename: whether that still happened, the file itself says.
            if target.exists() and target.stat().st_ino == inode:
                found[number] = blanked
        return found

    def note(self, number: int, blanked: int, part: Path) -> None:
        """Remember that a file is written, just before it takes its place."""
        if self._done is None:
            self._done = (self.folder / "done").open("ab", buffering=0)
        self._done.write(b"%d %d %d\n" % (number, blanked, part.stat().st_ino))
        os.fsync(self._done.fileno())

    def forget(self) -> None:
        """The scan is over: nothing of it is needed any more."""
        # The plan goes first: without it the rest means nothing.
        (self.folder / "plan").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
