"""The formats, and which one a file is."""

from __future__ import annotations

from pathlib import Path

from masker.archive.formats.base import Context, Format, Read
from masker.archive.formats.documents import Intercom, JsonDocument, Slack, TelegramJson, Zendesk
from masker.archive.formats.json_lines import JsonLines
from masker.archive.formats.logs import Log, PlainText, WeChatText, WhatsApp
from masker.archive.formats.mail import Mail, Mbox
from masker.archive.formats.pages import Page, TelegramPage, WeChatPage, WeChatScript
from masker.archive.formats.parquet import Parquet
from masker.archive.formats.tables import Table

__all__ = ["FORMATS", "Context", "Format", "Parquet", "Read", "recognised"]

# In the order in which they are asked: what is told by more comes before what is told by less.
_ALL: tuple[Format, ...] = (
    Parquet(),
    JsonLines(),
    TelegramJson(),
    Intercom(),
    Zendesk(),
    Slack(),
    JsonDocument(),
    TelegramPage(),
    WeChatPage(),
    WeChatScript(),
    Page(),
    Mbox(),
    Mail(),
    WhatsApp(),
    Table(),
    WeChatText(),
    Log(),
    PlainText(),
)
FORMATS: dict[str, Format] = {form.name: form for form in _ALL}


def recognised(head: bytes, path: Path) -> Format:
    """The format of a file that begins so."""
    return next(form for form in _ALL if form.recognises(head, path))
