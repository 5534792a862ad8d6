"""JSON documents: arrays and nested objects, and the exports that are such documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.json_scan import ALL_TEXTS, Scanner
from masker.archive.spelling import decoded

BOM = b"\xef\xbb\xbf"
_NAME = re.compile(rb'"([^"\\]*)"\s*:')
_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[\s*[{\["\]])')


class JsonDocument(Format):
    """One JSON document, of any shape."""

    name = "json"
    html = False

    def recognises(self, head: bytes, path: Path) -> bool:
        return _BEGINS.match(head) is not None

    def prepare(self, head: bytes, context: Context) -> None:
        names = set(_NAME.findall(head))
        if "text" not in context.fields.told and not any(
            context.fields.is_text(decoded(name)) for name in names
        ):
            context.hints[ALL_TEXTS] = "1"

    def read(self, stream: BinaryIO, context: Context, start: int, end: int | None) -> Read:
        start_bytes = stream.read(len(BOM))
        bom = len(BOM) if start_bytes == BOM else 0
        yield from self._scanner(context).stream(
            stream, self.conversation(context), start_bytes[bom:], bom
        )

    def conversation(self, context: Context) -> str:
        """What a message belongs to that does not say so itself."""
        return context.name

    def _scanner(self, context: Context) -> Scanner:
        return Scanner(context, html=self.html)


class TelegramJson(JsonDocument):
    """Telegram Desktop's result.json: one chat, or all of them under chats.list."""

    name = "telegram"

    def recognises(self, head: bytes, path: Path) -> bool:
        if not super().recognises(head, path):
            return False
        return b'"from_id"' in head or (b'"date_unixtime"' in head and b'"text' in head)


class Slack(JsonDocument):
    """A day of a Slack channel: an array in the channel's folder."""

    name = "slack"

    def recognises(self, head: bytes, path: Path) -> bool:
        start = head.lstrip(b"\xef\xbb\xbf").lstrip()[:1]
        return start == b"[" and b'"ts"' in head and b'"type"' in head

    def conversation(self, context: Context) -> str:
        return context.folder


class Zendesk(JsonDocument):
    """Zendesk tickets with comments, or the comments of one."""

    name = "zendesk"
    html = True

    def recognises(self, head: bytes, path: Path) -> bool:
        return super().recognises(head, path) and (
            (b'"html_body"' in head or b'"plain_body"' in head or b'"author_id"' in head)
            and b'"body"' in head
        )


class Intercom(JsonDocument):
    """Intercom conversations with their parts."""

    name = "intercom"
    html = True

    def recognises(self, head: bytes, path: Path) -> bool:
        return super().recognises(head, path) and (
            b'"conversation_parts"' in head or b'"conversation_part"' in head
        )
