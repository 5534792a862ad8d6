"""Chats as HTML: Telegram's export, and pages of the common WeChat exporters.

A page is read tag by tag. What stands in an element whose class says text is a message; the last
element whose class says name or time before it tells whose and when. Text in no such element is
masked too, as the page's own. Exporters that keep the chat as an array in a script are read as
the JSON that it is.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.json_scan import Scanner
from masker.archive.records import ArchiveError, Record, microseconds
from masker.archive.spelling import decoded, hides_number, text_of, without_schemes

_CHUNK = 1 << 20
_MAX_TEXT = 1 << 24
_MAX_SCRIPT = 1 << 27
_RAW = {b"script", b"style"}
_NUMBERED = re.compile(r"(?:^|[/!])messages[0-9]*\.html?(?:\.gz|\.zst)?$")
_MANY_DIGITS = re.compile(rb"(?:[0-9][^0-9]{0,3}){8}")
_TAG = re.compile(
    rb"<!--.*?-->|<(?P<raw>script|style)\b[^>]*>(?P<inside>.*?)</(?P=raw)\s*>"
    rb"|<(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9]*)(?P<rest>[^<>]*)>",
    re.DOTALL | re.IGNORECASE,
)
# Within a string of a script the quotes are escaped.
_VALUE = rb"""\s*=\s*\\?["']([^"'\\]*)\\?["']"""
_CLASS = re.compile(rb"\bclass" + _VALUE, re.IGNORECASE)
_TITLE = re.compile(rb"\btitle" + _VALUE, re.IGNORECASE)
_ID = re.compile(rb"\bid" + _VALUE, re.IGNORECASE)
_VOID = {b"br", b"img", b"hr", b"meta", b"link", b"input", b"wbr", b"source"}
# Tags that stand within a text; any other one ends it.
_INLINE = {
    b"a",
    b"b",
    b"i",
    b"u",
    b"s",
    b"em",
    b"strong",
    b"span",
    b"br",
    b"code",
    b"pre",
    b"img",
    b"wbr",
    b"font",
    b"blockquote",
    b"del",
    b"ins",
    b"tg-spoiler",
    b"mark",
    b"small",
    b"sub",
    b"sup",
}
_NAME_CLASSES = {
    "from_name",
    "dspname",
    "displayname",
    "nickname",
    "nick-name",
    "name",
    "sender",
    "username",
    "author",
    "name-left",
    "name-right",
}
_TIME_CLASSES = {"date", "time", "datetime", "msg-time", "timestamp", "message-time"}
_ARRAY = re.compile(rb"=\s*(?=\[\s*[{\[])")
_STRINGS = re.compile(rb'=\s*(?=\[\s*"[^"]*<)')
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
# A date and a clock that stand beside a name, in no element of their own.
_DATED = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[ T]\d{1,2}:\d{2}(?::\d{2})?")
_ZONE = re.compile(r"\s*UTC([+-]\d{2}):?(\d{2})")


class Page(Format):
    """An HTML page with a chat in it."""

    name = "html"
    isolates = False
    """Whether the classes of its elements are known, so that other text is nobody's message."""

    def recognises(self, head: bytes, path: Path) -> bool:
        start = head.lstrip(b"\xef\xbb\xbf").lstrip()[:256].lower()
        return start.startswith((b"<!doctype html", b"<html")) or (
            start.startswith(b"<") and path.suffix.casefold() in {".html", ".htm"}
        )

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        walk = _Walk(context, isolates=self.isolates)
        walk.conversation = self.conversation(context)
        return walk.read(stream)

    def conversation(self, context: Context) -> str:
        """What the messages of a page belong to."""
        return context.name


class TelegramPage(Page):
    """messages.html of Telegram Desktop."""

    name = "telegram-html"
    isolates = True

    def recognises(self, head: bytes, path: Path) -> bool:
        return super().recognises(head, path) and b"from_name" in head and b'class="text' in head

    def conversation(self, context: Context) -> str:
        """A chat of more than a thousand messages goes on in messages2.html of its folder."""
        return context.folder if _NUMBERED.search(context.name) else context.name


class WeChatPage(Page):
    """A page of a WeChat exporter."""

    name = "wechat-html"
    isolates = True

    def recognises(self, head: bytes, path: Path) -> bool:
        known = (
            b"wechat",
            "微信".encode(),
            b"wxid_",
            b"dspname",
            b"displayname",
            "聊天记录".encode(),
        )
        return super().recognises(head, path) and any(word in head.lower() for word in known)


class WeChatScript(Format):
    """Further messages of a page of WechatExporter: a script with an array of pieces of HTML."""

    name = "wechat-js"

    def recognises(self, head: bytes, path: Path) -> bool:
        return b'class=\\"' in head and _STRINGS.search(head) is not None

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        source = stream.read(_MAX_SCRIPT + 1)
        if len(source) > _MAX_SCRIPT:
            raise ArchiveError("holds a script of more than 128 MB")
        walk = _Walk(context, isolates=True, spelling="json-part-html")
        done = 0
        for match in _STRINGS.finditer(source):
            stop = _end_of_array(source, match.end())
            yield from walk.aside(source[done : match.end()], done)
            for piece in _STRING.finditer(source, match.end(), stop):
                yield from walk.read(io.BytesIO(piece[1]), piece.start(1))
            done = stop
        yield from walk.aside(source[done:], done)


