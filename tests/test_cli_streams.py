"""The command line where its own streams fail: closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from masker.vault.keyfile import make_key_file

CARD = "4111111111111111"
PATIENCE = 120
SIGPIPE = 141

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("streams")
    (tmp_path / "chat.jsonl").write_text(f'{{"text": "card {CARD}, please"}}\n' * 3)
    (tmp_path / "bad.jsonl").write_text(f'{{"text": {CARD}}}\n' * 5 + '{"text": "hello"}\n')
    make_key_file(tmp_path / "masker.keys")
    done = shell(tmp_path, "masker run chat.jsonl --store sqlite:///t.db")
    assert done.returncode == 0
    done = shell(tmp_path, "masker rules new acme-member acme.toml")
    assert done.returncode == 0
    return tmp_path


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash; its exit code is the first one of a pipe that is not 0."""
    command = f'masker() {{ "{sys.executable}" -m masker "$@"; }}; set -o pipefail; {line}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, check=False, text=True,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
        # Held back until the end, as it is unless somebody says otherwise.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert CARD not in done.stdout + done.stderr
    return done


COMMANDS = [
    "masker run chat.jsonl",
    "masker mask my card is 4111111111111111",
    "masker rules list",
    "masker rules list --format table",
    "masker rules list --format json",
    "masker rules explain payment-card",
    "masker rules check acme.toml --budget 1 --jobs 1",
    "masker rules new acme-other",
    "masker transcript default --store sqlite:///t.db",
    "masker verify --store sqlite:///t.db",
    "masker keys init --keys env:X",
    "masker keys status",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_standard_output_is_told_before_anything_is_done(
    folder: Path, command: str
) -> None:
    done = shell(folder, f"{command} >&-")
    assert done.returncode == 2
    assert done.stderr == "masker: standard output is closed\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_standard_output_is_no_failure_of_masking(folder: Path, command: str) -> None:
    done = shell(folder, f"{command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.endswith("masker: OSError: no space left on device\n")
    assert "masking failed" not in done.stderr


@pytest.mark.parametrize(
    "command", ["masker rules explain payment-card", "masker rules check acme.toml --budget 1",
                "masker rules list --format table", "masker run chat.jsonl"],
)  # fmt: skip
def test_a_reader_that_has_gone_is_no_failed_check(folder: Path, command: str) -> None:
    done = shell(folder, f"{command} | true")
    # Either it wrote before the reader went, or it was told of it: as any other command.
    assert done.returncode in (0, SIGPIPE)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("masker run", 2),
        ("masker run -", 2),
        ("masker mask", 2),
        ("masker scan - --dry-run", 2),
        ("masker rules explain payment-card -", 2),
        ("masker receipt verify -", 2),
        ("masker mask hello", 0),
        ("masker run chat.jsonl", 0),
        ("masker scan chat.jsonl --dry-run", 0),
        ("masker purge --conversation none --store sqlite:///t.db", 0),
        ("masker expire --days 30 --store sqlite:///t.db", 0),
    ],
)
def test_a_closed_standard_input_matters_to_who_reads_it(
    folder: Path, command: str, code: int
) -> None:
    done = shell(folder, f"{command} <&-")
    assert done.returncode == code, done.stderr
    assert (done.stderr == "masker: standard input is closed\n") == (code == 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("end", ["2>&-", "2> /dev/full", "2> >(true)"])
def test_that_nobody_reads_the_notes_loses_no_data(folder: Path, end: str) -> None:
    done = shell(folder, f"masker run bad.jsonl {end}")
    assert done.returncode == 2
    assert '"text":"hello"' in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "masker expire --store sqlite:///t.db --days 1e300",
        "masker expire --store sqlite:///t.db --channel app=inf",
        "masker expire --store sqlite:///t.db --channel app=1e30",
        "masker expire --store sqlite:///t.db --days nan",
        "masker receipt verify receipt.json --public-key zz",
        "masker scan chat.jsonl --dry-run --encoding base64",
        "masker run chat.jsonl --store 'postgresql://[bad'",
        "masker run chat.jsonl --store postgresql://u:4111111111111111@127.0.0.1:1/x",
        "masker run chat.jsonl --store postgresql://u:41/11111111111111@127.0.0.1:1/x",
    ],
)
def test_wrong_values_of_options_are_bad_usage(folder: Path, command: str) -> None:
    (folder / "receipt.json").write_text("{}")
    done = shell(folder, command)
    assert done.returncode == 2, done.stderr
    assert "internal error" not in done.stderr
    assert "Error:" not in done.stderr.replace("OSError:", "")
    assert "1111" not in done.stderr


def test_who_cannot_reach_a_server_is_told_where_it_was_looked_for(folder: Path) -> None:
    done = shell(folder, "masker run chat.jsonl --store postgresql://127.0.0.1:1/x")
    assert "postgresql://127.0.0.1:1/x, schema masker_keys cannot be reached" in done.stderr


def test_more_days_than_the_calendar_has_are_for_ever(folder: Path) -> None:
    done = shell(folder, "masker expire --store sqlite:///t.db --days 999999")
    assert (done.returncode, done.stderr) == (0, "masker: nothing is past its time\n")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupt_ends_a_check_of_rules_and_all_its_workers(workers: int) -> None:
    """As a terminal sends it: to every process of the group."""
    process = subprocess.Popen(
        [sys.executable, "-m", "masker", "rules", "check", "--jobs", "2", "--budget", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        # Before anything has begun, or while its processes are at work.
        while sum(in_group(process.pid)) < 1 + workers:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, notes = process.communicate(timeout=PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode in ((130, -signal.SIGINT) if not workers else (130,))
    assert b"Traceback" not in notes or not workers


def in_group(group: int) -> list[bool]:
    """Whether it is of this group, for each process there is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append(os.getpgid(int(entry.name)) == group)
    return found
