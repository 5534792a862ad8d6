"""The command line, as a shell sees it: pipes, exit codes, bad input."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

import pytest

from masker import MaskedMessage
from masker.cli.lines import read_message, write_message
from masker.cli.run import Run

CARD = "4111111111111111"
MASKED = "************1111"
# Longer than a loaded machine needs for a line, shorter than anybody waits for a failing test.
PATIENCE = 60


def masker(
    *arguments: str, given: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "masker", *arguments],
        input=given,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **(env or {})},
    )


def jsonl(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def texts(out: bytes) -> list[str]:
    """The texts in the end: the highest revision of each message, in the order they came."""
    newest: dict[tuple[str, str], str] = {}
    for line in out.splitlines():
        message = json.loads(line)
        newest[message["conversation_id"], message["message_id"]] = message["text"]
    return list(newest.values())


class Piped:
    """A command with a pipe on both ends, to be talked to line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "masker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: Queue[bytes] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stream(self.process.stdout):
            self._lines.put(line)

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream

    def say(self, **message: Any) -> None:
        self.write(jsonl(message))

    def write(self, given: bytes) -> None:
        stdin = self._stream(self.process.stdin)
        stdin.write(given)
        stdin.flush()

    def hear(self, *, patience: float = PATIENCE) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.readline(patience=patience))
        return heard

    def readline(self, *, patience: float = PATIENCE) -> bytes:
        return self._lines.get(timeout=patience)

    def end_input(self) -> int:
        self._stream(self.process.stdin).close()
        return self.process.wait(PATIENCE)

    def end(self) -> tuple[list[dict[str, Any]], int]:
        """Close the input; what still came, and the exit code."""
        self.end_input()
        return self.over()

    def over(self) -> tuple[list[dict[str, Any]], int]:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        rest = []
        while not self._lines.empty():
            rest.append(json.loads(self._lines.get_nowait()))
        return rest, code

    def __enter__(self) -> Piped:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            self._stream(stream).close()


@pytest.fixture
def piped() -> Iterator[Piped]:
    with Piped("run") as process:
        yield process


# -- masker run: streaming


def test_a_line_gives_its_lines_at_once_through_a_pipe(piped: Piped) -> None:
    for name in ("Ann", "Bob", "Cyd"):
        piped.say(text=f"hello {name}", conversation_id=name)
        assert piped.hear()["text"] == f"hello {name}"
    piped.say(text=f"卡号{CARD}，谢谢", conversation_id="card")
    assert CARD not in piped.hear()["text"]
    _, code = piped.end()
    assert code == 0


def test_a_number_in_two_lines_never_shows_more_than_its_last_four(piped: Piped) -> None:
    piped.say(text="my card is 4111 1111", message_id="a")
    heard = [piped.hear()]
    assert "4111" not in heard[0]["text"]
    assert not heard[0]["final"]
    piped.say(text="1111 1111", message_id="b")
    rest, code = piped.end()
    heard += rest
    assert code == 0
    final = {each["message_id"]: each["text"] for each in heard if each["final"]}
    assert final == {"a": "my card is **** ****", "b": "**** 1111"}
    assert [each["message_id"] for each in heard if each["final"]].count("a") == 1


def test_time_passes_by_the_timestamps_of_messages(piped: Piped) -> None:
    piped.say(text="the label says 6225", conversation_id="a", timestamp="2024-05-01T10:00:00Z")
    held = piped.hear()
    assert (held["text"], held["final"]) == ("the label says ****", False)
    piped.say(text="good morning", conversation_id="b", timestamp="2024-05-01T10:30:00Z")
    returned = piped.hear()
    assert (returned["conversation_id"], returned["text"]) == ("a", "the label says 6225")
    assert returned["final"]
    assert piped.hear()["text"] == "good morning"


def test_hold_gives_each_message_once_and_in_order() -> None:
    given = jsonl(
        {"text": "hello"}, {"text": "card 4111 1111"}, {"text": "1111 1111"}, {"text": "ok"}
    )
    done = masker("run", "--delivery", "hold", given=given)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["message_id"] for each in out] == ["1", "2", "3", "4"]
    assert [each["text"] for each in out] == ["hello", "card **** ****", "**** 1111", "ok"]
    assert all(each["final"] and each["revision"] == 0 for each in out)


