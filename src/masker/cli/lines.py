"""JSONL: one line is one message, and comes out with everything it came in with.

The fields of `Message` are read; all others are carried along as the bytes they were, so that a
number of 40 digits or `1.10` comes out as written. A message's `extra` is the whole line, `text`
taken out: that keeps the order of its keys for as long as the redactor keeps the message.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec
from msgspec import Raw, Struct

from masker import MaskedMessage, Message
from masker.errors import MessageError

_BOM = "\ufeff"
_BLANK = Raw(b'""')
# JSON may hold half of a surrogate pair as an escape. It is no text in UTF-8, and still a message.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Fields(Struct):
    text: str
    conversation_id: str | None = None
    message_id: str | None = None
    sender: str | None = None
    timestamp: str | int | float | None = None
    channel: str | None = None
    subject: str | None = None


_KNOWN = _Fields.__struct_fields__
_fields = msgspec.json.Decoder(_Fields)
_record = msgspec.json.Decoder(dict[str, Raw])


def read_message(line: bytes, number: int) -> Message | None:
    """The message on a line; None for a blank line.

    Args:
        line: as read, with its line end if it has one.
        number: of the line, from 1; the message's id where it has none.

    Raises:
        MessageError: the line is not a message; names the place, never what stands there.
    """
    try:
        source = line.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"is not UTF-8 at byte {error.start + 1}") from None
    source = source.removeprefix(_BOM).strip()
    if not source:
        return None
    try:
        fields, record = _decode(source)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.text`": types and the path, never the value.
        raise MessageError(f"is not a message: {_lower(str(error))}") from None
    except ValueError:
        raise MessageError("is not JSON") from None
    except RecursionError:
        raise MessageError("is nested too deeply") from None
    record["text"] = _BLANK
    return Message(
        conversation_id=_given(fields.conversation_id, "default"),
        message_id=_given(fields.message_id, str(number)),
        sender=_given(fields.sender, "user"),
        text=fields.text,
        timestamp=_instant(fields.timestamp),
        channel=fields.channel,
        subject=fields.subject,
        extra=record,
    )


def write_message(message: MaskedMessage) -> bytes:
    """The line of a masked message: its own keys where they were, the new ones after."""
    record: dict[str, Any] = {
        **message.extra,
        "conversation_id": message.conversation_id,
        "message_id": message.message_id,
        "sender": message.sender,
        "text": message.text,
        "timestamp": _as_it_came(message),
        "channel": message.channel,
        "subject": message.subject,
        "revision": message.revision,
        "final": message.final,
        "findings": [
            {
                "rule": finding.rule,
                "entity": finding.entity,
                "start": finding.start,
                "end": finding.end,
                "score": finding.score,
            }
            for finding in message.findings
        ],
    }
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record, default=_plain).encode() + b"\n"


def _decode(source: str) -> tuple[_Fields, dict[str, Raw]]:
    try:
        # Raw is a view of the whole line; a copy lets go of the text.
        record = {key: Raw(bytes(value)) for key, value in _record.decode(source).items()}
        return _fields.decode(source), record
    except msgspec.DecodeError:
        if not _SURROGATE.search(source):
            raise
    values = json.loads(source, parse_constant=_no_constant)
    if not isinstance(values, dict):
        raise msgspec.ValidationError("Expected `object`")
    fields = msgspec.convert({key: values[key] for key in _KNOWN if key in values}, _Fields)
    return fields, {key: Raw(json.dumps(value).encode()) for key, value in values.items()}


def _instant(timestamp: str | float | None) -> datetime | None:
    match timestamp:
        case None:
            return None
        case str():
            try:
                instant = datetime.fromisoformat(timestamp)
            except ValueError:
                raise MessageError("timestamp is not ISO 8601") from None
            # Without an offset it is UTC: the same file must mean the same everywhere.
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        case _:
            try:
                return datetime.fromtimestamp(timestamp, UTC)
            except (ValueError, OverflowError, OSError):
                raise MessageError("timestamp is out of range; it counts seconds") from None


def _as_it_came(message: MaskedMessage) -> object:
    if message.timestamp is None:
        return None
    return message.extra.get("timestamp") or message.timestamp.isoformat()


def _given(value: str | None, default: str) -> str:
    return default if value is None else value


def _plain(value: object) -> object:
    if isinstance(value, Raw):
        return json.loads(bytes(value))
    raise TypeError


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _lower(reason: str) -> str:
    return reason[:1].lower() + reason[1:]
