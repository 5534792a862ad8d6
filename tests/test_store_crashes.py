"""Crashes: what was acknowledged is there, what was purged is gone, and opening sees to the rest.

`MASKER_CRASHES=1000` says how many; `tests/crashing.py` is what is run, and says how. A rename of
the folder to a real disk (`MASKER_CRASH_FOLDER`) makes it slower and no different: a kill loses
nothing that was handed to the system.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store_kit import quick_folder

HERE = Path(__file__).parent
KILLS = int(os.environ.get("MASKER_CRASHES", "60"))
FAILURES = int(os.environ.get("MASKER_DISK_FAILURES", str(2 * KILLS)))


@pytest.fixture
def folder() -> Iterator[Path]:
    given = os.environ.get("MASKER_CRASH_FOLDER")
    made = Path(given) / "crashing" if given else quick_folder()
    made.mkdir(exist_ok=True)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets writes and syncs fail."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and LD_PRELOAD")
    library = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    source = HERE / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def run(*arguments: object, env: dict[str, str] | None = None) -> dict[str, Any]:
    path = os.pathsep.join([str(HERE), str(HERE.parent / "src")])
    done = subprocess.run(
        [sys.executable, HERE / "crashing.py", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")
def test_a_kill_at_any_moment_loses_nothing_acknowledged_and_brings_nothing_back(
    folder: Path,
) -> None:
    report = run(folder, "--kills", KILLS)
    assert report["rounds"] == KILLS
    # Kills that all fell between two orders would show nothing.
    struck = report["struck"]
    assert sum(struck.values()) - struck.get("between", 0) - struck.get("opening", 0) > KILLS / 5


@pytest.mark.slow
def test_a_write_or_sync_that_fails_is_told_and_nothing_is_half_done(
    folder: Path, failing_disk: Path
) -> None:
    report = run(folder, "--failures", FAILURES, env={"LD_PRELOAD": str(failing_disk)})
    assert report["rounds"] == FAILURES
    assert report["struck"].get("append", 0) + report["struck"].get("revise", 0) > FAILURES / 5
