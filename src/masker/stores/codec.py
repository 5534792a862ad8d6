"""Messages as the bytes that get sealed: one record holds messages of one conversation.

MessagePack, a message as an array in a fixed order. What the array cannot say plainly is marked by
its type: text that is not UTF-8 (half of a surrogate pair) as bytes, a time outside UTC as ISO
8601, extra fields that came as raw JSON as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from masker.core.messages import Finding, MaskedMessage
from masker.errors import MessageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def encode(conversation_id: str, messages: Sequence[MaskedMessage]) -> bytes:
    """The payload of a record.

    Raises:
        MessageError: a message holds what cannot be stored; names the message and the field.
    """
    try:
        return _encode(
            (
                conversation_id,
                [
                    (
                        message.message_id,
                        message.sender,
                        message.text,
                        message.timestamp
                        if message.timestamp is None or message.timestamp.tzinfo is UTC
                        else _zoned(message.timestamp),
                        message.channel,
                        message.subject,
                        _extra(message.extra) if message.extra else None,
                        message.revision,
                        message.final,
                        [(f.rule, f.entity, f.start, f.end, f.score) for f in message.findings]
                        if message.findings
                        else None,
                    )
                    for message in messages
                ],
            )
        )
    except (TypeError, ValueError, OverflowError, RecursionError):
        # One message in so many is odd; only then is each looked at by itself.
        return _encode((_text(conversation_id), [_odd(message) for message in messages]))


def decode(payload: bytes) -> tuple[str, list[MaskedMessage]]:
    """The conversation's id and the messages of a record."""
    conversation, rows = _decode(payload)
    conversation_id = _plain(conversation)
    out = []
    for message_id, sender, text, at, channel, subject, extra, revision, final, findings in rows:
        out.append(
            MaskedMessage(
                conversation_id,
                message_id if type(message_id) is str else _plain(message_id),
                sender if type(sender) is str else _plain(sender),
                text if type(text) is str else _plain(text),
                datetime.fromisoformat(at) if type(at) is str else at,
                channel if type(channel) is not bytes else _plain(channel),
                subject if type(subject) is not bytes else _plain(subject),
                **({"extra": _fields(extra)} if extra is not None else {}),
                revision=revision,
                final=final,
                findings=tuple(Finding(*finding) for finding in findings) if findings else (),
            )
        )
    return conversation_id, out


def microseconds(at: datetime) -> int:
    """Since 1970, as headers and directories keep time."""
    return (at - EPOCH) // _MICROSECOND


def time_of(message: MaskedMessage) -> int | None:
    """The time of a message.

    Raises:
        MessageError: it has no time zone.
    """
    if message.timestamp is None:
        return None
    if message.timestamp.tzinfo is None:
        raise _unusable(message, "timestamp has no time zone")
    return microseconds(message.timestamp)


def instant(since: int) -> datetime:
    """The time that many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=since)


def span(messages: Iterable[MaskedMessage], now: int) -> tuple[int, int]:
    """The earliest and latest time of messages; one without a time counts as of `now`."""
    times = [message.timestamp for message in messages]
    known = [time for time in times if time is not None]
    if not known:
        return now, now
    oldest, newest = microseconds(min(known)), microseconds(max(known))
    return (oldest, newest) if len(known) == len(times) else (min(oldest, now), max(newest, now))


def _zoned(at: datetime) -> datetime | str:
    offset = at.utcoffset()
    if offset is None:
        raise TypeError
    return at.astimezone(UTC) if not offset else at.isoformat()


def _extra(extra: Mapping[str, Any]) -> Any:
    if msgspec.Raw in map(type, extra.values()):
        return msgspec.json.encode(dict(extra))
    return dict(extra)


def _fields(extra: Any) -> Mapping[str, Any]:
    fields: Mapping[str, Any]
    if type(extra) is bytes:
        fields = _raw_fields(extra)
    else:
        fields = json.loads(extra) if type(extra) is str else extra
    return fields


def _odd(message: MaskedMessage) -> tuple[Any, ...]:
    """A message, field by field, so that an error names the field that cannot be stored."""
    try:
        zoned = None if message.timestamp is None else _zoned(message.timestamp)
    except TypeError:
        raise _unusable(message, "timestamp has no time zone") from None
    row = (
        _text(message.message_id),
        _text(message.sender),
        _text(message.text),
        zoned,
        None if message.channel is None else _text(message.channel),
        None if message.subject is None else _text(message.subject),
        _odd_extra(message),
        message.revision,
        message.final,
        [(f.rule, f.entity, f.start, f.end, f.score) for f in message.findings],
    )
    try:
        _encode(row)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise _unusable(message, "holds a value that cannot be stored") from None
    return row


def _odd_extra(message: MaskedMessage) -> Any:
    if not message.extra:
        return None
    try:
        extra = _extra(message.extra)
        _encode(extra)
    except UnicodeEncodeError:
        try:
            return json.dumps(dict(message.extra))
        except (TypeError, ValueError, RecursionError):
            raise _unusable(message, "extra holds a value that cannot be stored") from None
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise _unusable(message, "extra holds a value that cannot be stored") from None
    return extra


def _text(text: str) -> str | bytes:
    if not isinstance(text, str):
        raise MessageError("an id, sender or text is not a str")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _plain(value: Any) -> str:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else str(value)


def _unusable(message: MaskedMessage, reason: str) -> MessageError:
    return MessageError(f"message {message.message_id!r} of {message.conversation_id!r}: {reason}")