class _Walk:
    def __init__(self, context: Context, *, isolates: bool, spelling: str = "html") -> None:
        self._context = context
        self._isolates = isolates
        self._spelling = spelling
        self.conversation = context.name
        self._sender = "user"
        self._time: int | None = None
        self._id: str | None = None
        self._stack: list[tuple[bytes, str]] = []

    def read(self, stream: BinaryIO, offset: int = 0) -> Iterator[Record]:
        """The texts of a page, or of a piece of one that stands there."""
        buffer = b""
        text_from: int | None = 0
        at = 0
        more = True
        while more:
            chunk = stream.read(_CHUNK)
            more = bool(chunk)
            buffer += chunk
            while match := _TAG.search(buffer, at):
                name = (match["name"] or b"").lower()
                if more and name in _RAW and not match["close"]:
                    # A script that goes on in the next chunk is no text.
                    if len(buffer) - match.start() > _MAX_SCRIPT:
                        raise ArchiveError("is no page: a script in it has no end")
                    break
                at = match.end()
                if match["raw"]:
                    yield from self._text(buffer, text_from, match.start(), offset)
                    yield from self._script(match["inside"], offset + match.start("inside"))
                    text_from = at
                    continue
                if not name or (name in _INLINE and not self._says_more(name, match)):
                    continue
                yield from self._text(buffer, text_from, match.start(), offset)
                yield from self.aside(match.group(), offset + match.start())
                text_from = at
                if match["close"]:
                    self._close(name)
                elif name not in _VOID and not match["rest"].endswith(b"/"):
                    self._open(name, match["rest"])
            if not more:
                yield from self._text(buffer, text_from, len(buffer), offset)
                return
            keep = text_from if text_from is not None else at
            if len(buffer) - keep > _MAX_TEXT:
                raise ArchiveError("is no page: a text in it has no end")
            buffer, offset, at, text_from = buffer[keep:], offset + keep, max(0, at - keep), 0

    def _says_more(self, name: bytes, match: re.Match[bytes]) -> bool:
        """Whether an inline element holds a name, a time or a text of its own."""
        if match["close"]:
            return any(tag == name and tag in _INLINE for tag, _ in self._stack[-1:])
        return name == b"span" and _role(match["rest"]) != ""

    def _open(self, name: bytes, rest: bytes) -> None:
        role = _role(rest)
        self._stack.append((name, role))
        if role == "time":
            title = _TITLE.search(rest)
            if title:
                self._tell_time(decoded(title[1]))
        elif role == "message":
            found = _ID.search(rest)
            self._id = decoded(found[1]) if found else None

    def _close(self, name: bytes) -> None:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place][0] == name:
                del self._stack[place:]
                return

    def _text(self, buffer: bytes, low: int | None, high: int, offset: int) -> Iterator[Record]:
        if low is None or low >= high:
            return
        raw = buffer[low:high]
        if not raw.strip():
            return
        if b"<" in raw and hides_number(decoded(raw)):
            yield from self.aside(raw, offset + low)
        text = text_of(raw, self._spelling)
        if not text.strip():
            return
        role = next((role for _, role in reversed(self._stack) if role not in {"", "message"}), "")
        if role == "name":
            self._sender = text.strip() or self._sender
        elif role == "time" and self._tell_time(text):
            return
        elif role == "" and self._isolates and _DATED.fullmatch(text.strip()):
            self._tell_time(text)
            return
        sender, conversation = self._sender, self.conversation
        if role != "text" and (role or self._isolates):
            # Names, buttons, headings: no part of what anybody says.
            sender, conversation = "page", f"{self._context.name}#{offset + low}"
        time = self._time if role == "text" else None
        yield Record(
            offset + low, offset + high, self._spelling, text, conversation, sender, None, time
        )

    def _tell_time(self, told: str) -> bool:
        text = _ZONE.sub(r" \1\2", html.unescape(told).strip())
        if " +" in text or " -" in text:
            head, _, zone = text.rpartition(" ")
            found = microseconds(head, self._context.zone)
            if found is not None:
                sign = -1 if zone[0] == "-" else 1
                minutes = int(zone[1:3]) * 60 + int(zone[3:5] or 0)
                self._time = found - sign * minutes * 60_000_000
            return found is not None
        found = microseconds(text, self._context.zone)
        self._time = self._time if found is None else found
        return found is not None

    def _script(self, source: bytes, offset: int) -> Iterator[Record]:
        done = 0
        for match in _ARRAY.finditer(source):
            if match.start() < done:
                continue
            end = _end_of_array(source, match.end())
            yield from self.aside(source[done : match.end()], offset + done)
            done = end
            scanner = Scanner(self._context, html=True, script=True)
            try:
                yield from scanner.line(
                    source[match.end() : end], offset + match.end(), self._context.name
                )
            except ArchiveError:
                raise ArchiveError("holds a chat as a script that cannot be read") from None
        yield from self.aside(source[done:], offset + done)

    def aside(self, source: bytes, offset: int) -> Iterator[Record]:
        """What nobody says, and yet can be read: tags and scripts, where they may hold a number."""
        if _MANY_DIGITS.search(source):
            conversation = f"{self._context.name}#{offset}"
            end = offset + len(source)
            text = without_schemes(decoded(source))
            yield Record(offset, end, "plain", text, conversation, "page")


def _role(rest: bytes) -> str:
    found = _CLASS.search(rest)
    if found is None:
        return ""
    words = set(decoded(found[1]).casefold().split())
    if words & _NAME_CLASSES:
        return "name"
    if words & _TIME_CLASSES:
        return "time"
    if any("text" in word or "content" in word or "bubble" in word for word in words):
        return "text"
    return "message" if any("message" in word or word == "msg" for word in words) else ""


_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|\'[^\'\\]*(?:\\.[^\'\\]*)*\'|[\[\]]', re.DOTALL)


def _end_of_array(source: bytes, at: int) -> int:
    depth = 0
    for match in _BRACKETS.finditer(source, at):
        token = match.group()
        depth += (token == b"[") - (token == b"]")
        if depth == 0:
            return match.end()
    return len(source)
