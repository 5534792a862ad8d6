"""JSON as places: every string value with where it stands, without building the document.

One pass over tokens with a stack of the containers that are open. An object that holds text is a
message; what it does not say itself (whose, when, in which conversation) its parents may have
said. Memory is bounded by the largest single message, however long the array that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from masker.archive.fields import Fields
from masker.archive.formats.base import Context
from masker.archive.records import ArchiveError, Record, microseconds, with_copies
from masker.archive.spelling import (
    hides_number,
    is_markup,
    text_literals,
    text_of,
    without_schemes,
)

_BUFFER = 1 << 20
_MAX_TOKEN = 1 << 26
_MAX_WAITING = 4096
_MAX_DEPTH = 512
_TOKEN = re.compile(
    rb'[\s]*(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{}\[\],:])|(-?[0-9][0-9.eE+-]*|true|false|null))',
    re.DOTALL,
)
# The same as JavaScript writes it: names without quotes, strings in single ones.
_SCRIPT_TOKEN = re.compile(
    rb'[\s]*(?:("[^"\\]*+(?:\\.[^"\\]*+)*+"|\'[^\'\\]*+(?:\\.[^\'\\]*+)*+\')|([{}\[\],:])'
    rb"|(-?[0-9][0-9.eE+-]*|[A-Za-z_$][A-Za-z0-9_$]*))",
    re.DOTALL,
)
_SPACE = re.compile(rb"\s*")
_DATE = re.compile(r"(?:19|20)\d{2}[-/][01]?\d[-/][0-3]?\d(?!\d)[T\d:.,+Z -]*$")
_DATED = re.compile(r"(?:19|20)\d{2}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d(?::[0-5]\d)?")
# More than one word of a program: blanks, other scripts, or nothing but digits.
_SAYS = re.compile(r"\s|[^\x00-\x7f]|^[\d.,()+-]*\d[\d.,()+-]*$")
# Arrays that are one text in pieces: Telegram's entities, the parts of a model's message.
_TEXT_ARRAYS = {"text", "textentities", "content"}
# In an array, what has fewer digits is no text that was written as a number.
_LONG_NUMBER = 8
_SENDER_KEYS = ("id", "user_id", "email", "name", "display_name", "username", "type", "role")


ALL_TEXTS = "every string"
"""The hint that a document has no field that is known as text."""


class _Frame:
    """An open object or array."""

    __slots__ = (
        "expects",
        "fields",
        "is_object",
        "key",
        "path",
        "pieces",
        "start",
        "texts",
        "waiting",
    )

    def __init__(self, *, is_object: bool, start: int, path: str) -> None:
        self.is_object = is_object
        self.start = start
        self.path = path
        self.key: str | None = None
        self.expects = "key" if is_object else "value"
        # Whether this is an array that may be one text in pieces.
        self.pieces = False
        self.fields: dict[str, object] = {}
        # (path of keys, start, end, spelling, text): text of its own, and of its children.
        self.texts: list[tuple[str, int, int, str, str]] = []
        self.waiting: list[tuple[str, int, int, str, str]] = []


class Scanner:
    """Walks one stream, or one line of one; `records` gives what it finds."""

    def __init__(self, context: Context, *, html: bool = False, script: bool = False) -> None:
        self._context = context
        self._html = html
        self._script = script
        # No field is known as text: then every string that says something is.
        self._takes_all = ALL_TEXTS in context.hints

    def line(self, raw: bytes, offset: int, conversation: str) -> list[Record]:
        """The records of one JSON value that is all of `raw`."""
        return list(self._walk(_Tokens(None, raw, offset, script=self._script), conversation))

    def stream(
        self, source: BinaryIO, conversation: str, start: bytes = b"", offset: int = 0
    ) -> Iterator[Record]:
        """The records of a document of which a beginning was read already."""
        return self._walk(_Tokens(source, start, offset), conversation)

    def _walk(self, tokens: _Tokens, conversation: str) -> Iterator[Record]:
        stack: list[_Frame] = []
        for start, end, raw in tokens:
            first = raw[0]
            top = stack[-1] if stack else None
            if first in b"\"'":
                if top is not None:
                    self._string(top, start, end, raw, tokens)
            elif first in b"{[":
                tokens.require(top is None or top.expects == "value")
                tokens.require(len(stack) < _MAX_DEPTH)
                path = "" if top is None else f"{top.path}.{top.key}" if top.is_object else top.path
                frame = _Frame(is_object=first == 0x7B, start=start, path=path)
                if top is not None:
                    top.expects = "comma"
                    if first == 0x5B:
                        frame.key = top.key
                        if top.is_object and _is_text_array(top.key, self._context):
                            frame.pieces = True
                            tokens.keep(start)
                stack.append(frame)
            elif first in b"}]":
                tokens.require(top is not None and top.is_object == (first == 0x7D))
                assert top is not None
                tokens.require(top.expects in {"comma", "key", "value"})
                stack.pop()
                yield from self._closed(top, stack, end, tokens, conversation)
            elif first == 0x3A:
                tokens.require(top is not None and top.expects == "colon")
                assert top is not None
                top.expects = "value"
            elif first == 0x2C:
                tokens.require(top is not None and top.expects == "comma")
                assert top is not None
                top.expects = "key" if top.is_object else "value"
            elif top is not None and top.expects == "key" and self._script:
                top.key = raw.decode()
                top.expects = "colon"
            else:
                tokens.require(top is None or top.expects == "value")
                if top is not None:
                    self._scalar(top, start, end, raw)
        tokens.require(not stack)

    def _string(self, top: _Frame, start: int, end: int, raw: bytes, tokens: _Tokens) -> None:
        """A key, or a value that may be a text."""
        if top.expects == "key":
            top.key = _string(raw, tokens)
            top.expects = "colon"
            return
        tokens.require(top.expects == "value")
        top.expects = "comma"
        key = top.key or ""
        if top.pieces or self._is_text(key, raw, tokens):
            path = f"{top.path}.{key}" if top.is_object else top.path
            self._add(top, path, start, end, raw, tokens)
        if top.is_object and len(raw) < 1024:
            top.fields[key] = _string(raw, tokens)

    def _add(
        self, top: _Frame, path: str, start: int, end: int, raw: bytes, tokens: _Tokens
    ) -> None:
        spelling = "json" if raw[:1] == b'"' and not self._script else "script"
        text = _string(raw, tokens)
        if self._script and _DATED.fullmatch(text):
            # Pages show the time now and then, as if somebody said it.
            return
        if is_markup(text) or (self._html and "<" in text):
            if hides_number(text):
                # What stands in a tag is no part of what is said, and yet can be read.
                hidden = without_schemes(text)
                top.texts.append((f"{path}<>", start, end, spelling, hidden))
            spelling = f"{spelling}-html"
            text = text_of(raw, spelling)
        top.texts.append((path, start, end, spelling, text))

    def _is_text(self, key: str, raw: bytes, tokens: _Tokens) -> bool:
        if not self._takes_all:
            return self._context.fields.is_text(key)
        if any(role != "text" for role, _ in self._context.fields.roles(key)):
            return False
        text = _string(raw, tokens)
        return _SAYS.search(text) is not None and _DATE.match(text) is None

    def _scalar(self, top: _Frame, start: int, end: int, raw: bytes) -> None:
        """A number, or a word that is no string."""
        top.expects = "comma"
        if top.key is None:
            return
        is_number = raw[0] in b"-0123456789"
        if not top.is_object and not (raw.isdigit() and len(raw) >= _LONG_NUMBER):
            # Of an array of numbers most are no text: coordinates, weights.
            return
        if is_number and self._context.fields.is_text(top.key):
            # What was digits and nothing else, some exporter wrote as a number.
            path = f"{top.path}.{top.key}" if top.is_object else top.path
            top.texts.append((path, start, end, "json-number", raw.decode()))
        if not top.is_object:
            return
        if is_number or raw in (b"true", b"false"):
            top.fields[top.key] = json.loads(raw) if len(raw) < 64 else raw.decode()

    def _closed(
        self, frame: _Frame, stack: list[_Frame], end: int, tokens: _Tokens, conversation: str
    ) -> Iterator[Record]:
        parent = stack[-1] if stack else None
        texts = frame.waiting + self._own_texts(frame)
        if frame.pieces and parent is not None:
            region = tokens.kept(frame.start, end)
            # Where they are all that it says, they are one text; otherwise one after the other.
            if texts and len(texts) == len(text_literals(region)) and _are_strings(texts):
                text = text_of(region, "json-texts")
                texts = [(frame.path, frame.start, end, "json-texts", text)]
            inner = f"{frame.path}.text"
            parent.texts += [
                (frame.path if text[0] == inner else text[0], *text[1:]) for text in texts
            ]
            return
        if not frame.is_object:
            if parent is not None:
                parent.waiting += texts
            elif texts:
                yield from self._records(texts, [], conversation)
        else:
            if texts and (self._is_message(frame) or parent is None):
                frames = [frame, *reversed(stack)]
                _hold_messages(stack, tokens)
                yield from self._records(texts, frames, conversation)
            elif parent is not None:
                parent.waiting += texts
                if parent.is_object and parent.key is not None and not texts:
                    named = next((frame.fields[k] for k in _SENDER_KEYS if k in frame.fields), None)
                    if named is not None:
                        parent.fields.setdefault(parent.key, named)
        if parent is not None and len(parent.waiting) > _MAX_WAITING:
            # So many texts without a speaker are no one message: whose they are is not waited for.
            waiting, parent.waiting = parent.waiting, []
            _hold_messages(stack, tokens)
            yield from self._records(waiting, list(reversed(stack)), conversation)

    def _own_texts(self, frame: _Frame) -> list[tuple[str, int, int, str, str]]:
        """The texts of an object; what tells who its sender is, is none."""
        if not frame.is_object or not any(text[0].endswith("ubject") for text in frame.texts):
            return frame.texts
        subject = self._context.fields.chosen(frame.fields).get("subject")
        return [text for text in frame.texts if text[0] != f"{frame.path}.{subject}"]

    def _is_message(self, frame: _Frame) -> bool:
        if self._takes_all:
            return True
        roles = {role for name in frame.fields for role, _ in self._context.fields.roles(name)}
        return bool(roles & {"sender", "time"} or (frame.texts and "id" in roles))

    def _records(
        self,
        texts: list[tuple[str, int, int, str, str]],
        frames: list[_Frame],
        conversation: str,
    ) -> Iterator[Record]:
        whose = self._whose(frames, conversation)
        # The best text is the message; others of the same object that do not say the same are
        # lanes of their own.
        texts.sort(key=lambda text: text[1])
        main = min((text[0] for text in texts), key=self._depth)
        texts.sort(key=lambda text: text[0] != main)
        records = []
        for number, (path, start, end, spelling, text) in enumerate(texts):
            sender, identity, subject = whose.sender, whose.id, whose.subject
            if path != main:
                sender, subject = f"{sender}\0{path}", None
            if identity is not None and number:
                identity = f"{identity}\0{number}"
            records.append(
                Record(start, end, spelling, text, whose.conversation, sender, identity,
                       whose.time, whose.channel, subject)
            )  # fmt: skip
        yield from with_copies(records)

    def _depth(self, path: str) -> tuple[int, int]:
        parents, _, name = path.rpartition(".")
        return parents.count("."), self._context.fields.text_rank(name)

    def _whose(self, frames: list[_Frame], conversation: str) -> _Whose:
        """What a message says of itself, and else what its parents say."""
        fields = self._context.fields
        own = fields.chosen(frames[0].fields) if frames else {}
        mine = {role: frames[0].fields[name] for role, name in own.items()}
        told = {role: mine.get(role) for role in ("conversation", "sender", "time", "channel")}
        # An object that holds nothing but the message, and is called as it, is no conversation.
        wrapper = frames[1] if len(frames) > 1 and _is_called(frames[1], mine, fields) else None
        for frame in frames[1:]:
            chosen = fields.chosen(frame.fields)
            for role, value in told.items():
                if value is None and not (role == "sender" and "id" in mine):
                    told[role] = frame.fields.get(chosen.get(role, ""))
            if told["conversation"] is None and frame.is_object and frame is not wrapper:
                told["conversation"] = frame.fields.get(chosen.get("id", ""))
        if told["conversation"] is None:
            parents = [
                frame
                for frame in frames[1:]
                if frame.is_object and frame.path and frame is not wrapper
            ]
            told["conversation"] = f"{conversation}#{parents[0].start}" if parents else conversation
        return _Whose(
            str(told["conversation"]),
            "user" if told["sender"] is None else str(told["sender"]),
            _text_or_none(mine.get("id")),
            microseconds(told["time"], self._context.zone),
            _text_or_none(told["channel"]),
            _text_or_none(mine.get("subject")),
        )


def _are_strings(texts: list[tuple[str, int, int, str, str]]) -> bool:
    return all(spelling in {"json", "json-html"} for _, _, _, spelling, _ in texts)


def _hold_messages(stack: list[_Frame], tokens: _Tokens) -> None:
    """None of the open arrays is a text in pieces: what is in them are messages."""
    for frame in stack:
        frame.pieces = False
    tokens.release()


def _is_called(frame: _Frame, mine: dict[str, object], fields: Fields) -> bool:
    """Whether an object has the same id as the message in it."""
    outer = frame.fields.get(fields.chosen(frame.fields).get("id", ""))
    return outer is not None and outer == mine.get("id")


class _Whose(NamedTuple):
    conversation: str
    sender: str
    id: str | None
    time: int | None
    channel: str | None
    subject: str | None


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _is_text_array(key: str | None, context: Context) -> bool:
    if key is None:
        return False
    plain = key.replace("_", "").casefold()
    return plain in _TEXT_ARRAYS or (
        context.fields.is_text(key) and plain not in {"message", "comment"}
    )


def _string(raw: bytes, tokens: _Tokens) -> str:
    if raw[:1] == b"'":
        return text_of(raw, "script")
    if b"\\" not in raw:
        return raw[1:-1].decode("utf-8", "surrogateescape")
    try:
        value: str = json.loads(raw.decode("utf-8", "surrogateescape"), strict=False)
    except ValueError:
        tokens.require(False)
        raise
    return value


class _Tokens:
    """The tokens of a stream, with their places; counts lines only where something is wrong."""

    def __init__(
        self, source: BinaryIO | None, buffer: bytes, offset: int, *, script: bool = False
    ) -> None:
        self._match = (_SCRIPT_TOKEN if script else _TOKEN).match
        self._source = source
        self._buffer = buffer
        self._offset = offset
        self._at = 0
        self._keep: int | None = None
        self._lines = 0

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        match_token = self._match
        while True:
            match = match_token(self._buffer, self._at)
            # A number may go on behind the buffer, and a token that is cut off is none yet.
            if (match is None or match.end() == len(self._buffer)) and self._more():
                continue
            if match is None:
                space = _SPACE.match(self._buffer, self._at)
                assert space is not None
                self._at = space.end()
                self.require(self._at == len(self._buffer))
                return
            self._at = match.end()
            index = match.lastindex or 1
            low, high = match.span(index)
            yield self._offset + low, self._offset + high, match.group(index)

    def keep(self, start: int) -> None:
        """From here on bytes are kept, until `kept` takes them."""
        if self._keep is None:
            self._keep = start

    def release(self) -> None:
        """Nothing is kept any longer."""
        self._keep = None

    def kept(self, start: int, end: int) -> bytes:
        """The bytes of a region that was kept."""
        if self._keep == start:
            self._keep = None
        return self._buffer[start - self._offset : end - self._offset]

    def require(self, holds: bool) -> None:
        """Raise where the document is no JSON."""
        if not holds:
            line = self._lines + self._buffer.count(b"\n", 0, self._at) + 1
            raise ArchiveError(f"line {line}: is not JSON")

    def _more(self) -> bool:
        if self._source is None:
            return False
        chunk = self._source.read(_BUFFER)
        if not chunk:
            self._source = None
            return False
        low = self._at if self._keep is None else min(self._at, self._keep - self._offset)
        if len(self._buffer) - low > _MAX_TOKEN:
            self.require(False)
        self._lines += self._buffer.count(b"\n", 0, low)
        self._offset += low
        self._at -= low
        self._buffer = self._buffer[low:] + chunk
        return True