def test_an_interrupt_ends_the_input_and_nothing_is_lost() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with Piped("run", "--delivery", "hold") as process:
            process.say(text="hello", conversation_id="a")
            assert process.hear()["text"] == "hello"
            process.say(text="the label says 6225", conversation_id="b")
            with pytest.raises(Empty):
                process.hear(patience=0.3)
            process.process.send_signal(number)
            rest, code = process.over()
            assert [each["conversation_id"] for each in rest] == ["b"]
            assert code == 128 + number


def test_a_reader_that_goes_away_ends_the_run_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "masker", "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        # What `| head -0` does.
        process.stdout.close()
        process.stdout = None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(jsonl({"text": "hello"}) * 100)
        _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM from /proc")
def test_memory_does_not_grow_with_the_input() -> None:
    def peak(lines: int) -> int:
        with Piped("run") as process:
            # A hundred in, a hundred (and their revisions) out: no pipe is ever full on both ends.
            for start in range(0, lines, 100):
                process.write(jsonl(*(_chatter(number) for number in range(start, start + 100))))
                while process.hear()["message_id"] != str(start + 99):
                    pass
            status = Path(f"/proc/{process.process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0])

    few, many = peak(1_000), peak(11_000)
    # Ten thousand messages more, of half a kilobyte: kept, they would take 5 MB and far more.
    assert many - few < 3_000, "kilobytes"


def _chatter(number: int) -> dict[str, Any]:
    """Conversations of ten messages: talk, an order, and a card in two parts."""
    texts = (
        [f"talk {'x' * 500}"] * 6 + ["order no. 20240512000048"] * 2 + ["4111 1111", "1111 1111"]
    )
    return {
        "text": texts[number % 10],
        "conversation_id": str(number // 10),
        "message_id": str(number),
        "timestamp": 1_700_000_000 + number * 10,
    }


# -- masker run: lines


def test_keys_come_out_where_they_were_and_unknown_values_untouched() -> None:
    line = (
        '{"zeta": 1.10, "text": "hi", "big": 123456789012345678901234567890,'
        ' "message_id": "m", "extra": {"b": 1,  "a": [1e3]}, "channel": "web", "n\\u00e9": null}'
    )
    out = masker("run", given=line.encode()).stdout.decode()
    assert out.startswith(
        '{"zeta":1.10,"text":"hi","big":123456789012345678901234567890,"message_id":"m",'
    )
    record = json.loads(out)
    assert list(record) == [
        *("zeta", "text", "big", "message_id", "extra", "channel", "né"),
        *("conversation_id", "sender", "timestamp", "subject", "revision", "final", "findings"),
    ]
    assert record["extra"] == {"b": 1, "a": [1000.0]}
    assert (record["conversation_id"], record["sender"]) == ("default", "user")


@pytest.mark.parametrize(
    "timestamp",
    [
        "1700000000",
        "1700000000.250",
        '"2024-05-01T10:00:00Z"',
        '"2024-05-01 10:00:00+08:00"',
        "null",
    ],
)
def test_timestamps_come_out_as_they_went_in(timestamp: str) -> None:
    out = masker("run", given=f'{{"text": "hi", "timestamp": {timestamp}}}'.encode()).stdout
    assert f'"timestamp":{timestamp},'.encode() in out


def test_a_message_id_is_the_line_number_where_none_is_given() -> None:
    out = masker(
        "run", given=b'\xef\xbb\xbf{"text":"a"}\r\n\r\n   \n{"text":"b"}\n{"text":"c"}'
    ).stdout
    assert [json.loads(line)["message_id"] for line in out.splitlines()] == ["1", "4", "5"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x00", "a\x00b", "\ud800", "x\udfff y", "e\u0301", "😀" * 10, "\u2028", "a\r\nb"],
    ids=ascii,
)
def test_strange_text_comes_back_as_it_was(text: str) -> None:
    done = masker("run", given=jsonl({"text": text, "k\ud800": "\ud801"}))
    assert (done.returncode, done.stderr) == (0, b"")
    record = json.loads(done.stdout)
    assert (record["text"], record["k\ud800"]) == (text, "\ud801")


BAD_LINES = {
    "no JSON": b"card 4111111111111111",
    "an array": b'["4111111111111111"]',
    "a string": b'"4111111111111111"',
    "a number": b"4111111111111111",
    "null": b"null",
    "half an object": b'{"text": "4111111111111111"',
    "two objects": b'{"text": "4111111111111111"} {}',
    "no text": b'{"message": "4111111111111111"}',
    "text null": b'{"text": null, "card": "4111111111111111"}',
    "text number": b'{"text": 4111111111111111}',
    "text list": b'{"text": ["4111111111111111"]}',
    "id number": b'{"text": "4111111111111111", "message_id": 7}',
    "conversation list": b'{"text": "4111111111111111", "conversation_id": []}',
    "sender object": b'{"text": "4111111111111111", "sender": {}}',
    "subject true": b'{"text": "4111111111111111", "subject": true}',
    "time true": b'{"text": "4111111111111111", "timestamp": true}',
    "time words": b'{"text": "4111111111111111", "timestamp": "yesterday"}',
    "time empty": b'{"text": "4111111111111111", "timestamp": ""}',
    "time too late": b'{"text": "4111111111111111", "timestamp": 1e300}',
    "time in milliseconds": b'{"text": "4111111111111111", "timestamp": 1700000000000}',
    "not UTF-8": b'{"text": "4111111111111111\xff"}',
    "half a character": b'{"text": "4111111111111111\xe4\xbd"}',
    "a raw NUL": b'{"text": "4111111111111111\x00"}',
    "NaN": b'{"text": "4111111111111111", "x": NaN}',
    "NaN beside a surrogate": b'{"text": "4111111111111111\\ud800", "x": NaN}',
    "an array with a surrogate": b'["4111111111111111\\ud800"]',
    "UTF-16": '{"text": "4111111111111111"}'.encode("utf-16"),
    "nested too deeply": b'{"text": "4111111111111111", "x": '
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}",
}


def test_bad_lines_are_named_by_number_and_never_shown_and_the_rest_goes_on() -> None:
    lines = [line for bad in BAD_LINES.values() for line in (bad, b'{"text": "fine"}')]
    done = masker("run", given=b"\n".join(lines))
    assert done.returncode == 2
    assert CARD not in (done.stdout + done.stderr).decode()
    told = done.stderr.decode().splitlines()
    assert [line.split(": ")[1] for line in told] == [
        f"line {number}" for number in range(1, 2 * len(BAD_LINES), 2)
    ], told
    assert len(done.stdout.splitlines()) == len(BAD_LINES)


def test_a_line_without_an_end_that_is_too_long_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masker.cli.run.MAX_LINE_BYTES", 100)
    out = io.BytesIO()
    given = jsonl({"text": "x" * 350}, {"text": "fine"}, {"text": "x" * 1000})
    code = Run(_Echo(), out).read(io.BytesIO(given))  # type: ignore[arg-type]
    assert code == 2
    assert [json.loads(line)["message_id"] for line in out.getvalue().splitlines()] == ["2"]


class _Echo:
    """A redactor that hides nothing and fails on demand."""

    failures = 0

    def receive(self, message: Any) -> list[MaskedMessage]:
        if "fail" in message.text:
            raise ValueError(message.text)
        self.failures += "broken" in message.text
        return [MaskedMessage(**{field: getattr(message, field) for field in message.__slots__})]

    def advance(self, now: object) -> list[MaskedMessage]:
        return []

    def close(self) -> list[MaskedMessage]:
        raise ValueError(CARD)


def test_a_failing_engine_ends_in_masked_text(capfd: pytest.CaptureFixture[str]) -> None:
    out = io.BytesIO()
    given = jsonl({"text": "one"}, {"text": f"fail {CARD} 卡"}, {"text": "three"})
    code = Run(_Echo(), out).read(io.BytesIO(given))  # type: ignore[arg-type]
    assert code == 1
    assert texts(out.getvalue()) == ["one", "**** **************** *", "three"]
    told = capfd.readouterr().err
    assert "line 2" in told
    assert "at the end" in told
    assert CARD not in told


def test_what_the_redactor_could_not_mask_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    given = jsonl({"text": "one"}, {"text": "broken"}, {"text": "three"})
    code = Run(_Echo(), io.BytesIO()).read(io.BytesIO(given))  # type: ignore[arg-type]
    assert code == 1
    assert "line 2: masking failed" in capfd.readouterr().err


def test_a_message_read_and_written_keeps_its_line() -> None:
    line = b'{"a":[1, 2],"text":"hi","timestamp":1.50,"sender":"s"}'
    message = read_message(line, 1)
    assert message is not None
    out = write_message(
        MaskedMessage(**{field: getattr(message, field) for field in message.__slots__})
    )
    assert out.startswith(line[:-1])


def test_a_run_of_what_a_run_gave_changes_no_text() -> None:
    given = jsonl({"text": "card 4111 1111"}, {"text": "1111 1111, thanks"}, {"text": f"{CARD} 卡"})
    once = masker("run", "--delivery", "hold", given=given).stdout
    assert texts(masker("run", given=once).stdout) == texts(once)


# -- usage


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "no-such-file.jsonl"),
        ("run", "."),
        ("run", "--delivery", "later"),
        ("run", "--rule", "no-such-rule"),
        ("run", "--rules", "no-such-folder"),
        ("mask", "--rules", "no-such-folder", "hi"),
        ("rules", "list", "--rules", "no-such-folder"),
        ("no-such-command",),
        ("run", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_bad_usage_exits_with_2_and_says_why(arguments: tuple[str, ...]) -> None:
    done = masker(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_a_file_is_read_like_standard_input(tmp_path: Path) -> None:
    given = jsonl({"text": f"card {CARD}"}, {"text": "hello"})
    file = tmp_path / "chat.jsonl"
    file.write_bytes(given)
    by_name, by_pipe = masker("run", str(file)), masker("run", "-", given=given)
    assert by_name.stdout == by_pipe.stdout == masker("run", given=given).stdout
    assert texts(by_name.stdout) == [f"card {MASKED}", "hello"]


def test_a_rule_is_chosen_by_id() -> None:
    given = jsonl({"text": f"card {CARD} id 11010119900307002X"})
    assert texts(masker("run", "--rule", "cn-resident-id", given=given).stdout) == [
        f"card {CARD} id **************002X"
    ]


def test_version_and_help() -> None:
    assert masker("--version").stdout.startswith(b"masker ")
    for arguments in ((), ("run",), ("mask",), ("rules",), ("rules", "list")):
        assert masker(*arguments, "--help").returncode == 0


@pytest.mark.parametrize("missing", ["typer", "rich", "msgspec"])
def test_without_its_extra_the_command_says_what_to_install(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; from masker.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"masker[cli]" in done.stderr
    assert b"Traceback" not in done.stderr


# -- masker mask


def test_mask_takes_its_text_from_arguments_or_the_pipe() -> None:
    assert masker("mask", f"卡号{CARD}谢谢").stdout.decode() == f"卡号{MASKED}谢谢\n"
    assert masker("mask", "4111", "1111", "1111", "1111").stdout == b"**** **** **** 1111\n"
    assert masker("mask", given=f"card {CARD}".encode()).stdout == f"card {MASKED}".encode()
    assert masker("mask", "-", given=b"hello\n").stdout == b"hello\n"


def test_mask_leaves_bytes_that_are_no_text() -> None:
    given = b"\xff\xfe card 4111111111111111 \xe4\xbd\x00\r\n\xed\xa0\x80 end"
    assert masker("mask", given=given).stdout == given.replace(CARD.encode(), MASKED.encode())


def test_mask_gives_decided_text_before_the_input_ends() -> None:
    with Piped("mask") as process:
        process.write(b"hello, this is a line\n" * 3)
        assert process.readline() == b"hello, this is a line\n"
        process.write(b"more")
        assert process.readline() == b"hello, this is a line\n"
        assert process.end_input() == 0


def test_mask_finds_a_number_across_its_chunks() -> None:
    filler = b"hello there. " * 10_000
    given = b"".join(filler[:cut] + CARD.encode() + b"\n" for cut in range(65_520, 65_540))
    out = masker("mask", given=given).stdout
    assert len(out) == len(given)
    assert CARD.encode() not in out
    assert out.count(MASKED.encode()) == 20


# -- masker rules list


def test_rules_are_listed_as_lines_and_as_json() -> None:
    heading, *lines = masker("rules", "list").stdout.decode().splitlines()
    assert heading.split("\t")[:2] == ["rule", "entity"]
    rules = json.loads(masker("rules", "list", "--format", "json").stdout)
    assert [line.split("\t")[0] for line in lines] == [rule["id"] for rule in rules]
    assert {"payment-card", "cn-resident-id"} <= {rule["id"] for rule in rules}
    assert b"payment-card" in masker("rules", "list", "--format", "table").stdout
