"""Writes `*.jsonl` and `planted.json` from `source/*.toml`.

In the source a number is marked where it stands: `{card:6222 02}` is the next part of the number
called card, `{card@0:6222 02}` the same part once more, from its first digit. So the conversations
and the list of what must never be readable come from one place.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK = re.compile(r"\{(?P<name>\w+)(?:@(?P<at>\d+))?:(?P<text>[^}]*)\}")
LINE = re.compile(
    r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d) (?P<sender>\S+) (?:#(?P<id>\S+) )?(?P<text>.*)"
)
NEW_LINE = "⏎"
KEEPS = 4


@dataclass
class Number:
    """A planted number: where each of its characters stands."""

    rule: str
    keep: int
    length: int = 0
    # Each part: "conversation message-id index-in-the-number offset,offset,..." (one string, so
    # that the JSON stays short enough to be read).
    parts: list[str] = field(default_factory=list)


def read(source: str) -> tuple[list[dict[str, Any]], dict[str, Number]]:
    """The messages of a source, in order of time, and the numbers planted in them."""
    script = tomllib.loads(source)
    numbers = {name: _number(kind) for name, kind in script["numbers"].items()}
    timed: list[tuple[datetime, dict[str, Any]]] = []
    for conversation, chat in script["chats"].items():
        for count, line in enumerate(chat.strip("\n").split("\n"), 1):
            match = LINE.fullmatch(line)
            if match is None:
                raise ValueError(f"{conversation}: line {count} is not a message")
            h, m, s = (int(match[part]) for part in "hms")
            at = script["date"] + timedelta(hours=h, minutes=m, seconds=s)
            message: dict[str, Any] = {
                "conversation_id": conversation,
                "message_id": match["id"] or f"m{count}",
                "sender": match["sender"],
                "text": match["text"].replace(NEW_LINE, "\n"),
                "timestamp": at.timestamp() if script.get("numeric_timestamps") else at.isoformat(),
                "channel": script["channel"],
            }
            if match["sender"] == script.get("subject_of"):
                message["subject"] = script["subject"]
            timed.append((at, message))
    timed.sort(key=lambda pair: pair[0])
    messages = [message for _, message in timed]
    for message in messages:
        message["text"] = _planted(message, numbers)
    return messages, numbers


def _number(kind: str | dict[str, Any]) -> Number:
    return Number(kind, KEEPS) if isinstance(kind, str) else Number(kind["rule"], kind["keep"])


def _planted(message: dict[str, Any], numbers: dict[str, Number]) -> str:
    """The text without marks; what they marked is noted in `numbers`."""
    plain = ""
    end = 0
    marked: str = message["text"]
    for match in MARK.finditer(marked):
        plain += marked[end : match.start()]
        end = match.end()
        number = numbers[match["name"]]
        index = number.length if match["at"] is None else int(match["at"])
        # Digits of every script, numerals written as words, X: all are alphanumeric.
        offsets = [
            len(plain) + offset
            for offset, character in enumerate(match["text"])
            if character.isalnum()
        ]
        where = ",".join(map(str, offsets))
        number.parts.append(f"{message['conversation_id']} {message['message_id']} {index} {where}")
        plain += match["text"]
        number.length = max(number.length, index + len(offsets))
    return plain + marked[end:]


def outputs() -> dict[Path, str]:
    """Every file this script writes, with what belongs in it."""
    written: dict[Path, str] = {}
    planted: dict[str, Any] = {}
    for path in sorted((HERE / "source").glob("*.toml")):
        source = path.read_text(encoding="utf-8")
        messages, numbers = read(source)
        name = f"{path.stem}.jsonl"
        lines = [json.dumps(message, ensure_ascii=False) + "\n" for message in messages]
        written[HERE / name] = "".join(lines)
        planted[name] = {
            "title": tomllib.loads(source)["title"],
            "numbers": {
                key: {
                    "rule": number.rule,
                    "keep_last": number.keep,
                    "length": number.length,
                    "parts": number.parts,
                }
                for key, number in numbers.items()
            },
        }
    written[HERE / "planted.json"] = json.dumps(planted, ensure_ascii=False, indent=1) + "\n"
    return written


if __name__ == "__main__":
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")
