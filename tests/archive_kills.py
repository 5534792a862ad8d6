"""Scans that are killed at random moments and resumed, against one that is left alone.

A program of its own: every scan runs in a fork of it that is killed with SIGKILL after a random
time, so that a kill may fall anywhere but into the imports. `python archive_kills.py COUNT SEED
out|in-place` prints how many kills fell where.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import archive_files as files
from archive_files import NOON, Said, said
from masker import Masker
from masker.archive import Options, scan

_LATE = "after the end"
_SHORTER, _LONGER = 0.8, 1.04
FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Silent:
    """Listens to nothing."""

    def note(self, text: str) -> None:
        """Not a word."""

    def phase(self, name: str, total: int) -> None:
        """Not a word."""

    def advance(self, done: int) -> None:
        """Not a word."""


def archive(folder: Path, rng: random.Random) -> None:
    """Conversations over several files and formats, with numbers cut across files."""
    messages: list[Said] = []
    for number in range(60):
        messages += said(
            ("Ann", "my card is 4111 1111"), ("agent", "go on"), ("Ann", "1111"), ("agent", "ok"),
            ("Ann", "1111 thanks"), ("Ann", f"order {rng.randrange(10**6)}"),
            ("agent", "身份证号码？"), ("Ann", "110105194912"), ("Ann", "31002X"),
            conversation=f"c{number}", start=NOON + timedelta(minutes=number),
        )  # fmt: skip
    rng.shuffle(messages)
    kinds = {kind.name: kind for kind in files.KINDS}
    names = ["jsonl", "csv", "parquet", "jsonl-gzip", "json-nested", "jsonl-utf16", "zendesk"]
    for place, name in enumerate(names):
        kind = kinds[name]
        path = folder / f"part{place}" / kind.file
        path.parent.mkdir(parents=True)
        path.write_bytes(kind.write(messages[place :: len(names)]))
    chat = said("4111 1111", "1111 1111", conversation="alone")
    (folder / "_chat.txt").write_bytes(files.whatsapp_ios(chat))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00" + rng.randbytes(5000))


def contents(folder: Path) -> dict[str, str]:
    """Every file under a folder, by its digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(source: Path, options: Options) -> int:
    """Begin a scan in a process of its own."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        summary = scan([str(source)], options, Silent())
        code = 0 if not (summary.failed or summary.unreadable) else 2
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Wait for a process; its exit code, or minus the signal that ended it."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def await_plan(child: int, state: Path) -> None:
    """Wait until all edits are durable."""
    while not (state / "plan").exists() and os.waitid(os.P_PID, child, FLAGS) is None:
        time.sleep(0.0005)


def main(count: int, seed: int, where: str) -> None:
    """Kill `count` scans; one that was over before it was killed does not count."""
    rng = random.Random(seed)
    in_place = where == "in-place"
    # What can be got ready before is got ready before: every moment that is left is a scan's.
    Masker().mask("card 4111 1111 1111 1111")
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        original = base / "original"
        original.mkdir()
        archive(original, rng)
        options = Options(out=None if in_place else base / "alone", in_place=in_place)
        work = base / "work"
        shutil.copytree(original, work)
        began = time.monotonic()
        assert finish(start(work, options)) == 0
        whole = time.monotonic() - began
        expected = contents(work if in_place else base / "alone")
        assert expected != contents(original)
        fell: Counter[str] = Counter()
        # How long is waited at most, from the start and from the plan on: a machine has its moods.
        longest = [whole, whole / 4]
        number = 0
        while fell.total() - fell[_LATE] < count:
            number += 1
            shutil.rmtree(work)
            shutil.copytree(original, work)
            out = base / f"out{number}"
            mine = options if in_place else replace(options, out=out)
            state = (work if in_place else out) / ".masker-scan"
            child = start(work, mine)
            if number % 2:
                # Half of them while files are written, which is a small part of the time.
                await_plan(child, state)
            time.sleep(rng.uniform(0, longest[number % 2]))
            os.kill(child, signal.SIGKILL)
            ended = finish(child)
            longest[number % 2] *= _SHORTER if ended == 0 else _LONGER
            moment = _LATE if ended == 0 else "before anything"
            if ended != 0 and state.exists():
                moment = "while writing" if (state / "plan").exists() else "before the plan"
            fell[moment] += 1
            assert finish(start(work, replace(mine, resume=True))) == 0, f"kill {number}: {moment}"
            found = contents(work if in_place else out)
            assert found == expected, f"kill {number}, {moment}: other bytes"
            shutil.rmtree(out, ignore_errors=True)
    sys.stdout.write(f"{count} kills, all the same bytes: {dict(fell)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
