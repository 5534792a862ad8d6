"""The commands over a store, as a shell sees them: first use, a life, and an end with a receipt."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from masker.cli.app import app
from store_kit import quick_folder

CARD = "4111111111111111"
MASKED = "************1111"
PATIENCE = 60
STORE = "sqlite:///t.db"


@pytest.fixture
def folder() -> Iterator[Path]:
    import shutil

    made = quick_folder()
    yield made
    shutil.rmtree(made)


class Done(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


def masker(folder: Path, *arguments: str, given: bytes = b"", store: bool = True) -> Done:
    """The command in this process: what a shell adds is tested with `masker run` itself."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(
            app, [*arguments, *(("--store", STORE) if store else ())], input=given
        )
    return Done(result.exit_code, result.stdout_bytes, result.stderr_bytes)


def jsonl(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def said(done: Done) -> str:
    """Standard error on one line, however wide the terminal was."""
    return " ".join(done.stderr.decode().split())


def chat(*texts: str, conversation: str = "c1", **fields: Any) -> bytes:
    return jsonl(
        *(
            {
                "conversation_id": conversation,
                "message_id": f"m{number}",
                "text": text,
                "timestamp": 1_700_000_000 + number,
                **fields,
            }
            for number, text in enumerate(texts)
        )
    )


@pytest.fixture
def kept(folder: Path) -> Path:
    """A folder with keys, and a store with two conversations."""
    assert masker(folder, "keys", "init", store=False).returncode == 0
    given = chat("card 4111 1111", "1111 1111", "thanks", subject="u-1", order=17)
    given += chat(f"卡号{CARD}", conversation="c2")
    assert masker(folder, "run", given=given).returncode == 0
    return folder


# --- first use -------------------------------------------------------------------------


def test_the_first_thing_to_do_is_said(folder: Path) -> None:
    done = masker(folder, "run", given=chat("hello"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert "make one with: masker keys init --keys file:masker.keys" in said(done)
    assert not (folder / "t.db").exists()


def test_keys_are_made_once_with_the_right_mode_and_it_is_said_where(folder: Path) -> None:
    done = masker(folder, "keys", "init", store=False)
    assert done.returncode == 0
    assert str((folder / "masker.keys").resolve()) in said(done)
    assert stat.S_IMODE((folder / "masker.keys").stat().st_mode) == 0o600
    before = (folder / "masker.keys").read_bytes()
    again = masker(folder, "keys", "init", store=False)
    assert again.returncode == 2
    assert "was not changed" in said(again)
    assert (folder / "masker.keys").read_bytes() == before


def test_keys_for_the_environment_are_printed_to_be_put_there(folder: Path) -> None:
    done = masker(folder, "keys", "init", "--keys", "env:DESK_KEY", store=False)
    assert re.fullmatch(rb"DESK_KEY=[A-Za-z0-9+/]{43}=\n", done.stdout)


def test_a_key_file_others_can_read_is_refused_with_what_to_do(kept: Path) -> None:
    (kept / "masker.keys").chmod(0o644)
    done = masker(kept, "transcript", "c1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "chmod 600 masker.keys" in said(done)


def test_wrong_keys_are_told_from_a_broken_store(kept: Path) -> None:
    masker(kept, "keys", "init", "other.keys", store=False)
    done = masker(kept, "transcript", "c1", "--keys", "file:other.keys")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "made with other keys: give those (--keys)" in said(done)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("transcript", "c1", "--store", "sqlite:///none.db"), "there is no store none.db"),
        (("transcript", "c1", "--store", "none.db"), "a store is given as"),
        (("transcript", "c1", "--store", STORE, "--keys", "x"), "keys are given as"),
        (("purge", "--store", STORE), "say one of --conversation, --subject and --before"),
        (("expire", "--store", STORE), "say how long messages are kept"),
        (("expire", "--store", STORE, "--channel", "wechat"), "as in wechat=30"),
        (("purge", "--store", STORE, "--before", "tomorrow"), "ISO 8601"),
        (("trail", "--store", STORE), "say one of --conversation and --subject"),
        (("receipt", "verify", "none.json"), "none.json cannot be read"),
    ],
)
def test_bad_usage_says_what_is_wanted(kept: Path, arguments: tuple[str, ...], reason: str) -> None:
    done = masker(kept, *arguments, store=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert reason in said(done)


# --- a life ----------------------------------------------------------------------------


def test_what_ran_into_a_store_comes_out_of_it_masked(kept: Path) -> None:
    done = masker(kept, "transcript", "c1")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["card **** ****", "**** 1111", "thanks"]
    assert [line["order"] for line in lines] == [17, 17, 17]
    assert all(line["final"] for line in lines)
    files = b"".join(path.read_bytes() for path in kept.glob("t.*"))
    for plain in (b"thanks", b"1111", b"u-1", "卡号".encode()):
        assert plain not in files


def test_what_is_stored_is_what_was_written(folder: Path) -> None:
    masker(folder, "keys", "init", store=False)
    (folder / "in.jsonl").write_bytes(
        b"".join(chat(*["no number"] * 300, conversation=f"c{c}") for c in "ab")
    )
    done = masker(folder, "run", "in.jsonl")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 600
    stored = [masker(folder, "transcript", f"c{c}").stdout for c in "ab"]
    assert b"".join(stored) == done.stdout


def test_a_run_that_is_piped_answers_line_by_line(folder: Path) -> None:
    masker(folder, "keys", "init", store=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "masker", "run", "--store", STORE],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for text in ("hello", "again"):
            process.stdin.write(chat(text))
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            assert ready
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()


def test_a_run_goes_on_where_the_last_one_ended(kept: Path) -> None:
    more = chat("a", "b", "c", "d")
    assert masker(kept, "run", given=more).returncode == 0
    lines = masker(kept, "transcript", "c1").stdout.splitlines()
    assert [json.loads(line)["message_id"] for line in lines] == ["m0", "m1", "m2", "m3"]


def test_a_late_message_of_a_purged_conversation_is_told_and_not_stored(kept: Path) -> None:
    masker(kept, "purge", "--conversation", "c1", "--yes")
    done = masker(kept, "run", given=chat("late"))
    assert done.returncode == 1
    assert "message 'm0' of 'c1': its conversation was purged" in said(done)
    assert masker(kept, "transcript", "c1").stdout == b""


def test_the_trail_tells_counts_and_rules(kept: Path) -> None:
    done = masker(kept, "trail", "--subject", "u-1")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["event"] for event in events} >= {"received", "masked"}
    assert events[0]["count"] >= 1
    # A time may have any digits in it, these too.
    told = [{name: held for name, held in event.items() if name != "at"} for event in events]
    assert CARD[-4:] not in str(told)


def test_keys_are_rotated_and_moved(kept: Path) -> None:
    masker(kept, "keys", "init", "new.keys", store=False)
    done = masker(kept, "keys", "rotate", "--to", "file:new.keys")
    assert done.returncode == 0
    assert "epoch 2, under file:new.keys" in said(done)
    assert masker(kept, "transcript", "c1").returncode == 2
    assert masker(kept, "transcript", "c1", "--keys", "file:new.keys").stdout
    status = masker(kept, "keys", "status", "--keys", "file:new.keys").stdout.decode()
    assert "epoch: 2" in status
    assert "public key of receipts: " in status


def test_verify_says_what_is_wrong_and_where(kept: Path) -> None:
    import sqlite3

    assert masker(kept, "verify").returncode == 0
    connection = sqlite3.connect(kept / "t.db")
    connection.execute("DELETE FROM directory WHERE conversation = 2")
    connection.commit()
    connection.close()
    done = masker(kept, "verify")
    assert done.returncode == 1
    assert "conversation 2: its records do not add up" in said(done)
    assert masker(kept, "transcript", "c2").returncode == 1


# --- an end ----------------------------------------------------------------------------


def test_a_purge_prints_a_receipt_that_anyone_can_check(kept: Path) -> None:
    done = masker(kept, "purge", "--subject", "u-1")
    assert done.returncode == 0
    (kept / "receipt.json").write_bytes(done.stdout)
    status = masker(kept, "keys", "status").stdout.decode()
    key = status.rpartition("public key of receipts: ")[2].strip()
    (kept / "masker.keys").rename(kept / "away")
    checked = masker(
        kept, "receipt", "verify", "receipt.json", "--public-key", key, "--about", "u-1",
        store=False,
    )  # fmt: skip
    assert checked.returncode == 0
    assert b"complete, subject, 3 messages of 1 conversations" in checked.stdout
    assert checked.stderr == b""
    changed = done.stdout.replace(b'"messages":3', b'"messages":4')
    for given, arguments in (
        (changed, ()),
        (done.stdout, ("--public-key", "00" * 32)),
        (done.stdout, ("--about", "u-2")),
        (b"{}", ()),
    ):
        failed = masker(kept, "receipt", "verify", "-", *arguments, given=given, store=False)
        assert (failed.returncode, failed.stdout) == (1, b"")


def test_after_a_purge_the_transcript_says_when_and_is_empty(kept: Path) -> None:
    receipt = masker(kept, "purge", "--conversation", "c1", "--yes").stdout
    done = masker(kept, "transcript", "c1")
    assert (done.returncode, done.stdout) == (0, b"")
    assert "was purged at" in said(done)
    assert masker(kept, "purge", "--conversation", "c1", "--yes").stdout == receipt


def test_expiring_takes_what_is_past_its_time(kept: Path) -> None:
    nothing = masker(kept, "expire", "--days", "30", "--now", "2023-11-20T00:00:00Z")
    assert (nothing.returncode, nothing.stdout) == (0, b"")
    assert "nothing is past its time" in said(nothing)
    done = masker(kept, "expire", "--channel", "app=1", "--days", "30", "--now", "2024-11-20")
    assert json.loads(done.stdout)["messages"] == 4


def test_a_legal_hold_is_told(kept: Path) -> None:
    assert masker(kept, "hold", "--subject", "u-1").returncode == 0
    done = masker(kept, "purge", "--conversation", "c1", "--yes")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "held"
    assert "a legal hold defers it" in said(done)
    assert masker(kept, "transcript", "c1").stdout
    released = masker(kept, "release", "--subject", "u-1")
    assert json.loads(released.stdout)["status"] == "complete"
    assert masker(kept, "transcript", "c1").stdout == b""


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, True), ("y\n", 0, False)])
def test_a_purge_on_a_terminal_asks_first(kept: Path, answer: str, code: int, left: bool) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "masker", "purge", "--conversation", "c1", "--store", STORE],
        cwd=kept,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    asked = b""
    deadline = time.monotonic() + PATIENCE
    while b"for good?" not in asked and time.monotonic() < deadline:
        if select.select([controller], [], [], 1)[0]:
            asked += os.read(controller, 1000)
    os.write(controller, answer.encode())
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(terminal)
    os.close(controller)
    assert b"Destroy conversation c1 for good?" in asked
    assert process.returncode == code
    assert bool(out) is not left
    assert bool(masker(kept, "transcript", "c1").stdout) is left
